"""An origin: answers HTTP on any number of addresses, logs what it sees, and echoes raw bytes on other ports.

Each request and each connection is a JSON line on stdout, so that a test can say what left and what did not.

  GET /anything        "origin HOST /anything"
  GET /bytes/N         N bytes
  POST /echo           the body as it came
  GET /headers         the request's headers as JSON
  GET /slow/N          a chunk each second, N times
"""

import argparse
import hashlib
import http.server
import json
import socket
import socketserver
import ssl
import sys
import threading

LOCK = threading.Lock()
PIECE = b"0123456789abcdef" * 4096


def log(**fields):
    with LOCK:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        log(event="connection", local=self.local(), tls=self.server.tls)

    def local(self):
        return self.connection.getsockname()[0]

    def log_message(self, *arguments):
        pass

    def read_body(self):
        digest, length = hashlib.sha256(), 0
        for piece in self.pieces():
            digest.update(piece)
            length += len(piece)
        return length, digest.hexdigest()

    def pieces(self):
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return
        left = int(self.headers.get("content-length", 0))
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            if not piece:
                raise ConnectionError("the body broke off")
            left -= len(piece)
            yield piece

    def answer(self):
        # As received: the base class makes one slash of several.
        self.path = self.requestline.split()[1]
        length, digest = self.read_body()
        log(event="request", local=self.local(), tls=self.server.tls, method=self.command, path=self.path,
            host=self.headers.get("host"), headers=[[k, v] for k, v in self.headers.items()],
            body_length=length, body_sha256=digest)
        if self.path.startswith("/bytes/"):
            return self.send_bytes(int(self.path.split("/")[2]))
        if self.path == "/headers":
            return self.send_text(json.dumps({k.lower(): v for k, v in self.headers.items()}))
        if self.path == "/digest":
            return self.send_text(f"{length} {digest}")
        return self.send_text(f"origin {self.headers.get('host')} {self.path}")

    def send_text(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_bytes(self, left):
        self.send_response(200)
        self.send_header("content-length", str(left))
        self.end_headers()
        while left and self.command != "HEAD":
            count = min(left, len(PIECE))
            self.wfile.write(PIECE[:count])
            left -= count

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address, context):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.context = context
        self.tls = context is not None
        super().__init__(address, Handler)

    def finish_request(self, request, client_address):
        if self.context is not None:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request, client_address):
        log(event="error", error=repr(sys.exc_info()[1]))


class EchoHandler(socketserver.BaseRequestHandler):
    def handle(self):
        local = self.request.getsockname()
        log(event="connection", local=local[0], port=local[1], raw=True)
        while data := self.request.recv(65536):
            log(event="raw", local=local[0], port=local[1], bytes=len(data))
            self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--http", action="append", default=[], metavar="ADDRESS@PORT")
    parser.add_argument("--https", action="append", default=[], metavar="ADDRESS@PORT")
    parser.add_argument("--echo", action="append", default=[], metavar="ADDRESS@PORT")
    parser.add_argument("--certificate", metavar="PEM", help="chain and key, for --https")
    options = parser.parse_args()
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
    servers = []
    for text in options.http + options.https + options.echo:
        host, port = text.split("@")
        if text in options.echo:
            servers.append(EchoServer((host, int(port)), EchoHandler))
        else:
            servers.append(Server((host, int(port)), context if text in options.https else None))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    log(event="ready")
    sys.stdin.read()  # Until the test ends.


if __name__ == "__main__":
    main()
