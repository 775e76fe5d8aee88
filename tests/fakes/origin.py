"""An origin: on each port, whatever the address, speaks what its client speaks.

  TLS        a handshake first; then, inside, as below
  HTTP/1.1   GET /anything   "origin HOST /anything"
             GET /bytes/N    N bytes
             GET /headers    the request's headers as JSON
             GET /to/URL     302, to the URL
             GET /hangup     no answer: the connection ends
             POST /digest    the body's length and SHA-256
  anything   echoes the bytes
             else

Each connection and each request is a JSON line on stdout, so that a test can say what left and what did not.
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
        self.tls = isinstance(self.connection, ssl.SSLSocket)

    def handle(self):
        # Methods are upper case; what a test echoes does not begin so.
        if self.rfile.peek(1)[:1].isupper():
            return super().handle()
        count = 0
        while data := self.rfile.read1(65536):
            if not count:
                log(event="raw", local=self.local(), port=self.connection.getsockname()[1], tls=self.tls)
            count += len(data)
            self.wfile.write(data)

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
        log(event="request", local=self.local(), tls=self.tls, method=self.command, path=self.path,
            host=self.headers.get("host"), headers=[[k, v] for k, v in self.headers.items()],
            body_length=length, body_sha256=digest)
        if self.path.startswith("/bytes/"):
            return self.send_bytes(int(self.path.split("/")[2]))
        if self.path == "/headers":
            return self.send_text(json.dumps({k.lower(): v for k, v in self.headers.items()}))
        if self.path == "/digest":
            return self.send_text(f"{length} {digest}")
        if self.path == "/hangup":
            self.close_connection = True
            return None
        if self.path.startswith("/to/"):
            return self.send_redirect(self.path.removeprefix("/to/"))
        return self.send_text(f"origin {self.headers.get('host')} {self.path}")

    def send_redirect(self, location):
        self.send_response(302)
        self.send_header("location", location)
        self.send_header("content-length", "0")
        self.end_headers()

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

    def __init__(self, family, port, context):
        self.address_family = family
        self.context = context
        super().__init__(("::" if family == socket.AF_INET6 else "0.0.0.0", port), Handler)

    def finish_request(self, request, client_address):
        local = request.getsockname()
        log(event="connection", local=local[0], port=local[1])
        if request.recv(1, socket.MSG_PEEK) == b"\x16":
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request, client_address):
        log(event="error", error=repr(sys.exc_info()[1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", action="append", default=[], type=int)
    parser.add_argument("--certificate", required=True, metavar="PEM", help="chain and key, for TLS")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
    for port in options.port:
        for family in (socket.AF_INET, socket.AF_INET6):
            server = Server(family, port, context)
            threading.Thread(target=server.serve_forever, daemon=True).start()
    log(event="ready")
    sys.stdin.read()  # Until the test ends.


if __name__ == "__main__":
    main()
