"""Opens keep-alive connections, one request each, and holds them; run by idle_memory.py inside a container.

Says "held", waits for a line on its input, and then says how many of them are still open. Usage: idle_clients.py HOST PORT COUNT
[NAME ROOTS]: with a NAME over TLS, whose certificate must be signed by one of the roots in that file.
"""

import resource
import socket
import ssl
import sys

REQUEST = b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n"


def open_one(address, tls, name):
    connection = socket.create_connection(address, timeout=30)
    # As clients of HTTP do: else a request waits for the ACK of the handshake's end, 40 ms.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        connection = tls.wrap_socket(connection, server_hostname=name)
    connection.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"!"):
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError(f"closed after {answer!r}")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(answer)
    return connection


def is_open(connection):
    connection.setblocking(False)
    try:
        return bool(connection.recv(1))
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def main():
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    name, roots = sys.argv[4:6] if len(sys.argv) > 4 else (None, None)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100,) * 2)
    tls = None
    if name:
        tls = ssl.create_default_context(cafile=roots)
    connections = [open_one((host, port), tls, name) for _ in range(count)]
    print("held", flush=True)
    sys.stdin.readline()
    print(sum(is_open(connection) for connection in connections), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
