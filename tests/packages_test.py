"""The Debian packages: what is in them, that they install, upgrade and leave, and that their programs work as systemd starts them."""

import filecmp
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import SANITIZED, eventually, read_text, run
from machine import Machine
from netns import Namespace
from packaged_world import AGENT, CONTROL_PLANE, PackagedWorld, install, packages, rebuild

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10"}
CONTENTS = {
    "sallyport": [
        "/etc/sallyport/", "/usr/bin/sallyport", "/usr/share/bash-completion/completions/sallyport", "/usr/share/man/man1/sallyport.1.gz"],
    "sallyport-agent": [
        "/etc/default/sallyport-agent", "/etc/sallyport/", "/etc/sallyport/secrets/", "/lib/systemd/system/sallyport-agent.service",
        "/usr/lib/sallyport/sallyport-oci-hook", "/usr/lib/sallyport/sallyport-proxy", "/usr/sbin/sallyport-agent",
        "/usr/share/containers/oci/hooks.d/sallyport.json", "/usr/share/lintian/overrides/sallyport-agent",
        "/usr/share/man/man8/sallyport-agent.8.gz",
        "/usr/share/man/man8/sallyport-proxy.8.gz"],
    "sallyport-controlplane": [
        "/etc/default/sallyportd", "/etc/sallyport/", "/lib/systemd/system/sallyportd.service", "/usr/lib/tmpfiles.d/sallyportd.conf",
        "/usr/sbin/sallyportd", "/usr/share/man/man8/sallyportd.8.gz", "/usr/share/sallyport/grafana.json"],
}
PROGRAMS = {"sallyport": "/usr/bin/sallyport", "sallyportd": "/usr/sbin/sallyportd", "sallyport-agent": "/usr/sbin/sallyport-agent",
            "sallyport-proxy": "/usr/lib/sallyport/sallyport-proxy"}
# What the agent says without a capability. SYS_PTRACE and KILL have tests of their own.
WITHOUT = {
    "CAP_NET_ADMIN": "Operation not permitted",
    "CAP_SYS_ADMIN": "cannot make a mount namespace",
    "CAP_SETPCAP": "cannot drop a capability from the bounding set",
    "CAP_SETGID": "cannot leave all groups",
    "CAP_SETUID": "cannot change the user",
    "CAP_DAC_OVERRIDE": "Permission denied",
}
# Exposure by `systemd-analyze security`, times ten.
MOST_EXPOSED = {AGENT: 40, CONTROL_PLANE: 13}
SCORES = {AGENT: "-900", CONTROL_PLANE: "-500"}
COMPLETE = r"""
source /usr/share/bash-completion/completions/sallyport
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_sallyport
printf '%s\n' "${COMPREPLY[@]}"
"""


def field(package, name):
    return run("dpkg-deb", "--field", package, name).stdout.strip()


def next_version(package, directory):
    """The same package, as if of a later version."""
    version = field(package, "Version")
    tree = tempfile.mkdtemp(dir=directory)
    run("dpkg-deb", "--raw-extract", package, tree)
    control = f"{tree}/DEBIAN/control"
    with open(control, encoding="utf-8") as file:
        text = file.read()
    with open(control, "w", encoding="utf-8") as file:
        file.write(text.replace(f"Version: {version}", f"Version: {version}+next"))
    path = f"{tree}.deb"
    run("dpkg-deb", "--root-owner-group", "--build", tree, path)
    return path


class ContentsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.packages = packages()

    def test_files(self):
        self.assertEqual(sorted(self.packages), sorted(CONTENTS))
        for name, path in self.packages.items():
            listed = [line.split() for line in run("dpkg-deb", "--contents", path).stdout.splitlines()]
            self.assertEqual({entry[1] for entry in listed}, {"root/root"}, name)
            paths = [entry[5].removeprefix(".") for entry in listed]
            files = {path for path in paths if not path.endswith("/")} | {path for path in paths if path.startswith("/etc/sallyport/")}
            documents = {f"/usr/share/doc/{name}/{file}" for file in ("copyright", "changelog.gz", "NEWS.md.gz")}
            self.assertEqual(files, set(CONTENTS[name]) | documents)

    def test_what_a_package_needs(self):
        for name, library in (("sallyport", "libgrpc++1.51"), ("sallyport-agent", "libnftables1"), ("sallyport-controlplane", "libsqlite3-0")):
            self.assertIn(library, field(self.packages[name], "Depends"))
        self.assertIn("adduser", field(self.packages["sallyport-agent"], "Depends"))

    def test_settings_are_conffiles(self):
        for name, path in (("sallyport-agent", "/etc/default/sallyport-agent"), ("sallyport-controlplane", "/etc/default/sallyportd")):
            self.assertEqual(run("dpkg-deb", "--info", self.packages[name], "conffiles").stdout.split(), [path])

    def test_same_programs_same_packages(self):
        # One stands for all: it takes seconds to find out which libraries a program needs.
        package = self.packages["sallyport-controlplane"]
        with open(package, "rb") as file:
            epoch = int(file.read(36)[24:])  # Of the archive's first member.
        with tempfile.TemporaryDirectory() as directory:
            again = rebuild("sallyport-controlplane", directory, epoch)
            self.assertTrue(filecmp.cmp(package, again, shallow=False))


