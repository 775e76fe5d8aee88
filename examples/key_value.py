"""A key-value service that exists nowhere but here: http://my.kv/KEY, kept in SQLite, apart for each container.

    key_value.py --listen 127.0.0.1:7071 --database kv.db

PUT /KEY stores, GET /KEY reads, DELETE /KEY removes, GET / lists. The rule's params may say {"max_bytes": 1024}.
"""

import argparse
import sqlite3

from sallyport import Answer, BodyTooLarge, Context, Request, Response, handler, serve

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7071")
arguments.add_argument("--database", default=":memory:", metavar="FILE", help="default: in memory")
options = arguments.parse_args()

database = sqlite3.connect(options.database, isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS pairs (container_id TEXT, key TEXT, value BLOB, PRIMARY KEY (container_id, key))")


@handler("kv")
async def serve_key(request: Request, context: Context) -> Answer:
    where = (context.container_id, request.path)
    match request.method:
        case "GET" if request.path == "/":
            rows = database.execute("SELECT key FROM pairs WHERE container_id = ? ORDER BY key", where[:1])
            return Response("".join(f"{key}\n" for key, in rows))
        case "GET":
            row = database.execute("SELECT value FROM pairs WHERE container_id = ? AND key = ?", where).fetchone()
            return Response(row[0]) if row else Response("no such key\n", status=404)
        case "PUT":
            try:
                value = await request.body(limit=context.params.get("max_bytes", 1024 * 1024))
            except BodyTooLarge as error:
                return Response(f"{error}\n", status=413)
            database.execute("INSERT OR REPLACE INTO pairs VALUES (?, ?, ?)", (*where, value))
            return Response(status=204)
        case "DELETE":
            database.execute("DELETE FROM pairs WHERE container_id = ? AND key = ?", where)
            return Response(status=204)
    return Response("GET, PUT or DELETE\n", status=405, headers={"allow": "GET, PUT, DELETE"})


serve(options.listen)
