"""A handler that is a web application and knows nothing of Sallyport's SDKs: see docs/http-handlers.md.

    app.py --listen 127.0.0.1:7079 --tokens tokens.json        {"web-1": "s3cret"}
    sallyport handler register app http://127.0.0.1:7079 --holds-secrets

http://my.app/ is answered here, streamed; other hosts get a token of the container's and go on. `application` runs in any WSGI server that
answers before it reads a body; what is below it is Python's own.
"""

import argparse
import json
import pathlib
import socketserver
import urllib.parse
import wsgiref.simple_server
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def application_of(tokens: pathlib.Path) -> Callable[..., Iterable[bytes]]:

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        container = environ["HTTP_SALLYPORT_CONTAINER_ID"]
        if environ["HTTP_HOST"] == "my.app":
            start_response("200 OK", [("content-type", "text/plain")])
            return greet(container, environ)
        token = json.loads(tokens.read_text()).get(container)
        if token is None:
            start_response("403 Forbidden", [("content-type", "text/plain")])
            return [f"{container} has no token\n".encode()]
        # The token never leaves in the clear, also if the container asks by http.
        start_response("299 Forward", [("sallyport-forward", "1"), ("sallyport-forward-scheme", "https"),
                                       ("sallyport-set-header", f"authorization: Bearer {token}")])
        return []

    return application


def greet(container: str, environ: dict[str, Any]) -> Iterator[bytes]:
    # wsgiref leaves the target as it came, in absolute form; other servers split it.
    path = urllib.parse.urlsplit(environ["PATH_INFO"]).path
    params = json.loads(environ["HTTP_SALLYPORT_PARAMS"])
    yield f"hello {container}\n".encode()
    yield f"you asked for {path}, and the rule says {params}\n".encode()


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--listen", default="127.0.0.1:7079")
    arguments.add_argument("--tokens", type=pathlib.Path, required=True, metavar="FILE")
    options = arguments.parse_args()
    host, _, port = options.listen.rpartition(":")
    with wsgiref.simple_server.make_server(host, int(port), application_of(options.tokens), Server) as server:
        print(f"listening on {host}:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
