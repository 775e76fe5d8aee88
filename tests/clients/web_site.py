"""A web site in the test's process, with what clients do to sites.

  /bytes/N         N bytes, and ranges of them
  /digest          the length and SHA-256 of what was uploaded
  /headers         the request's headers as JSON
  /refuse/STATUS   that status at once, without a look at the body and without 100 (Continue)
  /events          server-sent events, each when the test gives it to `events`; None ends them
  /page            a text, compressed if the client takes that
  /redirect?URL    to there
  a key of `files` its content, and with any, 404 for all that follows
  anything else    "origin HOST PATH"
"""

import gzip
import http.server
import io
import queue
import re
import socketserver
import threading

from fakes.origin import PIECE, Handler
from fakes.raw_origin import RawOrigin
from netns import in_namespace

PAGE = "\n".join(f"line {number} of a text that compresses well" for number in range(2000))
DEADLINE_SECONDS = 60


class SiteHandler(Handler):
    def answer(self):
        self.path = self.requestline.split()[1]
        for prefix, method in self.ROUTES.items():
            if self.path.startswith(prefix):
                return method(self)
        digest = self.read_body()
        if self.path == "/digest":
            return self.send_text(f"{digest[0]} {digest[1]}")
        if self.path == "/headers":
            return super().answer()
        if self.path in self.server.site.files:
            return self.send_content(self.server.site.files[self.path])
        if self.server.site.files:
            return self.send_content(b"not here", 404)
        return self.send_text(f"origin {self.headers.get('host')} {self.path}")

    def send_content(self, content, status=200, **headers):
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_expect_100(self):
        return self.requestline.split()[1].startswith("/refuse/") or super().handle_expect_100()

    def refuse(self):
        # In one piece: curl 7.88 ends its upload short of its length when it sees the status, and over HTTP/2 that ends the stream
        # by RST_STREAM, with what had not come of the answer.
        wire, self.wfile = self.wfile, io.BytesIO()
        self.send_content(b"refused", int(self.path.split("/")[2]), connection="close")
        answer, self.wfile = self.wfile.getvalue(), wire
        self.wfile.write(answer)
        self.close_connection = True
        # Closing with unread bytes would reset the connection, and the answer with it.
        self.connection.settimeout(DEADLINE_SECONDS)
        while self.rfile.read1(65536):
            pass

    def send_range(self):
        self.read_body()
        size = int(self.path.split("/")[2])
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        if not match:
            return self.send_bytes(size)
        first, last = int(match.group(1)), min(int(match.group(2) or size - 1), size - 1)
        content = (PIECE * (size // len(PIECE) + 1))[first:last + 1]
        return self.send_content(content, 206, content_range=f"bytes {first}-{last}/{size}")

    def send_events(self):
        self.read_body()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for text in iter(lambda: self.server.site.events.get(timeout=DEADLINE_SECONDS), None):
            event = f"data: {text}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def send_page(self):
        if "gzip" in self.headers.get("accept-encoding", ""):
            return self.send_content(gzip.compress(PAGE.encode()), content_encoding="gzip", content_type="text/plain")
        return self.send_content(PAGE.encode(), content_type="text/plain")

    def redirect(self):
        self.read_body()
        self.send_content(b"", 302, location=self.path.split("?", 1)[1])

    ROUTES = {"/bytes/": send_range, "/refuse/": refuse, "/events": send_events, "/page": send_page, "/redirect": redirect}
    do_GET = do_HEAD = do_POST = do_PUT = answer


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, site, listener, context, handler):
        self.site = site
        self.context = context
        socketserver.BaseServer.__init__(self, listener.getsockname(), handler)
        self.socket = listener

    def finish_request(self, request, client_address):
        if self.context:
            with self.context.wrap_socket(request, server_side=True) as tls:
                return super().finish_request(tls, client_address)
        return super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        """A client that hangs up is not the site's concern; what it should have got is asserted on its side."""


class Site:
    """Listens in the world's internet, on as many addresses as are given."""

    def __init__(self, world, handler=SiteHandler):
        self.world = world
        self.handler = handler
        self.files = {}
        self.events = queue.Queue()

    def listen(self, address, port, context=None):
        listener = in_namespace(f"/run/netns/{self.world.internet.name}", RawOrigin.listen, address, port)
        server = Server(self, listener, context, self.handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()

        def close():
            server.shutdown()
            thread.join()
            listener.close()

        self.world.closers.callback(close)
