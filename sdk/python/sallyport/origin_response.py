"""What the origin answered, as an inspecting handler sees it."""

from collections.abc import Iterable
from typing import Any, Union

from .answers import PassResponse
from .body import Body, Transform
from .headers import Headers, HeaderSource, MutableHeaders


class OriginResponse:
    """Attributes: status (200 to 599), headers, has_body, content_length (None: not known), trailers (after the body's end; what they
    then are goes to the container).

    Returned as it is, it goes to the container unchanged, and its body never comes here. A Response returned in its place replaces it.
    """

    def __init__(self, message: Any) -> None:
        self.status: int = message.status
        self.headers = Headers((header.name, header.value) for header in message.headers)
        self.has_body: bool = message.has_body
        self.content_length: Union[int, None] = message.content_length if message.HasField("content_length") else None
        self.trailers = MutableHeaders()

    def pass_on(self, *, status: int = 0, set_headers: HeaderSource = (), remove_headers: Iterable[str] = (),
                body: Union[Body, Transform, None] = None) -> PassResponse:
        """To the container, changed. Defaults: as received.

        set_headers: each replaces every header of its name, so that exactly one goes on.
        body: what to send in its place; or a function of its pieces, an asynchronous generator of those to send:

            async def shout(pieces):
                async for piece in pieces:
                    yield piece.upper()

        The body comes only after the head went on: what its bytes say cannot change status and headers any more.
        """
        return PassResponse(status, Headers(set_headers), [name.lower() for name in remove_headers], body)
