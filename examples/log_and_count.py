"""Logs each request and what became of it as a line of JSON, and counts. A container may read its own counts: http://counts.internal/

    log_and_count.py --listen 127.0.0.1:7073 --log requests.jsonl
    sallyport set-outbound-handler web-1 log
    sallyport set-outbound-by-host web-1 counts.internal counts

Only heads come here; bodies go between container and origin. No header and no query is logged: they may be secrets.
"""

import argparse
import collections
import json
import sys
import time

from sallyport import Answer, Context, Request, Response, handler, serve

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7073")
arguments.add_argument("--log", metavar="FILE", help="default: standard output")
options = arguments.parse_args()

log = open(options.log, "a", encoding="utf-8") if options.log else sys.stdout
counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)  # By container; host and status.


@handler("log")
async def log_request(request: Request, context: Context) -> Answer:
    begun = time.monotonic()
    response = await request.fetch()
    line = {"request": context.request_id, "container": context.container_id, "method": request.method, "host": request.authority,
            "path": request.path.partition("?")[0], "status": response.status, "ms": round((time.monotonic() - begun) * 1000, 1)}
    print(json.dumps(line), file=log, flush=True)
    counts[context.container_id][f"{request.host} {response.status}"] += 1
    return response


@handler("counts")
async def show_counts(request: Request, context: Context) -> Answer:
    return Response.json(counts[context.container_id])


serve(options.listen)
