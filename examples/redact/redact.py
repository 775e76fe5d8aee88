"""Removes secrets from what origins answer, head and body, while it streams.

    redact.py --listen 127.0.0.1:7074 --secrets secrets.txt        one secret a line, of at least 8 bytes

It sees the bytes as they are written in the file: not compressed (it asks origins for no compression, and refuses an answer that is
compressed all the same), not in base64 or another encoding. A part of a resource could begin within a secret, so ranges are not asked for.
"""

import argparse
import pathlib
from collections.abc import AsyncIterator

from redactor import Redactor

from sallyport import Answer, Context, Request, Response, handler, serve

MIN_BYTES = 8

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7074")
arguments.add_argument("--secrets", type=pathlib.Path, required=True, metavar="FILE")
options = arguments.parse_args()
secrets = [line.strip() for line in options.secrets.read_bytes().splitlines() if line.strip()]
if any(len(secret) < MIN_BYTES for secret in secrets):
    arguments.error(f"{options.secrets}: a secret of fewer than {MIN_BYTES} bytes would be found where it is none")


@handler("redact")
async def redact(request: Request, context: Context) -> Answer:
    response = await request.fetch(set_headers={"accept-encoding": "identity"}, remove_headers=["range", "if-range"])
    if response.headers.get("content-encoding", "identity") != "identity":
        return Response("the origin compresses its answer, and nobody could look for secrets\n", status=502)
    redactor = Redactor(secrets)

    async def clean(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield redactor.feed(piece)
        yield redactor.end()
        for name, value in clean_fields(response.trailers.items()).items():
            response.trailers[name] = value

    def clean_fields(fields: list[tuple[str, str]]) -> dict[str, str]:
        """Those that have a secret, by name; what one of several has costs the others their place."""
        found = {}
        for name, value in fields:
            cleaned = redactor.whole(value.encode("latin-1")).decode("latin-1")
            if cleaned != value:
                found[name] = cleaned
        return found

    # What says how the body can be checked or asked for in parts is not true of the changed one.
    return response.pass_on(set_headers=clean_fields(response.headers.items()), body=clean,
                            remove_headers=["accept-ranges", "content-md5", "digest", "etag"])


serve(options.listen)
