"""Containers of one kind, by the Python SDK: what they may reach, and which handlers answer."""

import argparse

from sallyport import Container, Response, serve

arguments = argparse.ArgumentParser()
arguments.add_argument("--listen", required=True)
options = arguments.parse_args()


async def hello(request, context):
    return Response(f"hello {context.container_id}, {context.params.get('who', 'nobody')}")


async def read_only(request, context):
    if request.method != "GET":
        return Response("read only", status=405)
    return request.forward()


async def slow(request, context):
    return Response("slow")


class Sandbox(Container):
    allowed_hosts = ["*.test", "my.hello"]
    intercept_https = True
    outbound_by_host = {"my.hello": (hello, {"who": "class"})}
    outbound = read_only
    outbound_handlers = {"hello": hello, "slow": slow}


serve(options.listen, containers=[Sandbox])
