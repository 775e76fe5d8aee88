"""Handlers by name."""

import asyncio
import concurrent.futures
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, Union

from .answers import Forward, PassResponse, Response
from .context import Context
from .origin_response import OriginResponse
from .request import Request

Answer = Union[Response, Forward, PassResponse, OriginResponse]
Handler = Callable[[Request, Context], Union[Awaitable[Answer], Answer]]
_Function = TypeVar("_Function", bound=Callable[..., Any])

_THREADS = 32


class Handlers:
    """Functions `async (request, context)` by name. A function that is not asynchronous runs on a thread."""

    def __init__(self) -> None:
        self._functions: dict[str, Handler] = {}
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS, "handler")

    def handler(self, name: str) -> Callable[[_Function], _Function]:
        def register(function: _Function) -> _Function:
            self.add(name, function)
            return function
        return register

    def add(self, name: str, function: Handler) -> None:
        if name in self._functions:
            raise ValueError(f"two handlers of the name {name!r}")
        self._functions[name] = function

    def names(self) -> list[str]:
        return list(self._functions)

    async def call(self, request: Request, context: Context) -> Any:
        function = self._functions.get(context.handler)
        if function is None:
            raise LookupError(f"no handler of the name {context.handler!r} is served here")
        if inspect.iscoroutinefunction(function):
            return await function(request, context)
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, function, request, context)
        return await answer if inspect.isawaitable(answer) else answer


default = Handlers()
handler = default.handler
