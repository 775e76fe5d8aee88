"""The real programs in real network namespaces.

A World is a host, an internet of documentation addresses behind it, and any number of containers:

    container (own namespace, nothing but lo)      host (own namespace)              internet (own namespace)
      curl, raw sockets, …            ── agent's sockets ──  sallyport-agent, -proxy   ──veth──  origins, DNS
                                                     sallyportd, handlers

Everything that a World starts ends with it. It needs root; without it, it fails.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BINARIES = {
    "sallyport": "cli/sallyport",
    "sallyportd": "controlplane/sallyportd",
    "sallyport-agent": "agent/sallyport-agent",
    "sallyport-proxy": "agent/proxy/sallyport-proxy",
    "dns_server": "tests/fakes/dns_server",
    "recording_handler": "tests/fakes/recording_handler",
}
HOST_ADDRESS = "192.0.2.65"
RESOLVER = "203.0.113.53"
ORIGINS_V4 = ["203.0.113.1", "203.0.113.10", "198.51.100.4", "198.51.100.65"]
ORIGINS_V6 = ["2001:db8::1", "2001:db8:1::1"]
# One private address: reachable by the host, so that only policy keeps a container from it.
PRIVATE_ORIGIN = "10.1.2.3"
START_SECONDS = 20


def binary(name):
    """The path of a program, in a test's runfiles or (SALLYPORT_BIN) in a folder of built programs."""
    root = os.environ.get("SALLYPORT_BIN", os.getcwd())
    path = os.path.join(root, BINARIES[name])
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: build it, or set SALLYPORT_BIN to bazel-bin")
    return os.path.abspath(path)


def source(path):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), path)


