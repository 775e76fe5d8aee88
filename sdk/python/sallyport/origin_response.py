"""What the origin answered, as an inspecting handler sees it."""

import json as _json
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Optional, Union

from .answers import PassResponse
from .body import LIMIT, Body, Transform, Unread, read
from .headers import Headers, HeaderSource, MutableHeaders

if TYPE_CHECKING:
    from .call import Call


class OriginResponse:
    """Attributes: status (200 to 599), headers, has_body, content_length (None: not known), trailers (after the body's end; what they
    then are goes to the container).

    Returned as it is, it goes to the container unchanged, and its body never comes here. A Response returned in its place replaces it.
    The body may be read before that is decided.
    """

    def __init__(self, message: Any, call: "Call") -> None:
        self.status: int = message.status
        self.headers = Headers((header.name, header.value) for header in message.headers)
        self.has_body: bool = message.has_body
        self.content_length: Union[int, None] = message.content_length if message.HasField("content_length") else None
        self.trailers = MutableHeaders()
        self._call = call
        self._source: Optional[AsyncIterator[bytes]] = None

    @property
    def body_used(self) -> bool:
        return self._source is not None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, in pieces of at most 64 KiB; once. What is left when the caller stops may go on by a transform."""
        if self._source is not None:
            raise Unread("the body of the origin's response has been read already")
        async for piece in self.rest():
            yield piece

    async def body(self, limit: int = LIMIT) -> bytes:
        """The whole body, as the origin sent it: fetch with `accept-encoding: identity` for one that is not compressed.
        BodyTooLarge: it has more than `limit` bytes."""
        return await read(self.pieces(), self.content_length, limit)

    async def text(self, limit: int = LIMIT) -> str:
        return (await self.body(limit)).decode()

    async def json(self, limit: int = LIMIT) -> Any:
        return _json.loads(await self.body(limit))

    def pass_on(self, *, status: int = 0, set_headers: HeaderSource = (), remove_headers: Iterable[str] = (),
                body: Union[Body, Transform, None] = None) -> PassResponse:
        """To the container, changed. Defaults: as received.

        set_headers: each replaces every header of its name, so that exactly one goes on.
        body: what to send in its place; or a function of its pieces, an asynchronous generator of those to send:

            async def shout(pieces):
                async for piece in pieces:
                    yield piece.upper()

        With a function the body comes only after the head went on: what its bytes say cannot change status and headers any more.
        After `await response.body()` they still can; then a body has to be given, and a function gets what was not read.
        """
        return PassResponse(status, Headers(set_headers), [name.lower() for name in remove_headers], body)

    def rest(self) -> AsyncIterator[bytes]:
        """For the service: what was not read so far."""
        if self._source is None:
            self._source = self._call.response_pieces(self.trailers)
        return self._source
