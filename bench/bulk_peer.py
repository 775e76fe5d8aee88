"""The two ends of a bulk transfer; run by relay.py. The bytes mean nothing, so that moving them is all that either end does.

  bulk_peer.py serve ADDRESS PORT              to each connection, once it has said something: as many GB as its last byte says
  bulk_peer.py fetch ADDRESS PORT NAME GB      says a ClientHello for NAME, takes all that comes, prints the seconds it took
"""

import os
import socket
import ssl
import sys
import time

GB = 10 ** 9
PIECE = 1 << 20


def client_hello(name):
    context = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def serve(address, port):
    file = os.memfd_create("bulk")
    os.truncate(file, PIECE)
    listener = socket.create_server((address, port))
    print("listening", flush=True)
    while True:
        connection = listener.accept()[0]
        with connection:
            left = connection.recv(1 << 16)[-1] * GB
            while left > 0:
                left -= os.sendfile(connection.fileno(), file, 0, min(PIECE, left))
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)


def fetch(address, port, name, size):
    with socket.create_connection((address, port)) as connection:
        connection.sendall(client_hello(name) + bytes([size]))
        begin = time.monotonic()
        left = size * GB
        scratch = bytearray(PIECE)
        while left > 0:
            # Thrown away by the kernel, not copied.
            count = connection.recv_into(scratch, PIECE, socket.MSG_TRUNC)
            if count == 0:
                raise ConnectionError(f"{left} bytes are missing")
            left -= count
        print(time.monotonic() - begin)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        fetch(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
