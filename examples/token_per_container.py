"""Adds a token to requests: one for each container and host, from a SQLite database that no container can read.

    sqlite3 tokens.db 'CREATE TABLE tokens (container_id TEXT, host TEXT, token TEXT, PRIMARY KEY (container_id, host))'
    sqlite3 tokens.db "INSERT INTO tokens VALUES ('web-1', 'api.github.com', 's3cret')"
    token_per_container.py --listen 127.0.0.1:7070 --database tokens.db
    sallyport handler register token grpc://127.0.0.1:7070 --holds-secrets
"""

import argparse
import pathlib
import sqlite3

from sallyport import Answer, Context, Lease, Request, Response, handler, serve

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7070")
arguments.add_argument("--database", type=pathlib.Path, required=True)
arguments.add_argument("--lease", type=float, default=0, metavar="SECONDS",
                       help="for how long the agent may use a token without asking; a token taken away holds so long")
options = arguments.parse_args()
lease = Lease(ttl=options.lease, path_prefix="/") if options.lease else None


@handler("token")
def add_token(request: Request, context: Context) -> Answer:
    # Read anew each time: a changed token counts for the next request. Not asynchronous, so on a thread, where it may block.
    database = sqlite3.connect(f"{options.database.absolute().as_uri()}?mode=ro", uri=True)
    try:
        row = database.execute("SELECT token FROM tokens WHERE container_id = ? AND host = ?",
                               (context.container_id, request.host)).fetchone()
    finally:
        database.close()
    if row is None:
        return Response(f"{context.container_id} has no token for {request.host}\n", status=403)
    # Never in the clear, also if the container asks by http.
    return request.forward(scheme="https", set_headers={"authorization": f"Bearer {row[0]}"}, lease=lease)


serve(options.listen)
