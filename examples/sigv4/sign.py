"""Signs requests for AWS: the container's program has no key, or a made-up one.

    sign.py --listen 127.0.0.1:7076 --keys keys.json
    {"web-1": {"access_key_id": "AKIA…", "secret_access_key": "…", "session_token": ""}}
    sallyport set-outbound-by-host web-1 '*.s3.eu-central-1.amazonaws.com' sigv4 --params '{"region": "eu-central-1", "service": "s3"}'

Bodies for S3 over HTTPS go to S3 without coming here (UNSIGNED-PAYLOAD); others are read, up to the param `max_bytes`, and signed.
"""

import argparse
import datetime
import hashlib
import json
import pathlib
import urllib.parse

import signature
from signature import Key, Scope

from sallyport import Answer, BodyTooLarge, Context, Request, Response, handler, serve

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7076")
arguments.add_argument("--keys", type=pathlib.Path, required=True, metavar="FILE")
options = arguments.parse_args()

# Beside host and every x-amz-*: AWS wants those signed.
SIGNED = ("content-type", "content-md5")
# Chunks without signatures, the checksum in a trailer: what today's SDKs send over HTTPS.
UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@handler("sigv4")
async def sign(request: Request, context: Context) -> Answer:
    fields = json.loads(options.keys.read_text()).get(context.container_id)
    if fields is None:
        return Response(f"{context.container_id} has no key\n", status=403)
    key = Key(**fields)
    scope = Scope(context.params["region"], context.params["service"])
    body = None
    payload = request.headers.get("x-amz-content-sha256", "")
    if payload.startswith("STREAMING-AWS4-"):
        return Response("each chunk is signed by a key that nobody has; turn payload signing off\n", status=501)
    if scope.service == "s3" and request.scheme == "https":
        payload = payload if payload == UNSIGNED_CHUNKS else signature.UNSIGNED
    else:
        try:
            body = await request.body(context.params.get("max_bytes", 16 * 1024 * 1024))
        except BodyTooLarge as error:
            return Response(f"{error}\n", status=413)
        payload = hashlib.sha256(body).hexdigest()

    path, _, query = request.path.partition("?")
    # A signature in the query, by the made-up key.
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    query = urllib.parse.urlencode([pair for pair in pairs if not pair[0].lower().startswith("x-amz-")])
    query = signature.canonical_query(query)
    time = signature.timestamp(datetime.datetime.now(datetime.timezone.utc))
    added = {"x-amz-date": time, "x-amz-content-sha256": payload}
    if key.session_token:
        added["x-amz-security-token"] = key.session_token
    replaced = {*added, "x-amz-security-token"}
    kept = [(name, value) for name, value in request.headers.items()
            if (name.startswith("x-amz-") or name in SIGNED) and name not in replaced]
    added["authorization"] = signature.authorization(
        key, scope, time, request.method, path, query, [("host", request.authority), *kept, *added.items()], payload)
    return request.forward(path=f"{path}?{query}" if query else path, set_headers=added, remove_headers=replaced - set(added),
                           body=body if request.has_body else None)


serve(options.listen)
