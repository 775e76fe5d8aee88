"""Origins that are not what they should be: one port of one address, a certificate for each name.

In --certificates DIR, NAME.pem (chain and key) is what a client that asks for NAME is shown. Answers by path:

    /            "origin HOST /"
    /short       less than its content-length says, and the end without close_notify
    /cut         a body that ends with the connection, without close_notify
    /closed      the same, with close_notify

Each connection and each request is a JSON line on stdout.
"""

import argparse
import json
import os
import socket
import socketserver
import ssl
import sys
import threading


def log(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = connection.recv(4096)
        if not data:
            return None
        head += data
    return head.decode("latin-1").split("\r\n")


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        log(event="connection")
        try:
            connection = self.server.context.wrap_socket(self.request, server_side=True)
            while (head := read_head(connection)) and self.answer(connection, head):
                pass
        except OSError as error:
            log(event="error", error=str(error))

    def answer(self, connection, head):
        """Whether the connection goes on."""
        path = head[0].split()[1]
        host = next(line[5:].strip() for line in head if line.lower().startswith("host:"))
        log(event="request", host=host, path=path)
        if path == "/":
            body = f"origin {host} /"
            connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
            return True
        if path == "/short":
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody")
        if path == "/closed":
            connection.unwrap()
        # The end of TCP alone.
        connection.shutdown(socket.SHUT_RDWR)
        return False


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def context_of(path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--certificates", required=True, metavar="DIR")
    options = parser.parse_args()
    contexts = {name.removesuffix(".pem"): context_of(os.path.join(options.certificates, name))
                for name in os.listdir(options.certificates)}
    address, port = options.listen.rsplit(":", 1)
    server = Server((address, int(port)), Handler)
    server.context = next(iter(contexts.values()))

    def choose(connection, name, _):
        connection.context = contexts[name]

    server.context.sni_callback = choose
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log(event="ready")
    sys.stdin.read()  # Until the test ends.


if __name__ == "__main__":
    main()
