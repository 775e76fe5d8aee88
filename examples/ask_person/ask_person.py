"""Holds a request until a person says yes, on a web page or by `curl`. Nobody answers in time: no.

    ask_person.py --listen 127.0.0.1:7078 --page 127.0.0.1:7080 --timeout 60
    sallyport handler register ask-person grpc://127.0.0.1:7078 --timeout 90s

It prints the page's address, which has a key in it: whoever has the key may decide. "For 5 minutes" gives the agent a lease for this
method and path, so that nobody is asked again.
"""

import argparse
import asyncio
import contextlib

from page import Page
from waiting import Decision, Full, Waiting

from sallyport import Answer, Context, Lease, Request, Response, Server, handler

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7078")
arguments.add_argument("--page", default="127.0.0.1:7080", metavar="HOST:PORT")
arguments.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="shorter than the handler's registered one")
arguments.add_argument("--remember", type=float, default=300, metavar="SECONDS")
options = arguments.parse_args()

waiting = Waiting()


@handler("ask-person")
async def ask(request: Request, context: Context) -> Answer:
    question = f"{context.container_id}: {request.method} {request.url}"
    try:
        async with asyncio.timeout(options.timeout):
            decision = await waiting.ask(context.container_id, question)
    except Full:
        return Response("too many requests wait for a person already\n", status=429)
    except TimeoutError:
        return Response("nobody allowed it in time\n", status=403)
    if decision is Decision.DENY:
        return Response("a person refused it\n", status=403)
    return request.forward(lease=Lease(ttl=options.remember) if decision is Decision.REMEMBER else None)


async def main() -> None:
    page = Page(waiting, options.page, options.remember)
    async with Server(options.listen) as server, contextlib.AsyncExitStack() as closers:
        url = await page.start(closers)
        print(f"listening on {server.address}\nask at {url}", flush=True)
        await server.wait()


asyncio.run(main())
