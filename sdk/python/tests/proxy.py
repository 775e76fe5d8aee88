"""Plays the proxy's part of the contract, over real gRPC."""

import base64
import contextlib

import grpc.aio
from google.protobuf import json_format

from sallyport import Server
from sallyport.call import HANDLE

SECONDS = 10


class Stream:
    """One request. Messages are written as keywords: send(body=b"x"), send(end={}); and come as messages, one field of each set."""

    def __init__(self, call):
        self.call = call

    async def send(self, **message):
        await self.call.write(HANDLE.request(**message))

    async def receive(self):
        """The next message; None: the handler's side is over."""
        try:
            message = await self.call.read()
        except grpc.aio.AioRpcError:  # Not OK; `code` says what.
            return None
        return None if message is grpc.aio.EOF else message

    async def expect(self, *kinds):
        """The next messages, of these kinds; the last one's content."""
        content = None
        for kind in kinds:
            message = await self.receive()
            found = message and message.WhichOneof("message")
            if found != kind:
                raise AssertionError(f"{found} came in place of {kind}: {message}; {await self.code() if message is None else ''}")
            content = getattr(message, kind)
        return content

    async def body(self, kind="body", end="end"):
        """Pieces until the end message; those, and the trailers."""
        whole = b""
        while True:
            message = await self.receive()
            if message is None:
                raise AssertionError(f"the stream is over before {end}: {await self.code()}")
            if message.WhichOneof("message") == end:
                return whole, fields(getattr(message, end).trailers)
            if message.WhichOneof("message") != kind:
                raise AssertionError(f"{message} within a body")
            whole += getattr(message, kind)

    async def half_close(self):
        await self.call.done_writing()

    async def code(self):
        return (await self.call.code()).name

    async def over(self):
        """The handler's side is over, and well."""
        message = await self.receive()
        if message is not None or await self.code() != "OK":
            raise AssertionError(f"{message}, {await self.code()}: {await self.call.details()}")

    def cancel(self):
        self.call.cancel()


def fields(headers):
    return [(header.name, header.value.decode()) for header in headers]


class Proxy:
    """Of the server that it starts.

        async with Proxy(handlers) as proxy:
            stream = await proxy.ask("echo", method="POST", has_body=True)
    """

    def __init__(self, handlers, listen="127.0.0.1:0", credentials=None, **options):
        self.server = Server(listen, handlers, **options)
        self.credentials = credentials
        self.closers = contextlib.AsyncExitStack()

    async def __aenter__(self):
        await self.closers.enter_async_context(self.server)
        address = self.server.address
        channel = grpc.aio.secure_channel(address, self.credentials) if self.credentials else grpc.aio.insecure_channel(address)
        self.channel = await self.closers.enter_async_context(channel)
        self.method = self.channel.stream_stream(HANDLE.path, HANDLE.request.SerializeToString, HANDLE.response.FromString)
        return self

    async def __aexit__(self, *_):
        await self.closers.aclose()

    async def ask(self, handler, method="GET", path="/", headers=(), has_body=False, context=(), metadata=None, **start):
        stream = Stream(self.method(timeout=SECONDS, metadata=metadata))
        fields = {
            "context": {"handler": handler, "container_id": "web-1", **dict(context)}, "method": method, "scheme": "http",
            "authority": "api.test", "path": path, "has_body": has_body,
            "headers": [{"name": name, "value": base64.b64encode(value.encode())} for name, value in headers], **start}
        await stream.call.write(json_format.ParseDict({"start": fields}, HANDLE.request()))
        return stream
