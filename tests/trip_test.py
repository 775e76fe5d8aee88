"""A request's way: from a container through the real agent and proxy to real origins."""

import hashlib
import json
import os
import re
import socket
import ssl
import unittest

import harness
from harness import World, read_response

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10", "v6.test": "2001:db8::1",
         "both.test": ["203.0.113.10", "2001:db8::1"], "private.test": "10.1.2.3", "api.test": "203.0.113.10",
         "mixed.test": ["10.1.2.3", "203.0.113.10"]}


class TripTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        world = cls.world
        cls.handler = world.start_handler("respond", "inject", "reroute")
        world.apply_class("open")
        world.apply_class("listed", enable_internet=False, intercept_https=True, allowed_hosts=["good.test", "api.test", "v6.test"],
                          denied_hosts=["evil.test"],
                          outbound_by_host=[["api.test", "inject"]])
        cls.open = world.container("open", "open-1")
        cls.listed = world.container("listed", "listed-1")

    def setUp(self):
        self.records = self.world.audit.count()

    def record(self, container, scheme):
        """Of the container's first request in this test."""
        return self.world.audit.await_matching(since=self.records, containerId=container.id, scheme=scheme)[0]

    # Plain HTTP.

    def test_egress_over_http(self):
        response = self.open.curl("http://good.test/a?secret=1")
        self.assertEqual((response.status, response.body), (200, "origin good.test /a?secret=1"), response)
        record = self.record(self.open, "http")
        self.assertEqual((record["decision"], record["host"], record["path"], record["status"]),
                         ("egress", "good.test", "/a", 200))
        self.assertNotIn("secret", json.dumps(record))

    def test_egress_over_ipv6(self):
        response = self.open.curl("http://v6.test/")
        self.assertEqual(response.body, "origin v6.test /", response)

    def test_ipv6_literal(self):
        response = self.open.curl("http://[2001:db8:1::1]/")
        self.assertEqual(response.body, "origin [2001:db8:1::1] /", response)

    def test_denied_host_is_520_and_the_origin_sees_nothing(self):
        before = self.world.origin_contacts()
        response = self.listed.curl("http://evil.test/", address="203.0.113.10")
        self.assertEqual((response.status, response.reason, response.body), (520, "denied_host", "Origin is disallowed"))
        self.assertEqual(response.headers["content-type"], "text/plain")
        self.assertEqual(self.world.origin_contacts(), before)
        record = self.record(self.listed, "http")
        self.assertEqual((record["decision"], record["reason"], record["status"]), ("deny", "denied_host", 520))

    def test_dialled_address_never_decides_where_a_named_request_goes(self):
        self.open.curl("http://good.test/where", address="198.51.100.4")
        request = self.world.origin_requests()[-1]
        self.assertEqual((request["path"], request["local"]), ("/where", "203.0.113.10"))

    def test_private_address_behind_a_name_is_forbidden(self):
        before = self.world.origin_contacts()
        response = self.open.curl("http://private.test/", address="203.0.113.10")
        self.assertEqual((response.status, response.reason), (520, "forbidden_address"), response)
        self.assertEqual(self.world.origin_contacts(), before)

    def test_only_the_permitted_address_of_a_name_is_dialled(self):
        response = self.open.curl("http://mixed.test/", address="203.0.113.10")
        self.assertEqual(response.status, 200, response)
        self.assertEqual(self.world.origin_requests()[-1]["local"], "203.0.113.10")

    def test_unknown_name(self):
        response = self.open.curl("http://nowhere.test/", address="203.0.113.10")
        self.assertEqual((response.status, response.reason), (502, "origin_unreachable"))

    def test_each_request_on_a_connection_is_decided_on_its_own(self):
        with self.listed.connect("203.0.113.10", 80) as connection:
            connection.sendall(b"GET /1 HTTP/1.1\r\nHost: good.test\r\n\r\n")
            self.assertEqual(read_response(connection)[0], 200)
            connection.sendall(b"GET /2 HTTP/1.1\r\nHost: evil.test\r\n\r\n")
            self.assertEqual(read_response(connection)[0], 520)
            connection.sendall(b"GET /3 HTTP/1.1\r\nHost: good.test\r\n\r\n")
            self.assertEqual(read_response(connection)[0], 200)

    def test_upstream_connections_are_kept(self):
        before = self.world.origin_contacts()
        with self.open.connect("203.0.113.10", 80) as connection:
            for _ in range(5):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: both.test\r\n\r\n")
                self.assertEqual(read_response(connection)[0], 200)
        self.assertLessEqual(self.world.origin_contacts() - before, 1)

    def test_only_idempotent_requests_are_sent_again(self):
        """Where a kept connection ends without an answer, it may have been about to, or the request may have been processed."""
        for method, times in (("GET", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)):
            with self.subTest(method), self.open.connect("203.0.113.10", 80) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
                self.assertEqual(read_response(connection)[0], 200)
                before = len(self.world.origin_requests())
                connection.sendall(f"{method} /hangup HTTP/1.1\r\nHost: good.test\r\n\r\n".encode())
                self.assertEqual(read_response(connection)[0], 502)
                self.assertEqual([request["method"] for request in self.world.origin_requests()[before:]], [method] * times)

    def test_pools_are_not_shared_between_containers(self):
        self.open.curl("http://good.test/")
        before = self.world.origin_contacts()
        self.listed.curl("http://good.test/", address="203.0.113.10")
        other = self.world.container("open", "open-2")
        other.curl("http://good.test/")
        self.assertGreaterEqual(self.world.origin_contacts() - before, 1)
        other.close()

    def test_imitated_headers_do_not_leave(self):
        response = self.open.curl("http://good.test/headers", "-H", "Sallyport-Container: other", "-H", "Keep-Alive: x",
                                  "-H", "Proxy-Connection: x", "-H", "X-Plain: kept")
        seen = json.loads(response.body)
        self.assertEqual(seen["x-plain"], "kept")
        for name in ("sallyport-container", "keep-alive", "proxy-connection"):
            self.assertNotIn(name, seen)

    # Bodies.

    def test_upload_and_download_are_byte_exact(self):
        path = os.path.join(self.world.dir, "upload")
        content = os.urandom(1 << 20) * 5
        with open(path, "wb") as file:
            file.write(content)
        expected = f"{len(content)} {hashlib.sha256(content).hexdigest()}"
        for options in (["--data-binary", f"@{path}"], ["--data-binary", f"@{path}", "-H", "Transfer-Encoding: chunked"]):
            response = self.open.curl("http://good.test/digest", *options)
            self.assertEqual(response.body, expected, response)

    def test_head_has_no_body(self):
        response = self.open.curl("http://good.test/bytes/100", "--head")
        self.assertEqual((response.status, response.headers["content-length"]), (200, "100"))

    # HTTPS.

    def test_decrypted_egress(self):
        response = self.listed.curl("https://good.test/s", address="203.0.113.10")
        self.assertEqual((response.status, response.body), (200, "origin good.test /s"), response)
        record = self.record(self.listed, "https")
        self.assertEqual((record["decision"], record["path"]), ("egress", "/s"))

    def test_decrypted_egress_to_ipv6(self):
        response = self.listed.curl("https://v6.test/s", address="203.0.113.10")
        self.assertEqual(response.body, "origin v6.test /s", response)

    def test_denied_host_over_https_is_readable(self):
        before = self.world.origin_contacts()
        response = self.listed.curl("https://evil.test/", address="203.0.113.10")
        self.assertEqual((response.status, response.reason), (520, "denied_host"), response)
        self.assertEqual(self.world.origin_contacts(), before)

    def test_host_must_equal_sni(self):
        response = self.listed.curl("https://good.test/", "-H", "Host: api.test", address="203.0.113.10")
        self.assertEqual((response.status, response.reason), (421, "misdirected"), response)
        self.assert_whole(self.record(self.listed, "https"), "misdirected")

    def test_a_request_that_is_none_is_recorded_as_the_others_are(self):
        answer = self.listed.raw("203.0.113.10", 80, b"GET / HTTP/1.1\r\nHost: good.test\r\nHost: evil.test\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assert_whole(self.record(self.listed, "http"), "bad_request")

    def assert_whole(self, record, reason):
        """Found by class, and says by which policy."""
        self.assertEqual((record["decision"], record["reason"], record["className"]), ("reject", reason, "listed"), record)
        self.assertGreater(record["revision"], 0)
        self.assertTrue(record["requestId"])

    def test_tls_that_is_not_decrypted_is_relayed(self):
        response = self.open.curl("https://good.test/r")
        self.assertEqual(response.body, "origin good.test /r", response)
        record = self.record(self.open, "tls")
        self.assertEqual((record["decision"], record["host"]), ("relay", "good.test"))

    def test_relay_shows_the_origins_certificate(self):
        self.assertIn("Test origins' root", self.issuer(self.open, "good.test"))
        self.assertIn("Sallyport", self.issuer(self.listed, "good.test"))

    def issuer(self, container, name):
        context = ssl.create_default_context(cafile=container.bundle)
        with container.connect("203.0.113.10", 443) as raw, context.wrap_socket(raw, server_hostname=name) as tls:
            return json.dumps(tls.getpeercert()["issuer"])

    def test_name_outside_the_list_is_reset_when_not_decrypted(self):
        self.world.apply_class("sni-only", enable_internet=False, allowed_hosts=["good.test"])
        container = self.world.container("sni-only", "sni-1")
        self.assertEqual(container.curl("https://good.test/x", address="203.0.113.10").body, "origin good.test /x")
        before = self.world.origin_contacts()
        response = container.curl("https://evil.test/x", address="203.0.113.10")
        self.assertNotEqual(response.exit, 0)
        self.assertEqual((response.status, self.world.origin_contacts()), (0, before))

    def test_one_ca_a_container(self):
        other = self.world.container("listed", "listed-2")
        response = self.listed.run("curl", "--silent", "--cacert", other.ca, "--connect-to", "::203.0.113.10:", "https://good.test/")
        self.assertEqual(response.returncode, 60, "another container's CA must not verify")
        other.close()

    # Other ports.

    def test_other_tcp_port_is_relayed(self):
        with self.open.connect("203.0.113.10", 5432) as connection:
            connection.sendall(b"\x00\x01binary")
            self.assertEqual(connection.recv(100), b"\x00\x01binary")
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(harness.read_all(connection), b"")

    def test_other_tcp_port_without_internet_is_reset(self):
        before = self.world.origin_contacts()
        with self.assertRaises(ConnectionResetError), self.listed.connect("203.0.113.10", 22) as connection:
            connection.sendall(b"x")
            connection.recv(1)
        self.assertEqual(self.world.origin_contacts(), before)

    def test_the_agents_own_listener_is_no_way_out(self):
        for address in ("127.0.0.1", "::1", "192.0.2.2"):
            try:
                answer = self.open.raw(address, 15001, b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
            except ConnectionRefusedError:
                answer = None
            self.assertIn(answer, (None, b""), address)

    # Handlers.

    def test_handler_injects_a_header_into_a_forward(self):
        response = self.listed.curl("https://api.test/headers", "-H", "Authorization: own", address="203.0.113.10")
        self.assertEqual(response.status, 200, response)
        self.assertEqual(json.loads(response.body)["authorization"], "Bearer of-the-handler")
        record = self.record(self.listed, "https")
        self.assertEqual((record["decision"], record["handler"]), ("handler", "inject"))

    def test_forwarded_body_never_visits_the_handler(self):
        content = os.urandom(100_000)
        path = os.path.join(self.world.dir, "forwarded")
        with open(path, "wb") as file:
            file.write(content)
        response = self.listed.curl("https://api.test/digest", "--data-binary", f"@{path}", address="203.0.113.10")
        self.assertEqual(response.body, f"{len(content)} {hashlib.sha256(content).hexdigest()}", response)

    def test_handler_responds_itself_and_knows_who_asks(self):
        self.world.enforced("set-outbound-by-host", self.open.id, "kv.test", "respond", "--params", '{"scope": "repo"}')
        response = self.open.curl("http://kv.test/key?x=1", "-H", "Sallyport-Container: forged", "--data", "value",
                                  address="203.0.113.10")
        self.assertEqual(response.status, 200, response)
        call = json.loads(response.body)
        self.assertEqual((call["container"], call["class"], call["handler"], call["params"], call["path"], call["body"]),
                         ("open-1", "open", "respond", {"scope": "repo"}, "/key?x=1", "value"))
        self.assertNotIn("sallyport-container", call["headers"])

    def test_rule_with_an_unregistered_handler_is_502(self):
        self.world.cli("handler", "register", "passing", "grpc://127.0.0.1:9")
        self.world.enforced("set-outbound-by-host", self.open.id, "missing.test", "passing")
        self.world.cli("handler", "delete", "passing")
        response = self.open.curl("http://missing.test/", address="203.0.113.10")
        self.assertEqual((response.status, response.reason), (502, "handler_missing"), response)

    def test_unreachable_handler_is_502_and_nothing_leaves(self):
        self.world.cli("handler", "register", "gone", "grpc://127.0.0.1:9")
        self.world.enforced("set-outbound-by-host", self.open.id, "both.test", "gone")
        before = self.world.origin_contacts()
        response = self.open.curl("http://both.test/")
        self.assertEqual((response.status, response.reason), (502, "handler_unreachable"), response)
        self.assertEqual(self.world.origin_contacts(), before)
        self.world.enforced("remove-outbound-by-host", self.open.id, "both.test")

    def test_handler_that_fails_or_is_late(self):
        self.world.cli("handler", "register", "fail", f"grpc://{self.handler.address}")
        self.world.cli("handler", "register", "stall", f"grpc://{self.handler.address}", "--timeout", "200ms")
        for handler, status, reason in (("fail", 502, "handler_failed"), ("stall", 504, "handler_timeout")):
            self.world.enforced("set-outbound-by-host", self.open.id, "both.test", handler)
            before = self.world.origin_contacts()
            response = self.open.curl("http://both.test/")
            self.assertEqual((response.status, response.reason), (status, reason), response)
            self.assertEqual(self.world.origin_contacts(), before)
        self.world.enforced("remove-outbound-by-host", self.open.id, "both.test")

    def test_forward_to_a_private_address_is_refused(self):
        self.world.enforced("set-outbound-by-host", self.open.id, "both.test", "reroute", "--params", '{"to": "private.test"}')
        before, records = self.world.origin_contacts(), self.world.audit.count()
        response = self.open.curl("http://both.test/")
        self.assertEqual((response.status, response.reason), (502, "handler_failed"), response)
        self.assertIn("forbidden_address", self.world.audit.await_last(records)["detail"])
        self.assertEqual(self.world.origin_contacts(), before)
        self.world.enforced("remove-outbound-by-host", self.open.id, "both.test")

    # DNS.

    def dig(self, container, name, kind="A", server="9.9.9.9"):
        return container.run("dig", f"@{server}", "+short", "+time=6", "+tries=1", name, kind)

    def status_of(self, container, name, kind="A"):
        answer = container.run("dig", "@9.9.9.9", "+time=6", "+tries=1", name, kind).stdout
        return answer.split("status: ")[1].split(",")[0]

    def queries(self):
        return self.world.dns.text()

    def test_dns_resolves_through_the_operators_resolver(self):
        self.assertEqual(self.dig(self.open, "good.test").stdout.strip(), "203.0.113.10")
        self.assertEqual(self.dig(self.open, "v6.test", "AAAA").stdout.strip(), "2001:db8::1")

    def test_dns_over_ipv6_transport(self):
        self.assertEqual(self.dig(self.open, "good.test", server="2001:db8::53").stdout.strip(), "203.0.113.10")

    def test_dns_of_a_denied_name_asks_nobody(self):
        self.assertEqual(self.status_of(self.listed, "leak.evil.test"), "NXDOMAIN")
        self.assertNotIn("leak.evil.test", self.queries())

    def test_dns_gives_a_placeholder_without_internet_and_asks_nobody(self):
        address = self.dig(self.listed, "api.test").stdout.strip()
        self.assertTrue(address.startswith(("198.18.", "198.19.")), address)
        self.assertEqual(self.dig(self.listed, "api.test", "AAAA").stdout, "")
        self.assertNotIn("api.test A from 198", self.queries())
        response = self.listed.curl("http://good.test/via-placeholder")
        self.assertEqual(response.status, 200, response)

    def test_dns_hides_forbidden_addresses_and_https_records(self):
        self.assertEqual(self.status_of(self.open, "private.test"), "NXDOMAIN")
        self.assertEqual(self.dig(self.open, "good.test", "HTTPS").stdout, "")

    def test_udp_elsewhere_is_refused_at_once(self):
        def send():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.settimeout(5)
            sock.connect(("203.0.113.10", 443))
            sock.send(b"quic")
            try:
                sock.recv(1)
            except ConnectionRefusedError:
                return "refused"
            finally:
                sock.close()
            return "answered"
        self.assertEqual(harness.in_namespace(f"/proc/{self.open.holder.pid}/ns/net", send), "refused")

    def test_no_program_waits_for_room_for_descriptors(self):
        """Where a process has threads already, its table is made larger at the price of a grace period of the kernel's (RCU)."""
        for pid in (self.world.proxy_pid(), self.world.agent.pid, self.world.control_plane.pid):
            with open(f"/proc/{pid}/limits", encoding="ascii") as file:
                limit = int(re.search(r"Max open files +(\d+)", file.read()).group(1))
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                room = int(re.search(r"FDSize:\t(\d+)", file.read()).group(1))
            self.assertGreaterEqual(room, min(limit, 65536), pid)


if __name__ == "__main__":
    unittest.main(verbosity=2)
