"""One call of a handler: the stream of one request."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Optional, Union

from . import schema
from .answers import BODILESS, Forward, PassResponse, Response
from .body import Body, Transform, Unread, pieces, whole
from .headers import Headers, MutableHeaders
from .inbox import Inbox, Lane
from .origin_response import OriginResponse

HANDLE = schema.Method("OutboundHandler", "Handle")
_Answer = HANDLE.response
_MAX_LEASED_BODY = 64 * 1024


class Call:
    """Used by the one task that runs the handler, and by `_send_request_body` beside it, for which `tasks` is."""

    def __init__(self, rpc: Any, start: Any, tasks: asyncio.TaskGroup) -> None:
        self._rpc = rpc
        self._start = start
        self._tasks = tasks
        self._inbox = Inbox(rpc)
        self._writing = asyncio.Lock()
        self._body_asked_for = False
        self._request_body: Optional[asyncio.Task[None]] = None
        self._origin_has_body: Optional[bool] = None  # None: no origin's response was inspected.
        self._head_passed = False

    async def request_pieces(self, trailers: MutableHeaders) -> AsyncIterator[bytes]:
        """The request's body; `trailers` are filled at its end. What was not taken stays for a transform."""
        if not self._start.has_body:
            return
        if not self._body_asked_for:
            self._body_asked_for = True
            await self._write(_Answer(read_body={}))
        while True:
            message = await self._inbox.take(Lane.REQUEST)
            if message.HasField("end"):
                _receive(trailers, message.end.trailers)
                return
            yield message.body

    async def forward(self, answer: Forward, source: AsyncIterator[bytes], trailers: MutableHeaders, inspect: bool) -> None:
        """Sends the head, and starts to send the body if the answer has one. source: what is left of the container's."""
        message = _Answer()
        forward = message.forward
        forward.method = answer.method
        forward.scheme = answer.scheme
        forward.authority = answer.authority
        forward.path = answer.path
        _add(forward.set_headers, answer.set_headers)
        forward.remove_headers.extend(answer.remove_headers)
        forward.inspect_response = inspect
        forward.send_request_id = answer.send_request_id
        forward.revoke_leases = answer.revoke_leases
        if answer.lease is not None:
            answer.lease.write(forward.lease)
        body = answer.body
        if callable(body) and not self._start.has_body:
            body = None
        if body is None:
            await self._write(message)
            return
        forward.transform_request = True
        length = whole(body)
        if length is not None:
            forward.content_length = len(length)
        self._body_asked_for = True
        await self._write(message)
        self._request_body = self._tasks.create_task(self._send_request_body(body, source, trailers))

    async def await_origin(self) -> Any:
        """The message OriginResponse."""
        head = (await self._inbox.take(Lane.RESPONSE)).response
        self._origin_has_body = head.has_body
        return head

    async def response_pieces(self, trailers: MutableHeaders) -> AsyncIterator[bytes]:
        """The origin's body, which is asked for unless its head went on."""
        if not self._origin_has_body:
            return
        if not self._head_passed:
            await self._write(_Answer(read_response_body={}))
        while True:
            message = await self._inbox.take(Lane.RESPONSE)
            if message.HasField("response_end"):
                _receive(trailers, message.response_end.trailers)
                return
            yield message.response_body

    async def end_request_body(self) -> None:
        """Until the request's body was sent, or the proxy has no more use for it and ends the call."""
        if self._request_body is not None:
            await self._request_body

    async def respond(self, answer: Response) -> None:
        body, headers = answer.body, answer.headers
        length = whole(body)
        if answer.status in BODILESS:
            if length != b"":
                raise ValueError(f"a response with status {answer.status} has no body")
        elif length is not None and "content-length" not in headers:
            headers["content-length"] = str(len(length))
        if answer.lease is not None:
            if self._origin_has_body is not None:
                raise ValueError("a response in the place of an origin's has no lease")
            if length is not None and len(length) > _MAX_LEASED_BODY:
                raise ValueError(f"a response with a lease has at most {_MAX_LEASED_BODY} bytes of body")
        message = _Answer()
        message.respond.status = answer.status
        _add(message.respond.headers, headers)
        message.respond.revoke_leases = answer.revoke_leases
        if answer.lease is not None:
            answer.lease.write(message.respond.lease)
        await self._write(message)
        self._inbox.discard(Lane.RESPONSE)
        # What HEAD would have had as a body is not sent, and a generator of it not begun.
        await self._send_body(b"" if self._start.method == "HEAD" else body, answer.trailers)

    async def pass_response(self, answer: PassResponse, origin: OriginResponse) -> None:
        body = answer.body if self._origin_has_body else None
        if body is None and self._origin_has_body and origin.body_used:
            raise Unread("the body of the origin's response has been read, and cannot go on by itself; give pass_on() a body")
        message = _Answer()
        response = message.pass_response
        response.status = answer.status
        _add(response.set_headers, answer.set_headers)
        response.remove_headers.extend(answer.remove_headers)
        response.transform_body = body is not None
        length = whole(body)
        if length is not None and answer.status not in BODILESS and "content-length" not in answer.set_headers:
            response.set_headers.add(name="content-length", value=str(len(length)).encode())
        self._head_passed = True
        await self._write(message)
        if body is None:
            return
        source = origin.rest()
        if not callable(body):
            self._inbox.discard(Lane.RESPONSE)
        await self._send_body(body(source) if callable(body) else body, origin.trailers)

    async def _send_body(self, body: Body, trailers: Headers) -> None:
        async for piece in pieces(body):
            await self._write(_Answer(body=piece))
        message = _Answer(end={})
        _add(message.end.trailers, trailers)
        await self._write(message)

    async def _send_request_body(self, body: Union[Body, Transform], source: AsyncIterator[bytes], trailers: Headers) -> None:
        if not callable(body):
            self._inbox.discard(Lane.REQUEST)
        async for piece in pieces(body(source) if callable(body) else body):
            await self._write(_Answer(request_body=piece))
        self._inbox.discard(Lane.REQUEST)
        message = _Answer(request_end={})
        _add(message.request_end.trailers, trailers)
        await self._write(message)

    async def _write(self, message: Any) -> None:
        # gRPC takes one message at a time.
        async with self._writing:
            await self._rpc.write(message)


def _add(repeated: Any, headers: Headers) -> None:
    for name, value in headers.items():
        repeated.add(name=name, value=value.encode("latin-1"))


def _receive(trailers: MutableHeaders, fields: Any) -> None:
    for field in fields:
        trailers.add(field.name, field.value)
