"""A gRPC server without generated code: messages are bytes.

  /test.Echo/Unary          the request, and it is what the trailer "echo" says
  /test.Echo/ClientStream   how many requests came, and their bytes together
  /test.Echo/ServerStream   the request, as often as its first byte says
  /test.Echo/Bidi           each request, as it comes
  /test.Echo/Fail           RESOURCE_EXHAUSTED with a message, after one answer
  /test.Echo/Slow           nothing, until the deadline or the client's end

A JSON line says when it listens, and when a slow call has ended.
"""

import argparse
import concurrent.futures
import json
import threading
import time

import grpc


def log(**fields):
    print(json.dumps(fields), flush=True)


def unary(request, context):
    context.set_trailing_metadata([("echo", request.decode()), ("blob-bin", b"\x00\xff")])
    return request


def client_stream(requests, _):
    received = list(requests)
    return f"{len(received)} {sum(len(request) for request in received)}".encode()


def server_stream(request, _):
    for _ in range(request[0]):
        yield request


def bidi(requests, _):
    yield from requests


def fail(request, context):
    yield request
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more: ü %")


def slow(_, context):
    ended = threading.Event()
    context.add_callback(ended.set)
    left = context.time_remaining()
    ended.wait(60)
    log(event="slow", left=left)
    yield b"late"


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "Bidi": grpc.stream_stream_rpc_method_handler(bidi),
    "Fail": grpc.unary_stream_rpc_method_handler(fail),
    "Slow": grpc.unary_stream_rpc_method_handler(slow),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificate", required=True, help="certificate and key in PEM")
    parser.add_argument("--tls", required=True, help="ADDRESS:PORT")
    parser.add_argument("--plain", required=True, help="ADDRESS:PORT")
    arguments = parser.parse_args()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", METHODS),))
    with open(arguments.certificate, "rb") as file:
        pem = file.read()
    server.add_secure_port(arguments.tls, grpc.ssl_server_credentials([(pem, pem)]))
    server.add_insecure_port(arguments.plain)
    server.start()
    log(event="ready")
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
