"""Bodies, as pieces of bytes."""

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Optional, Union

Bytes = Union[bytes, bytearray, memoryview]
Piece = Union[Bytes, str]
# A body that a handler sends: whole, or piece by piece. Text goes as UTF-8.
Body = Union[Piece, Iterable[Piece], AsyncIterable[Piece]]
# Takes a body's pieces as they come, gives those to send in their place; an asynchronous generator.
Transform = Callable[[AsyncIterator[bytes]], AsyncIterable[Piece]]

# What is read of a body at most, unless the handler says otherwise.
LIMIT = 16 * 1024 * 1024

# A piece on the wire. The contract allows 1 MiB; a small one keeps little of a body on its way.
PIECE_BYTES = 128 * 1024


class BodyTooLarge(Exception):
    """A body is longer than the handler wants to read."""


class Unread(Exception):
    """The body has been read, and cannot be read again or go on by itself."""


async def read(source: AsyncIterator[bytes], content_length: Optional[int], limit: int) -> bytes:
    """All of a body. BodyTooLarge: it has more than `limit` bytes; nothing of it is asked for if that is known beforehand."""
    if content_length is not None and content_length > limit:
        raise BodyTooLarge(f"the body is longer than {limit} bytes")
    all_of_it = bytearray()
    async for piece in source:
        all_of_it += piece
        if len(all_of_it) > limit:
            raise BodyTooLarge(f"the body is longer than {limit} bytes")
    return bytes(all_of_it)


def whole(body: object) -> Union[bytes, None]:
    """The bytes, if the body is there at once."""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, (bytes, bytearray, memoryview)) else None


async def pieces(body: Body) -> AsyncIterator[bytes]:
    """The body in pieces to send, none of them empty or too long. Ends an asynchronous generator if the caller stops early."""
    if isinstance(body, (str, bytes, bytearray, memoryview)):
        for part in _cut(body):
            yield part
    elif isinstance(body, AsyncIterable):
        async with contextlib.AsyncExitStack() as ends:
            if hasattr(body, "aclose"):
                ends.push_async_callback(body.aclose)
            async for piece in body:
                for part in _cut(piece):
                    yield part
    else:
        for piece in body:
            for part in _cut(piece):
                yield part


def _cut(piece: Piece) -> Iterable[bytes]:
    view = memoryview(piece.encode() if isinstance(piece, str) else piece).cast("B")
    for at in range(0, len(view), PIECE_BYTES):
        yield bytes(view[at:at + PIECE_BYTES])
