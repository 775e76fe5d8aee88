"""Handlers for tests, by the Python SDK; each does what its name says."""

import argparse
import json

from sallyport import Response, handler, serve

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


serve(options.listen)
