"""Serves handlers to the proxy."""

import asyncio
import contextlib
import logging
import os
import pathlib
import signal
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

import grpc
import grpc.aio

from .answers import Forward, PassResponse, Response
from .call import HANDLE, Call
from .context import Context
from .handlers import Handlers, default
from .health import Health
from .inbox import HungUp
from .origin_response import OriginResponse
from .request import Request

if TYPE_CHECKING:
    from .container import Container
    from .control import ControlPlane
    from .live import LiveEndpoint

_GRACE = 2  # Seconds for calls to end.
_GRACE_LIVE = 10  # The same where no new ones come.
_log = logging.getLogger("sallyport")


class Server:
    """listen: HOST:PORT (port 0: a free one) or unix:PATH, which is made anew. Whoever can connect may ask: loopback, or a socket file.
    mode: the socket file's. tls_dir: tls.crt and tls.key; with a ca.crt there, only who has a certificate of that CA may connect.

        async with Server("127.0.0.1:0", handlers) as server:
            print(server.address)
    """

    def __init__(self, listen: str, handlers: Optional[Handlers] = None, *, mode: int = 0o600, tls_dir: Optional[str] = None) -> None:
        self._handlers = handlers or default
        self._listen = listen
        self._mode = mode
        self._tls_dir = tls_dir
        self._health = Health(self._serves)
        self.grace: float = _GRACE
        self.port = 0

    def _serves(self, service: str) -> bool:
        return service == HANDLE.path.split("/")[1] or service in self._handlers.names()

    @property
    def serving(self) -> bool:
        """What it says of itself when it is asked (grpc.health.v1), of the whole and of each handler. Settable."""
        return self._health.serving

    @serving.setter
    def serving(self, value: bool) -> None:
        self._health.serving = value

    @property
    def address(self) -> str:
        """Where it listens, with the port that it got."""
        if self._listen.startswith("unix:"):
            return self._listen
        return f"{self._listen.rpartition(':')[0]}:{self.port}"

    @property
    def endpoint(self) -> str:
        """The address as handlers are registered by."""
        if self._listen.startswith("unix:"):
            return self._listen
        return f"{'grpcs' if self._tls_dir else 'grpc'}://{self.address}"

    async def __aenter__(self) -> "Server":
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        method = grpc.stream_stream_rpc_method_handler(
            self._handle, HANDLE.request.FromString, HANDLE.response.SerializeToString)
        service = HANDLE.path.split("/")[1]
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Handle": method}), self._health.handler()))
        try:
            self.port = self._add_port()
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen}: {error}") from None
        if self.port == 0:
            raise OSError(f"cannot listen on {self._listen}: the address is in use, or not of this machine")
        if self._listen.startswith("unix:"):
            os.chmod(self._listen.removeprefix("unix:"), self._mode)
        await self._server.start()
        return self

    def _add_port(self) -> int:
        if self._tls_dir is None:
            return int(self._server.add_insecure_port(self._listen))
        folder = pathlib.Path(self._tls_dir)
        root = folder / "ca.crt"
        credentials = grpc.ssl_server_credentials(
            [((folder / "tls.key").read_bytes(), (folder / "tls.crt").read_bytes())],
            root.read_bytes() if root.exists() else None, require_client_auth=root.exists())
        return int(self._server.add_secure_port(self._listen, credentials))

    async def __aexit__(self, *_: object) -> None:
        self.serving = False
        await self._server.stop(grace=self.grace)

    async def wait(self) -> None:
        await self._server.wait_for_termination()

    async def _handle(self, _messages: object, rpc: Any) -> None:
        first = await rpc.read()
        if first is grpc.aio.EOF or first.WhichOneof("message") != "start":
            await rpc.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message is not a start")
        token = dict(rpc.invocation_metadata() or ()).get("sallyport-identity", "")
        context = Context.of(first.start.context, token)
        failure: BaseException
        try:
            async with asyncio.TaskGroup() as tasks:
                call = Call(rpc, first.start, tasks)
                request = Request(first.start, call)
                await _give(call, request, await self._handlers.call(request, context))
            return
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            failure = error  # The handler's own doing: nobody else would end the call.
        except BaseExceptionGroup as group:
            failure = group.exceptions[0]
        if isinstance(failure, HungUp):
            await rpc.abort(grpc.StatusCode.CANCELLED, str(failure))
        # The container gets a 502 without the text.
        _log.error("handler %s, request %s", context.handler, context.request_id, exc_info=failure)
        await rpc.abort(grpc.StatusCode.INTERNAL, "the handler raised an exception; its log says which")


async def _give(call: Call, request: Request, answer: object) -> None:
    origin = request.origin_response
    if isinstance(answer, Response):
        await call.respond(answer)
        await call.end_request_body()
    elif isinstance(answer, Forward):
        await request.send(answer)
        await call.end_request_body()
    elif isinstance(answer, (OriginResponse, PassResponse)):
        if origin is None:
            raise TypeError("only what fetch() of this request gave can be passed on")
        await call.pass_response(answer if isinstance(answer, PassResponse) else PassResponse(), origin)
        await call.end_request_body()
    else:
        raise TypeError(f"a handler returns a Response, request.forward(…), or what fetch() gave, not {type(answer).__name__}")


def serve(listen: str, handlers: Optional[Handlers] = None, *, containers: Sequence[type["Container"]] = (),
          control_plane: Union["ControlPlane", str, None] = None, live: Union[bool, Iterable[str]] = False,
          advertise: Optional[str] = None, grace_period: Optional[float] = None, **options: Any) -> None:
    """Serves until SIGINT or SIGTERM, then lets calls end for two seconds. listen, options: as for Server.

    containers: subclasses of Container, whose handlers are served, registered, and named in their classes.
    control_plane: for that, and for `live`: one, or its address; default: the one of the environment.
    live: registers the endpoint while this program lives, with all handlers, or those of these names; they are registered
    already. At the end no new calls come, and those that run have ten seconds.
    advertise: the endpoint as hosts see it; default: what is listened on. grace_period: as for `serve_handler`.
    """
    served = handlers or default
    for container in containers:
        container.add_handlers(served)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with Server(listen, served, **options) as server, contextlib.AsyncExitStack() as stack:
            endpoint = advertise or server.endpoint
            names = served.names() if live is True else list(live or ())
            if containers or names:
                connection = await stack.enter_async_context(_connect(control_plane))
                for container in containers:
                    await container.publish(connection, endpoint)
                for name in names:
                    registered = connection.serve_handler(name, endpoint, grace_period)
                    endpoints.append(await stack.enter_async_context(registered))
            _log.info("serving %s on %s", ", ".join(served.names()), server.address)
            print(f"listening on {server.address}", flush=True)
            await stop.wait()
            server.serving = False
            if endpoints:
                await asyncio.gather(*(one.drain() for one in endpoints))
                server.grace = _GRACE_LIVE

    endpoints: list["LiveEndpoint"] = []
    asyncio.run(run())


def _connect(control_plane: Union["ControlPlane", str, None]) -> "ControlPlane":
    from .control import ControlPlane  # Handlers alone need no control plane.
    return ControlPlane(control_plane) if control_plane is None or isinstance(control_plane, str) else control_plane
