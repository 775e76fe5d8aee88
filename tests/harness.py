"""The real programs in real network namespaces.

A World is a host, an internet of documentation addresses behind it, and any number of containers:

    container (own namespace, nothing but lo)      host (own namespace)              internet (own namespace)
      curl, raw sockets, …            ── agent's sockets ──  sallyport-agent, -proxy   ──veth──  origins, DNS
                                                     sallyportd, handlers

Everything that a World starts ends with it. It needs root; without it, it fails.
"""

import contextlib
import ipaddress
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile

from api import Api, ApiError
from fakes.sync_tap import SyncTap
from netns import Namespace, Wire, in_namespace, run
from programs import START_SECONDS, Lines, Program, check_for_reports, eventually, read_text
from sockets import connect_socket, read_all, read_response

# The programs are built with a sanitizer, and so slower and larger.
SANITIZED = "SALLYPORT_SANITIZED" in os.environ
BINARIES = {
    "sallyport": "cli/sallyport",
    "sallyportd": "controlplane/sallyportd",
    "sallyport-agent": "agent/sallyport-agent",
    "sallyport-proxy": "agent/proxy/sallyport-proxy",
    "sallyport-oci-hook": "agent/attach/sallyport-oci-hook",
    "dns_server": "tests/fakes/dns_server",
    "grpc_pair": "tests/fakes/grpc_pair",
    "http_origin": "tests/fakes/http_origin",
    "recording_handler": "tests/fakes/recording_handler",
    "api": "proto/sallyport/v1/descriptors.binpb",
    "python_sdk": "sdk/python/sallyport.zip",
}
# The host's, and that of the operator's resolver, unless the origins have them.
HOST_ADDRESS = "192.0.2.65"
HOST_ADDRESS_V6 = "2001:db8:ffff::1"
RESOLVER = "203.0.113.53"
# The private address is reachable by the host, so that only policy keeps a container from it.
ADDRESSES = ["203.0.113.1", "203.0.113.10", "198.51.100.4", "198.51.100.65", "10.1.2.3", "2001:db8::1", "2001:db8:1::1"]
PORTS = [22, 80, 443, 5432, 8080, 8443]


def binary(name):
    """The path of a program, in a test's runfiles or (SALLYPORT_BIN) in a folder of built programs."""
    root = os.environ.get("SALLYPORT_BIN", os.getcwd())
    path = os.path.join(root, BINARIES[name])
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: build it, or set SALLYPORT_BIN to bazel-bin")
    return os.path.abspath(path)


def source(path):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), path)


def spare(address, used):
    """The address, or the next one that is not in use."""
    candidate = ipaddress.ip_address(address)
    while str(candidate) in used:
        candidate += 1
    return str(candidate)


