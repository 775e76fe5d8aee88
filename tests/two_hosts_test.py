"""deploy/examples/two-hosts, with its files and by its README, on three machines with systemd."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from harness import binary, eventually, read_text, run, source
from machine import Machine
from netns import Namespace
from packaged_world import install, packages

ADDRESSES = {"cp": "192.0.2.1", "host-a": "192.0.2.2", "host-b": "192.0.2.3"}
SETTINGS = {"cp": ("sallyportd", "/etc/default/sallyportd"), "host-a": ("sallyport-agent.host-a", "/etc/default/sallyport-agent"),
            "host-b": ("sallyport-agent.host-b", "/etc/default/sallyport-agent")}
ORIGIN = "203.0.113.10"
RESOLVER = "203.0.113.53"
ZONE = f"packages.test A {ORIGIN}\napi.test A {ORIGIN}\n"


def example(name):
    return source(f"../deploy/examples/two-hosts/{name}")


class Network:
    """A switch that three machines are at, and behind it an origin and a resolver."""

    def __init__(self, closers, directory):
        self.prefix = f"sp{os.getpid():x}th"
        self.closers = closers
        self.switch = self.namespace("switch")
        self.switch.ip("link", "add", "bridge", "type", "bridge")
        self.switch.ip("link", "set", "bridge", "up")
        for address in ("192.0.2.100/24", f"{ORIGIN}/32", f"{RESOLVER}/32"):
            self.switch.ip("address", "add", address, "dev", "bridge")
        zone = f"{directory}/zone"
        with open(zone, "w", encoding="ascii") as file:
            file.write(ZONE)
        self.start(binary("dns_server"), "--listen", f"{RESOLVER}:53", "--zone", zone)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=origin",
            "-keyout", f"{directory}/origin.pem", "-out", f"{directory}/origin.crt")
        with open(f"{directory}/origin.pem", "a", encoding="ascii") as file:
            file.write(read_text(f"{directory}/origin.crt"))
        origin = self.start(sys.executable, source("fakes/origin.py"), "--port=80", "--certificate", f"{directory}/origin.pem", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.closers.callback(origin.stdout.close)
        self.closers.callback(origin.stdin.close)
        while '"ready"' not in origin.stdout.readline():
            pass

    def namespace(self, name):
        namespace = Namespace(f"{self.prefix}-{name}")
        self.closers.callback(namespace.close)
        namespace.ip("link", "set", "lo", "up")
        return namespace

    def start(self, *command, **options):
        process = subprocess.Popen(self.switch.command(*command), **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options})
        self.closers.callback(process.wait)
        self.closers.callback(process.kill)
        return process

    def plug_in(self, name, address):
        """The network of a machine."""
        namespace = self.namespace(name)
        namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", self.switch.name)
        self.switch.ip("link", "set", name, "master", "bridge", "up")
        namespace.ip("address", "add", f"{address}/24", "dev", "eth0")
        namespace.ip("link", "set", "eth0", "up")
        namespace.ip("route", "add", "default", "via", "192.0.2.100")
        return namespace


class TwoHostsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.closers = contextlib.ExitStack()
        cls.addClassCleanup(cls.closers.close)
        cls.directory = tempfile.mkdtemp(prefix="sallyport-two-hosts-")
        cls.closers.callback(shutil.rmtree, cls.directory)
        network = Network(cls.closers, cls.directory)
        debs = packages()
        run(example("certificates.sh"), f"{cls.directory}/out", env={**os.environ, "PATH": f"{os.path.dirname(binary('sallyport'))}:{os.environ['PATH']}"})
        cls.machines = {}
        for name, address in ADDRESSES.items():
            cls.machines[name] = machine = Machine(name, network.plug_in(name, address))
            cls.closers.callback(machine.close)
            machine.write("/etc/resolv.conf", f"nameserver {RESOLVER}\n")
            install(machine, debs["sallyport"], debs["sallyport-controlplane" if name == "cp" else "sallyport-agent"])
            machine.copy(example(SETTINGS[name][0]), SETTINGS[name][1])
            shutil.copytree(f"{cls.directory}/out/{name}", machine.path("/etc/sallyport/tls"))
        cp = cls.machines["cp"]
        cp.run("chgrp", "-R", "sallyport", "/etc/sallyport/tls")
        cp.run("chmod", "-R", "g+rX", "/etc/sallyport/tls")
        cp.systemctl("restart", "sallyportd")
        for name in ("host-a", "host-b"):
            cls.machines[name].systemctl("reload", "sallyport-agent")
        # An administrator's machine is none of the three's business; it is host-b here.
        shutil.copytree(f"{cls.directory}/out/admin", cls.machines["host-b"].path("/root/admin"))
        cls.machines["host-b"].copy(example("policy.yaml"), "/root/policy.yaml")
        eventually(lambda: cls.sallyport("class", "list").returncode == 0, 20, "the control plane answers over TLS")
        cls.must("apply", "-f", "/root/policy.yaml")
        for letter in "ab":
            machine = cls.machines[f"host-{letter}"]
            eventually(lambda machine=machine: '"controlPlaneConnected":true' in machine.run("sallyport", "status", "--json", check=False).stdout,
                       20, f"host-{letter} has its link")
            machine.run("ip", "netns", "add", f"web-{letter}")
            machine.run("sallyport", "container", "attach", "--netns", f"/run/netns/web-{letter}", "--id", f"web-{letter}", "--class", "worker")

    @classmethod
    def sallyport(cls, *arguments):
        """As the administrator."""
        return cls.machines["host-b"].run("sallyport", *arguments, "--control-plane", "192.0.2.1:7443", "--tls-dir", "/root/admin", check=False)

    @classmethod
    def must(cls, *arguments):
        result = cls.sallyport(*arguments)
        if result.returncode != 0:
            raise AssertionError(result)
        return result.stdout

    def fetch(self, letter, host):
        """The status that a container gets from a host."""
        return self.machines[f"host-{letter}"].run(
            "ip", "netns", "exec", f"web-{letter}", "curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "20",
            "--noproxy", "*", "--connect-to", f"::{ORIGIN}:", f"http://{host}/", check=False).stdout

    def test_a_change_is_enforced_where_the_container_is(self):
        self.assertEqual([self.fetch(letter, "packages.test") for letter in "ab"], ["200", "200"])
        self.assertEqual([self.fetch(letter, "api.test") for letter in "ab"], ["520", "520"])
        self.assertRegex(self.must("allow-host", "web-a", "api.test"), r"enforced on host-a in ")
        self.assertEqual([self.fetch(letter, "api.test") for letter in "ab"], ["200", "520"])
        self.assertRegex(self.must("remove-allowed-host", "web-a", "api.test"), r"enforced on host-a in ")
        self.assertEqual([self.fetch(letter, "api.test") for letter in "ab"], ["520", "520"])

    def test_nobody_comes_in_without_a_certificate(self):
        host = self.machines["host-a"]
        refused = host.run("sallyport", "class", "list", "--control-plane", "192.0.2.1:7443", check=False)
        self.assertNotEqual(refused.returncode, 0)
        # An agent's certificate is no administrator's.
        denied = host.run("sallyport", "allow-host", "web-a", "evil.test", "--control-plane", "192.0.2.1:7443", "--tls-dir", "/etc/sallyport/tls", check=False)
        self.assertIn("PERMISSION_DENIED", denied.stderr)

    def test_hosts_go_on_without_the_control_plane(self):
        cp = self.machines["cp"]
        cp.systemctl("stop", "sallyportd")
        try:
            self.assertEqual([self.fetch("a", host) for host in ("packages.test", "api.test")], ["200", "520"])
        finally:
            cp.systemctl("start", "sallyportd")
            eventually(lambda: self.sallyport("class", "list").returncode == 0, 20, "the control plane answers")

    def test_the_page_names_these_files(self):
        page = read_text(example("README.md"))
        for file, path in SETTINGS.values():
            self.assertIn(f"({file}) | `{path}`", page)


if __name__ == "__main__":
    unittest.main()
