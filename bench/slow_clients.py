"""What an honest container notices of another one's slow clients.

One container asks for 1 KiB on one kept connection, at a steady rate. In turn in one run:

  before   nothing else
  opening  another container opens --clients slow ones: heads and bodies of which a byte comes each second, TLS handshakes
           that stop after the ClientHello, and answers of 8 MiB that are not read; one that is ended comes back
  during   these are held
  after    they are gone
  aside    as many are opened past the proxy, from the host to the same origin: what they do to the machine by themselves

Latencies, the share of a CPU that the proxy takes, how long it and the measuring client were kept waiting for one (hardly, on
a machine that does nothing else; otherwise latencies say little of the proxy), and the proxy's memory in each phase and once
it has stopped falling. Who measures, who disturbs and whom each of them asks are processes of their own; those of the
disturbance have the lowest priority, and the proxy has a core to itself, so that what is measured is the proxy's work for it. With
--share-cores it runs where the others do, and waits for them.
Usage: bench/run.sh slow_clients [--clients N] [--seconds N] [--bursts N] [--kind KIND] [--share-cores]
"""

import argparse
import glob
import json
import os
import subprocess
import time

import measure
from measure import harness
from harness import World, read_text
from slow_clients import KINDS, opening

ADDRESS = "203.0.113.10"
PORT, LARGE_PORT, TLS_PORT = 8000, 8001, 443
# Where the origin itself takes the handshakes that go past the proxy.
ASIDE_TLS_PORT = 8443
LARGE_BYTES = 8 << 20
INTERVAL_US = 5000
OPENING_SECONDS = 8
WARM_UP = 64
MODES = {"head": "dribble", "body": "dribble", "handshake": "hold", "read": "unread"}
LOWEST_PRIORITY = ["nice", "-n", "19"]
ORIGIN = """
daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log {dir}/{name}-error.log; worker_rlimit_nofile 16384;
events {{ worker_connections 16384; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/{name}1; proxy_temp_path {dir}/{name}2;
  fastcgi_temp_path {dir}/{name}3; uwsgi_temp_path {dir}/{name}4; scgi_temp_path {dir}/{name}5; client_max_body_size 0;
  {servers} }}
"""
HONEST_SERVER = 'server {{ listen {address}:{port}; location / {{ default_type text/plain; return 200 "{body}"; }} }}'
# A body is read to its end before it goes on, to where nobody listens.
HOSTILE_SERVER = """server {{ listen {address}:{port}; listen {address}:{tls_port} ssl; root {dir}/www;
    ssl_certificate {dir}/origin.crt; ssl_certificate_key {dir}/origin.key; error_page 405 = @post;
    location @post {{ proxy_pass http://{address}:1; }} }}"""