class Container:
    """A network namespace attached to the agent, held by a process that does nothing: without CAP_NET_ADMIN, as engines start them."""

    routed = False

    def __init__(self, world, container_id, class_name, wait="5s", params=None, dropped="-net_admin"):
        self.world = world
        self.id = container_id
        self.holder = subprocess.Popen(["unshare", "--net", "--", "setpriv", f"--bounding-set={dropped}", "sh", "-c", "echo up; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.class_name = class_name
        self.params = params or {}
        self.ca = os.path.join(world.dir, f"{container_id}.crt")
        self.bundle = os.path.join(world.dir, f"{container_id}-bundle.crt")
        self.attach(wait)

    def attach(self, wait="5s"):
        """The agent's answer. Again, after an agent that has forgotten it."""
        answer = self.world.agent_api.call("Attach", pid=self.holder.pid, containerId=self.id, className=self.class_name, wait=wait,
                                           params=self.params, routed=self.routed)
        with open(self.ca, "w", encoding="ascii") as file:
            file.write(answer["caCertificatePem"])
        with open(self.bundle, "w", encoding="ascii") as file:
            file.write(answer["caCertificatePem"] + read_text(self.world.root_certificate))
        return answer

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

    def tls(self, connection, name):
        """A TLS client on a socket; who signed the other's certificate does not matter here."""
        context = ssl.create_default_context(cafile=self.bundle)
        context.check_hostname = False
        return context.wrap_socket(connection, server_hostname=name)

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


class World:
    """Names resolve to what `names` says: an address, or a list of them.

    `zone`: more of the resolver's data, lines of fakes/dns_zone.h.
    `addresses` and `ports` are those of the origins. With `sync_tap`, `tap` stands between agent and control plane.
    """

    def __init__(self, names=None, agent_flags=(), trusted_origin=True, addresses=None, ports=None, workers=2,
                 sync_tap=False, zone="", control_plane_flags=()):
        if os.geteuid() != 0:
            raise PermissionError("these tests make network namespaces: run them as root")
        self.closers = contextlib.ExitStack()
        self.id = f"sp{os.getpid():x}{os.urandom(2).hex()}"
        self.dir = tempfile.mkdtemp(prefix="sallyport-test-", dir="/run")
        os.chmod(self.dir, 0o755)
        self.closers.callback(self.remove_files)
        if SANITIZED:
            self.closers.callback(check_for_reports, self.dir)
        self.names = names or {}
        self.zone = zone
        self.control_plane_flags = control_plane_flags
        self.agent_flags = ["--workers", str(workers), *agent_flags]
        self.trusted_origin = trusted_origin
        self.addresses = addresses or ADDRESSES
        self.host_address, self.host_address_v6, self.resolver = (
            spare(address, self.addresses) for address in (HOST_ADDRESS, HOST_ADDRESS_V6, RESOLVER))
        self.ports = ports or PORTS
        self.sync_address = f"unix:{self.dir}/controlplane.sock"
        try:
            self.api = Api(f"unix:{self.dir}/controlplane.sock", binary("api"))
            self.agent_api = Api(f"unix:{self.dir}/agent.sock", binary("api"))
            self.closers.callback(self.api.close)
            self.closers.callback(self.agent_api.close)
            self.make_network()
            self.make_certificates()
            self.start_internet()
            self.start_control_plane()
            if sync_tap:
                tap_address = f"unix:{self.dir}/tap.sock"
                self.tap = SyncTap(tap_address, self.sync_address, self.api.schema)
                self.closers.callback(self.tap.close)
                self.sync_address = tap_address
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
        self.host.ip("address", "add", f"{self.host_address}/32", "dev", "up0")
        self.host.ip("-6", "address", "add", f"{self.host_address_v6}/128", "dev", "up0", "nodad")
        self.host.ip("link", "set", "up0", "up")
        self.internet.ip("link", "set", "down0", "up")
        for address in [self.resolver, *self.addresses]:
            if ":" in address:
                self.internet.ip("-6", "address", "add", f"{address}/128", "dev", "down0", "nodad")
                self.host.ip("-6", "route", "add", f"{address}/128", "dev", "up0", "src", self.host_address_v6)
            else:
                self.internet.ip("address", "add", f"{address}/32", "dev", "down0")
                self.host.ip("route", "add", f"{address}/32", "dev", "up0", "src", self.host_address)
        self.internet.ip("route", "add", f"{self.host_address}/32", "dev", "down0")
        self.internet.ip("-6", "route", "add", f"{self.host_address_v6}/128", "dev", "down0")

    def make_certificates(self):
        """A root that the agent trusts for origins, and one origin certificate for every name of this world."""
        self.root_certificate = f"{self.dir}/root.crt"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run("openssl", "req", "-x509", *key, "-keyout", f"{self.dir}/root.key", "-out", self.root_certificate,
            "-subj", "/CN=Test origins' root", "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        hosts = [f"DNS:{name}" for name in self.names if "*" not in name]
        hosts += [f"IP:{address}" for address in self.addresses]
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

    @staticmethod
    def limit_buffers(enter):
        """Of TCP sockets made from here on in the namespace that the command `enter` goes into."""
        run(*enter, "sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 65536", "net.ipv4.tcp_rmem=4096 16384 65536")

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
            file.write(self.zone)
        self.dns = self.start("dns", [binary("dns_server"), "--listen", f"{self.resolver}:53", "--zone", zone], self.internet)
        command = [sys.executable, source("fakes/origin.py"), "--certificate", f"{self.dir}/origin.pem"]
        command += [f"--port={port}" for port in self.ports]
        self.origin = self.start("origin", command, self.internet, stdin=subprocess.PIPE)
        self.origin.await_text('"ready"')

    def start_control_plane(self):
        self.control_plane = self.start("sallyportd", [
            binary("sallyportd"), "--state-dir", f"{self.dir}/controlplane", "--listen",
            f"unix:{self.dir}/controlplane.sock", *self.control_plane_flags], self.host)
        self.control_plane.await_text("listening on")
        # Its log may say so of the one before it.
        self.api.await_ready()

    def start_agent(self, connected=True):
        """`connected`: waits until it has heard the control plane."""
        roots = self.root_certificate if self.trusted_origin else "/etc/ssl/certs/ca-certificates.crt"
        self.audit = Lines(f"{self.dir}/audit.jsonl")
        self.agent = self.start("agent", [
            binary("sallyport-agent"), "--host-name", "test-host", "--control-plane",
            self.sync_address, "--state-dir", f"{self.dir}/agent", "--run-dir", f"{self.dir}/run",
            "--socket", f"unix:{self.dir}/agent.sock", "--proxy-binary", binary("sallyport-proxy"),
            "--handler-socket-dir", self.dir, "--resolver", self.resolver, "--audit", self.audit.path, "--origin-roots", roots, *self.agent_flags], self.host)
        eventually(lambda: self.status().get("proxyPid") and (self.status().get("controlPlaneConnected") or not connected),
                   START_SECONDS, f"the agent is up, see {self.agent.log_path}")

    def status(self):
        """The agent's; empty while it does not answer."""
        try:
            return self.agent_api.call("AgentControl.Status", timeout=5)
        except ApiError:
            return {}

    def proxy_pid(self):
        """Of the proxy that runs; one that was killed is being replaced."""
        return eventually(lambda: self.status().get("proxyPid"), what="a proxy")

    def start_handler(self, *names, name="handler", flags=()):
        """Registers handlers that record each call; see fakes/recording_handler.cc."""
        program = self.start(name, [binary("recording_handler"), "--listen", "127.0.0.1:0",
                                    *(f"--handler={handler}" for handler in names), *flags], self.host)
        address = program.await_text(r"listening on (\S+)").group(1)
        for handler in names:
            self.cli("handler", "register", handler, f"grpc://{address}")
        program.address = address
        return program

    def container(self, class_name, container_id="c1", **options):
        container = Container(self, container_id, class_name, **options)
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

    def cli_text(self, *arguments):
        """What a command prints for people."""
        return run(*self.host.command(binary("sallyport"), *arguments), env=self.environment()).stdout

    def host_run(self, *command):
        """A command of the host's."""
        return run(*self.host.command(*command), check=False, env=self.environment())

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
        if key in ("enable_internet", "intercept_https", "monitor"):
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
