"""Proxies and agents that are replaced, stopped and killed under load: who is refused, what escapes, what is left over.

The sizes of an ordinary run are small, and its patience is for busy machines. The full one, which tests/run.sh --full runs:

    RESTART_RATE=1000 RESTART_PROXIES=1000 RESTART_AGENTS=200 RESTART_KILLS=500 RESTART_BACK_SECONDS=2
"""

import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest

from harness import Program, World, binary, eventually, source
from netns import Wire
from sockets import read_response

ORIGIN = "203.0.113.10"
ADDRESSES = ["203.0.113.1", ORIGIN, "198.51.100.4", "198.51.100.65"]
NAMES = {"good.test": ORIGIN, "evil.test": ORIGIN, "other.test": ORIGIN}
RATE = int(os.environ.get("RESTART_RATE", "200"))
PROXIES = int(os.environ.get("RESTART_PROXIES", "20"))
AGENTS = int(os.environ.get("RESTART_AGENTS", "10"))
KILLS = int(os.environ.get("RESTART_KILLS", "20"))
BACK_SECONDS = float(os.environ.get("RESTART_BACK_SECONDS", "10"))
KEEPER = ["--keeper", "--limit=connections_per_second=4000", "--limit=refusal_records_per_second=100000"]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def name_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()
    return ""


