"""Expect: 100-continue (RFC 9110 section 10.1.1): it is the origin that says whether it wants a body, in each version of HTTP and
through a handler that forwards."""

import functools
import subprocess
import time
import unittest

from streams import DEADLINE_SECONDS
from streams_h2 import NAMES, Http2World

WAYS = [("http/1.1", "h1.test"), ("http/1.1", "h2.test"), ("h2", "h2.test"), ("http/1.1", "handled-h1.test"),
        ("h2", "handled-h1.test"), ("h2", "handled-h2.test")]
EXPECT = (("expect", "100-continue"),)
BODY = b"only when it is wanted"
# As BodyPump::kAskAnyway.
ASK_ANYWAY_SECONDS = 0.75


def over(ways):
    """The test runs once for each way, with the client's peer, and the origin's once it has read the request's head."""
    def decorate(test):
        @functools.wraps(test)
        def run(self):
            for protocol, host in ways:
                with self.subTest(protocol=protocol, host=host):
                    client = self.world.connect(protocol, host)
                    client.send_request(host, fields=EXPECT)
                    request = self.world.origins[host].next_request(DEADLINE_SECONDS)
                    request.peer.connection.settimeout(DEADLINE_SECONDS)
                    test(self, client, request)
                    client.connection.close()
                    request.peer.connection.close()
        return run
    return decorate


def fields_of(request):
    return request.head if isinstance(request.head, dict) else request.head[1]


def is_silent(peer, seconds):
    """No head comes for so long, whatever else the versions say to each other."""
    peer.connection.settimeout(seconds)
    try:
        peer.read_head()
        return False
    except TimeoutError:
        return True
    finally:
        peer.connection.settimeout(DEADLINE_SECONDS)


class ExpectTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = Http2World()
        cls.addClassCleanup(cls.world.close)

    def assert_body_passes(self, client, origin):
        client.send_piece(BODY)
        client.end()
        self.assertEqual(origin.read_piece(len(BODY)), BODY)
        origin.read_end()
        origin.send_answer(201)
        origin.end()
        self.assertEqual(client.read_status(), 201)
        client.read_end()

    @over(WAYS)
    def test_the_origin_asks_for_the_body(self, client, request):
        self.assertEqual(fields_of(request)["expect"], "100-continue")
        come = time.monotonic()
        self.assertTrue(is_silent(client, 0.1))
        request.peer.send_continue()
        self.assertEqual(client.read_status(), 100)
        self.assertLess(time.monotonic() - come, ASK_ANYWAY_SECONDS)
        self.assert_body_passes(client, request.peer)

    @over(WAYS)
    def test_the_origin_does_not_want_the_body(self, client, request):
        request.peer.send_answer(417)
        request.peer.send_piece(b"no")
        request.peer.end()
        self.assertEqual(client.read_status(), 417)
        self.assertEqual(client.read_piece(2), b"no")
        client.read_end()
        # Nor has it got anything but the end, or the reset, of the stream or of the connection.
        try:
            self.assertEqual(request.peer.read_piece(1), None)
        except (EOFError, ConnectionError, ValueError):
            pass

    @over(WAYS)
    def test_an_origin_that_knows_nothing_of_it(self, client, request):
        self.assertEqual(client.read_status(), 100)
        self.assert_body_passes(client, request.peer)

    def test_the_connection_to_a_client_that_was_not_asked_ends(self):
        client = self.world.connect("http/1.1", "h1.test")
        client.send_request("h1.test", fields=EXPECT)
        self.world.origins["h1.test"].next_request(DEADLINE_SECONDS).peer.send(
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        line, headers = client.read_head()
        self.assertEqual((line, headers["connection"]), ("HTTP/1.1 403 Forbidden", "close"))
        self.assertEqual(client.read_rest(), b"")
        client.connection.close()

    def test_a_body_that_comes_unasked_is_passed(self):
        for protocol, host in WAYS:
            with self.subTest(protocol=protocol, host=host):
                client = self.world.connect(protocol, host)
                client.send_request(host, fields=EXPECT)
                client.send_piece(BODY)
                client.end()
                origin = self.world.origins[host].next_request(DEADLINE_SECONDS).peer
                self.assertEqual(origin.read_piece(len(BODY)), BODY)
                origin.read_end()
                origin.send_answer()
                origin.end()
                status = client.read_status()
                self.assertEqual(client.read_status() if status == 100 else status, 200)
                client.connection.close()
                origin.connection.close()

    def test_curl(self):
        path = f"{self.world.dir}/body"
        with open(path, "wb") as file:
            file.write(bytes(100000))
        for protocol, host in WAYS:
            with self.subTest(protocol=protocol, host=host, answer="200 once it has the body"):
                self.assertEqual(self.curl_uploads(protocol, host, path, 200, asks=True), ("200", 100000))
            with self.subTest(protocol=protocol, host=host, answer="403 without the body"):
                status, uploaded = self.curl_uploads(protocol, host, path, 403, asks=False)
                self.assertEqual(status, "403")
                # Over HTTP/2 curl does not wait: what it has sent when the answer comes is chance.
                if protocol == "http/1.1":
                    self.assertEqual(uploaded, 0)

    def curl_uploads(self, protocol, host, path, status, asks):
        """curl's (status, octets uploaded), from an origin that asks for the body and takes it, or answers the head alone."""
        command = self.world.client.command(
            "curl", "--silent", "--http2" if protocol == "h2" else "--http1.1", "--cacert", self.world.client.bundle,
            "--resolve", f"{host}:443:{NAMES[host]}", "--header", "expect: 100-continue", "--expect100-timeout", "20",
            "--upload-file", path, "--write-out", "%{http_code} %{size_upload}", f"https://{host}/")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
            try:
                origin = self.world.origins[host].next_request(DEADLINE_SECONDS).peer
                if asks:
                    origin.send_continue()
                    # Of a known length, which HTTP/1 has without chunks.
                    taken = origin.read_piece(100000) if hasattr(origin, "h2") else origin.take(100000)
                    self.assertEqual(taken, bytes(100000))
                origin.send_answer(status)
                origin.end()
                output, _ = curl.communicate(timeout=DEADLINE_SECONDS)
                origin.connection.close()
            finally:
                curl.kill()
        self.assertEqual(curl.returncode, 0)
        code, uploaded = output.split()
        return code, int(uploaded)


if __name__ == "__main__":
    unittest.main(verbosity=2)
