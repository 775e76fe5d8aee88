"""An origin that sends its body in the pieces that it is told.

  GET /pieces/HEX-HEX-…   these bytes, a chunk each; ?header=TEXT: that in the header x-leak
  GET /held               "data: one", and "data: two" once somebody gets /release
  GET /gzip               an answer with content-encoding: gzip
  POST /echo              the body, while it still comes

Each request is a JSON line on stdout.
"""

import argparse
import http.server
import json
import socket
import sys
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    release = threading.Event()

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        print(json.dumps({"event": "request", "path": self.path, "headers": [[name.lower(), value] for name, value in self.headers.items()]}),
              flush=True)
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/gzip":
            return self.send([b"secret"], {"content-encoding": "gzip"})
        if url.path == "/release":
            self.release.set()
            return self.send([])
        if url.path == "/held":
            return self.send(self.held(), {"content-type": "text/event-stream"})
        pieces = [bytes.fromhex(piece) for piece in url.path.removeprefix("/pieces/").split("-")]
        return self.send(pieces, {"x-leak": query.get("header", ""), "etag": '"1"'})

    def do_POST(self):
        print(json.dumps({"event": "request", "path": self.path}), flush=True)
        self.send(self.pieces())

    def pieces(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            left = int(self.headers["content-length"])
            while left:
                piece = self.rfile.read1(min(left, 65536))
                if not piece:
                    raise ConnectionError("the body broke off")
                left -= len(piece)
                yield piece
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def held(self):
        yield b"data: one\n\n"
        self.release.wait(20)
        yield b"data: two\n\n"

    def send(self, pieces, headers=()):
        self.send_response(200)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    server = http.server.ThreadingHTTPServer(("0.0.0.0", parser.parse_args().port), Handler)
    print(json.dumps({"event": "ready"}), flush=True)
    sys.exit(server.serve_forever())


if __name__ == "__main__":
    main()
