"""Responses that a handler of the Node SDK looks at, and bodies that it changes, against the real programs."""

import hashlib
import json
import os
import subprocess
import unittest

from harness import World, binary
from node_sdk import NodePrograms

ORIGIN = "203.0.113.10"
NAMES = {"api.test": ORIGIN, "b.amazonaws.com": ORIGIN}


class NodeBodiesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names=NAMES))
        cls.world.apply_class("c", intercept_https=True)
        cls.container = cls.world.container("c", "web-1")
        cls.node = NodePrograms(cls.world)
        cls.control_plane = f"unix:{cls.world.dir}/controlplane.sock"
        cls.program = cls.node.start("tests/fakes/node_body_handlers.mjs", "127.0.0.1:0", cls.control_plane)

    def answer(self, handler, url="http://api.test/p", *options):
        self.world.enforced("set-outbound-by-host", "web-1", "api.test", handler)
        return self.container.curl(url, *options)

    def test_a_response_that_was_looked_at(self):
        answer = self.answer("look", "https://api.test/bytes/3000000")
        self.assertEqual((answer.status, answer.headers["x-seen"], len(answer.body)), (200, "200", 3_000_000))
        self.assertNotIn("server", answer.headers)

    def test_another_response_in_its_place(self):
        answer = self.answer("instead", "http://api.test/to/x")
        self.assertEqual((answer.status, answer.body), (404, "nothing here"))
        self.assertNotIn("location", answer.headers)

    def test_a_body_is_changed_as_it_comes(self):
        for handler in ("upper", "upper_whole"):
            self.assertEqual(self.answer(handler, "https://api.test/abc").body, "ORIGIN API.TEST /ABC")

    def test_status_and_headers_are_decided_after_the_body_was_read(self):
        for url, status, body in (("https://api.test/secret", 403, "withheld"), ("https://api.test/bytes/3000000", 203, "3000000 bytes")):
            answer = self.answer("judge", url)
            self.assertEqual((answer.exit, answer.status, answer.body), (0, status, body), answer)
            self.assertEqual(answer.headers["content-length"], str(len(body)))

    def test_a_gigabyte_would_not_fit_and_goes_through(self):
        answer = self.answer("upper", "http://api.test/bytes/200000000", "-o", "/dev/null", "-w", "%{size_download}")
        self.assertEqual(answer.body, "200000000")
        with open(f"/proc/{self.program.pid}/status", encoding="ascii") as file:
            peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
        self.assertLess(peak, 400_000, "KiB")

    def test_a_requests_body_is_changed_as_it_goes(self):
        path = f"{self.world.dir}/large"
        text = b"0123456789abcdef" * 200_000
        with open(path, "wb") as file:
            file.write(text)
        digest = hashlib.sha256(text.upper()).hexdigest()
        self.assertEqual(self.answer("upper_request", "http://api.test/digest", "-T", path, "-X", "POST").body, f"{len(text)} {digest}")

    def test_a_body_that_was_read_goes_on(self):
        digest = hashlib.sha256(b'{"a":1}').hexdigest()
        self.assertEqual(self.answer("checked", "http://api.test/digest", "-d", '{"a":1}').body, f"7 {digest}")
        self.assertEqual(self.answer("checked", "http://api.test/digest", "-d", '{"b":1}').status, 400)

    def test_another_body(self):
        digest = hashlib.sha256(b"other").hexdigest()
        self.assertEqual(self.answer("other_body", "http://api.test/digest").body, f"5 {digest}")

    def test_a_lease_needs_no_handler(self):
        self.world.enforced("set-outbound-by-host", "web-1", "api.test", "leased")
        asked = self.program.text().count("leased asked")
        for _ in range(5):
            self.assertEqual(self.container.curl("http://api.test/leased").status, 200)
            seen = dict(self.world.origin_requests()[-1]["headers"])
            self.assertEqual(seen["x-leased"], "1")
        self.assertEqual(self.program.text().count("leased asked") - asked, 1)

    def test_redaction(self):
        secrets = f"{self.world.dir}/secrets"
        with open(secrets, "w", encoding="ascii") as file:
            file.write("api.test\nhunter2\n")
        self.node.start("examples/node/redact.mjs", "--listen", "127.0.0.1:0", "--control-plane", self.control_plane,
                        "--secrets", secrets)
        self.assertEqual(self.answer("redact", "https://api.test/hunter2/x").body, "origin ******** /*******/x")
        answer = self.answer("redact", "http://api.test/to/hunter2")
        self.assertEqual((answer.status, answer.headers["location"]), (302, "*******"))

    def test_signatures_of_bodies(self):
        os.environ.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="s3cret")
        self.node.start("examples/node/aws.mjs", "--listen", "127.0.0.1:0", "--control-plane", self.control_plane)
        params = json.dumps({"service": "sts", "region": "eu-central-1"})
        self.world.enforced("set-outbound-by-host", "web-1", "*.amazonaws.com", "aws", "--params", params)
        answer = self.container.curl("http://b.amazonaws.com/digest", "-d", "body")
        self.assertEqual(answer.body, f"4 {hashlib.sha256(b'body').hexdigest()}")
        seen = dict(self.world.origin_requests()[-1]["headers"])
        self.assertRegex(seen["authorization"], "SignedHeaders=host;x-amz-date, Signature=[0-9a-f]{64}$")

    def test_the_handler_hears_that_the_container_hung_up(self):
        self.world.enforced("set-outbound-by-host", "web-1", "api.test", "hangs")
        client = self.world.start("client", self.container.command(
            "curl", "--silent", "--noproxy", "*", "--http2-prior-knowledge", "http://api.test/"))
        self.program.await_text("asked to wait")
        client.kill()
        self.program.await_text("the container hung up")

    def test_both_bodies_at_once(self):
        """More than all buffers hold, of an origin that answers as it reads."""
        path = f"{self.world.dir}/echo"
        with open(path, "wb") as file:
            file.write(b"0123456789abcdef" * 2_000_000)
        origin = self.world.start("http_origin", [binary("http_origin"), f"{self.world.dir}/origin.pem", f"h2@{ORIGIN}:9443"],
                                  self.world.internet, stdin=subprocess.PIPE)
        origin.await_text('"ready"')
        answer = self.answer("both", "http://api.test/", "-T", path, "-o", "/dev/null", "-w", "%{size_download}")
        self.assertEqual(answer.body, "32000000")


if __name__ == "__main__":
    unittest.main()
