"""An object store that believes nobody whose signature (AWS Signature Version 4) is not right; on a port for HTTPS and one for HTTP.

PUT and GET /BUCKET/KEY. Written by AWS's description, not by the signer that it checks. Each request is a JSON line on stdout.
"""

import argparse
import datetime
import hashlib
import hmac
import http.server
import json
import ssl
import sys
import threading
import urllib.parse

OBJECTS = {}


class Refused(Exception):
    pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options = argparse.Namespace()

    def log_message(self, *arguments):
        pass

    def body(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def check(self, body):
        algorithm, _, rest = self.headers.get("authorization", "").partition(" ")
        if algorithm != "AWS4-HMAC-SHA256":
            raise Refused("no signature")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        access_key, date, region, service, end = parts["Credential"].split("/")
        if access_key != self.options.key_id or end != "aws4_request":
            raise Refused("unknown key")
        time = self.headers["x-amz-date"]
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.strptime(time + "+0000", "%Y%m%dT%H%M%SZ%z")
        if time[:8] != date or abs(age) > datetime.timedelta(minutes=15):
            raise Refused("too old")
        payload = self.headers["x-amz-content-sha256"]
        if payload != hashlib.sha256(body).hexdigest() and (payload != "UNSIGNED-PAYLOAD" or not isinstance(self.connection, ssl.SSLSocket)):
            raise Refused("the payload is not what was signed")
        names = parts["SignedHeaders"].split(";")
        unsigned = [name for name in map(str.lower, self.headers.keys()) if name.startswith("x-amz-") and name not in names]
        if unsigned or "host" not in names or names != sorted(names):
            raise Refused(f"headers that must be signed are not: {unsigned}")
        path, _, query = self.path.partition("?")
        pairs = sorted(tuple(urllib.parse.quote(urllib.parse.unquote(text), safe="~") for text in (pair + "=").split("=")[:2])
                       for pair in query.split("&") if pair)
        canonical = "\n".join([
            self.command, urllib.parse.quote(urllib.parse.unquote(path), safe="/~"), "&".join("=".join(pair) for pair in pairs),
            *(f"{name}:{','.join(' '.join(value.split()) for value in self.headers.get_all(name))}" for name in names), "",
            parts["SignedHeaders"], payload])
        key = b"AWS4" + self.options.secret.encode()
        for text in (date, region, service, "aws4_request"):
            key = hmac.digest(key, text.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        if not hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), parts["Signature"]):
            raise Refused("the signature does not match: " + canonical)

    def serve(self):
        body = self.body()
        try:
            self.check(body)
        except (Refused, KeyError, ValueError) as error:
            print(json.dumps({"event": "refused", "why": str(error)}), flush=True)
            return self.reply(403, f"{error}\n".encode())
        path = self.path.partition("?")[0]
        print(json.dumps({"event": "request", "method": self.command, "path": self.path, "payload": self.headers["x-amz-content-sha256"],
                          "length": len(body)}), flush=True)
        if self.command == "PUT":
            OBJECTS[path] = body
            return self.reply(200, b"")
        return self.reply(200, OBJECTS[path]) if path in OBJECTS else self.reply(404, b"NoSuchKey\n")

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = serve


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--https-port", type=int, required=True)
    parser.add_argument("--certificate", required=True, metavar="PEM")
    parser.add_argument("--key-id", required=True)
    parser.add_argument("--secret", required=True)
    options = Handler.options = parser.parse_args()
    plain = http.server.ThreadingHTTPServer(("0.0.0.0", options.http_port), Handler)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    server = http.server.ThreadingHTTPServer(("0.0.0.0", options.https_port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(json.dumps({"event": "ready"}), flush=True)
    sys.exit(server.serve_forever())


if __name__ == "__main__":
    main()
