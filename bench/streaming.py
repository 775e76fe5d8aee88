"""What the proxy adds to the way of one chunk of a streamed answer: from the origin's send to the client's receipt.

Ways in turn in one run, so that they compare whatever else the machine does. Client and origin are in this process, in lock-step:

  direct           the client in the host's namespace
  proxy            the client in a container, plain egress
  handler          the same, with a handler that forwards
  tls direct, …    the same over TLS, which the proxy decrypts

Prints microseconds for each way, over all rounds. Usage: bench/run.sh streaming [--rounds N] [--chunks N] [--bytes N]
"""

import argparse
import socket
import ssl
import time

import measure
from fakes.raw_origin import RawOrigin, server_context
from harness import World
from netns import in_namespace
from sockets import HttpPeer, connect_socket

NAMES = {"plain.test": "203.0.113.30", "handled.test": "203.0.113.31"}
PORTS = {"http": 80, "https": 443}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


def connect(world, container, scheme, host):
    address, port = NAMES[host], PORTS[scheme]
    if container:
        connection = container.connect(address, port, 60)
    else:
        connection = in_namespace(f"/run/netns/{world.host.name}", connect_socket, address, port, 60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if scheme == "https":
        context = ssl.create_default_context(cafile=container.bundle if container else world.root_certificate)
        connection = context.wrap_socket(connection, server_hostname=host)
    return HttpPeer(connection)


def stream(client, origin, host, options):
    """Microseconds of each chunk. The first few, by which both sides settle, do not count."""
    client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    server = origin.next_request().peer
    server.send(HEAD)
    client.read_head()
    chunk, samples = bytes(options.bytes), []
    for number in range(options.chunks + 10):
        begin = time.perf_counter()
        server.send_piece(chunk)
        client.read_piece(len(chunk))
        if number >= 10:
            samples.append((time.perf_counter() - begin) * 1e6)
    server.end()
    client.read_end()
    server.connection.close()
    client.connection.close()
    return samples


def report(samples, options):
    columns = f"{'count':>8}{'p50 µs':>10}{'p99 µs':>10}{'max µs':>10}{'p50 added':>11}"
    print(f"\n{options.bytes} bytes a chunk ({measure.machine()})\n{'':14}{columns}")
    for name, values in samples.items():
        row = measure.percentiles(values)
        direct = measure.percentiles(samples["tls direct" if name.startswith("tls") else "direct"])
        cells = "".join(f"{row[column]:>10.0f}" for column in ("p50", "p99", "max"))
        print(f"{name:14}{row['count']:>8}{cells}{row['p50'] - direct['p50']:>11.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--bytes", type=int, default=100)
    options = parser.parse_args()
    with World(NAMES, addresses=list(NAMES.values()), ports=[22]) as world:
        origins = {(scheme, host): RawOrigin(world, NAMES[host], port, server_context(world) if scheme == "https" else None)
                   for scheme, port in PORTS.items() for host in NAMES}
        world.start_handler("inject")
        world.apply_class("stream", intercept_https=True, denied_hosts=["nowhere.test"],
                          outbound_by_host=[["handled.test", "inject"]])
        container = world.container("stream")
        ways = {"direct": (None, "plain.test"), "proxy": (container, "plain.test"), "handler": (container, "handled.test")}
        samples = {}
        for _ in range(options.rounds):
            for scheme, prefix in (("http", ""), ("https", "tls ")):
                for name, (where, host) in ways.items():
                    client = connect(world, where, scheme, host)
                    samples.setdefault(prefix + name, []).extend(stream(client, origins[scheme, host], host, options))
        report(samples, options)


if __name__ == "__main__":
    main()
