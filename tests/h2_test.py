"""HTTP/2 on the container's side: from curl, nghttp and h2load in a container through the real agent and proxy."""

import hashlib
import os
import re
import ssl
import subprocess
import sys
import unittest

import harness
from h2_frames import DATA, END_STREAM, GOAWAY, RST_STREAM, Peer, frame, head, request
from harness import World

# The origins speak HTTP/1.1, so that TLS clients are offered HTTP/2 only where a handler comes between: for tls.test.
NAMES = {"good.test": "203.0.113.10", "tls.test": "203.0.113.10", "evil.test": "203.0.113.10", "api.test": "203.0.113.10", "ws.test": "203.0.113.20"}
# Decrypted TLS, and HTTP/2 by prior knowledge (h2c): a URL's beginning, its host, and whether it is TLS.
BOTH = (("https://tls.test", "tls.test", True), ("http://good.test", "good.test", False))
SCHEMES = (("https", True), ("http", False))
MEBIBYTE = 1 << 20


class H2Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = world = World(NAMES)
        cls.addClassCleanup(world.close)
        world.start_handler("respond", "inject", "fail")
        world.apply_class("open", intercept_https=True, denied_hosts=["evil.test"], outbound_by_host=[["tls.test", "inject"]])
        cls.container = world.container("open")

    def setUp(self):
        self.requests = len(self.world.origin_requests())

    def curl(self, url, *options, tls):
        version = "--http2" if tls else "--http2-prior-knowledge"
        return self.container.curl(url, version, *options, address="203.0.113.10")

    def peer(self, **options):
        connection = self.container.connect("203.0.113.10", 80)
        self.addCleanup(connection.close)
        return Peer(connection, **options)

    def record(self, **fields):
        return self.world.audit.await_matching(**fields)[-1]

    # What is passed.

    def test_a_get_over_h2(self):
        for url, host, tls in BOTH:
            with self.subTest(tls=tls):
                response = self.curl(f"{url}/a?b=c", tls=tls)
                self.assertEqual((response.status, response.body), (200, f"origin {host} /a?b=c"), response)
                self.assertTrue(response.head.startswith("HTTP/2 "), response)

    def test_clients_without_h2_get_http_1(self):
        response = self.container.curl("https://tls.test/", "--http1.1")
        self.assertTrue(response.head.startswith("HTTP/1.1 200"), response)
        response = self.container.curl("https://tls.test/", "--no-alpn")
        self.assertTrue(response.head.startswith("HTTP/1.1 200"), response)

    def test_h226_no_common_protocol_is_an_alert(self):
        with self.container.connect("203.0.113.10", 443) as connection:
            context = ssl.create_default_context(cafile=self.container.bundle)
            context.set_alpn_protocols(["h3", "spdy/3"])
            with self.assertRaises(ssl.SSLError) as raised:
                context.wrap_socket(connection, server_hostname="good.test")
            self.assertRegex(str(raised.exception).lower(), "no.application.protocol")

    def test_large_bodies_both_ways(self):
        body = os.urandom(5 * MEBIBYTE)
        path = f"{self.world.dir}/body"
        with open(path, "wb") as file:
            file.write(body)
        for url, _, tls in BOTH:
            with self.subTest(tls=tls):
                response = self.curl(f"{url}/digest", "--data-binary", f"@{path}", tls=tls)
                self.assertEqual(response.body, f"{len(body)} {hashlib.sha256(body).hexdigest()}", response)
                response = self.curl(f"{url}/digest", "--data-binary", f"@{path}", "--header", "expect: 100-continue",
                                     tls=tls)
                self.assertEqual(response.body, f"{len(body)} {hashlib.sha256(body).hexdigest()}", response)
                response = self.curl(f"{url}/bytes/{20 * MEBIBYTE}", tls=tls)
                self.assertEqual(len(response.body), 20 * MEBIBYTE)

    def test_head(self):
        for url, _, tls in BOTH:
            with self.subTest(tls=tls):
                response = self.curl(f"{url}/bytes/12", "--head", tls=tls)
                self.assertEqual((response.status, response.headers["content-length"]), (200, "12"), response)

    def test_headers_on_the_way(self):
        response = self.curl("https://tls.test/headers", "--cookie", "a=1; b=2", "--header", "te: trailers", tls=True)
        self.assertIn('"cookie": "a=1; b=2"', response.body)
        self.assertIn('"host": "tls.test"', response.body)
        self.assertNotIn('"te"', response.body)

    def test_trailers_reach_the_origin(self):
        peer = self.peer()
        peer.send(request(1, "/digest", method="POST", flags=0) + frame(DATA, 0, 1, b"hello")
                  + head(1, [("x-sum", "1"), ("age", "7")]))
        answer = peer.until(DATA)
        self.assertTrue(answer[3].startswith(b"5 "), answer)

    def test_100_streams_at_once(self):
        for url, _, tls in BOTH:
            with self.subTest(tls=tls):
                result = self.container.run("h2load", "-n", "1000", "-c", "1", "-m", "100",
                                            f"--connect-to=203.0.113.10:{443 if tls else 80}", f"{url}/bytes/1000")
                self.assertIn("1000 succeeded, 0 failed, 0 errored", result.stdout, result)

    def test_nghttp(self):
        result = self.container.run("nghttp", "--no-verify-peer", "--verbose", "http://203.0.113.10/a")
        self.assertRegex(result.stdout, r":status: 200", result)

    # What is refused.

    def test_denials(self):
        for scheme, tls in SCHEMES:
            with self.subTest(tls=tls):
                response = self.curl(f"{scheme}://evil.test/", tls=tls)
                self.assertEqual((response.status, response.reason, response.body), (520, "denied_host", "Origin is disallowed"), response)
                response = self.curl(f"{scheme}://evil.test/", "--data-binary", "@/usr/bin/curl", tls=tls)
                self.assertEqual(response.status, 520, response)
        self.assertEqual(len(self.world.origin_requests()), self.requests)

    def test_hc26_another_authority_than_the_sni_is_421(self):
        response = self.curl("https://tls.test/", "--header", "host: api.test", tls=True)
        self.assertEqual((response.status, response.reason), (421, "misdirected"), response)
        self.assertEqual(len(self.world.origin_requests()), self.requests)

    def test_hc33_another_scheme_is_400(self):
        peer = self.peer()
        peer.send(request(1, "/", scheme="https"))
        self.assertTrue(peer.until(DATA)[3].startswith(b"bad_request"))
        self.assertEqual(len(self.world.origin_requests()), self.requests)

    def test_a_malformed_request_is_reset_and_recorded(self):
        peer = self.peer()
        peer.send(request(1, "/", fields=[("connection", "close")]) + request(3, "/still-served"))
        self.assertEqual(peer.until(RST_STREAM)[2:], (1, (1).to_bytes(4, "big")))
        self.assertEqual(peer.until(DATA)[2], 3)
        self.record(decision="reject", reason="bad_request", detail="a malformed header list")

    def test_h215_a_body_longer_than_its_length_never_reaches_the_origin(self):
        peer = self.peer()
        peer.send(request(1, "/digest", method="POST", flags=0, fields=[("content-length", "5")]) + frame(DATA, END_STREAM, 1, b"123456"))
        self.assertEqual(peer.until(RST_STREAM)[2:], (1, (1).to_bytes(4, "big")))
        self.assertEqual(len(self.world.origin_requests()), self.requests)

    def test_h201_rapid_reset_ends_the_connection(self):
        peer = self.peer()
        flood = b"".join(request(stream, "/") + frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big"))
                         for stream in range(1, 401, 2))
        peer.send(flood)
        self.assertEqual(peer.until(GOAWAY)[3][4:8], (11).to_bytes(4, "big"))

    def test_h223_an_upgrade_to_h2c_is_ignored(self):
        response = self.container.curl("http://good.test/a", "--http2")
        self.assertEqual((response.status, response.body), (200, "origin good.test /a"), response)
        self.assertTrue(response.head.startswith("HTTP/1.1 "), response)

    # Handlers.

    def test_handlers(self):
        self.world.enforced("set-outbound-by-host", self.container.id, "api.test", "respond")
        for scheme, tls in SCHEMES:
            with self.subTest(tls=tls):
                response = self.curl(f"{scheme}://api.test/x", "--data", "body", tls=tls)
                self.assertEqual(response.status, 200, response)
                self.assertIn("/x", response.body)
        self.world.enforced("set-outbound-by-host", self.container.id, "api.test", "inject")
        for scheme, tls in SCHEMES:
            with self.subTest(tls=tls):
                self.assertEqual(self.curl(f"{scheme}://api.test/x", tls=tls).body, "origin api.test /x")
        self.world.enforced("set-outbound-by-host", self.container.id, "api.test", "fail")
        for scheme, tls in SCHEMES:
            with self.subTest(tls=tls):
                response = self.curl(f"{scheme}://api.test/x", tls=tls)
                self.assertEqual((response.status, response.reason), (502, "handler_failed"), response)

    # What holds.

    def test_a_change_of_policy_counts_for_the_next_stream(self):
        peer = self.peer()
        peer.send(request(1, "/", host="api.test"))
        peer.until(DATA)
        self.world.enforced("deny-host", self.container.id, "api.test")
        try:
            peer.send(request(3, "/", host="api.test"))
            self.assertEqual(peer.until(DATA)[3], b"Origin is disallowed")
        finally:
            self.world.enforced("remove-denied-host", self.container.id, "api.test")

    def test_h210_a_stalled_reader_does_not_grow_the_proxy(self):
        def memory():
            status = harness.read_text(f"/proc/{self.world.proxy_pid()}/status")
            return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

        before = memory()
        peers = [self.peer(window=(1 << 31) - 1) for _ in range(4)]
        for peer in peers:
            # The connection's window stays at 65,535 bytes, and nobody reads.
            peer.send(b"".join(request(stream, f"/bytes/{20 * MEBIBYTE}") for stream in range(1, 41, 2)))
        wanted = self.requests + 80
        harness.eventually(lambda: len(self.world.origin_requests()) >= wanted, 20, "every origin is asked")
        self.assertLess(memory() - before, 48 * MEBIBYTE)

    def test_detaching_says_goaway(self):
        container = self.world.container("open", "leaving")
        connection = container.connect("203.0.113.10", 80)
        self.addCleanup(connection.close)
        peer = Peer(connection)
        peer.send(request(1, "/"))
        peer.until(DATA)
        self.world.agent_api.call("Detach", containerId=container.id)
        goaway = peer.until(GOAWAY)
        self.assertIsNotNone(goaway)
        self.assertEqual(goaway[3][4:8], bytes(4))


