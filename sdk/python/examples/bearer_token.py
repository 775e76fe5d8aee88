"""Adds a token to the container's requests: one per container, from a file that only this process can read.

    bearer_token.py --listen 127.0.0.1:7070 --tokens tokens.json        {"web-1": "s3cret"}
"""

import argparse
import json
import pathlib

from sallyport import Response, handler, serve

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7070")
arguments.add_argument("--tokens", type=pathlib.Path, required=True)
options = arguments.parse_args()


@handler("token")
async def add_token(request, context):
    # Read anew each time: a changed token counts for the next request.
    token = json.loads(options.tokens.read_text()).get(context.container_id)
    if token is None:
        return Response(f"{context.container_id} has no token\n", status=403)
    return request.forward(set_headers={"authorization": f"Bearer {token}"})


serve(options.listen)
