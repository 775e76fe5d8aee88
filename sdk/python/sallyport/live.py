"""An endpoint that is registered for as long as the program that serves it lives."""

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Optional

import grpc
import grpc.aio

from . import schema
from .change import Change

if TYPE_CHECKING:
    from .control import ControlPlane

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 3  # Seconds until the next attempt: they double.
_ANSWER = 10  # Seconds until the control plane has answered: it waits 5 s for hosts.
_FAREWELL = 1
# No attempt will fare better until somebody acts.
_REFUSALS = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED,
             grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED)
_log = logging.getLogger("sallyport")


class LiveEndpoint:
    """Made by `ControlPlane.serve_handler`. Comes back by itself when the control plane was away.

        async with control_plane.serve_handler("github", "grpc://10.0.0.7:7070") as live:
            …
            await live.drain()    # no new calls come from here on; those that run go on
    """

    def __init__(self, control_plane: "ControlPlane", name: str, endpoint: str, grace_period: Optional[float] = None) -> None:
        self._control_plane = control_plane
        self._method = schema.Method("HandlerRegistry", "ServeHandler")
        start: dict[str, Any] = {"name": name, "endpoint": endpoint}
        self._start = self._method.request(start=start)
        if grace_period is not None:
            self._start.start.grace_period.FromMilliseconds(round(grace_period * 1000))
        self.name = name
        self.endpoint = endpoint
        self.registered: Optional[Change] = None  # As it was answered last; None: not registered now.
        self._first: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._drained = asyncio.Event()
        self._call: Any = None
        self._draining = False
        self._closed = False
        self._task: Optional["asyncio.Task[None]"] = None

    async def __aenter__(self) -> "LiveEndpoint":
        """Returns when it is registered, or, with a line in the log, when the control plane is not there now. ControlPlaneError: it
        was refused."""
        self._task = asyncio.create_task(self._run())
        try:
            await asyncio.shield(self._first)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def drain(self) -> None:
        """Returns when no host sends new calls any more, or cannot be told."""
        self._draining = True
        if self._call is None or self.registered is None:
            return
        try:
            async with asyncio.timeout(_ANSWER):
                await self._call.write(self._method.request(drain={}))
                await self._drained.wait()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError) as error:
            _log.warning("%s: drained without the control plane's word: %s", self, error)

    async def close(self) -> None:
        """Takes the endpoint away."""
        self._closed = True
        call, task = self._call, self._task
        if task is None or task.done():
            return
        try:
            async with asyncio.timeout(_FAREWELL):
                if call is not None:
                    await call.done_writing()
                    await asyncio.wait((task,))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
            pass
        task.cancel()
        await asyncio.wait((task,))

    def __str__(self) -> str:
        return f"handler {self.name}, endpoint {self.endpoint}"

    async def _run(self) -> None:
        wait: float = _FIRST_WAIT
        while not self._closed and not self._draining:
            error = await self._serve()
            if self._closed or self._draining:
                return
            if self.registered is not None:
                wait = _FIRST_WAIT
            refused = error.code() in _REFUSALS
            if not self._first.done():
                if refused:
                    self._first.set_exception(self._control_plane.error(error))
                    return
                self._first.set_result(None)
            _log.log(logging.ERROR if refused else logging.WARNING, "%s is not registered: %s; trying again", self, error.details())
            self.registered = None
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _serve(self) -> Any:
        """One stream, until it ends; why it did."""
        call = self._call = self._control_plane.open_stream(self._method)
        try:
            await call.write(self._start)
            while (message := await call.read()) is not grpc.aio.EOF:
                if message.WhichOneof("message") == "registered":
                    self.registered = Change.of(message.registered.result)
                    _log.info("%s is registered: %s", self, self.registered.enforcement.name)
                    if not self._first.done():
                        self._first.set_result(None)
                elif message.WhichOneof("message") == "drained":
                    self._drained.set()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # Its status says why.
        finally:
            self._call = None
            self._drained.set()
            call.cancel()
        return _Ended(await call.code(), await call.details())


class _Ended:
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details or self._code.name
