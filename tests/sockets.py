"""Plain sockets, and HTTP as bytes, for tests that must see what a client library would hide."""

import socket


def connect_socket(address, port, timeout):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection


def read_all(connection):
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def read_response(connection):
    """One HTTP/1.1 response with a content-length, from a kept connection: status, headers, body."""
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, value = line.decode("latin-1").split(":", 1)
        headers[name.lower()] = value.strip()
    return status, headers, file.read(int(headers.get("content-length", 0))).decode()
