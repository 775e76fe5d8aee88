"""A service that registers itself: answers with its name, after `/wait/MILLISECONDS` so long. SIGUSR1 and SIGUSR2: its health goes
bad and is well again."""

import argparse
import asyncio
import logging
import signal

from sallyport import Handlers, Response, Server, serve

parser = argparse.ArgumentParser()
parser.add_argument("name")
parser.add_argument("--listen", default="127.0.0.1:0")
parser.add_argument("--control-plane")
parser.add_argument("--grace-period", type=float)
options = parser.parse_args()
logging.basicConfig(level=logging.INFO)
handlers = Handlers()


@handlers.handler("live")
async def live(request, context):
    if request.path.startswith("/wait/"):
        await asyncio.sleep(int(request.path.removeprefix("/wait/")) / 1000)
    return Response(options.name)


async def by_hand():
    """Registered by the test."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Server(options.listen, handlers) as server:
        for number, serving in ((signal.SIGUSR1, False), (signal.SIGUSR2, True)):
            loop.add_signal_handler(number, setattr, server, "serving", serving)
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        print(f"listening on {server.address}", flush=True)
        await stop.wait()


if options.control_plane:
    serve(options.listen, handlers, live=True, control_plane=options.control_plane, grace_period=options.grace_period)
else:
    asyncio.run(by_hand())
