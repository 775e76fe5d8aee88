"""What an honest container notices of another one's slow clients.

One container asks for 1 KiB on one kept connection, at a steady rate. In turn in one run:

  before   nothing else
  during   another container has --clients slow ones: heads and bodies of which a byte comes each second, TLS handshakes
           that stop after the ClientHello, and answers of 8 MiB that are not read; one that is ended comes back
  after    these are gone

Latencies, and the proxy's memory in each phase and at the end. Usage: bench/run.sh slow_clients [--clients N] [--seconds N]
"""

import argparse
import os
import subprocess
import time

import measure
from measure import harness
from harness import World, read_response, read_text
from slow_clients import SlowClients

ADDRESS = "203.0.113.10"
PORT, LARGE_PORT = 8000, 8001
LARGE_BYTES = 8 << 20
INTERVAL_SECONDS = 0.005
ORIGIN = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log; worker_rlimit_nofile 16384;
events {{ worker_connections 16384; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2;
  fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5; client_max_body_size 0;
  server {{ listen {address}:{port}; location / {{ default_type text/plain; return 200 "{body}"; }} }}
  server {{ listen {address}:{large_port}; root {dir}/www; error_page 405 = @post;
    location @post {{ proxy_pass http://{address}:{port}; }} }} }}
"""


def latencies(connection, seconds):
    """Milliseconds from a request to its answer's end; each is sent when it is due, or after the one before."""
    samples = []
    due = time.monotonic()
    end = due + seconds
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        begin = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: bench.test:8000\r\n\r\n")
        if read_response(connection)[0] != 200:
            raise RuntimeError("not measured, a request failed")
        samples.append((time.monotonic() - begin) * 1e3)
        due = max(due + INTERVAL_SECONDS, time.monotonic())
    return samples


def resident_mib(pid):
    return int(read_text(f"/proc/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def limits_of(world, container):
    """Of which it uses something, or has asked for too much."""
    answer = world.agent_api.call("AgentControl.Usage")
    return next(one.get("limits", []) for one in answer["containers"] if one["containerId"] == container.id)


def used_connections(world, container):
    return sum(int(limit.get("used", 0)) for limit in limits_of(world, container) if limit["name"] == "connections")


def usage_of(world, container):
    return ", ".join(f"{limit['name']} {limit.get('used', 0)} of {limit['limit']}, exceeded {limit.get('exceeded', 0)} times"
                     for limit in limits_of(world, container))


def start_origin(world):
    os.mkdir(f"{world.dir}/www")
    os.chmod(world.dir, 0o755)
    with open(f"{world.dir}/www/large", "wb") as file:
        file.write(b"x" * LARGE_BYTES)
    with open(f"{world.dir}/nginx.conf", "w", encoding="ascii") as file:
        file.write(ORIGIN.format(dir=world.dir, address=ADDRESS, port=PORT, large_port=LARGE_PORT, body="x" * 1024))
    world.start("nginx", ["nginx", "-c", f"{world.dir}/nginx.conf"], world.internet)
    harness.eventually(lambda: subprocess.run(
        [*world.host.command(), "curl", "-so", "/dev/null", f"http://{ADDRESS}:{PORT}/"], check=False).returncode == 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=20, help="of each phase")
    options = parser.parse_args()
    with World({"bench.test": ADDRESS}, addresses=[ADDRESS], ports=[22]) as world:
        start_origin(world)
        ports = [f"--http-port={port}" for port in (PORT, LARGE_PORT, 443)]
        world.cli("class", "apply", "bench", "--intercept-https=true", "--denied-host=nowhere.test", *ports)
        honest, hostile = world.container("bench", "honest"), world.container("bench", "hostile")
        pid = world.proxy_pid()
        connection = honest.connect(ADDRESS, PORT)
        latencies(connection, 2)
        rows = []
        memory = [("before", resident_mib(pid))]
        rows.append(("before", measure.percentiles(latencies(connection, options.seconds))))
        slow = SlowClients(hostile, ADDRESS, f"bench.test:{LARGE_PORT}", "/large", options.clients, http_port=LARGE_PORT)
        try:
            # All have been opened once; some wait in the kernel's queue.
            harness.eventually(lambda: not slow.to_open or sum(slow.ended.values()) > 0, 120, "slow clients")
            during = latencies(connection, options.seconds)
            rows.append(("during", measure.percentiles(during)))
            memory.append(("during", resident_mib(pid)))
            print(f"hostile: {usage_of(world, hostile)}\nended so far: {slow.ended}")
        finally:
            slow.close()
        harness.eventually(lambda: used_connections(world, hostile) == 0, 120, "all ended")
        rows.append(("after", measure.percentiles(latencies(connection, options.seconds))))
        memory.append(("after", resident_mib(pid)))
        measure.table(f"{options.clients} slow clients", rows)
        print("proxy, MiB resident: " + ", ".join(f"{name} {mib:.1f}" for name, mib in memory))


if __name__ == "__main__":
    main()
