"""Serves handlers to the proxy."""

import asyncio
import inspect
import logging
import signal

import grpc
import grpc.aio

from . import schema
from .http import Forward, Headers, Response
from .request import Context, Request

_HANDLE = schema.Method("OutboundHandler", "Handle")
_Answer = _HANDLE.response
_PIECE_BYTES = 64 * 1024
_log = logging.getLogger("sallyport")


class Handlers:
    """Functions `async (request, context)` by name. A function that is not asynchronous runs on a thread."""

    def __init__(self):
        self._functions = {}

    def handler(self, name):
        def register(function):
            self.add(name, function)
            return function
        return register

    def add(self, name, function):
        if name in self._functions:
            raise ValueError(f"two handlers of the name {name!r}")
        self._functions[name] = function

    def names(self):
        return list(self._functions)

    async def call(self, request, context):
        function = self._functions.get(context.handler)
        if function is None:
            raise LookupError(f"no handler of the name {context.handler!r} is served here")
        if inspect.iscoroutinefunction(function):
            return await function(request, context)
        return await asyncio.get_running_loop().run_in_executor(None, function, request, context)


_default = Handlers()
handler = _default.handler


class Server:
    """`listen`: HOST:PORT (port 0: a free one) or unix:PATH.

        async with Server("127.0.0.1:0", handlers) as server:
            print(server.port)
    """

    def __init__(self, listen, handlers=None):
        self._handlers = handlers or _default
        self._listen = listen
        self.port = None

    async def __aenter__(self):
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        method = grpc.stream_stream_rpc_method_handler(
            self._handle, _HANDLE.request.FromString, _Answer.SerializeToString)
        service = _HANDLE.path.split("/")[1]
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Handle": method}),))
        try:
            self.port = self._server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen}: {error}") from None
        if self.port == 0:
            raise OSError(f"cannot listen on {self._listen}: the address is in use, or not of this machine")
        await self._server.start()
        return self

    async def __aexit__(self, *_):
        await self._server.stop(grace=2)

    async def wait(self):
        await self._server.wait_for_termination()

    async def _handle(self, messages, rpc):
        first = await rpc.read()
        if first is grpc.aio.EOF or first.WhichOneof("message") != "start":
            await rpc.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message is not a start")
        context = Context._of(first.start.context)
        request = Request(first.start, lambda request: _read_body(rpc, request))
        try:
            answer = await self._handlers.call(request, context)
            await _send(rpc, answer)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception:
            # The container gets a 502 without the text.
            _log.exception("handler %s, request %s", context.handler, context.request_id)
            await rpc.abort(grpc.StatusCode.INTERNAL, "the handler raised an exception; its log says which")


async def _read_body(rpc, request):
    await rpc.write(_Answer(read_body={}))
    while True:
        message = await rpc.read()
        if message is grpc.aio.EOF:
            raise ConnectionError("the container hung up before the end of the body")
        if message.WhichOneof("message") == "end":
            request.trailers = Headers((trailer.name, trailer.value) for trailer in message.end.trailers)
            return
        yield message.body


async def _send(rpc, answer):
    if isinstance(answer, Forward):
        message = _Answer()
        message.forward.method = answer.method
        message.forward.scheme = answer.scheme
        message.forward.authority = answer.authority
        message.forward.path = answer.path
        _add(message.forward.set_headers, answer.set_headers)
        message.forward.remove_headers.extend(answer.remove_headers)
        await rpc.write(message)
        return
    if not isinstance(answer, Response):
        raise TypeError(f"a handler returns a Response or request.forward(…), not {type(answer).__name__}")
    whole = isinstance(answer.body, (bytes, bytearray, memoryview))
    if whole and "content-length" not in answer.headers:
        answer.headers["content-length"] = len(answer.body)
    message = _Answer()
    message.respond.status = answer.status
    _add(message.respond.headers, answer.headers)
    await rpc.write(message)
    async for piece in _pieces(answer.body):
        await rpc.write(_Answer(body=bytes(piece)))
    message = _Answer(end={})
    _add(message.end.trailers, answer.trailers)
    await rpc.write(message)


async def _pieces(body):
    if hasattr(body, "__aiter__"):
        async for piece in body:
            for part in _cut(piece):
                yield part
        return
    for piece in [body] if isinstance(body, (bytes, bytearray, memoryview)) else body:
        for part in _cut(piece):
            yield part


def _cut(piece):
    if isinstance(piece, str):
        piece = piece.encode()
    view = memoryview(piece)
    for at in range(0, len(view), _PIECE_BYTES):
        yield view[at:at + _PIECE_BYTES]


def _add(repeated, headers):
    for name, value in headers.items():
        repeated.add(name=name, value=value.encode("latin-1"))


def serve(listen, handlers=None):
    """Serves until SIGINT or SIGTERM, then lets calls end for two seconds. `listen`: as for Server."""

    async def run():
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with Server(listen, handlers) as server:
            _log.info("serving %s on %s", ", ".join((handlers or _default).names()), listen)
            print(f"listening on {listen if listen.startswith('unix:') else listen.rsplit(':', 1)[0] + ':' + str(server.port)}",
                  flush=True)
            await stop.wait()

    asyncio.run(run())