class Process:
    """One that answers each line on its input with one of JSON."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, text=""):
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("not measured, a client has ended")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def program(name):
    return os.path.join(os.environ["SALLYPORT_BIN"], "bench/load", name)


def steady_client(container):
    return Process(container.command(program("steady_client"), ADDRESS, str(PORT), f"bench.test:{PORT}", str(INTERVAL_US)))


def slow_clients(place, kinds, count, tls_port=TLS_PORT):
    described = []
    for kind in kinds:
        port = tls_port if kind == "handshake" else LARGE_PORT
        first = opening(kind, f"bench.test:{port}", "/large")
        described.append(f"{kind}:{port}:{MODES[kind]}:{first.hex()}")
    return Process(place.command(*LOWEST_PRIORITY, program("slow_clients"), ADDRESS, str(count), *described))


def cpu_wait_seconds(pid):
    """For which its threads could have run, and did not."""
    return sum(int(read_text(path).split()[1]) for path in glob.glob(f"/proc/{pid}/task/*/schedstat")) / 1e9


class Proxy:
    def __init__(self, world):
        self.pid = world.proxy_pid()
        self.memory = []

    def cpu_seconds(self):
        fields = read_text(f"/proc/{self.pid}/stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self):
        return int(read_text(f"/proc/{self.pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def note_memory(self, name):
        self.memory.append((name, self.resident_mib()))

    def await_memory(self):
        """Until ten seconds have made no difference: what is kept for reuse goes after a while."""
        last = self.resident_mib()
        while True:
            time.sleep(10)
            now = self.resident_mib()
            if now >= last - 0.1:
                return
            last = now


def limits_of(world, container):
    """Of which it uses something, or has asked for too much."""
    answer = world.agent_api.call("AgentControl.Usage")
    return next(one.get("limits", []) for one in answer["containers"] if one["containerId"] == container.id)


def used_connections(world, container):
    return sum(int(limit.get("used", 0)) for limit in limits_of(world, container) if limit["name"] == "connections")


def usage_of(world, container):
    return ", ".join(f"{limit['name']} {limit.get('used', 0)} of {limit['limit']}, exceeded {limit.get('exceeded', 0)} times"
                     for limit in limits_of(world, container))


def start_origin(world, name, server, port, priority=()):
    with open(f"{world.dir}/{name}.conf", "w", encoding="ascii") as file:
        servers = server.format(dir=world.dir, address=ADDRESS, port=port, tls_port=ASIDE_TLS_PORT, body="x" * 1024)
        file.write(ORIGIN.format(dir=world.dir, name=name, servers=servers))
    world.start(name, [*priority, "nginx", "-c", f"{world.dir}/{name}.conf"], world.internet)
    harness.eventually(lambda: subprocess.run(
        [*world.host.command(), "curl", "-so", "/dev/null", f"http://{ADDRESS}:{port}/large"], check=False).returncode == 0)


def start_origins(world):
    os.mkdir(f"{world.dir}/www")
    os.chmod(world.dir, 0o755)
    with open(f"{world.dir}/www/large", "wb") as file:
        file.write(b"x" * LARGE_BYTES)
    start_origin(world, "honest", HONEST_SERVER, PORT)
    start_origin(world, "hostile", HOSTILE_SERVER, LARGE_PORT, LOWEST_PRIORITY)


def run(world, options):
    start_origins(world)
    ports = [f"--http-port={port}" for port in (PORT, LARGE_PORT, TLS_PORT)]
    world.cli("class", "apply", "bench", "--intercept-https=true", "--denied-host=nowhere.test", *ports)
    honest, hostile = world.container("bench", "honest"), world.container("bench", "hostile")
    proxy = Proxy(world)
    if not options.share_cores:
        measure.give_core_to_proxy(proxy.pid)
    steady = steady_client(honest)
    # What is loaded and set up for the first of each kind stays.
    warm_up = slow_clients(hostile, options.kind or KINDS, WARM_UP)
    steady.ask(2)
    warm_up.close()
    harness.eventually(lambda: used_connections(world, hostile) == 0, 120, "all ended")
    proxy.await_memory()
    rows = []

    def phase(name, seconds=options.seconds):
        waiting = (proxy.pid, steady.process.pid)
        cpu, begin, waited = proxy.cpu_seconds(), time.monotonic(), [cpu_wait_seconds(pid) for pid in waiting]
        rows.append((name, steady.ask(seconds)))
        elapsed = time.monotonic() - begin
        share = (proxy.cpu_seconds() - cpu) / elapsed
        proxy_waits, client_waits = ((cpu_wait_seconds(pid) - before) / elapsed for pid, before in zip(waiting, waited))
        print(f"{name}: the proxy takes {share * 100:.0f} % of a CPU, waits for one {proxy_waits * 100:.0f} % of the time, the measuring "
              f"client {client_waits * 100:.0f} %; {measure.machine()}", flush=True)
        proxy.note_memory(name)

    phase("before")
    for burst in range(1, options.bursts + 1):
        which = f", burst {burst}" if options.bursts > 1 else ""
        slow = slow_clients(hostile, options.kind or KINDS, options.clients)
        try:
            phase("opening" + which, OPENING_SECONDS)
            phase("during" + which)
            print(f"hostile: {usage_of(world, hostile)}\nended so far: {slow.ask()}")
        finally:
            slow.close()
        harness.eventually(lambda: used_connections(world, hostile) == 0, 120, "all ended")
        phase("after" + which)
        proxy.await_memory()
        proxy.note_memory("at the end" + which)
        aside = slow_clients(world.host, options.kind or KINDS, options.clients, ASIDE_TLS_PORT)
        try:
            phase("aside" + which, OPENING_SECONDS)
        finally:
            aside.close()
    measure.table(f"{options.clients} slow clients", rows)
    print("proxy, MiB resident: " + ", ".join(f"{name} {mib:.1f}" for name, mib in proxy.memory), flush=True)
    steady.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--seconds", type=int, default=20, help="of each phase")
    parser.add_argument("--bursts", type=int, default=1, help="one after the other: whether each leaves something behind")
    parser.add_argument("--kind", choices=KINDS, action="append", help="of the slow clients; all of them by default")
    parser.add_argument("--share-cores", action="store_true", help="the proxy has no core to itself")
    options = parser.parse_args()
    if not options.share_cores and not measure.leave_core_to_proxy():
        parser.error("two cores are needed: one is the proxy's alone; or --share-cores")
    workers = 2 if options.share_cores else 1
    with World({"bench.test": ADDRESS}, addresses=[ADDRESS], ports=[22], workers=workers) as world:
        run(world, options)


if __name__ == "__main__":
    main()
