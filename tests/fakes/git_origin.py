"""A git server over HTTPS: the repositories of a folder by `git http-backend`, reading and pushing, for who has the credential.

Each request is a JSON line on stdout.
"""

import argparse
import base64
import http.server
import json
import os
import ssl
import subprocess
import sys

BACKEND = "/usr/lib/git-core/git-http-backend"


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

    def serve(self):
        body = self.body()
        wanted = "Basic " + base64.b64encode(self.options.credential.encode()).decode()
        allowed = self.headers.get("authorization") == wanted
        print(json.dumps({"event": "request", "method": self.command, "path": self.path, "allowed": allowed}), flush=True)
        if not allowed:
            return self.reply(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": self.options.root, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""), "REMOTE_USER": "somebody", "REMOTE_ADDR": "192.0.2.1"}
        output = subprocess.run([BACKEND], input=body, env=environment, stdout=subprocess.PIPE, check=False).stdout
        head, _, rest = output.partition(b"\r\n\r\n")
        fields = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((int(value.split()[0]) for name, value in fields if name == "Status"), 200)
        return self.reply(status, [field for field in fields if field[0] != "Status"], rest)

    def reply(self, status, fields, body):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = serve


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", required=True, metavar="PEM")
    parser.add_argument("--root", required=True, metavar="FOLDER")
    parser.add_argument("--credential", required=True, metavar="USER:PASSWORD")
    Handler.options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("0.0.0.0", Handler.options.port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Handler.options.certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(json.dumps({"event": "ready"}), flush=True)
    sys.exit(server.serve_forever())


if __name__ == "__main__":
    main()
