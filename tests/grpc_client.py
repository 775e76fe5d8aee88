"""Calls fakes/grpc_origin.py in each way that gRPC has; what came of them is a JSON object on stdout."""

import json
import sys
import time

import grpc


def status_of(call):
    """Code and message of a call that fails, and the answers before."""
    answers = []
    try:
        for answer in call:
            answers.append(answer.decode())
    except grpc.RpcError as error:
        return answers, error.code().name, error.details()
    return answers, "OK", ""


def ping_pong(stub, rounds):
    """Each message is sent when the one before has come back."""
    answers = []

    def messages():
        for i in range(rounds):
            while len(answers) < i:
                time.sleep(0.001)
            yield str(i).encode()

    for answer in stub(messages()):
        answers.append(answer.decode())
    return answers


def main():
    target, authority, certificate = sys.argv[1:]
    options = [("grpc.default_authority", authority), ("grpc.enable_http_proxy", 0)]
    if certificate:
        with open(certificate, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(target, credentials, [*options, ("grpc.ssl_target_name_override", authority)])
    else:
        channel = grpc.insecure_channel(target, options)
    answer, call = channel.unary_unary("/test.Echo/Unary").with_call(b"hello", metadata=[("x-one", "1")], timeout=20)
    trailers = dict(call.trailing_metadata())
    large = bytes(range(256)) * 8192
    slow_begin = time.monotonic()
    slow = status_of(channel.unary_stream("/test.Echo/Slow")(b"x", timeout=0.5))
    slow_seconds = time.monotonic() - slow_begin
    result = {
        "unary": [answer.decode(), trailers.get("echo"), trailers.get("blob-bin", b"").hex()],
        "large": channel.stream_stream("/test.Echo/Bidi")(iter([large]), timeout=20).next() == large,
        "client_stream": channel.stream_unary("/test.Echo/ClientStream")(iter([b"x" * 100000] * 50), timeout=20).decode(),
        "server_stream": len(list(channel.unary_stream("/test.Echo/ServerStream")(b"\xc8" + b"x" * 10000, timeout=20))),
        "bidi": ping_pong(lambda messages: channel.stream_stream("/test.Echo/Bidi")(messages, timeout=20), 20),
        "fail": status_of(channel.unary_stream("/test.Echo/Fail")(b"one", timeout=20)),
        "unknown": status_of(channel.unary_stream("/test.Echo/Nothing")(b"x", timeout=20))[1],
        "slow": [slow[1], slow_seconds < 5],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
