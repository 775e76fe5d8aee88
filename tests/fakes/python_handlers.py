"""Handlers for tests, by the Python SDK; each does what its name says."""

import argparse
import asyncio
import itertools
import json

from sallyport import BodyTooLarge, Lease, Response, handler, serve

arguments = argparse.ArgumentParser()
arguments.add_argument("--listen", required=True)
options = arguments.parse_args()


@handler("stream")
async def stream(request, context):
    async def digits():
        for digit in range(10):
            yield str(digit).encode()
    return Response(digits())


@handler("json")
async def answer_json(request, context):
    return Response.json({"got": await request.json(), "query": request.query})


@handler("raises")
async def fail(request, context):
    raise RuntimeError("canary")


@handler("unread")
async def forward_after_reading(request, context):
    await request.body()
    return request.forward()


@handler("elsewhere")
async def reroute(request, context):
    return request.forward(url="http://other.test/moved")


@handler("blocking")
def block(request, context):
    return Response(b"from a thread")


@handler("params")
async def show_params(request, context):
    return Response(json.dumps(context.params["scope"]))


async def shout(pieces):
    async for piece in pieces:
        yield piece.upper()


@handler("inspect")
async def inspect(request, context):
    response = await request.fetch(path="/bytes/1000000" if request.path == "/large" else "")
    if response.status == 302:
        return Response("no redirects\n", status=403)
    return response.pass_on(status=203, set_headers={"x-length": str(response.content_length)}, remove_headers=["content-type"], body=shout)


@handler("judge")
async def judge(request, context):
    response = await request.fetch()
    try:
        body = await response.body(limit=2_000_000)
    except BodyTooLarge:
        return Response("too long\n", 502)
    if b"/secret" in body:
        return Response("withheld\n", 403)
    return response.pass_on(status=203, set_headers={"x-length": str(len(body))}, body=body[:3])


@handler("look")
async def look(request, context):
    return await request.fetch(send_request_id=True)


@handler("transform")
async def transform(request, context):
    return request.forward(body=shout)


@handler("replace")
async def replace(request, context):
    return request.forward(body=(await request.body()) * 2)


@handler("both")
async def both(request, context):
    response = await request.fetch(body=shout)
    return response.pass_on(body=shout)


@handler("gate")
async def gate(request, context):
    response = await request.fetch(body=shout)
    return response if response.status == 200 else Response("no\n", status=403)


@handler("breaks")
async def break_within(request, context):
    async def broken(pieces):
        async for piece in pieces:
            yield piece
            raise RuntimeError("canary")
    return (await request.fetch()).pass_on(body=broken)


counts = itertools.count(1)


@handler("lease")
async def lease(request, context):
    if request.path == "/revoke":
        return Response("revoked", revoke_leases=True)
    return Response(str(next(counts)), lease=Lease(**context.params))


@handler("waits")
async def wait(request, context):
    print(f"{request.path}: begun", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print(f"{request.path}: the handler was cancelled", flush=True)


@handler("endless")
async def endless(request, context):
    pieces = 0

    async def watch():
        seen = -1
        while seen != pieces:
            seen = pieces
            await asyncio.sleep(1)
        print(f"{request.path}: stalled after {pieces} pieces", flush=True)

    async def body():
        nonlocal pieces
        print(f"{request.path}: begun", flush=True)
        watching = asyncio.create_task(watch())
        try:
            while True:
                yield bytes(65536)
                pieces += 1
        finally:
            watching.cancel()
            print(f"{request.path}: the generator was ended", flush=True)
    return Response(body())


@handler("context")
async def show_context(request, context):
    return Response.json({"tls": [context.tls_version, context.tls_server_name], "http": context.http_version, "rule": context.rule,
                          "container": context.container_id, "class": context.class_name})


serve(options.listen)
