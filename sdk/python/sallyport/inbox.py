"""What the proxy sends to one call, sorted."""

import asyncio
import collections
import enum
from typing import Any

import grpc.aio

# How much is kept for one lane while only the other is read.
_MAX_WAITING = 16


class HungUp(ConnectionError):
    """The container hung up, or the request became a WebSocket, which handlers do not see."""


class Lane(enum.Enum):
    REQUEST = "the request's body"
    RESPONSE = "the origin's response"


_LANES = {"body": Lane.REQUEST, "end": Lane.REQUEST, "response": Lane.RESPONSE, "response_body": Lane.RESPONSE,
          "response_end": Lane.RESPONSE}


class Inbox:
    """Two tasks may wait at once, one on each lane: a request's body still moves while its origin answers. Nothing is read before
    somebody waits, so that a slow handler slows the sender."""

    def __init__(self, rpc: Any) -> None:
        self._rpc = rpc
        self._turn = asyncio.Lock()
        self._waiting: dict[Lane, collections.deque[Any]] = {lane: collections.deque() for lane in Lane}
        self._discarded: set[Lane] = set()
        self._room = asyncio.Event()

    async def take(self, lane: Lane) -> Any:
        """The next message of the lane. HungUp: there is none any more."""
        waiting = self._waiting[lane]
        while not waiting:
            async with self._turn:
                if not waiting:
                    await self._read_one()
        self._room.set()
        return waiting.popleft()

    def discard(self, lane: Lane) -> None:
        """Nobody reads the lane any more; the other need not wait for that."""
        self._discarded.add(lane)
        self._waiting[lane].clear()
        self._room.set()

    async def _read_one(self) -> None:
        message = await self._rpc.read()
        if message is grpc.aio.EOF:
            raise HungUp("the container hung up")
        lane = _LANES.get(message.WhichOneof("message") or "")
        if lane is None:
            raise ValueError("the proxy broke the contract: a second start, or a message of a later version")
        while len(self._waiting[lane]) >= _MAX_WAITING:
            self._room.clear()
            await self._room.wait()
        if lane not in self._discarded:
            self._waiting[lane].append(message)
