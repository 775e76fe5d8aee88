"""Handlers by the Node SDK, against the real programs."""

import concurrent.futures
import json
import os
import signal
import unittest

from harness import World, eventually
from node_sdk import NodePrograms

ORIGIN = "203.0.113.10"
NAMES = {"api.test": ORIGIN, "other.test": "198.51.100.4"}
HANDLERS = "tests/fakes/node_handlers.mjs"


class NodeSdkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names=NAMES))
        cls.world.apply_class("c", allowed_hosts=["*.test"], intercept_https=True)
        cls.container = cls.world.container("c", "web-1")
        cls.node = NodePrograms(cls.world)
        cls.program = cls.node.start(HANDLERS, "127.0.0.1:0", f"unix:{cls.world.dir}/controlplane.sock")

    def answer(self, handler, *options, url="http://api.test/p?q=1", params="{}"):
        self.world.enforced("set-outbound-by-host", "web-1", "api.test", handler, "--params", params)
        return self.container.curl(url, *options)

    def test_forward_with_a_secret(self):
        body = f"{self.world.dir}/large"
        with open(body, "wb") as file:
            file.write(os.urandom(3_000_000))
        for scheme in ("http", "https"):
            answer = self.answer("forward", "-H", "authorization: mine", "-T", body, url=f"{scheme}://api.test/a/../b?x=%41")
            self.assertEqual(answer.status, 200, answer)
            seen = self.world.origin_requests()[-1]
            self.assertEqual([value for name, value in seen["headers"] if name.lower() == "authorization"], ["Bearer s3cret"])
            self.assertEqual((seen["method"], seen["body_length"]), ("PUT", 3_000_000))

    def test_a_path_goes_on_as_it_came(self):
        self.answer("forward", "--path-as-is", url="http://api.test/a/./b%2Fc?x='y'")
        self.assertEqual(self.world.origin_requests()[-1]["path"], "/a/./b%2Fc?x='y'")

    def test_another_host(self):
        contacts = len(self.world.origin_requests())
        self.assertEqual(self.answer("elsewhere", "-d", "hello").status, 200)
        seen = self.world.origin_requests()[contacts]
        self.assertEqual((seen["host"], seen["path"], seen["body_length"]), ("other.test", "/moved", 5))

    def test_own_responses(self):
        self.assertEqual(self.answer("stream").body, "0123456789")
        self.assertEqual(json.loads(self.answer("json", "-d", '{"a": 1}').body), {"got": {"a": 1}, "query": "?q=1"})
        self.assertEqual(self.answer("json", "-d", "{").reason, "handler_failed")
        self.assertEqual(self.answer("stream", "--head").status, 200)

    def test_a_long_body_comes_back(self):
        path = f"{self.world.dir}/echo"
        with open(path, "w", encoding="ascii") as file:
            file.write("0123456789abcdef" * 500_000)
        answer = self.answer("echo", "-T", path)
        self.assertEqual((answer.status, len(answer.body), answer.headers["x-method"]), (200, 8_000_000, "PUT"))

    def test_context(self):
        seen = json.loads(self.answer("context", params='{"scope": ["a", 1, {"b": null}]}', url="https://api.test/").body)
        self.assertEqual((seen["containerId"], seen["className"], seen["handler"], seen["rule"], seen["params"]),
                         ("web-1", "c", "context", "instance outbound_by_host api.test", {"scope": ["a", 1, {"b": None}]}))
        record = eventually(lambda: [line for line in self.world.audit.all() if line.get("requestId") == seen["requestId"]])
        self.assertEqual(record[0]["revision"], seen["policyRevision"])

    def test_what_is_registered(self):
        self.assertEqual(self.answer("limited").body, "limited")
        handler = self.world.api.call("GetHandler", name="limited")["handler"]
        self.assertEqual((handler["endpoints"], handler["timeout"], handler["holdsSecrets"], handler["retries"], handler["maxConcurrency"]),
                         ([f"grpc://{self.program.address}"], "2.500s", True, 1, 7))

    def test_failures_let_nothing_out(self):
        contacts = self.world.origin_contacts()
        for handler in ("raises", "unread"):
            failed = self.answer(handler, "-d", "x")
            self.assertEqual((failed.status, failed.reason), (502, "handler_failed"), handler)
            self.assertNotIn("canary", failed.body + failed.head)
        self.assertEqual(self.world.origin_contacts(), contacts)
        self.assertIn("canary", self.program.text())
        self.assertNotIn("s3cret", self.program.text())

    def test_a_request_to_elsewhere_is_the_handlers_own(self):
        self.assertEqual(self.answer("outside").body, "origin 203.0.113.10 /from-the-handler")

    def live(self):
        return [one["endpoint"] for one in self.world.api.call("GetHandler", name="wait")["handler"].get("liveEndpoints", [])]

    def test_a_live_endpoint(self):
        control_plane = f"unix:{self.world.dir}/controlplane.sock"
        self.world.cli("handler", "register", "wait", "--live", "--health-check=wait", "--health-interval", "100ms")
        first, second = (self.node.start(HANDLERS, f"unix:{self.world.dir}/{name}.sock", control_plane, "live", "wait") for name in "ab")
        self.assertEqual(set(self.live()), {first.address, second.address})
        self.world.enforced("set-outbound-by-host", "web-1", "api.test", "wait")
        eventually(lambda: self.world.cli_text("handler", "list").count("health: serving") == 2, what="both are healthy")
        self.world.control_plane.kill()
        self.world.start_control_plane()
        eventually(lambda: all("trying again" in program.text() for program in (first, second)), what="they have noticed")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = [pool.submit(self.container.curl, "http://api.test/") for _ in range(6)]
            eventually(lambda: sum(int(one.get("inFlight", 0)) for one in self.world.cli("handler", "list")["usage"]["endpoints"]) == 6)
            os.kill(first.pid, signal.SIGTERM)
            eventually(lambda: self.live() == [second.address], what="it has drained")
            self.assertEqual({answer.result().body for answer in answers}, {first.address, second.address})
        self.assertEqual(first.process.wait(10), 0)
        self.assertEqual(self.container.curl("http://api.test/").body, second.address)
        second.kill()
        self.assertEqual(self.live(), [second.address])
        self.world.cli("handler", "delete", "wait")
        with self.assertRaisesRegex(RuntimeError, "there is no handler"):
            self.node.start(HANDLERS, f"unix:{self.world.dir}/c.sock", control_plane, "live", "wait")

    def test_close_lets_requests_end(self):
        program = self.node.start(HANDLERS, f"unix:{self.world.dir}/handlers.sock")
        os.kill(program.pid, signal.SIGTERM)
        self.assertEqual(program.process.wait(10), 0)
        # What an unclean end leaves is no obstacle.
        program = self.node.start(HANDLERS, f"unix:{self.world.dir}/handlers.sock")
        program.kill()
        self.node.start(HANDLERS, f"unix:{self.world.dir}/handlers.sock")


if __name__ == "__main__":
    unittest.main()
