"""Names, paths and addresses that mean something else to somebody else (HC, H1, IP of the abuse list)."""

import json
import ssl
import unittest

from harness import World
from sockets import read_response

ORIGIN = "203.0.113.10"
NAMES = {"good.test": ORIGIN, "evil.test": ORIGIN, "api.test": ORIGIN}
# HC41. There are no rules by path; nobody may see another path than was sent.
PATHS = ["/a/../admin", "/a/..;x/admin", "/%2e%2e/admin", "//admin", "/admin%2f", "/\\admin", "/a/./", "//evil.test/x", "/%00", "/?a=../b", "/a//b",
         "/@evil.test", "/http://evil.test/"]
# Allowed-internet, and never dialled.
FORBIDDEN = [
    ("IP03", ["169.254.169.254", "[::ffff:a9fe:a9fe]", "[::ffff:169.254.169.254]"]),
    ("IP06", ["[2002:a00:1::1]", "[2001:0:7f00:1::]", "[2001:db8::5efe:10.0.0.1]", "[64:ff9b::10.0.0.1]", "[2002:7f00:1::]"]),
    ("IP07", ["10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "100.127.255.254", "198.18.0.1", "198.19.255.254",
              "192.0.0.8", "240.0.0.1", "255.255.255.255", "0.0.0.0"]),
    ("IP08", ["[::1]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[::]", "[fe80::1]"]),
]
# Beside the ranges: dialled, and nobody is there.
BESIDE = ["100.63.255.254", "100.128.0.1", "172.15.255.254", "172.32.0.1", "192.0.1.1", "198.17.255.254", "198.20.0.1", "223.255.255.254"]


class NamesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.start_handler("respond", "inject")
        cls.world.api.call("ApplyClass", **{"class": {"name": "open"}})
        cls.world.api.call("ApplyClass", **{"class": {
            "name": "handled", "interceptHttps": True, "outboundByHost": [
                {"host": "good.test", "handler": {"handler": "respond"}}, {"host": "api.test", "handler": {"handler": "inject"}}]}})
        cls.world.api.call("ApplyClass", **{"class": {"name": "listed", "enableInternet": False, "interceptHttps": True, "allowedHosts": {
            "hosts": ["good.test", "141.101.64.0/18"]}}})
        cls.open = cls.world.container("open", "open-1")
        cls.handled = cls.world.container("handled", "handled-1")
        cls.listed = cls.world.container("listed", "listed-1")

    def ask(self, container, payload, port=80):
        with container.connect(ORIGIN, port) as connection:
            connection.sendall(payload)
            return read_response(connection)

    def test_HC41_the_handler_and_the_origin_see_the_path_that_was_sent(self):
        for path in PATHS:
            with self.subTest(path):
                line = f"GET {path} HTTP/1.1\r\n".encode()
                status, _, body = self.ask(self.handled, line + b"Host: good.test\r\n\r\n")
                self.assertEqual((status, json.loads(body)["path"], json.loads(body)["authority"]), (200, path, "good.test"))
                self.assertEqual(self.ask(self.handled, line + b"Host: api.test\r\n\r\n")[0], 200)
                self.assertEqual(self.world.origin_requests()[-1]["path"], path)

    def test_HC31_a_path_of_two_slashes_is_no_host_for_a_handler(self):
        status, _, body = self.ask(self.handled, b"GET //evil.test/x HTTP/1.1\r\nHost: good.test\r\n\r\n")
        call = json.loads(body)
        self.assertEqual((status, call["authority"], call["path"]), (200, "good.test", "//evil.test/x"))

    def test_HC34_without_sni_the_address_is_the_host(self):
        context = ssl.create_default_context(cafile=self.listed.bundle)
        context.check_hostname = False
        for host, expected in (("good.test", (421, "misdirected")), (ORIGIN, (520, "not_allowed"))):
            with self.listed.connect(ORIGIN, 443) as raw, context.wrap_socket(raw) as tls:
                tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                status, headers, _ = read_response(tls)
                self.assertEqual((status, headers["sallyport-reason"]), expected)

    def test_HC38_rules_by_address_and_by_name_both_count(self):
        self.world.api.enforced("DenyHost", containerId="open-1", host=f"{ORIGIN}/32")
        self.addCleanup(self.world.api.enforced, "RemoveDeniedHost", containerId="open-1", host=f"{ORIGIN}/32")
        for host, address in (("good.test", "198.51.100.4"), ("other.test", ORIGIN), (ORIGIN, "198.51.100.4")):
            response = self.open.curl(f"http://{host}/", address=address)
            self.assertEqual((response.status, response.reason), (520, "denied_host"), response)

    def test_HC33_H138_plain_http_on_443_is_http(self):
        status, _, body = self.ask(self.handled, b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n", 443)
        self.assertEqual((status, json.loads(body)["scheme"]), (200, "http"))
        status, headers, _ = self.ask(self.handled, b"GET https://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n", 443)
        self.assertEqual((status, headers["sallyport-reason"]), (400, "bad_request"))

    def test_H137_tls_on_port_80_is_tls(self):
        with self.handled.connect(ORIGIN, 80) as raw, self.handled.tls(raw, "good.test") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
            self.assertEqual(json.loads(read_response(tls)[2])["scheme"], "https")
        with self.listed.connect(ORIGIN, 80) as raw, self.listed.tls(raw, "good.test") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n")
            self.assertEqual(read_response(tls)[0], 421)

    # Addresses.

    def test_IP08_a_zone_is_no_part_of_a_host(self):
        status, headers, _ = self.ask(self.open, b"GET / HTTP/1.1\r\nHost: [fe80::1%eth0]\r\n\r\n")
        self.assertEqual((status, headers["sallyport-reason"]), (400, "bad_request"))

    def test_IP07_addresses_beside_the_ranges_are_dialled(self):
        for host in BESIDE:
            response = self.open.curl(f"http://{host}/", address=ORIGIN)
            self.assertEqual((response.status, response.reason), (502, "origin_unreachable"), (host, response))

    def test_IP14_the_edges_of_a_network_in_a_list(self):
        for host, expected in (("141.101.64.0", (502, "origin_unreachable")), ("141.101.127.255", (502, "origin_unreachable")),
                               ("141.101.63.255", (520, "not_allowed")), ("141.101.128.0", (520, "not_allowed"))):
            response = self.listed.curl(f"http://{host}/", address=ORIGIN)
            self.assertEqual((response.status, response.reason), expected, (host, response))


def add_forbidden():
    for row, hosts in FORBIDDEN:
        def test(self, hosts=hosts):
            before = self.world.origin_contacts()
            for host in hosts:
                response = self.open.curl(f"http://{host}/", address=ORIGIN)
                self.assertEqual((response.status, response.reason), (520, "forbidden_address"), (host, response))
            self.assertEqual(self.world.origin_contacts(), before)
        setattr(NamesTest, f"test_{row}_is_never_dialled", test)


add_forbidden()

if __name__ == "__main__":
    unittest.main(verbosity=2)