def state_of(pid):
    """One letter; empty: there is no such process."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]
    return ""


class KeptWorld(World):
    """Its agent runs below a keeper, which is what `agent` is."""

    def children(self, name):
        with open(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split() if name_of(int(pid)) == name and state_of(int(pid)) != "Z"]

    def agent_pid(self):
        return eventually(lambda: self.children("sallyport-agent"), what="an agent")[0]

    def proxies(self):
        """All of this world, by whichever agent they were started."""
        marker = f"{self.dir}/"
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read().decode("utf-8", "replace").split("\0")
                if words[0].endswith("sallyport-proxy") and any(marker in word for word in words) and state_of(entry) != "Z":
                    found.append(int(entry))
        return found

    def await_agent(self, before, connected=True):
        """The next one answers."""
        eventually(lambda: self.agent_pid() != before, 20, "the next agent runs")
        self.agent_api.await_ready()

        def is_up():
            status = self.status()
            return status.get("proxyPid") and (status.get("controlPlaneConnected") or not connected)

        eventually(is_up, 20, f"the next agent is up, see {self.agent.log_path}")

    def replace_agent(self, how, connected=True):
        before = self.agent_pid()
        os.kill(self.agent.pid if how == signal.SIGHUP else before, how)
        self.await_agent(before, connected)


class Steady:
    """Load from inside a container; see fakes/steady_client.py."""

    def __init__(self, world, container, rate=RATE):
        container.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 64999")
        self.process = subprocess.Popen(
            container.command(sys.executable, source("fakes/steady_client.py"), str(rate), *ADDRESSES),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def report(self):
        self.process.stdin.write(b"report\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class RestartTest(unittest.TestCase):
    def setUp(self):
        self.world = KeptWorld(NAMES, agent_flags=[*KEEPER, "--drain-limit=20s"])
        self.addCleanup(self.world.close)
        self.world.api.call("ApplyClass", **{"class": {"name": "listed", "enableInternet": False, "allowedHosts": {"hosts": ["good.test"]}}})
        self.world.api.call("ApplyClass", **{"class": {"name": "open"}})
        self.container = self.world.container("listed", "web-1")

    def assert_enforced(self, container=None):
        container = container or self.container
        self.assertEqual(container.curl("http://good.test/", address=ORIGIN).status, 200)
        self.assertEqual(container.curl("http://evil.test/", address=ORIGIN).reason, "not_allowed")

    def assert_nobody_failed(self, report):
        print(f"{self.id()}: {report}", file=sys.stderr)
        self.assertEqual((report["refused"], report["failed"], report["allowed"]), ([], [], 0))
        self.assertGreater(report["answered"], 0)

    def restart_proxy(self):
        def once():
            with contextlib.suppress(Exception):
                return self.world.agent_api.call("RestartProxy", timeout=30)["proxyPid"]
            return 0

        # So many may drain at once.
        return eventually(once, 60, "a new proxy")

    def counts(self):
        """What may not grow, when nothing is going on."""
        eventually(lambda: len(self.world.proxies()) == 1, 40, "every proxy that was replaced has drained")
        keeper = self.world.agent.pid
        return {
            "keeper's descriptors": descriptors(keeper), "agent's descriptors": descriptors(self.world.agent_pid()),
            "keeper's children": len(self.world.children("sallyport-agent")),
            "namespaces": len(os.listdir("/run/netns")), "containers' files": sorted(os.listdir(f"{self.world.dir}/run/containers")),
            "rules": self.container.run("nft", "list", "ruleset").stdout, "host's rules": self.world.host_run("nft", "list", "ruleset").stdout}

    def assert_counts(self, before):
        now = self.counts()
        for what, count in before.items():
            if isinstance(count, int):
                self.assertLessEqual(now[what], count + 2, what)
            else:
                self.assertEqual(now[what], count, what)

    def test_proxies_are_replaced_under_load(self):
        before = self.counts()
        with Steady(self.world, self.container) as load:
            for _ in range(PROXIES):
                pid = self.restart_proxy()
                self.assertEqual(self.world.status()["proxyPid"], pid)
            time.sleep(1)  # Of load, on the last one.
            self.assert_nobody_failed(load.report())
        self.assert_enforced()
        self.assert_counts(before)

    def test_agents_are_replaced_and_killed_under_load(self):
        before = self.counts()
        proxy = self.world.proxy_pid()
        with Steady(self.world, self.container) as load:
            for number in range(AGENTS):
                self.world.replace_agent(signal.SIGHUP if number % 2 else signal.SIGKILL)
                self.assertEqual(self.world.status()["proxyPid"], proxy)
            self.assert_nobody_failed(load.report())
        self.assert_enforced()
        # A change of policy finds its way through the one that runs now.
        self.world.api.enforced("AllowHost", containerId="web-1", host="other.test")
        self.assertEqual(self.container.curl("http://other.test/", address=ORIGIN).status, 200)
        self.assert_counts(before)

    def test_anything_is_killed_at_any_time(self):
        before = self.counts()
        slowest = collections.Counter()
        with Steady(self.world, self.container, rate=RATE / 2) as load:
            for number in range(KILLS):
                victim = random.Random(number).choice(["agent", "proxy", "both", "control plane"])
                killed = time.monotonic()
                if victim in ("agent", "both"):
                    agent = self.world.agent_pid()
                    proxy = self.world.proxies()
                    os.kill(agent, signal.SIGKILL)
                if victim == "proxy":
                    proxy = self.world.proxies()
                if victim in ("proxy", "both"):
                    for pid in proxy:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                if victim == "control plane":
                    self.world.control_plane.kill()
                    self.world.start_control_plane()
                self.await_service()
                if victim in ("agent", "both"):
                    self.world.await_agent(agent, connected=False)
                slowest[victim] = max(slowest[victim], time.monotonic() - killed)
            report = load.report()
            print(f"{self.id()}: {report} back within {dict(slowest)}", file=sys.stderr)
            self.assertEqual(report["allowed"], 0)
        self.assertEqual([line for line in self.world.origin_requests() if line["host"] != "good.test"], [])
        eventually(lambda: self.world.status().get("controlPlaneConnected"), 20, "the control plane is found again")
        self.assert_enforced()
        self.assert_counts(before)
        self.assertLess(max(slowest.values()), BACK_SECONDS)

    def await_service(self):
        def served():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with self.container.connect(ORIGIN, 80, 2) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n")
                    return read_response(connection)[0] == 200
            return False

        eventually(served, 30, "containers are served again")

    def test_what_is_open_lives_on(self):
        container = self.world.container("open", "web-2")
        with container.connect(ORIGIN, 5432) as relay, container.connect(ORIGIN, 80) as kept:
            def ask(expected_close):
                kept.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
                status, headers, _ = read_response(kept)
                self.assertEqual((status, headers.get("connection")), (200, "close" if expected_close else None))

            def echo():
                relay.sendall(b"ping")
                self.assertEqual(relay.recv(4, 0x100), b"ping")  # MSG_WAITALL.

            echo()
            ask(expected_close=False)
            for how in (signal.SIGKILL, signal.SIGHUP):
                self.world.replace_agent(how)
                echo()
                ask(expected_close=False)
            self.restart_proxy()
            # The old proxy serves both to their end; of the kept connection that is its next answer.
            echo()
            ask(expected_close=True)
            self.assertEqual(kept.recv(1), b"")
            # Across another agent, which finds two proxies.
            self.world.replace_agent(signal.SIGKILL)
            self.assertEqual(self.world.status().get("drainingProxies"), 1)
            echo()
            # And obeys: the change is enforced when the relay is closed.
            self.world.api.enforced("DenyHost", containerId="web-2", host=ORIGIN)
            relay.settimeout(0.1)
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(relay.recv(1), b"")
        eventually(lambda: not self.world.status().get("drainingProxies"), 10, "nothing is left to drain")

    def test_a_drain_has_an_end(self):
        world = KeptWorld(NAMES, agent_flags=[*KEEPER, "--drain-limit=1s"])
        self.addCleanup(world.close)
        world.api.call("ApplyClass", **{"class": {"name": "open"}})
        container = world.container("open")
        with container.connect(ORIGIN, 5432) as relay:
            relay.sendall(b"ping")
            self.assertEqual(relay.recv(4), b"ping")
            world.agent_api.call("RestartProxy", timeout=30)
            with self.assertRaises(ConnectionResetError):
                relay.recv(1)
        eventually(lambda: len(world.proxies()) == 1, 10, "the old proxy has gone")

    def test_a_container_that_ends_while_no_agent_runs(self):
        container = self.world.container("open", "short-lived")
        agent = self.world.agent_pid()
        os.kill(agent, signal.SIGSTOP)
        container.close()
        os.kill(agent, signal.SIGKILL)
        self.world.await_agent(agent)
        eventually(lambda: os.listdir(f"{self.world.dir}/run/containers") == ["web-1"], 10, "it is detached")
        listed = self.world.agent_api.call("ListAttached")["containers"]
        self.assertEqual([one["containerId"] for one in listed], ["web-1"])
        # Its id is free.
        again = self.world.container("open", "short-lived")
        self.assertEqual(again.curl("http://good.test/", address=ORIGIN).status, 200)

    def walls(self):
        """What keeps the container in: rules, routes, and who listens there."""
        commands = (["nft", "list", "ruleset"], ["ip", "rule"], ["ip", "-6", "rule"], ["ip", "route", "show", "table", "all"],
                    ["ip", "-6", "route", "show", "table", "all"], ["ss", "-Hlntu"])
        return [self.container.run(*command).stdout for command in commands]

    def test_NB33_a_container_that_is_paused_meanwhile(self):
        walls = self.walls()
        for part in walls:
            self.assertNotEqual(part, "")
        for killed in ("agent", "agent and proxy"):
            with self.subTest(killed):
                # Its first act is a request; until then it does not run.
                paused = subprocess.Popen(self.container.command("sh", "-c", "kill -STOP $$; exec curl -sS -m 20 -D - -H 'Host: evil.test' http://" + ORIGIN),
                                          stdout=subprocess.PIPE, text=True)
                self.addCleanup(paused.wait)
                self.addCleanup(paused.stdout.close)
                self.addCleanup(paused.kill)
                eventually(lambda pid=paused.pid: state_of(pid) == "T", what="it is paused")
                if killed == "agent and proxy":
                    for pid in self.world.proxies():
                        os.kill(pid, signal.SIGKILL)
                self.world.replace_agent(signal.SIGKILL)
                self.assertEqual(self.walls(), walls)
                os.kill(paused.pid, signal.SIGCONT)
                self.assertIn("sallyport-reason: not_allowed", paused.communicate()[0])
        self.assertEqual(self.world.origin_contacts(), 0)
        self.assert_enforced()

    def test_an_ephemeral_record_goes_although_nobody_was_left_to_say_so(self):
        container = self.world.container("open", "once")
        self.world.cli("container", "detach", "once")
        self.world.cli("container", "attach", "--pid", str(container.holder.pid), "--id", "once", "--class", "open", "--ephemeral")
        self.world.control_plane.kill()
        container.close()
        eventually(lambda: os.listdir(f"{self.world.dir}/run/containers") == ["web-1"], 10, "it is detached")
        self.world.replace_agent(signal.SIGKILL, connected=False)
        self.world.start_control_plane()
        eventually(lambda: self.world.status().get("controlPlaneConnected"), 20, "the control plane is found again")
        records = [one["policy"]["containerId"] for one in self.world.api.call("ListContainers")["containers"]]
        self.assertEqual(records, ["web-1"])

    def test_policy_from_disk_while_the_control_plane_is_away(self):
        self.world.control_plane.kill()
        self.world.replace_agent(signal.SIGKILL, connected=False)
        self.assert_enforced()
        # With both gone, the next proxy has it from the disk, too.
        proxy = self.world.proxy_pid()
        os.kill(proxy, signal.SIGKILL)
        self.await_service()
        self.assert_enforced()
        self.world.start_control_plane()
        eventually(lambda: self.world.status().get("controlPlaneConnected"), 20, "the control plane is found again")
        self.world.api.enforced("AllowHost", containerId="web-1", host="evil.test")
        self.assertEqual(self.container.curl("http://evil.test/", address=ORIGIN).status, 200)

    def test_other_settings_replace_the_proxy_without_a_failure(self):
        proxy = self.world.proxy_pid()
        program = f"{self.world.dir}/sallyport-proxy"
        with open(binary("sallyport-proxy"), "rb") as old, open(program, "wb") as new:
            new.write(old.read())
        os.chmod(program, 0o755)
        # An upgrade puts another file in the place of the one that runs.
        world = KeptWorld(NAMES, agent_flags=[*KEEPER, f"--proxy-binary={program}"])
        self.addCleanup(world.close)
        world.api.call("ApplyClass", **{"class": {"name": "listed", "enableInternet": False, "allowedHosts": {"hosts": ["good.test"]}}})
        container = world.container("listed")
        proxy = world.proxy_pid()
        with Steady(world, container) as load:
            world.replace_agent(signal.SIGHUP)
            self.assertEqual(world.proxy_pid(), proxy)
            os.rename(program, f"{program}.old")
            with open(f"{program}.old", "rb") as old, open(program, "wb") as new:
                new.write(old.read())
            os.chmod(program, 0o755)
            world.replace_agent(signal.SIGHUP)
            eventually(lambda: world.status().get("proxyPid") not in (None, proxy), 20, "the new program runs")
            self.assert_nobody_failed(load.report())
        self.assert_enforced(container)

    def test_a_stop_takes_everything_down(self):
        self.world.agent.stop()
        self.assertEqual(self.world.agent.process.returncode, 0)
        self.assertEqual(self.world.proxies(), [])
        self.assertFalse(os.path.exists(f"{self.world.dir}/run/containers"))
        with self.assertRaises(OSError):
            self.container.connect(ORIGIN, 80, 0.5)

    def test_without_its_keeper_nothing_lives_on(self):
        wire = Wire(self.world)
        self.addCleanup(wire.close)
        agent, proxies = self.world.agent_pid(), self.world.proxies()
        self.world.agent.kill()
        eventually(lambda: not any(state_of(pid) not in ("", "Z") for pid in (agent, *proxies)), 10, "agent and proxy end with it")
        wire.frames()
        with self.assertRaises(OSError):
            self.container.connect(ORIGIN, 80, 0.5)
        self.assertEqual(wire.frames(), [])

    def test_a_second_agent_by_hand_changes_nothing(self):
        agent, proxy = self.world.agent_pid(), self.world.proxy_pid()
        with open(f"/proc/{agent}/cmdline", encoding="utf-8") as file:
            flags = file.read().split("\0")[1:-1]
        with Steady(self.world, self.container) as load:
            for more in ([], ["--socket", f"unix:{self.world.dir}/another.sock"]):
                second = self.world.start("second", [binary("sallyport-agent"), *flags, *more], self.world.host)
                self.assertEqual(second.process.wait(20), 1)
                self.assertIn("another agent", second.text())
            self.assert_nobody_failed(load.report())
        self.assertEqual((self.world.agent_pid(), self.world.proxy_pid()), (agent, proxy))
        self.assertEqual(os.listdir(f"{self.world.dir}/run/containers"), ["web-1"])
        # The control plane has heard of no other: it would have sent the changes there.
        self.world.api.enforced("AllowHost", containerId="web-1", host="evil.test")
        self.assertEqual(self.container.curl("http://evil.test/", address=ORIGIN).status, 200)

    def test_an_agent_that_never_begins_ends_its_keeper(self):
        program = Program(self.world, "second", [binary("sallyport-agent"), "--keeper", "--state-dir", f"{self.world.dir}/agent2", "--run-dir",
                                                 f"{self.world.dir}/run2", "--socket", f"unix:{self.world.dir}/agent.sock", "--proxy-binary",
                                                 binary("sallyport-proxy")])
        self.assertEqual(program.process.wait(20), 1)
        self.assertIn("another agent answers there", program.text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