class WebSocketTest(unittest.TestCase):
    """RFC 8441, to an origin that speaks HTTP/1.1."""

    @classmethod
    def setUpClass(cls):
        cls.world = world = World(NAMES, addresses=[NAMES["ws.test"]], ports=[22])
        cls.addClassCleanup(world.close)
        command = [sys.executable, harness.source("fakes/websocket_origin.py"), "--certificate", f"{world.dir}/origin.pem",
                   "--http", f"{NAMES['ws.test']}@80", "--https", f"{NAMES['ws.test']}@443"]
        cls.origin = world.start("websocket_origin", command, world.internet, stdin=subprocess.PIPE)
        cls.origin.await_text('"ready"')
        # A handler that forwards: so that TLS clients are offered HTTP/2, though the origin does not speak it.
        world.start_handler("inject")
        world.apply_class("open", intercept_https=True, denied_hosts=["nowhere.test"], outbound_by_host=[["ws.test", "inject"]])

    def open(self, container, tls):
        connection = container.connect(NAMES["ws.test"], 443 if tls else 80)
        self.addCleanup(connection.close)
        if tls:
            context = ssl.create_default_context(cafile=container.bundle)
            context.set_alpn_protocols(["h2"])
            connection = context.wrap_socket(connection, server_hostname="ws.test")
            self.addCleanup(connection.close)
        peer = Peer(connection)
        peer.send(head(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https" if tls else "http"),
                           (":path", "/greet"), (":authority", "ws.test"), ("sec-websocket-version", "13")], 0))
        return peer

    def test_frames_both_ways_and_a_close_by_policy(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                container = self.world.container("open", f"ws-{tls}".lower())
                peer = self.open(container, tls)
                self.assertEqual(peer.until(DATA)[3], b"\x81\x05hello")
                peer.send(frame(DATA, 0, 1, b"\x81\x82\0\0\0\0hi"))
                self.assertEqual(peer.until(DATA)[3], b"\x81\x02hi")
                self.world.enforced("deny-host", container.id, "ws.test")
                peer.connection.settimeout(0.5)
                self.assertEqual(peer.until(RST_STREAM)[2], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
