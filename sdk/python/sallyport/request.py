"""A request of a container, as a handler sees it."""

import dataclasses
import json as _json
import urllib.parse

from google.protobuf import json_format

from .http import Forward, Headers


class BodyTooLarge(Exception):
    """The request's body is longer than the handler wants to read."""


class Unread(Exception):
    """The body has been read, and cannot go with a forward any more."""


@dataclasses.dataclass(frozen=True)
class Context:
    """Who asks, and why this handler is asked. Set by the proxy, never taken from the request."""

    container_id: str
    class_name: str
    handler: str
    params: dict
    rule: str  # The rule that matched, as "instance github.com".
    policy_revision: int
    request_id: str  # In the audit record as well.
    dialled_address: str
    dialled_port: int
    tls_version: str  # "TLSv1.3"; empty: plain HTTP.

    @classmethod
    def _of(cls, message):
        fields = {field.name: getattr(message, field.name) for field in dataclasses.fields(cls)}
        fields["params"] = json_format.MessageToDict(message.params)
        return cls(**fields)


class Request:
    """Attributes: method, scheme ("http" or "https"), authority (host, and a port that is not the scheme's own), path
    (with the query), headers, content_length (None: not known), trailers (after the body's end).

    The body comes only if it is asked for; a request that is forwarded without having been read is sent on with its body
    by the proxy itself.
    """

    def __init__(self, start, ask_for_body):
        self.method = start.method
        self.scheme = start.scheme
        self.authority = start.authority
        self.path = start.path
        self.headers = Headers((header.name, header.value) for header in start.headers)
        self.content_length = start.content_length if start.HasField("content_length") else None
        self.trailers = Headers()
        self._ask_for_body = ask_for_body
        self._has_body = start.has_body
        self._pieces = None

    @property
    def url(self):
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def host(self):
        return urllib.parse.urlsplit(f"//{self.authority}").hostname

    @property
    def query(self):
        """The query's parameters; the last of a name counts."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))

    @property
    def body_used(self):
        return self._pieces is not None

    async def pieces(self):
        """The body as it comes, in pieces of at most 64 KiB; once."""
        if self._pieces is not None:
            raise Unread("the body has been read already")
        self._pieces = self._ask_for_body(self) if self._has_body else _nothing()
        async for piece in self._pieces:
            yield piece

    async def body(self, limit=16 * 1024 * 1024):
        """The whole body. BodyTooLarge: it has more than `limit` bytes."""
        whole = bytearray()
        async for piece in self.pieces():
            whole += piece
            if len(whole) > limit:
                raise BodyTooLarge(f"the body is longer than {limit} bytes")
        return bytes(whole)

    async def text(self, limit=16 * 1024 * 1024):
        return (await self.body(limit)).decode()

    async def json(self, limit=16 * 1024 * 1024):
        return _json.loads(await self.body(limit))

    def forward(self, *, method="", scheme="", authority="", path="", url="", set_headers=(), remove_headers=()):
        """Sends the request on, changed; the body never comes here. Defaults: as received.

        scheme: "https" raises an http request; never the other way.
        url: scheme, authority and path in one.
        set_headers: each replaces every header of its name, so that exactly one leaves.
        remove_headers: names.
        """
        if self.body_used:
            raise Unread("a request whose body has been read cannot be forwarded")
        if url:
            parts = urllib.parse.urlsplit(url)
            if not parts.scheme or not parts.netloc:
                raise ValueError(f"{url!r} is not a URL; write https://host/path")
            scheme, authority = parts.scheme, parts.netloc
            path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        return Forward(method, scheme, authority, path, set_headers, remove_headers)


async def _nothing():
    return
    yield
