"""Containers on podman's bridge in routed mode: what others begin passes, and what the container begins goes by its policy or nowhere."""

import concurrent.futures
import json
import os
import socket
import struct
import unittest

from harness import World, eventually
from netns import Wire, in_namespace, run
from oci_engine import BridgeEngine

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10"}
ORIGIN, ORIGIN_V6 = "203.0.113.10", "2001:db8::1"
GATEWAY, GATEWAY_V6 = "10.89.7.1", "fd00:7::1"
SERVER = """
import socket, threading
tcp = socket.socket(socket.AF_INET6)
tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
tcp.bind(("::", 80)); tcp.listen()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("0.0.0.0", 5353))
def echo():
    while True:
        data, peer = udp.recvfrom(2048); udp.sendto(b"udp " + data, peer)
threading.Thread(target=echo, daemon=True).start()
print("up", flush=True)
while True:
    connection, _ = tcp.accept(); connection.sendall(b"tcp " + connection.recv(2048)); connection.close()
"""
# Root inside: everything of the agent's that it can take away.
BREAK_OUT = ["nft flush ruleset", "ip rule flush", "ip rule add pref 0 lookup local", "ip rule add pref 32766 lookup main",
             "ip -6 rule flush", "ip -6 rule add pref 0 lookup local", "ip -6 rule add pref 32766 lookup main"]


def exchange(kind, address, port, payload=b"hello"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as client:
        client.settimeout(3)
        client.connect((address, port))
        client.send(payload)
        return client.recv(2048)


def attempt(kind, address, port):
    """What came back; None: nothing did."""
    try:
        return exchange(kind, address, port)
    except OSError:
        return None


def send_frame(interface, frame):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
        packet.bind((interface, 0))
        packet.send(frame)


def sniffer(interface):
    packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    packet.bind((interface, 0))
    packet.setblocking(False)
    return packet


def received(packet):
    frames = []
    while True:
        try:
            frame, source = packet.recvfrom(65536)
        except BlockingIOError:
            return frames
        if source[2] != socket.PACKET_OUTGOING:
            frames.append(frame)


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ip_packet(protocol, source, destination, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, socket.inet_aton(source), socket.inet_aton(destination))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xffff) + head[12:] + payload


def arp_request(sender, source, target):
    return (b"\xff" * 6 + mac(sender) + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac(sender) + socket.inet_aton(source) + bytes(6) +
            socket.inet_aton(target))


def udp_packet(source, destination, payload):
    return ip_packet(17, source, destination, struct.pack("!HHHH", 4242, 9999, 8 + len(payload), 0) + payload)


def ports_of(frame):
    """Of UDP or TCP without options of IP, in hexadecimal."""
    start = 108 if frame[24:28] == "86dd" else 68
    return {int(frame[start:start + 4], 16), int(frame[start + 4:start + 8], 16)}