class PackagedTest(unittest.TestCase):
    """One host that all tests share: each leaves both services up and its drop-ins removed."""

    @classmethod
    def setUpClass(cls):
        cls.world = PackagedWorld(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.machine = cls.world.machine
        cls.world.apply_class("listed", enable_internet=False, intercept_https=True, allowed_hosts=["good.test"])
        cls.number = 0

    def container(self):
        type(self).number += 1
        return self.world.container("listed", f"c{self.number}")

    def assert_enforced(self, container):
        self.assertEqual(container.curl("https://good.test/x", address="203.0.113.10").body, "origin good.test /x")
        self.assertEqual(container.curl("http://evil.test/", address="203.0.113.10").reason, "not_allowed")

    def test_programs(self):
        version = field(self.world.packages["sallyport"], "Version")
        for name, path in PROGRAMS.items():
            self.assertEqual(self.machine.run(path, "--version").stdout, f"{name} {version}\n")

    def test_manual(self):
        for page, text in (("sallyport.1", "sallyport class apply"), ("sallyport-agent.8", "--control-plane ADDRESS"),
                           ("sallyport-proxy.8", "sallyport-proxy"), ("sallyportd.8", "sallyportd backup")):
            shown = self.machine.run("env", "MANWIDTH=100", "LC_ALL=C.UTF-8", "man", page)
            self.assertIn(text, re.sub(".\b", "", shown.stdout))
            self.assertNotIn(os.uname().nodename + ")", shown.stdout)
            self.assertRegex(self.machine.run("lexgrog", self.machine.run("man", "--path", page).stdout.strip()).stdout, " - ")

    def complete(self, *words):
        return self.machine.run("bash", "-c", COMPLETE, "bash", *words).stdout.split()

    def test_completion(self):
        self.assertEqual(self.complete("sallyport", "handler", ""), ["delete", "get", "list", "register", "revoke-leases"])
        self.assertIn("allow-host", self.complete("sallyport", "al"))
        self.assertEqual(self.complete("sallyport", "container", "attach", "--ne"), ["--netns"])
        self.assertEqual(self.complete("sallyport", "allow-host", "--wait", ""), ["enforced", "stored"])
        self.assertEqual(self.complete("sallyport", "run", "--policy", ""), [])
        self.assertIn("systemctl", self.complete("sallyport", "run", "--", "system"))
        self.assertEqual(self.complete("sallyport", "run", "--", "ls", "--"), [])

    def test_a_request(self):
        before = self.world.audit.count()
        self.assert_enforced(self.container())
        eventually(lambda: self.world.audit.count() >= before + 2, what="a record of each request")
        decisions = [record["decision"] for record in self.world.audit.since(before)]
        self.assertEqual((decisions.count("egress"), decisions.count("deny")), (1, 1), decisions)

    def test_records_in_the_journal(self):
        self.world.write_flags("--audit", "stdout")
        self.addCleanup(self.with_all)
        self.addCleanup(self.world.write_flags)
        self.machine.systemctl("restart", AGENT)
        self.world.await_agent()
        container = self.container()
        # Of another proxy, too.
        for _ in range(2):
            self.assert_enforced(container)
            self.machine.run("sallyport", "restart-proxy")

        def records(lines):
            """Those of the container, among whatever the journal has of the unit."""
            return [record for record in map(json.loads, filter(lambda line: line.startswith("{"), lines)) if record["containerId"] == container.id]

        def journal(output):
            return self.machine.run("journalctl", "-u", "sallyport-agent", "-o", output).stdout.splitlines()

        found = eventually(lambda: len(records(journal("cat"))) >= 4 and records(journal("cat")), what="a record of each request")
        self.assertEqual([(one["host"], one["path"], one["decision"]) for one in found], [("good.test", "/x", "egress"), ("evil.test", "/", "deny")] * 2)
        self.assertEqual(records(json.loads(line)["MESSAGE"] for line in journal("json")), found)

    def test_ipv6_that_a_runtime_has_turned_off(self):
        setting = "net.ipv6.conf.lo.disable_ipv6"
        self.machine.run("ip", "netns", "add", "without6")
        inside = ["nsenter", "--net=/run/netns/without6", "--"]
        self.machine.run(*inside, "sysctl", "-qw", f"{setting}=1")
        attach = ["sallyport", "container", "attach", "--netns", "/run/netns/without6", "--id", "without6", "--class", "listed", "--ephemeral"]
        self.machine.run(*attach)
        self.assertEqual(self.machine.run(*inside, "sysctl", "-n", setting).stdout.strip(), "0")
        self.machine.run("sallyport", "container", "detach", "without6")
        self.machine.run("ip", "netns", "del", "without6")

    def test_the_command_line_needs_no_settings(self):
        answer = json.loads(self.machine.run("sallyport", "status", "--json").stdout)
        self.assertTrue(answer["controlPlane"]["reachable"])
        self.assertTrue(answer["agent"]["controlPlaneConnected"])

    def test_run(self):
        result = self.machine.run("sallyport", "run", "--class", "listed", "--", "curl", "-sS", "--resolve", "good.test:443:203.0.113.10",
                                  "https://good.test/y", check=False)
        self.assertEqual(result.stdout, "origin good.test /y", result)

    def read_proc(self, pid, name):
        return read_text(self.machine.path(f"/proc/{pid}/{name}"))

    def status_of(self, pid):
        return dict(line.split(":\t", 1) for line in self.read_proc(pid, "status").splitlines())

    def test_the_services_are_confined(self):
        agent = self.status_of(self.machine.main_pid(AGENT))
        control_plane = self.status_of(self.machine.main_pid(CONTROL_PLANE))
        proxy = self.status_of(self.world.proxy_pid())
        listed = " ".join(self.machine.unit(AGENT, "CapabilityBoundingSet"))
        self.assertEqual(bin(int(agent["CapBnd"], 16)).count("1"), len(listed.split()))
        for status in (control_plane, proxy):
            self.assertEqual({int(status[name], 16) for name in ("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb")}, {0})
            self.assertNotIn("0", status["Uid"].split())
        for status in (agent, control_plane, proxy):
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertEqual(status["Seccomp"], "2")

    def test_AG15_others_are_ended_first_for_want_of_memory(self):
        units = {AGENT: [self.machine.main_pid(AGENT), self.world.proxy_pid()], CONTROL_PLANE: [self.machine.main_pid(CONTROL_PLANE)]}
        for unit, processes in units.items():
            wanted = SCORES[unit]
            self.assertEqual(self.machine.unit(unit, "OOMScoreAdjust")[0], wanted)
            # In a guest that may not ask for it systemd goes on without.
            asked = self.machine.run("choom", "--adjust", wanted, "--", "true", check=False)
            given = wanted if asked.returncode == 0 else self.read_proc(1, "oom_score_adj").strip()
            for pid in processes:
                self.assertEqual(self.read_proc(pid, "oom_score_adj").strip(), given, (unit, pid))
        self.assertEqual(self.machine.unit(AGENT, "OOMPolicy")[0], "continue")

    def test_what_the_services_can_write(self):
        for unit, places in ((AGENT, ["/var/lib/sallyport-agent", "/run/sallyport"]), (CONTROL_PLANE, ["/var/lib/sallyport", "/run/sallyportd"])):
            inside = ["nsenter", f"--target={self.machine.main_pid(unit)}", "--mount", "--"]
            for place in places:
                self.machine.run(*inside, "test", "-w", place)
            for place in ("/", "/usr/sbin", "/etc/sallyport", "/var/lib", "/root"):
                self.assertNotEqual(self.machine.run(*inside, "test", "-w", place, check=False).returncode, 0, (unit, place))

    def test_exposure(self):
        for unit, most in MOST_EXPOSED.items():
            result = run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={most}",
                         self.machine.path(f"/lib/systemd/system/{unit}"), check=False)
            self.assertEqual(result.returncode, 0, result.stdout)

    def test_units_are_well_formed(self):
        for unit in (AGENT, CONTROL_PLANE):
            result = self.machine.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit, check=False)
            self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""))

    def test_killed_programs_come_back(self):
        for unit in (CONTROL_PLANE, AGENT):
            before = self.machine.main_pid(unit)
            self.machine.run("kill", "-KILL", str(before))
            eventually(lambda unit=unit, before=before: self.machine.main_pid(unit) not in (0, before), what=f"{unit} is started again")
            self.world.api.await_ready()
            self.world.await_agent()
        self.assert_enforced(self.container())

    def next_agent(self, before):
        eventually(lambda: self.machine.main_pid(AGENT) not in (0, before), what="the next agent")
        self.world.await_agent()

    def test_an_agent_that_is_reloaded_or_killed_leaves_its_containers_to_the_next_one(self):
        container = self.container()
        for end in (lambda agent: self.machine.systemctl("reload", AGENT), lambda agent: self.machine.run("kill", "-KILL", str(agent))):
            agent, proxy = self.machine.main_pid(AGENT), self.world.proxy_pid()
            end(agent)
            self.next_agent(agent)
            self.assertEqual(self.world.proxy_pid(), proxy)
            self.assert_enforced(container)

    def without(self, capability, more=""):
        self.world.drop_in(AGENT, f"[Service]\nCapabilityBoundingSet=~{capability}\n{more}")
        self.addCleanup(self.with_all)
        self.machine.systemctl("restart", AGENT)

    def with_all(self):
        self.world.drop_in(AGENT, "")
        self.machine.systemctl("restart", AGENT)
        self.world.await_agent()

    def test_the_agent_needs_each_capability(self):
        for capability, message in WITHOUT.items():
            with self.subTest(capability):
                self.without(capability)
                if capability == "CAP_NET_ADMIN":
                    self.world.await_agent()
                    with self.assertRaisesRegex(Exception, message):
                        self.container()
                else:
                    eventually(lambda message=message: message in self.world.agent_says(), what=f"{message!r} from the agent")

    def other_users_sandbox(self):
        """The id, on the machine, of a process that is nobody's and has a network namespace of its own."""
        process = subprocess.Popen(self.machine.command(
            "unshare", "--net", "--", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", "sh", "-c", "echo $$; exec cat"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        return process.stdout.readline().strip()

    def attach(self, pid):
        return self.machine.run("sallyport", "container", "attach", "--pid", pid, "--id", f"p{pid}", "--class", "listed", "--ephemeral", check=False)

    def test_it_needs_ptrace_for_other_users_processes(self):
        attached = self.attach(self.other_users_sandbox())
        self.assertEqual(attached.returncode, 0, attached)
        self.without("CAP_SYS_PTRACE")
        self.world.await_agent()
        refused = self.attach(self.other_users_sandbox())
        self.assertIn("Permission denied", refused.stderr)

    def test_it_needs_kill_for_a_proxy_that_hangs(self):
        for capability, result in (("CAP_SYS_BOOT", "success"), ("CAP_KILL", "timeout")):
            self.without(capability, "TimeoutStopSec=2s\n")
            self.world.await_agent()
            proxy = self.world.proxy_pid()
            self.machine.run("kill", "-STOP", str(proxy))
            self.machine.systemctl("stop", AGENT)
            self.assertEqual(self.machine.unit(AGENT, "Result")[0], result, capability)
            self.machine.run("kill", "-KILL", str(proxy), check=False)


class LifecycleTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="sallyport-packages-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.packages = packages()
        namespace = Namespace(f"sp{os.getpid():x}life")
        self.addCleanup(namespace.close)
        namespace.ip("link", "set", "lo", "up")
        self.machine = Machine("test-host", namespace)
        self.addCleanup(self.machine.close)

    def dpkg(self, *arguments):
        return self.machine.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *arguments)

    def test_install_upgrade_remove_install_purge(self):
        machine = self.machine
        # `sallyport run` may have made it on this machine.
        machine.run("rm", "-rf", "/etc/sallyport")
        install(machine, *self.packages.values())
        for unit in (AGENT, CONTROL_PLANE):
            self.assertEqual(machine.unit(unit, "ActiveState", "UnitFileState"), ["active", "enabled"])
        eventually(lambda: '"controlPlaneConnected":true' in machine.run("sallyport", "status", "--json", check=False).stdout,
                   what="the agent finds the control plane")
        machine.run("sallyport", "class", "apply", "kept", "--enable-internet=false")
        machine.run("ip", "netns", "add", "kept")
        machine.run("sallyport", "container", "attach", "--netns", "/run/netns/kept", "--id", "kept-1", "--class", "kept")

        # Twice the same is nothing new.
        before = {unit: machine.main_pid(unit) for unit in (AGENT, CONTROL_PLANE)}
        machine.write("/etc/default/sallyportd", 'SALLYPORTD_FLAGS="--listen 127.0.0.1:7443"\n')
        install(machine, *(next_version(package, self.directory) for package in self.packages.values()))
        for unit, pid in before.items():
            eventually(lambda unit=unit, pid=pid: machine.main_pid(unit) not in (0, pid), what=f"the next {unit}")
        refused = machine.run("ip", "netns", "exec", "kept", "curl", "-sS", "-m", "10", "-w", "%{http_code}", "http://203.0.113.10/").stdout
        self.assertEqual(refused, "Origin is disallowed520")
        self.assertIn("7443", machine.run("cat", "/etc/default/sallyportd").stdout)
        eventually(lambda: machine.run("sallyport", "class", "get", "kept", "--control-plane", "127.0.0.1:7443", check=False).returncode == 0,
                   what="the store and the settings are the former ones")

        self.dpkg("--remove", *self.packages)
        for path in (*PROGRAMS.values(), "/run/sallyport/agent.sock", "/run/sallyport/controlplane.sock"):
            self.assertFalse(os.path.lexists(machine.path(path)), path)
        self.assertEqual(machine.run("pgrep", "sallyport", check=False).stdout, "")
        self.assertTrue(os.path.exists(machine.path("/var/lib/sallyport/controlplane.db")))

        # To dpkg it is an upgrade from what was removed.
        install(machine, *self.packages.values())
        for unit in (AGENT, CONTROL_PLANE):
            self.assertEqual(machine.unit(unit, "ActiveState", "UnitFileState"), ["active", "enabled"])

        self.dpkg("--purge", *self.packages)
        left = machine.run("find", "/etc", "/lib/systemd", "/run", "/usr/bin", "/usr/lib", "/usr/sbin", "/usr/share", "/var", "-xdev",
                           "-not", "-path", "/usr/lib/debug/*", "-name", "*sallyport*").stdout.split()
        self.assertEqual([path for path in left if path not in self.own_leftovers(left)], [])

    @staticmethod
    def own_leftovers(paths):
        """What is this machine's own: of building, and of tests that run here."""
        drop_ins = [f"/etc/systemd/system/{unit}.d" for unit in (AGENT, CONTROL_PLANE) if SANITIZED]
        return [path for path in paths if path in drop_ins or path.startswith(("/run/sallyport-machine-", "/etc/apt/"))]


if __name__ == "__main__":
    unittest.main()
