"""Handlers that want to know who asks: by the Python SDK, and a web server with --web; both over mutual TLS.

  who      200, what came of who asks, as JSON
  verify   200 and the claims if the call's token (the params' `token`, if there is one) proves that the container of the context
           asks; else 403 and why. The keys come from the control plane.
"""

import argparse
import http.server
import json
import ssl
import sys

from sallyport import ControlPlane, IdentityError, Response, handler, serve, verify_identity

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", required=True)
arguments.add_argument("--tls-dir", required=True)
arguments.add_argument("--control-plane", required=True)
arguments.add_argument("--web", action="store_true")
options = arguments.parse_args()


def log(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


@handler("who")
async def who(request, context):
    log(event="call", handler=context.handler)
    return Response(json.dumps({"token": context.identity_token, "container": context.container_id, "headers": request.headers.items()}))


@handler("verify")
async def verify(request, context):
    log(event="call", handler=context.handler)
    async with ControlPlane(options.control_plane) as control_plane:
        keys = await control_plane.identity_keys()
    try:
        claims = verify_identity(context.params.get("token", context.identity_token), keys, "keys")
    except IdentityError as error:
        return Response(str(error), 403)
    if claims["sub"] != context.container_id:
        return Response(f"it is of {claims['sub']}, and {context.container_id} asks", 403)
    return Response(json.dumps(claims))


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        log(event="call", handler="web")
        body = json.dumps({"tokens": self.headers.get_all("sallyport-identity"), "headers": self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_web(host, port):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{options.tls_dir}/ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(f"{options.tls_dir}/tls.crt", f"{options.tls_dir}/tls.key")
    server = http.server.ThreadingHTTPServer((host, int(port)), Web)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(f"listening on {host}:{server.server_port}", flush=True)
    server.serve_forever()


if options.web:
    serve_web(*options.listen.rsplit(":", 1))
else:
    serve(options.listen, tls_dir=options.tls_dir)
