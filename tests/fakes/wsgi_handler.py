"""A handler that is a WSGI application, on Python's own server.

  /who           200, the request as JSON
  /digest        200, the body's length and SHA-256
  /sign          299: the request goes on with a header more and one less
  /sign-late     reads the body, and forwards only then, which is too late
  /illegal/N     299 with a header that is not legal
  /terms/…       200 or, for /terms/forward/…, 299 to /headers, with the headers that the query has, as JSON; and how many
                 such calls there were, in the body or as x-call
"""

import argparse
import hashlib
import itertools
import json
import os
import socket
import socketserver
import sys
import urllib.parse
import wsgiref.simple_server

CALLS = itertools.count(1)

ILLEGAL = [
    [("sallyport-set-header", "a: b")],
    [("sallyport-forward", "1"), ("sallyport-forward-path", "no-slash")],
    [("sallyport-forward", "1"), ("sallyport-set-header", "host: evil.test")],
    [("sallyport-forward", "1"), ("sallyport-set-header", "connection: close")],
    [("sallyport-forward", "1"), ("sallyport-forward-scheme", "ftp")],
    [("sallyport-forward", "1"), ("sallyport-forwardpath", "/")],
]


def application(environ, start_response):
    # wsgiref leaves the target in absolute form.
    url = urllib.parse.urlsplit(environ["PATH_INFO"])
    if url.path in ("/digest", "/sign-late"):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if url.path in ("/sign", "/sign-late"):
        start_response("299 Forward", [
            ("sallyport-forward", "1"), ("sallyport-set-header", "authorization: Bearer of-wsgi"),
            ("sallyport-set-header", f"x-asked-by: {environ['HTTP_SALLYPORT_CONTAINER_ID']}"),
            ("sallyport-remove-header", "cookie"), ("sallyport-forward-path", "/digest")])
        return []
    if url.path.startswith("/terms/"):
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = [tuple(pair) for pair in json.loads(urllib.parse.unquote(environ["QUERY_STRING"]))]
        call = str(next(CALLS))
        if url.path.startswith("/terms/forward/"):
            start_response("299 Forward", [("sallyport-forward", "1"), ("sallyport-forward-path", "/headers"),
                                           ("sallyport-set-header", f"x-call: {call}"), *headers])
            return []
        body = f"call {call}".encode().ljust(int(dict(headers).get("x-bytes", 0)))
        start_response("200 OK", [("content-type", "text/plain"), ("content-length", str(len(body))), *headers])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
    if url.path.startswith("/illegal/"):
        start_response("299 Forward", ILLEGAL[int(url.path.split("/")[2])])
        return []
    if url.path == "/digest":
        answer = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
    else:
        headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        answer = json.dumps({"method": environ["REQUEST_METHOD"], "url": urllib.parse.urlunsplit(url),
                             "query": environ["QUERY_STRING"], "headers": headers})
    start_response("200 OK", [("content-type", "text/plain"), ("x-of", "the-handler")])
    return [answer.encode()]


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class UnixServer(Server):
    address_family = socket.AF_UNIX

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 80
        self.setup_environ()


class RequestHandler(wsgiref.simple_server.WSGIRequestHandler):
    def address_string(self):
        return "proxy"

    def get_environ(self):
        self.client_address = ("proxy", 0)
        return super().get_environ()

    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT | /PATH")
    listen = parser.parse_args().listen
    if listen.startswith("/"):
        server = UnixServer(listen, RequestHandler)
        where = f"http+unix:{listen}"
    else:
        host, port = listen.rsplit(":", 1)
        server = Server((host, int(port)), RequestHandler)
        where = f"http://{host}:{server.server_port}"
    server.set_app(application)
    sys.stdout.write(f"listening on {where}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    os.umask(0o077)  # For the socket: the agent connects as root.
    main()
