"""What a handler may return."""

import dataclasses
import json as _json
from collections.abc import Sequence
from typing import Any, Optional, Union

from .body import Body, Transform
from .headers import Headers, HeaderSource, MutableHeaders
from .lease import Lease

# Statuses whose responses have no body (RFC 9110 sections 15.3.5 and 15.4.5).
BODILESS = (204, 304)


class Response:
    """The handler's own answer.

    status: 200 to 599.
    body: str, bytes, an iterable of bytes, or an asynchronous iterable of bytes, sent as it comes.
    headers: dict, list of pairs, or Headers.
    trailers: the same, sent after the body; a generator may still change them.
    lease: further requests get the same answer without a call; bodies up to 64 KiB.
    revoke_leases: ends every lease that this handler gave for this container.
    """

    def __init__(self, body: Body = b"", status: int = 200, headers: HeaderSource = (), trailers: HeaderSource = (),
                 *, lease: Optional[Lease] = None, revoke_leases: bool = False) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"a status of {status}; write one of 200 to 599")
        self.status = status
        self.headers = MutableHeaders(headers)
        self.trailers = MutableHeaders(trailers)
        self.lease = lease
        self.revoke_leases = revoke_leases
        if isinstance(body, str):
            body = body.encode()
            if "content-type" not in self.headers:
                self.headers["content-type"] = "text/plain; charset=utf-8"
        self.body = body

    @classmethod
    def json(cls, value: object, status: int = 200, headers: HeaderSource = (), **options: Any) -> "Response":
        fields = MutableHeaders(headers)
        if "content-type" not in fields:
            fields["content-type"] = "application/json"
        return cls(_json.dumps(value).encode(), status, fields, **options)

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> "Response":
        return cls(status=status, headers={"location": location})


@dataclasses.dataclass(frozen=True)
class Forward:
    """Send the request on, changed. Made by Request.forward."""

    method: str = ""
    scheme: str = ""
    authority: str = ""
    path: str = ""
    set_headers: Headers = dataclasses.field(default_factory=Headers)
    remove_headers: Sequence[str] = ()
    body: Union[Body, Transform, None] = None  # None: as received, and not by way of the handler.
    send_request_id: bool = False
    lease: Optional[Lease] = None
    revoke_leases: bool = False


@dataclasses.dataclass(frozen=True)
class PassResponse:
    """The origin's response, changed. Made by OriginResponse.pass_on."""

    status: int = 0
    set_headers: Headers = dataclasses.field(default_factory=Headers)
    remove_headers: Sequence[str] = ()
    body: Union[Body, Transform, None] = None  # None: as received, and not by way of the handler.
