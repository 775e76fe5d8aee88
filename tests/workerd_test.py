"""A Worker's module, run by workerd, as a handler: examples/workerd, against the real programs."""

import json
import os
import shutil
import unittest

from harness import World
from node_sdk import ROOT, installed

ORIGIN = "203.0.113.10"
NAMES = {"api.test": ORIGIN}
# The package's own program would look for this one.
WORKERD = "@cloudflare/workerd-linux-64/bin/workerd"


class WorkerdTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names=NAMES))
        folder = shutil.copytree(f"{ROOT}/examples/workerd", f"{cls.world.dir}/workerd")
        with open(f"{folder}/tokens.json", "w", encoding="ascii") as file:
            json.dump({"web-1": "s3cret"}, file)
        workerd = os.path.join(installed("examples/workerd"), WORKERD)
        cls.program = cls.world.start("workerd.log", [
            workerd, "serve", f"{folder}/config.capnp", "--socket-addr", "http=127.0.0.1:0", "--control-fd=1"], cls.world.host)
        port = cls.program.await_text(r'"port":(\d+)').group(1)
        cls.world.cli("handler", "register", "worker", f"http://127.0.0.1:{port}")
        cls.world.apply_class("c", intercept_https=True)
        cls.container = cls.world.container("c", "web-1")
        cls.world.enforced("set-outbound-handler", "web-1", "worker", "--params", '{"scope": "read"}')

    def test_a_request_is_sent_on(self):
        for scheme in ("http", "https"):
            answer = self.container.curl(f"{scheme}://api.test/x?y=1", "-H", "authorization: mine", "-H", "cookie: a=b", "-H", "x-a: 1")
            self.assertEqual((answer.status, answer.body), (200, "origin api.test /x?y=1"), answer)
            seen = {name.lower(): value for name, value in self.world.origin_requests()[-1]["headers"]}
            self.assertEqual((seen["authorization"], seen["x-a"]), ("Bearer s3cret", "1"))
            self.assertNotIn("cookie", seen)

    def test_a_body_is_sent_on_unread(self):
        path = f"{self.world.dir}/large"
        with open(path, "w", encoding="ascii") as file:
            file.write("0123456789" * 100_000)
        self.assertEqual(self.container.curl("https://api.test/x", "-T", path).status, 200)
        self.assertEqual(self.world.origin_requests()[-1]["body_length"], 1_000_000)

    def test_another_path(self):
        self.assertEqual(self.container.curl("http://api.test/moved?a=b").body, "origin api.test /elsewhere?a=b")

    def test_its_own_answers(self):
        self.assertEqual(json.loads(self.container.curl("http://my.worker/", "-d", "hello").body),
                         {"container": "web-1", "scope": "read", "heard": "hello"})
        answer = self.container.curl("http://api.test/", "-X", "DELETE")
        self.assertEqual((answer.status, answer.body), (405, "Method Not Allowed\n"))

    def test_what_it_throws_lets_nothing_out(self):
        other = self.world.container("c", "web-2")
        self.world.enforced("set-outbound-handler", "web-2", "worker")
        contacts = self.world.origin_contacts()
        answer = other.curl("http://api.test/")
        self.assertEqual((answer.status, answer.reason), (502, "handler_failed"))
        self.assertEqual(self.world.origin_contacts(), contacts)
        self.assertIn("a container without a token", self.program.text())


if __name__ == "__main__":
    unittest.main()
