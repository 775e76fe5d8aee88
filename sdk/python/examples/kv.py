"""A key-value service that exists nowhere but here: http://my.kv/KEY, kept in memory, apart for each container.

    kv.py --listen 127.0.0.1:7071
"""

import argparse
import collections

from sallyport import BodyTooLarge, Response, handler, serve

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7071")
options = arguments.parse_args()

stores = collections.defaultdict(dict)


@handler("kv")
async def serve_key(request, context):
    store = stores[context.container_id]
    match request.method:
        case "GET" if request.path == "/":
            return Response(f"{key}\n".encode() for key in sorted(store))
        case "GET":
            value = store.get(request.path)
            return Response(value) if value is not None else Response("no such key\n", status=404)
        case "PUT":
            try:
                store[request.path] = await request.body(limit=context.params.get("max_bytes", 1024 * 1024))
            except BodyTooLarge as error:
                return Response(f"{error}\n", status=413)
            return Response(status=204)
        case "DELETE":
            store.pop(request.path, None)
            return Response(status=204)
    return Response("GET, PUT or DELETE\n", status=405, headers={"allow": "GET, PUT, DELETE"})


serve(options.listen)
