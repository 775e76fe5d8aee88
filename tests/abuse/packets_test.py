"""Root inside with raw sockets and links of its own: no packet gets past the agent (NB of the abuse list)."""

import errno
import socket
import struct
import subprocess
import unittest

from attacks import (BROADCAST_MAC, EVIL, MY_MAC, ORIGIN, ORIGIN_V6, AttackTest, ethernet, icmp, inside, ipv4, ipv6, send_datagram, send_frames,
                     send_packets, tcp_syn, udp, with_checksum)

from harness import eventually

IPPROTO_MPTCP = 262
SOL_MPTCP, MPTCP_INFO = 284, 1
SO_MARK = 36


class PacketsTest(AttackTest):
    def test_NB01_marks_change_nothing(self):
        def connect(mark, port):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as marked:
                marked.settimeout(10)
                marked.setsockopt(socket.SOL_SOCKET, SO_MARK, struct.pack("I", mark))
                marked.connect(("1.1.1.1", port))
                marked.sendall(EVIL)
                answer = b""
                while piece := marked.recv(4096):
                    answer += piece
                return answer

        with self.nothing_leaves():
            for mark in (1, 100, 0x539, 15001, 0xffffffff):
                for port in (80, 443):
                    with self.subTest((mark, port)):
                        self.assert_denied(inside(self.closed, connect, mark, port))

    def test_NB02_frames_go_nowhere(self):
        frames = []
        for port in (53, 80, 443, 4242):
            for address in (ORIGIN, self.world.host_address, self.world.resolver):
                frames.append(ethernet(0x0800, ipv4(6, tcp_syn(port, destination=address), destination=address)))
                frames.append(ethernet(0x0800, ipv4(17, udp(port, b"x" * 32, destination=address), destination=address)))
            frames.append(ethernet(0x86dd, ipv6(17, udp(port, b"x", "fd5a::2", ORIGIN_V6))))
        with self.nothing_leaves():
            self.assertEqual(inside(self.closed, send_frames, "lo", frames), len(frames))

    def test_NB04_ip_heads_of_ones_own_go_nowhere(self):
        packets = [ipv4(6, tcp_syn(port, source), source) for port in (22, 80, 443) for source in ("192.0.2.2", self.world.host_address)]
        packets += [ipv4(17, udp(443, b"quic")), ipv4(47, b"\0\0\x08\0" + ipv4(17, udp(53, b"x"))), ipv4(4, ipv4(6, tcp_syn(80)))]
        with self.nothing_leaves():
            self.assertEqual(inside(self.closed, send_packets, packets), len(packets))
            inside(self.closed, send_packets, [ipv6(6, with_checksum(tcp_syn(443), 16, 6, "fd5a::2", ORIGIN_V6))], ORIGIN_V6)

    def test_NB06_links_of_ones_own_lead_nowhere(self):
        container = self.fresh("closed", "links")
        kinds = [["ext0", "type", "veth", "peer", "name", "ext1"], ["mac0", "link", "ext0", "type", "macvlan"],
                 ["ipv0", "link", "ext1", "type", "ipvlan"], ["vx0", "type", "vxlan", "id", "7", "remote", ORIGIN, "dstport", "4789"],
                 ["br0", "type", "bridge"], ["dum0", "type", "dummy"],
                 ["gre0x", "type", "gre", "remote", ORIGIN], ["ipip0x", "type", "ipip", "remote", ORIGIN]]
        made = []
        with self.nothing_leaves():
            for name, *rest in kinds:
                # Not every kernel has every kind.
                if container.run("ip", "link", "add", name, *rest).returncode == 0:
                    made.append(name)
            # Their other end is a process's or a namespace's that may be the host's: the agent takes them away.
            for command in (["ip", "tuntap", "add", "tun0", "mode", "tun"], ["ip", "link", "add", "wg0", "type", "wireguard"]):
                container.run(*command)
            eventually(lambda: not {"tun0", "wg0"} & set(container.run("ip", "-br", "link").stdout.split()), 5, "they are gone")
            self.assertIn("ext0", made)
            container.run("ip", "link", "set", "ext1", "up")
            for number, name in enumerate(made):
                container.run("ip", "link", "set", name, "up")
                container.run("ip", "addr", "add", f"203.0.113.{200 + number}/24", "dev", name)
                container.run("ip", "-6", "addr", "add", f"2001:db8::{200 + number}/64", "dev", name, "nodad")
                container.run("ip", "route", "replace", "default", "dev", name)
                inside(container, send_frames, name, [ethernet(0x0800, ipv4(17, udp(53, b"x"))), ethernet(0x0806, b"\0" * 28)])
                inside(container, send_datagram, ORIGIN, 53, b"x", name)
                # Addresses of one's own aside, whatever is connected to is the agent.
                container.run("curl", "--silent", "--max-time", "0.5", "--interface", name, f"http://{ORIGIN}/")

    def test_NB07_a_namespace_within_is_behind_the_same_wall(self):
        container = self.fresh("closed", "nested")
        inner = subprocess.Popen(container.command("unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo up; exec cat"),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(lambda: (inner.stdin.close(), inner.wait(), inner.stdout.close()))
        inner.stdout.readline()
        with self.nothing_leaves():
            for command in (["link", "add", "in0", "type", "veth", "peer", "name", "in1", "netns", str(inner.pid)],
                            ["link", "set", "in0", "up"], ["addr", "add", "172.31.0.1/24", "dev", "in0"]):
                self.assertEqual(container.run("ip", *command).returncode, 0, command)
            container.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.in0.rp_filter=0")
            enter = ["nsenter", "-t", str(inner.pid), "-n", "--"]
            for command in (["ip", "link", "set", "in1", "up"], ["ip", "addr", "add", "172.31.0.2/24", "dev", "in1"],
                            ["ip", "route", "add", "default", "via", "172.31.0.1"]):
                self.assertEqual(subprocess.run([*enter, *command], check=False).returncode, 0, command)
            answer = subprocess.run([*enter, "curl", "--silent", "--max-time", "2", "--include", "--connect-to", f"::{ORIGIN}:",
                                     "http://evil.test/"], capture_output=True, check=False).stdout
            if answer:
                self.assert_denied(answer)
            subprocess.run([*enter, "ping", "-c", "1", "-W", "1", ORIGIN], capture_output=True, check=False)

    def test_NB11_icmp_carries_nothing(self):
        def echo(payload):
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
                raw.settimeout(0.5)
                raw.sendto(icmp(8, 0, struct.pack("!HH", 7, 1) + payload), (ORIGIN, 0))
                with self.assertRaises(TimeoutError):
                    raw.recv(1)

        redirect = icmp(5, 1, socket.inet_aton("203.0.113.1") + ipv4(6, tcp_syn(80))[:28])
        with self.nothing_leaves():
            inside(self.closed, echo, b"x" * (65_535 - 28))
            inside(self.closed, echo, EVIL)
            inside(self.closed, send_packets, [ipv4(1, redirect, ORIGIN, "192.0.2.2"), ipv4(1, redirect)], "192.0.2.2")
            self.assert_denied(self.closed.raw(ORIGIN, 80, EVIL))

    def test_NB13_mptcp_is_not_negotiated(self):
        def connect():
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as client:
                client.settimeout(10)
                client.connect((ORIGIN, 80))
                with self.assertRaises(OSError) as raised:
                    client.getsockopt(SOL_MPTCP, MPTCP_INFO, 1024)
                # Fallen back to TCP.
                self.assertEqual(raised.exception.errno, errno.EOPNOTSUPP)
                client.sendall(EVIL)
                return client.recv(4096)

        with self.nothing_leaves():
            try:
                self.assert_denied(inside(self.closed, connect))
            except OSError as error:
                self.assertEqual(error.errno, errno.EPROTONOSUPPORT, "a kernel without MPTCP")
            inside(self.closed, send_packets, [ipv4(6, mptcp_syn(80))])

    def test_NB14_data_in_the_syn_is_decided_first(self):
        def connect():
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
                client.settimeout(10)
                client.sendto(EVIL, socket.MSG_FASTOPEN, (ORIGIN, 80))
                return client.recv(4096)

        # Both sides, data without a cookie, every listener.
        self.closed.run("sysctl", "-qw", "net.ipv4.tcp_fastopen=1543")
        with self.nothing_leaves():
            for _ in range(3):
                self.assert_denied(inside(self.closed, connect))

    def test_NB15_ipv6_is_met_like_ipv4(self):
        with self.nothing_leaves():
            for address in (ORIGIN_V6, "2606:4700::1111", "64:ff9b::1.1.1.1"):
                self.assert_denied(self.closed.raw(address, 80, EVIL))
                self.assert_reset(self.closed, address, 22)

    def test_NB17_arp_that_lies_convinces_nobody(self):
        def arp(operation, sender, target):
            return ethernet(0x0806, struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, MY_MAC, socket.inet_aton(sender), BROADCAST_MAC,
                                                socket.inet_aton(target)))

        frames = [arp(operation, sender, target) for operation in (1, 2) for sender in (ORIGIN, self.world.host_address, "192.0.2.2")
                  for target in (ORIGIN, "192.0.2.2")]
        with self.nothing_leaves():
            self.assertEqual(inside(self.closed, send_frames, "lo", frames), len(frames))
            self.assert_denied(self.closed.raw(ORIGIN, 80, EVIL))
        self.assertNotIn(MY_MAC.hex(":"), self.world.host_run("ip", "neigh").stdout)

    def test_NB18_frames_that_are_no_plain_ip(self):
        packet = ipv4(17, udp(67, b"\x01\x01\x06\0" + b"\0" * 236, "0.0.0.0", "255.255.255.255"), "0.0.0.0", "255.255.255.255")
        plain = ipv4(6, tcp_syn(80))
        frames = [ethernet(0x0800, packet), ethernet(0x88cc, b"\x02\x07\x04" + MY_MAC + b"\0\0"),
                  ethernet(0x8100, b"\0\0\x08\0" + plain), ethernet(0x8100, b"\0\x07\x08\0" + plain), ethernet(0x88a8, b"\0\0\x81\0\0\0\x08\0" + plain),
                  ethernet(len(plain) + 8, b"\xaa\xaa\x03\0\0\0\x08\0" + plain), ethernet(0x8864, b"\x11\0\0\0" + plain),
                  ethernet(0x8847, b"\0\0\x11\xff" + plain)]
        with self.nothing_leaves():
            self.assertEqual(inside(self.closed, send_frames, "lo", frames), len(frames))
            inside(self.closed, send_datagram, "255.255.255.255", 67, packet[28:])

    def test_NB20_options_and_routing_headers(self):
        hop = socket.inet_aton("203.0.113.1")
        options = [b"\x83\x07\x04" + hop + b"\0", b"\x89\x07\x04" + hop + b"\0", b"\x07\x07\x04" + hop + b"\0", b"\x94\x04\0\0"]
        packets = [ipv4(6, tcp_syn(80), options=option) for option in options]
        syn = with_checksum(tcp_syn(443), 16, 6, "fd5a::2", ORIGIN_V6)
        route = struct.pack("!BBBBI16s", 6, 2, 0, 1, 0, socket.inet_pton(socket.AF_INET6, ORIGIN_V6)) + syn
        hops = struct.pack("!BBBBHBB", 6, 0, 5, 2, 0, 1, 0) + syn
        with self.nothing_leaves():
            inside(self.closed, send_packets, packets)
            inside(self.closed, send_packets, [ipv6(43, route, destination="2001:db8:1::1"), ipv6(0, hops)], "2001:db8:1::1")
            inside(self.closed, send_frames, "lo", [ethernet(0x0800, packet) for packet in packets] + [ethernet(0x86dd, ipv6(43, route))])

    def test_NB21_nobody_is_all(self):
        with self.nothing_leaves():
            for address, port in (("255.255.255.255", 9), ("192.0.2.255", 9), ("224.0.0.251", 5353), ("239.255.255.250", 1900),
                                  ("224.0.0.252", 5355), ("ff02::1", 9), ("ff02::fb", 5353), ("ff02::1:3", 5355), ("ff0e::1", 9)):
                inside(self.open, send_datagram, address, port, b"M-SEARCH * HTTP/1.1\r\n\r\n")
            for address in ("255.255.255.255", "224.0.0.251", "239.255.255.250"):
                response = self.open.curl(f"http://{address}/", "--max-time", "2", address=ORIGIN)
                self.assertEqual((response.status, response.reason), (520, "forbidden_address"), response)


def mptcp_syn(port):
    """A SYN with MP_CAPABLE (RFC 8684 section 3.1)."""
    option = b"\x1e\x04\x01\x01"
    segment = struct.pack("!HHLLBBHHH", 4243, port, 1, 0, 0x60, 2, 1024, 0, 0) + option
    return with_checksum(segment, 16, 6, "192.0.2.2", ORIGIN)


if __name__ == "__main__":
    unittest.main(verbosity=2)
