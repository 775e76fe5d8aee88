"""Interfaces that a container is given after it was attached: none of them is a way out for longer than it takes to see it."""

import contextlib
import os
import socket
import unittest

from harness import World, eventually
from metrics_test import Scrape
from netns import Wire, in_namespace, run

NAMES = {"good.test": "203.0.113.10"}
ORIGIN = "203.0.113.10"
METRICS = ["--metrics", "127.0.0.1:9464"]
# By the pair that the host adds.
INSIDE, HOST_SIDE = "172.31.7.2", "172.31.7.1"
OPEN = ["nft flush ruleset", "ip route flush table local", "ip route add local 127.0.0.1 dev lo table local",
        f"ip route add local {INSIDE} dev late0 table local", f"ip route replace default via {HOST_SIDE} dev late0"]


def send(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"leak", (address, 9999))


class LaterLinksTest(unittest.TestCase):
    def setUp(self):
        self.world = World(NAMES, agent_flags=METRICS)
        self.addCleanup(self.world.close)
        self.world.apply_class("plain", enable_internet=False, allowed_hosts=["good.test"])
        self.container = self.world.container("plain")
        self.world.host_run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    def add_pair(self, pid):
        """As an engine does that connects a container to a bridge."""
        for command in (["link", "add", "host0", "type", "veth", "peer", "name", "late0", "netns", str(pid)],
                        ["address", "add", f"{HOST_SIDE}/24", "dev", "host0"], ["link", "set", "host0", "up"]):
            run("ip", "-n", self.world.host.name, *command, check=False)
        for command in (f"ip address add {INSIDE}/24 dev late0", "ip link set late0 up"):
            run("nsenter", "-t", str(pid), "-n", "--", *command.split(), check=False)

    def links(self, namespace=None):
        text = self.container.run("ip", "-o", "link").stdout if namespace is None else namespace
        return [line.split(": ")[1].split("@")[0] for line in text.splitlines()]

    def removed(self):
        return Scrape(self.world).value("sallyport_later_links_removed_total")

    def assert_still_served(self):
        self.assertEqual(self.container.curl("http://good.test/x", address=ORIGIN).status, 200)

    def test_a_pair_to_the_host_is_removed_and_said(self):
        self.assertEqual(self.removed(), 0)
        self.add_pair(self.container.holder.pid)
        eventually(lambda: self.links() == ["lo"], 5, "it is gone inside")
        self.assertNotIn("host0", self.world.host_run("ip", "-o", "link").stdout)
        eventually(lambda: self.removed() == 1, 5, "it is counted")
        self.assertIn("container c1 was given an interface after it was attached", self.world.agent.text())
        self.assert_still_served()

    def test_whoever_may_use_the_hosts_number_is_ended(self):
        """The kernel gives the host's namespace one inside when a pair has its other end there; it stays when the pair is gone."""
        hostile = self.world.container("plain", "hostile", dropped="-sys_boot")
        self.assertEqual(hostile.run("ip", "netns", "list-id").stdout, "")
        self.add_pair(hostile.holder.pid)
        hostile.holder.wait(10)
        self.assertIn("container hostile may have CAP_NET_ADMIN", self.world.agent.text())
        self.add_pair(self.container.holder.pid)
        eventually(lambda: self.removed() == 2, 5, "it is counted")
        self.assert_still_served()

    def test_what_such_a_pair_would_be_and_is_with_the_agent_stopped(self):
        """The other tests can fail: without the agent's eye, rules inside hold until root inside takes them away."""
        self.world.agent.suspend()
        pid = self.container.holder.pid
        wire = Wire(self.world)
        self.addCleanup(wire.close)
        self.add_pair(pid)
        with contextlib.suppress(OSError):
            in_namespace(f"/proc/{pid}/ns/net", send, ORIGIN)
        self.assertEqual(wire.frames(), [])
        for command in OPEN:
            self.container.run(*command.split())
        in_namespace(f"/proc/{pid}/ns/net", send, ORIGIN)
        eventually(wire.frames, 5, "a packet got out")
        self.world.agent.resume()
        eventually(lambda: self.links() == ["lo"], 5, "it is gone once the agent goes on")

    def test_root_inside_that_waits_for_one_does_not_keep_it(self):
        # Takes it to a namespace of its own as soon as it is there.
        holder = self.container.holder.pid
        inner = f"{self.world.dir}/inner"
        script = (f"ip link set lo up; unshare --net sh -c 'touch {inner}; exec sleep 60' & "
                  "while ! ip link set late0 netns $! 2>/dev/null; do :; done; exec sleep 60")
        thief = self.world.start("thief", ["nsenter", "-t", str(holder), "-n", "--", "sh", "-c", script])
        eventually(lambda: os.path.exists(inner))
        for _ in range(5):
            run("ip", "-n", self.world.host.name, "link", "add", "host0", "type", "veth", "peer", "name", "late0", "netns", str(holder))
            eventually(lambda: "host0" not in self.world.host_run("ip", "-o", "link").stdout, 5, "its end on the host is gone")
        self.assertIsNone(thief.process.poll())

    def test_an_interface_above_one_of_the_hosts_is_removed(self):
        result = run("ip", "-n", self.world.host.name, "link", "add", "mac0", "link", "up0", "type", "macvlan", check=False)
        self.assertEqual(result.returncode, 0, result)
        run("ip", "-n", self.world.host.name, "link", "set", "mac0", "netns", str(self.container.holder.pid))
        eventually(lambda: self.removed() == 1, 5, "it is counted")
        self.assertEqual(self.links(), ["lo"])
        self.assertIn("up0", self.world.host_run("ip", "-o", "link").stdout)

    def test_what_the_container_makes_within_stays(self):
        self.container.run("ip", "link", "add", "own0", "type", "veth", "peer", "name", "own1")
        self.container.run("ip", "link", "add", "br0", "type", "bridge")
        # The watcher has seen those before it sees this one.
        self.add_pair(self.container.holder.pid)
        eventually(lambda: self.removed() == 1, 5, "the host's is gone")
        self.assertEqual(set(self.links()), {"lo", "own0", "own1", "br0"})

    def test_an_agent_that_comes_later_sees_what_came_before(self):
        self.container.close()
        self.world.agent.stop()
        self.world.agent_flags += ["--keeper"]
        self.world.start_agent()
        kept = self.world.container("plain", "kept")
        agent = int(run("pgrep", "--parent", str(self.world.agent.pid)).stdout.split()[0])
        os.kill(agent, 9)
        self.add_pair(kept.holder.pid)
        eventually(lambda: kept.run("ip", "-o", "link").stdout.count("\n") == 1, 20, "it is gone")
        eventually(lambda: self.world.status().get("proxyPid"), 20, "an agent")
        self.assertEqual(kept.curl("http://good.test/x", address=ORIGIN).status, 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