class RoutedTest(unittest.TestCase):
    def setUp(self):
        self.world = World(NAMES)
        self.addCleanup(self.world.close)
        self.world.apply_class("agent", enable_internet=False, allowed_hosts=["good.test"])
        self.engine = BridgeEngine(self.world)
        self.root, self.mounts = self.engine.debian_root()

    def start(self, name, *options, attached=True, command=("python3", "-c", SERVER), annotations=("sallyport.network=routed",)):
        """A container that serves; the process id of its first process."""
        process = self.engine.start("--rootfs", self.root, *command, class_name="agent" if attached else None, network="net7",
                                    container_id=name if attached else None, options=[*self.mounts, "--name", name, *options],
                                    annotations=annotations if attached else ())
        self.addCleanup(process.communicate, timeout=60)
        self.addCleanup(self.engine.podman, "rm", "--force", "--time", "0", name, check=False)
        line = process.stdout.readline()
        self.assertEqual(line, "up\n", process.stderr.read() if line == "" else line)
        return int(self.engine.podman("inspect", "--format", "{{.State.Pid}}", name).stdout)

    def enter(self, pid, *command):
        return run("nsenter", "-t", str(pid), "-n", "--", *command, check=False)

    def inside(self, pid, function, *arguments):
        return in_namespace(f"/proc/{pid}/ns/net", function, *arguments)

    def outside(self, function, *arguments):
        return in_namespace(f"/run/netns/{self.world.internet.name}", function, *arguments)

    def addresses(self, pid):
        link = json.loads(self.enter(pid, "ip", "-json", "address", "show", "eth0").stdout)[0]
        return link["address"], {one["family"]: one["local"] for one in link["addr_info"] if one["scope"] == "global"}

    def gateway_mac(self):
        return mac(json.loads(self.world.host_run("ip", "-json", "link", "show", "podman1").stdout)[0]["address"])

    def flows(self):
        return self.world.host_run("cat", "/proc/net/nf_conntrack").stdout

    def host_rules(self):
        return self.world.host_run("nft", "list", "ruleset").stdout

    def break_out(self, pid):
        for command in BREAK_OUT:
            self.enter(pid, *command.split())

    def tries(self, pid):
        """What root inside gets from outside by itself, by each way; and nothing may be seen on the wire."""
        ways = [(kind, address, port) for kind, ports in ((socket.SOCK_STREAM, (80, 443, 22)), (socket.SOCK_DGRAM, (53, 9999)))
                for address in (ORIGIN, ORIGIN_V6, GATEWAY, GATEWAY_V6, self.world.host_address) for port in ports]
        with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
            answers = pool.map(lambda way: self.inside(pid, attempt, *way), ways)
        return [(way, answer) for way, answer in zip(ways, answers) if answer is not None]

    def connected_ports(self):
        """Of whom the internet's servers are connected with."""
        lines = run("ip", "netns", "exec", self.world.internet.name, "ss", "-Hnt", "state", "connected", "exclude", "time-wait").stdout
        return {int(line.split()[-1].rsplit(":", 1)[1]) for line in lines.splitlines()}

    def test_out_by_policy_and_in_by_published_ports(self):
        pid = self.start("served", "--publish", "8080:80", "--publish", "5353:5353/udp")
        fetch = self.engine.podman("exec", "served", "curl", "-sS", "http://good.test/x")
        self.assertEqual(fetch.stdout, "origin good.test /x")
        denied = self.engine.podman("exec", "served", "curl", "-sS", "-H", "Host: evil.test", f"http://{ORIGIN}/")
        self.assertIn("disallowed", denied.stdout)
        # From beyond the host, from the host, and to the container's own addresses from the host.
        _, own = self.addresses(pid)
        for where in (self.outside, lambda *call: in_namespace(f"/run/netns/{self.world.host.name}", *call)):
            self.assertEqual(where(exchange, socket.SOCK_STREAM, self.world.host_address, 8080), b"tcp hello")
        self.assertEqual(self.outside(exchange, socket.SOCK_STREAM, self.world.host_address_v6, 8080), b"tcp hello")
        self.assertEqual(self.outside(exchange, socket.SOCK_DGRAM, self.world.host_address, 5353), b"udp hello")
        for address in own.values():
            self.assertEqual(in_namespace(f"/run/netns/{self.world.host.name}", exchange, socket.SOCK_STREAM, address, 80), b"tcp hello")

    def test_the_first_process_has_its_policy_and_nothing_else(self):
        script = f"curl -sS http://good.test/first; echo; curl -sS -m 3 --interface eth0 http://{ORIGIN}/; echo $?"
        result = self.engine.run("--rootfs", self.root, "sh", "-c", script, network="net7", options=self.mounts,
                                 annotations=["sallyport.network=routed"])
        self.assertEqual(result.stdout.splitlines()[0], "origin good.test /first", result)
        self.assertNotEqual(result.stdout.splitlines()[-1], "0", result)

    def test_root_inside_does_not_get_out(self):
        wire = Wire(self.world)
        self.addCleanup(wire.close)
        free = self.start("free", attached=False)
        self.assertTrue(self.tries(free), "without Sallyport the bridge is a way out")
        seen = wire.frames()
        self.assertTrue(seen)
        # The ends of its connections come late.
        ports = set().union(*map(ports_of, seen))
        eventually(lambda: not self.connected_ports() & ports, what="the connections are over")
        wire.frames()
        pid = self.start("held", "--publish", "8080:80", "--cap-add", "NET_RAW")
        self.break_out(pid)
        self.assertEqual(self.tries(pid), [])
        own_mac, own = self.addresses(pid)
        gateway = self.gateway_mac()
        for source, sender in ((own["inet"], own_mac), ("10.89.7.77", own_mac), (ORIGIN, own_mac), (own["inet"], "02:00:00:00:00:07")):
            frame = gateway + mac(sender) + b"\x08\x00" + udp_packet(source, ORIGIN, b"raw")
            self.inside(pid, send_frame, "eth0", frame)
            self.inside(pid, send_frame, "eth0", gateway + mac(sender) + b"\x81\x00\x00\x07" + frame[12:])
        self.assertEqual(wire.frames(), [])
        # And the published port still answers, by its ordinary way.
        self.assertEqual(self.outside(exchange, socket.SOCK_STREAM, self.world.host_address, 8080), b"tcp hello")

    def test_neighbours_on_the_bridge_hear_nothing(self):
        neighbour = self.start("neighbour", attached=False)
        neighbour_mac, neighbour_addresses = self.addresses(neighbour)
        held = self.start("held", "--cap-add", "NET_RAW")
        own_mac, own = self.addresses(held)
        free = self.start("free", attached=False)
        heard = self.inside(neighbour, sniffer, "eth0")
        self.addCleanup(heard.close)
        free_mac, free_addresses = self.addresses(free)
        control = mac(neighbour_mac) + mac(free_mac) + b"\x08\x00" + udp_packet(free_addresses["inet"], neighbour_addresses["inet"], b"control")
        self.break_out(held)
        for address in neighbour_addresses.values():
            self.assertIsNone(self.inside(held, attempt, socket.SOCK_STREAM, address, 80))
        self.enter(held, "ping", "-c", "1", "-W", "1", neighbour_addresses["inet"])
        for destination in (neighbour_mac, "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"):
            self.inside(held, send_frame, "eth0", mac(destination) + mac(own_mac) + b"\x08\x00" +
                        udp_packet(own["inet"], neighbour_addresses["inet"], b"raw"))
            self.inside(held, send_frame, "eth0", mac(destination) + mac(own_mac) + b"\x88\xb5" + b"leak" * 20)
        self.inside(free, send_frame, "eth0", control)
        frames = []
        eventually(lambda: frames.extend(received(heard)) or control in frames, 5, "the neighbour hears others")
        self.assertEqual([frame.hex() for frame in frames if frame[6:12] == mac(own_mac)], [])

    def test_without_the_annotation_a_bridge_is_refused(self):
        result = self.engine.run("--rootfs", self.root, "echo", "started", network="net7", options=self.mounts)
        self.assertNotIn("started", result.stdout)
        self.assertIn("sallyport.network=routed", result.stderr, result)
        for network, annotation, why in (("none", "sallyport.network=routed", "nothing to route"),
                                         ("net7", "sallyport.network=bridge", "must be")):
            result = self.engine.run("--rootfs", self.root, "echo", "started", network=network, options=self.mounts, annotations=[annotation])
            self.assertNotIn("started", result.stdout)
            self.assertIn(why, result.stderr, result)

    def test_with_cap_net_admin_it_does_not_start(self):
        """With it root inside would reach the host's interfaces, by the number that its veth has for the host's namespace."""
        for option in ("--cap-add=NET_ADMIN", "--privileged"):
            result = self.engine.run("--rootfs", self.root, "echo", "started", network="net7", options=[*self.mounts, option],
                                     annotations=["sallyport.network=routed"])
            self.assertNotIn("started", result.stdout)
            self.assertIn("CAP_NET_ADMIN", result.stderr, result)
        free = self.start("free", "--cap-add=NET_ADMIN", attached=False)
        result = self.world.cli_result("container", "attach", "--routed", "--pid", str(free), "--id", "free", "--class", "agent")
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("CAP_NET_ADMIN", result.stderr)
        self.assertIn("id 0", self.enter(free, "ip", "netns", "list-id").stdout, "the number that it is about")

    def test_flows_of_the_address_before_it_are_not_carried_on(self):
        first = self.start("first", "--publish", "5353:5353/udp", "--ip", "10.89.7.50", attached=False)
        peer = self.outside(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(peer.close)
        peer.settimeout(5)
        peer.bind((ORIGIN, 0))
        peer.connect((self.world.host_address, 5353))
        peer.send(b"hello")
        self.assertEqual(peer.recv(64), b"udp hello")
        os.kill(first, 9)
        self.engine.podman("rm", "--force", "--time", "0", "first")
        flow = f"src=10.89.7.50 dst={ORIGIN} sport=5353 dport={peer.getsockname()[1]}"
        self.assertIn(flow, self.flows(), "podman leaves it")
        second = self.start("second", "--ip", "10.89.7.50", "--cap-add", "NET_RAW")
        self.assertNotIn(flow, self.flows())
        self.break_out(second)
        packet = ip_packet(17, "10.89.7.50", ORIGIN, struct.pack("!HHHH", 5353, peer.getsockname()[1], 12, 0) + b"leak")
        wire = Wire(self.world)
        self.addCleanup(wire.close)
        self.inside(second, send_frame, "eth0", self.gateway_mac() + mac(self.addresses(second)[0]) + b"\x08\x00" + packet)
        self.assertEqual(wire.frames(), [])

    def test_rules_end_with_the_interface_and_not_before(self):
        pid = self.start("held", "--cap-add", "NET_RAW")
        _, own = self.addresses(pid)
        self.assertIn(own["inet"], self.host_rules())
        self.world.cli("container", "detach", "held")
        self.break_out(pid)
        self.assertEqual(self.tries(pid), [], "detached it is still held")
        self.engine.podman("kill", "held")
        eventually(lambda: "veth" not in self.world.host_run("ip", "-o", "link").stdout, 20, "podman takes the interface away")
        eventually(lambda: own["inet"] not in self.host_rules() and not os.listdir(f"{self.world.dir}/run/routed"), 1,
                   "and with it go the rules, and after them what was written down")

    def test_agents_come_and_go_and_the_rules_stay(self):
        pid = self.start("held", "--cap-add", "NET_RAW")
        self.break_out(pid)
        _, own = self.addresses(pid)
        self.world.agent.kill()
        self.assertEqual(self.tries(pid), [])
        self.world.start_agent()
        self.assertEqual(self.tries(pid), [])
        self.assertIn(own["inet"], self.host_rules())
        # Gone while nobody looked: the next agent clears up.
        self.world.agent.kill()
        self.engine.podman("rm", "--force", "--time", "0", "held")
        self.assertIn(own["inet"], self.host_rules())
        self.world.start_agent()
        self.assertNotIn(own["inet"], self.host_rules())

    def test_an_address_of_its_own_choice_does_not_pass_when_it_is_attached_again(self):
        stolen, stolen_mac = "10.89.7.66", "02:00:00:00:00:66"
        pid = self.start("held", "--ip", "10.89.7.50", "--cap-add", "NET_RAW")
        own_mac, own = self.addresses(pid)
        for again in ("by the next agent", "by the same one"):
            if again == "by the same one":
                self.world.cli("container", "detach", "held")
            else:
                self.world.agent.kill()
                self.enter(pid, "ip", "address", "add", f"{stolen}/24", "dev", "eth0")
                self.enter(pid, "ip", "link", "set", "eth0", "address", stolen_mac)
                self.world.start_agent()
            self.world.cli("container", "attach", "--routed", "--pid", str(pid), "--id", "held", "--class", "agent")
            self.assertNotIn(stolen, self.host_rules(), again)
            bridge = in_namespace(f"/run/netns/{self.world.host.name}", sniffer, "podman1")
            self.addCleanup(bridge.close)
            for sender, source in ((own_mac, stolen), (stolen_mac, stolen), (stolen_mac, own["inet"]), (own_mac, own["inet"])):
                self.inside(pid, send_frame, "eth0", arp_request(sender, source, GATEWAY))
            frames, last = [], arp_request(own_mac, own["inet"], GATEWAY)
            eventually(lambda frames=frames, bridge=bridge, last=last: frames.extend(received(bridge)) or last in frames, 5, "its own ARP passes")
            self.assertEqual([frame.hex() for frame in frames if mac(stolen_mac) in frame or socket.inet_aton(stolen) in frame], [], again)

    def test_a_network_that_is_connected_later_is_removed(self):
        pid = self.start("held")
        self.engine.podman("network", "create", "--subnet", "10.89.8.0/24", "later")
        self.engine.podman("network", "connect", "later", "held", check=False)
        eventually(lambda: "eth1" not in self.enter(pid, "ip", "-o", "link").stdout, 5, "it is gone")
        self.assertIn("eth0", self.enter(pid, "ip", "-o", "link").stdout)
        eventually(lambda: "was given an interface after it was attached" in self.world.agent.text(), 5, "it is said")


if __name__ == "__main__":
    unittest.main(verbosity=2)