def run(*command, check=True, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def eventually(condition, seconds=10, what="condition"):
    """Polls until `condition()` is truthy; the only wait for something that announces itself nowhere."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Lines:
    """A growing file of JSON lines."""

    def __init__(self, path):
        self.path = path

    def all(self):
        with contextlib.suppress(FileNotFoundError), open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n") and line.startswith("{")]
        return []

    def count(self):
        return len(self.all())

    def since(self, count):
        return self.all()[count:]

    def last(self):
        return self.all()[-1]


class Namespace:
    """A named network namespace."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)

    def ip(self, *arguments):
        run("ip", "-n", self.name, *arguments)

    def command(self, *command):
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def close(self):
        run("ip", "netns", "del", self.name, check=False)


class Program:
    """A program that runs until it is stopped; its output goes to a file."""

    def __init__(self, world, name, command, stdin=subprocess.DEVNULL):
        self.log_path = os.path.join(world.dir, f"{name}.log")
        self.lines = Lines(self.log_path)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=log, stderr=log, env=world.environment())

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        return read_text(self.log_path)

    def await_text(self, pattern):
        def found():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.log_path}: ended with {self.process.returncode}:\n{self.text()}")
            return re.search(pattern, self.text())

        return eventually(found, START_SECONDS, f"{pattern!r} in {self.log_path}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


class Container:
    """A network namespace attached to the agent, held by a process that does nothing."""

    def __init__(self, world, container_id, class_name):
        self.world = world
        self.id = container_id
        self.holder = subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo up; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        answer = world.cli("container", "attach", "--pid", str(self.holder.pid), "--id", container_id,
                           "--class", class_name)
        self.ca = os.path.join(world.dir, f"{container_id}.crt")
        with open(self.ca, "w", encoding="ascii") as file:
            file.write(answer["caCertificatePem"])
        self.bundle = os.path.join(world.dir, f"{container_id}-bundle.crt")
        with open(self.bundle, "w", encoding="ascii") as file:
            file.write(answer["caCertificatePem"] + read_text(world.root_certificate))

    def command(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-n", "--", *command]

    def run(self, *command, **options):
        return run(*self.command(*command), check=False, **options)

    def curl(self, url, *options, address=None):
        """Status, reason header and body of one request. `address` is dialled, whatever the name."""
        connect = ["--connect-to", f"::{address}:"] if address else []
        result = self.run("curl", "--silent", "--show-error", "--globoff", "--noproxy", "*", "--max-time", "20",
                          "--cacert", self.bundle, "--dump-header", "/dev/stderr", *connect, *options, url)
        return Response(result)

    def connect(self, address, port, timeout=10):
        """A TCP socket inside the container."""
        return in_namespace(f"/proc/{self.holder.pid}/ns/net", connect_socket, address, port, timeout)

    def raw(self, address, port, payload, timeout=10):
        """Sends bytes, and returns what comes back until the peer closes; None after a reset."""
        with self.connect(address, port, timeout) as connection:
            try:
                connection.sendall(payload)
                return read_all(connection)
            except (ConnectionResetError, BrokenPipeError):
                return None

    def close(self):
        if self.holder.poll() is None:
            self.holder.stdin.close()
            self.holder.wait()
        self.holder.stdout.close()


class Response:
    def __init__(self, result):
        self.exit = result.returncode
        self.body = result.stdout
        heads = [block for block in re.split(r"\r?\n\r?\n", result.stderr) if block.startswith("HTTP/")]
        self.head = heads[-1] if heads else ""
        self.error = result.stderr
        status = re.match(r"HTTP/\S+ (\d+)", self.head)
        self.status = int(status.group(1)) if status else 0
        self.headers = {name.lower(): value for name, value in re.findall(r"(?m)^([^:\r\n]+): *(.*?)\r?$", self.head)}
        self.reason = self.headers.get("sallyport-reason", "")

    def __repr__(self):
        return f"Response(exit={self.exit}, status={self.status}, reason={self.reason!r}, body={self.body[:80]!r}, {self.error[-300:]!r})"


def connect_socket(address, port, timeout):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    connection.connect((address, port))
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


def in_namespace(path, function, *arguments):
    """Calls a function with this thread inside another network namespace, and comes back."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(path, "rb") as away:
        if libc.setns(away.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
        try:
            return function(*arguments)
        finally:
            libc.setns(home.fileno(), 0x40000000)


def is_link_chatter(frame):
    """ARP, and the ICMPv6 by which the kernel of the wire's own two ends finds neighbours and joins groups (MLD)."""
    if frame[12:14] == b"\x08\x06":
        return True
    if frame[12:14] != b"\x86\xdd":
        return False
    return frame[20] == 58 or (frame[20] == 0 and frame[54] == 58)


class Wire:
    """What passes between the host and the internet from now on."""

    def __init__(self, world):
        self.packet = in_namespace(f"/run/netns/{world.internet.name}", self.open)

    @staticmethod
    def open():
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        packet.bind(("down0", 0))
        packet.setblocking(False)
        return packet

    def frames(self):
        frames = []
        while True:
            try:
                frame = self.packet.recv(65536)
            except BlockingIOError:
                return frames
            if not is_link_chatter(frame):
                frames.append(frame[:64].hex())

    def close(self):
        self.packet.close()


class World:
    def __init__(self, names=None, agent_flags=(), trusted_origin=True):
        if os.geteuid() != 0:
            raise PermissionError("these tests make network namespaces: run them as root")
        self.closers = contextlib.ExitStack()
        self.id = f"sp{os.getpid():x}{os.urandom(2).hex()}"
        self.dir = tempfile.mkdtemp(prefix="sallyport-test-", dir="/run")
        os.chmod(self.dir, 0o755)
        self.closers.callback(self.remove_files)
        self.names = names or {}
        self.agent_flags = list(agent_flags)
        self.trusted_origin = trusted_origin
        try:
            self.make_network()
            self.make_certificates()
            self.start_internet()
            self.start_control_plane()
            self.start_agent()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if os.environ.get("SALLYPORT_TEST_LOGS"):
            for name in ("agent", "sallyportd"):
                with contextlib.suppress(OSError), open(os.path.join(self.dir, f"{name}.log"), encoding="utf-8") as file:
                    sys.stderr.write(f"--- {name}\n{file.read()}")
        self.closers.close()

    def remove_files(self):
        # An agent that was killed leaves the memory that it keeps keys in.
        run("umount", "--lazy", f"{self.dir}/run/containers", check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def environment(self):
        environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        environment["SALLYPORT_CONTROL_PLANE"] = f"unix:{self.dir}/controlplane.sock"
        environment["SALLYPORT_AGENT"] = f"unix:{self.dir}/agent.sock"
        return environment

    def make_network(self):
        self.host = Namespace(f"{self.id}-host")
        self.closers.callback(self.host.close)
        self.internet = Namespace(f"{self.id}-inet")
        self.closers.callback(self.internet.close)
        for namespace in (self.host, self.internet):
            namespace.ip("link", "set", "lo", "up")
        self.host.ip("link", "add", "up0", "type", "veth", "peer", "name", "down0", "netns", self.internet.name)
        self.host.ip("address", "add", f"{HOST_ADDRESS}/32", "dev", "up0")
        self.host.ip("-6", "address", "add", "2001:db8:ffff::1/128", "dev", "up0", "nodad")
        self.host.ip("link", "set", "up0", "up")
        self.internet.ip("link", "set", "down0", "up")
        for address in [RESOLVER, PRIVATE_ORIGIN, *ORIGINS_V4]:
            self.internet.ip("address", "add", f"{address}/32", "dev", "down0")
        for address in ORIGINS_V6:
            self.internet.ip("-6", "address", "add", f"{address}/128", "dev", "down0", "nodad")
        self.internet.ip("route", "add", f"{HOST_ADDRESS}/32", "dev", "down0")
        self.internet.ip("-6", "route", "add", "2001:db8:ffff::1/128", "dev", "down0")
        for route in ("203.0.113.0/24", "198.51.100.0/24", "10.0.0.0/8"):
            self.host.ip("route", "add", route, "dev", "up0", "src", HOST_ADDRESS)
        self.host.ip("-6", "route", "add", "2001:db8::/32", "dev", "up0", "src", "2001:db8:ffff::1")

    def make_certificates(self):
        """A root that the agent trusts for origins, and one origin certificate for every name of this world."""
        self.root_certificate = f"{self.dir}/root.crt"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run("openssl", "req", "-x509", *key, "-keyout", f"{self.dir}/root.key", "-out", self.root_certificate,
            "-subj", "/CN=Test origins' root", "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        hosts = [f"DNS:{name}" for name in self.names if "*" not in name]
        hosts += [f"IP:{address}" for address in ORIGINS_V4 + ORIGINS_V6]
        with open(f"{self.dir}/origin.ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={','.join(hosts)}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        run("openssl", "req", *key, "-keyout", f"{self.dir}/origin.key", "-out", f"{self.dir}/origin.csr",
            "-subj", "/CN=Test origin")
        run("openssl", "x509", "-req", "-in", f"{self.dir}/origin.csr", "-CA", self.root_certificate, "-CAkey",
            f"{self.dir}/root.key", "-CAcreateserial", "-days", "2", "-extfile", f"{self.dir}/origin.ext", "-out",
            f"{self.dir}/origin.crt")
        with open(f"{self.dir}/origin.pem", "w", encoding="ascii") as file:
            for part in ("origin.crt", "origin.key"):
                file.write(read_text(f"{self.dir}/{part}"))

    def start(self, name, command, namespace=None, **options):
        program = Program(self, name, namespace.command(*command) if namespace else command, **options)
        self.closers.callback(program.stop)
        return program

    def start_internet(self):
        zone = f"{self.dir}/zone"
        with open(zone, "w", encoding="ascii") as file:
            for name, addresses in self.names.items():
                for address in addresses if isinstance(addresses, list) else [addresses]:
                    file.write(f"{name} {'AAAA' if ':' in address else 'A'} {address}\n")
        self.dns = self.start("dns", [binary("dns_server"), "--listen", f"{RESOLVER}:53", "--zone", zone], self.internet)
        everywhere = [*ORIGINS_V4, *ORIGINS_V6, PRIVATE_ORIGIN]
        command = [sys.executable, source("fakes/origin.py"), "--certificate", f"{self.dir}/origin.pem"]
        for address in everywhere:
            command += ["--http", f"{address}@80", "--https", f"{address}@443"]
        for address in ORIGINS_V4:
            for port in (22, 5432):
                command += ["--echo", f"{address}@{port}"]
        command += ["--http", "203.0.113.10@8080", "--https", "203.0.113.10@8443"]
        self.origin = self.start("origin", command, self.internet, stdin=subprocess.PIPE)
        self.origin.await_text('"ready"')

    def start_control_plane(self):
        self.control_plane = self.start("sallyportd", [
            binary("sallyportd"), "--state-dir", f"{self.dir}/controlplane", "--listen",
            f"unix:{self.dir}/controlplane.sock"], self.host)
        self.control_plane.await_text("listening on")

    def start_agent(self):
        roots = self.root_certificate if self.trusted_origin else "/etc/ssl/certs/ca-certificates.crt"
        self.audit = Lines(f"{self.dir}/audit.jsonl")
        self.agent = self.start("agent", [
            binary("sallyport-agent"), "--host-name", "test-host", "--control-plane",
            f"unix:{self.dir}/controlplane.sock", "--state-dir", f"{self.dir}/agent", "--run-dir", f"{self.dir}/run",
            "--socket", f"unix:{self.dir}/agent.sock", "--proxy-binary", binary("sallyport-proxy"), "--resolver",
            RESOLVER, "--audit", self.audit.path, "--origin-roots", roots, "--workers", "2", *self.agent_flags], self.host)
        eventually(lambda: self.status().get("controlPlaneConnected") and self.status().get("proxyPid"), START_SECONDS,
                   f"the agent is up, see {self.agent.log_path}")

    def status(self):
        result = self.cli_result("status")
        return json.loads(result.stdout).get("agent", {}) if result.returncode == 0 else {}

    def proxy_pid(self):
        return self.status()["proxyPid"]

    def start_handler(self, *names, name="handler", flags=()):
        """Registers handlers that record each call; see fakes/recording_handler.cc."""
        program = self.start(name, [binary("recording_handler"), "--listen", "127.0.0.1:0", *flags], self.host)
        address = program.await_text(r"listening on (\S+)").group(1)
        for handler in names:
            self.cli("handler", "register", handler, f"grpc://{address}")
        program.address = address
        return program

    def container(self, class_name, container_id="c1"):
        container = Container(self, container_id, class_name)
        self.closers.callback(container.close)
        return container

    def cli_result(self, *arguments):
        return run(*self.host.command(binary("sallyport"), *arguments, "--json"), check=False, env=self.environment())

    def cli(self, *arguments):
        """Runs a command of the CLI; its JSON answer. Fails unless it exits 0."""
        result = self.cli_result(*arguments)
        if result.returncode != 0:
            raise RuntimeError(f"sallyport {' '.join(arguments)}: exit {result.returncode}: {result.stderr}")
        return json.loads(result.stdout) if result.stdout.strip() else {}

    def enforced(self, *arguments):
        """A mutation that must be enforced when it is answered."""
        answer = self.cli(*arguments)
        if answer.get("enforcement") != "ENFORCED":
            raise AssertionError(f"{arguments}: {answer}")
        return answer

    def apply_class(self, name, **fields):
        """Class fields as in semantics.md section 1."""
        return self.cli("class", "apply", name, *class_flags(fields))

    def origin_requests(self):
        return [line for line in self.origin.lines.all() if line["event"] == "request"]

    def origin_contacts(self):
        """How often the origins were reached at all, by connection."""
        return sum(line["event"] == "connection" for line in self.origin.lines.all())


def class_flags(fields):
    flags = []
    for key, value in fields.items():
        if key in ("enable_internet", "intercept_https"):
            flags.append(f"--{key.replace('_', '-')}={'true' if value else 'false'}")
        elif key in ("allowed_hosts", "denied_hosts"):
            flag = key.replace("_", "-")
            flags += [f"--{flag[:-1]}={host}" for host in value] or [f"--no-{flag}"]
        elif key == "outbound_by_host":
            flags += [f"--outbound-by-host={host}={handler}" for host, handler in value]
        elif key == "outbound":
            flags.append(f"--outbound={value}")
        elif key == "outbound_handlers":
            flags += [f"--outbound-handler={name}" for name in value]
        elif key == "tls_passthrough_hosts":
            flags += [f"--tls-passthrough-host={host}" for host in value]
        else:
            raise KeyError(key)
    return flags
