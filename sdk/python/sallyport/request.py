"""A request of a container, as a handler sees it."""

import json as _json
import urllib.parse
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Optional, Union

from .answers import Forward
from .body import LIMIT, Body, Transform, Unread, read
from .headers import Headers, HeaderSource, MutableHeaders
from .lease import Lease
from .origin_response import OriginResponse

if TYPE_CHECKING:
    from .call import Call

class Request:
    """Attributes: method, scheme ("http" or "https"), authority (host, and a port that is not the scheme's own), path
    (with the query), headers, has_body, content_length (None: not known), trailers (after the body's end; what they then
    are goes on with a body that was changed).

    The body comes only if it is asked for; a request that is forwarded without having been read is sent on with its body
    by the proxy itself.
    """

    def __init__(self, start: Any, call: "Call") -> None:
        self.method: str = start.method
        self.scheme: str = start.scheme
        self.authority: str = start.authority
        self.path: str = start.path
        self.headers = Headers((header.name, header.value) for header in start.headers)
        self.has_body: bool = start.has_body
        self.content_length: Optional[int] = start.content_length if start.HasField("content_length") else None
        self.trailers = MutableHeaders()
        self._call = call
        self._source: Optional[AsyncIterator[bytes]] = None
        self._sent = False
        self.origin_response: Optional[OriginResponse] = None  # What fetch() gave.

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(f"//{self.authority}").hostname or ""

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; the last of a name counts."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))

    @property
    def body_used(self) -> bool:
        return self._source is not None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, in pieces of at most 64 KiB; once. What is left when the caller stops may go on by a transform."""
        if self._source is not None:
            raise Unread("the body has been read already")
        async for piece in self._rest():
            yield piece

    async def body(self, limit: int = LIMIT) -> bytes:
        """The whole body. BodyTooLarge: it has more than `limit` bytes."""
        return await read(self.pieces(), self.content_length, limit)

    async def text(self, limit: int = LIMIT) -> str:
        return (await self.body(limit)).decode()

    async def json(self, limit: int = LIMIT) -> Any:
        return _json.loads(await self.body(limit))

    def forward(self, *, method: str = "", scheme: str = "", authority: str = "", path: str = "", url: str = "",
                set_headers: HeaderSource = (), remove_headers: Iterable[str] = (), body: Union[Body, Transform, None] = None,
                send_request_id: bool = False, lease: Optional[Lease] = None, revoke_leases: bool = False) -> Forward:
        """Sends the request on, changed. Defaults: as received; the body never comes here.

        scheme: "https" raises an http request; never the other way.
        url: scheme, authority and path in one.
        set_headers: each replaces every header of its name, so that exactly one leaves.
        remove_headers: names.
        body: what to send in its place; or a function of the pieces of the container's, an asynchronous generator of those to send.
            Needed once the body has been read here; a function then gets what is left.
        send_request_id: the origin gets the context's request_id as the header `sallyport-request-id`.
        lease: further requests are sent on with the same changes, without a call. Not with a body.
        revoke_leases: ends every lease that this handler gave for this container.
        """
        if body is None and self.body_used and self.has_body:
            raise Unread("the body has been read, and cannot go on by itself; give forward() a body")
        if body is not None and lease is not None:
            raise ValueError("a forward with a body of yours has no lease")
        if url:
            parts = urllib.parse.urlsplit(url)
            if not parts.scheme or not parts.netloc:
                raise ValueError(f"{url!r} is not a URL; write https://host/path")
            scheme, authority = parts.scheme, parts.netloc
            path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        return Forward(method, scheme, authority, path, Headers(set_headers), [name.lower() for name in remove_headers], body,
                       send_request_id, lease, revoke_leases)

    async def fetch(self, **changes: Any) -> OriginResponse:
        """Sends the request on as `forward` does, and returns what the origin answered, before the container sees it. Once.

        changes: as for `forward`, without `lease`.
        """
        if "lease" in changes:
            raise ValueError("a fetch has no lease; return request.forward(lease=…)")
        await self.send(self.forward(**changes), inspect=True)
        self.origin_response = OriginResponse(await self._call.await_origin(), self._call)
        return self.origin_response

    async def send(self, answer: Forward, inspect: bool = False) -> None:
        """For the service: starts to send the request on."""
        if self._sent:
            raise Unread("the request has been sent on already; return what fetch() gave, its pass_on(…), or a Response")
        self._sent = True
        await self._call.forward(answer, self._rest(), self.trailers, inspect)

    def _rest(self) -> AsyncIterator[bytes]:
        if self._source is None:
            self._source = self._call.request_pieces(self.trailers)
        return self._source
