"""Leases: a handler's decision holds for further requests without a call, as far as it said and not further."""

import base64
import concurrent.futures
import json
import time
import unittest

from handler_scripts import NAMES, ScriptWorld
from harness import eventually

ORIGIN = NAMES["api.test"]


def bytes_of(text):
    return base64.b64encode(text.encode()).decode()


def forward(token, **lease):
    """A forward with a secret, leased."""
    return {"forward": {"setHeaders": [{"name": "authorization", "value": bytes_of(token)}], "lease": {"ttl": "60s", **lease}}}


def respond(text, **lease):
    return [{"respond": {"status": 200, "headers": [{"name": "x-by", "value": bytes_of("handler")}], "lease": {"ttl": "60s", **lease}}},
            {"body": bytes_of(text)}, {"end": {}}]


class LeaseTest(unittest.TestCase):
    number = 0

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(ScriptWorld(workers=2))

    def setUp(self):
        type(self).number += 1
        self.client = self.world.container("c", f"l-{self.number}")
        self.addCleanup(self.client.close)
        self.seen = self.world.handler.lines.count()
        self.records = self.world.audit.count()

    def script(self, *steps):
        self.world.script(*steps, container=self.client)

    def get(self, path="/headers", *options, url="http://api.test"):
        answer = self.client.curl(url + path, *options)
        self.assertEqual(answer.exit, 0, answer)
        return answer

    def calls(self):
        return len(self.world.events("call", self.seen))

    def leased(self, count):
        """Of the `count` records since the test's beginning, whether they were decided by a lease; those that were come last. Each is
        written behind its answer, by one worker or another."""
        records = eventually(lambda: len(found := self.world.audit.since(self.records)) >= count and found, what="a record of each request")
        return sorted(record.get("lease", False) for record in records)

    def token(self, answer):
        return json.loads(answer.body).get("authorization")

    def test_a_forward_decides_again(self):
        self.script(forward("one"))
        for path in ("/headers", "/headers?q=1", "/headers"):
            self.get(path)
            headers = {name.lower(): value for name, value in self.world.origin_requests()[-1]["headers"]}
            self.assertEqual(headers["authorization"], "one")
        self.assertEqual(self.calls(), 1)
        self.assertEqual(self.leased(3), [False, True, True])
        record = self.world.audit.last()
        self.assertEqual((record["decision"], record["handler"], record["status"]), ("handler", "script", 200))
        self.assertNotIn("handlerUs", record)
        # Not for another path, method, scheme or port.
        self.get("/digest")
        self.assertEqual(self.calls(), 2)
        self.get("/headers", "-X", "POST")
        self.assertEqual(self.calls(), 3)
        self.get("/headers", url="https://api.test")
        self.assertEqual(self.calls(), 4)

    def test_a_response_decides_again(self):
        self.script(*respond("kept", methods=["GET", "HEAD", "POST"]))
        contacts = self.world.origin_contacts()
        for options in ([], [], ["--head"], ["-d", "a body that nobody reads"], []):
            answer = self.get("/x", *options)
            self.assertEqual((answer.status, answer.headers["x-by"], answer.headers["content-length"]), (200, "handler", "4"), answer)
        self.assertEqual((self.calls(), self.leased(5)), (1, [False] + [True] * 4))
        self.assertEqual(self.world.origin_contacts(), contacts)

    def test_what_lies_below_a_prefix(self):
        self.script(forward("p", pathPrefix="/a"))
        self.get("/a/b")
        for path in ("/a", "/a/c?d", "/a/b/c"):
            self.get(path)
        self.assertEqual(self.calls(), 1)
        for count, path in enumerate(("/ab", "/a/../x", "/a//b", "/a/%2e%2e/x", "/a/%2Fx", "/A"), 2):
            self.get(path, "--path-as-is")
            self.assertEqual(self.calls(), count, path)

    def test_so_many_uses_over_all_workers(self):
        self.script(forward("n", maxUses=10))
        self.get()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: self.get(), range(10)))
        self.assertEqual((self.calls(), sum(self.leased(11))), (1, 10))
        self.get()
        self.assertEqual(self.calls(), 2)

    def test_ends_in_time(self):
        self.script(forward("t", ttl="3s"))
        self.get()
        self.get()
        self.assertEqual(self.calls(), 1)
        time.sleep(3)
        self.get()
        self.assertEqual(self.calls(), 2)

    def test_a_change_of_the_rule_ends_it_at_once(self):
        self.script(forward("old"))
        self.get()
        self.script(forward("new"))  # Other params.
        self.assertEqual(self.token(self.get()), "new")
        # The same rule again is a new one.
        self.world.enforced("remove-outbound-by-host", self.client.id, "api.test")
        self.assertIsNone(self.token(self.get()))
        self.script(forward("new"))
        self.get()
        self.assertEqual(self.calls(), 3)

    def test_another_rule_leaves_it(self):
        self.script(forward("t"))
        self.get()
        self.world.enforced("deny-host", self.client.id, "nowhere.test")
        self.get()
        self.assertEqual(self.calls(), 1)

    def test_policy_comes_first(self):
        self.script(forward("t"))
        self.get()
        self.world.enforced("deny-host", self.client.id, "api.test")
        self.assertEqual(self.client.curl("http://api.test/headers", address=ORIGIN).reason, "denied_host")
        self.world.enforced("remove-denied-host", self.client.id, "api.test")
        self.get()
        self.assertEqual(self.calls(), 2)

    def test_another_registration_ends_it(self):
        self.script(forward("t"))
        self.get()
        self.world.cli("handler", "register", "script", self.world.handler.url, "--timeout", "6s")
        self.addCleanup(self.world.cli, "handler", "register", "script", self.world.handler.url, "--timeout", "30s")
        self.get()
        self.assertEqual(self.calls(), 2)
        self.world.cli("handler", "delete", "script")
        self.assertEqual(self.get().reason, "handler_missing")

    def test_the_handler_revokes_it(self):
        self.script(forward("t"))
        self.get()
        # The same rule, so that only the answer can end the lease: another path is asked for.
        other = self.world.container("c", f"{self.client.id}-b")
        self.addCleanup(other.close)
        self.world.script(forward("o"), container=other)
        other.curl("http://api.test/headers")
        self.assertEqual(self.calls(), 2)
        steps = {"forward": {"revokeLeases": True}}
        self.world.rule("script", "other.test", {"steps": [steps]}, container=self.client)
        self.get("/headers", url="http://other.test")
        self.get()
        self.assertEqual(self.calls(), 4)
        # Another container's stays.
        other.curl("http://api.test/headers")
        self.assertEqual(self.calls(), 4)

    def test_is_its_containers_alone(self):
        self.script(forward("mine"))
        self.get()
        other = self.world.container("c", f"{self.client.id}-b")
        self.addCleanup(other.close)
        self.world.script(forward("its"), container=other)
        self.assertEqual(self.token(other.curl("http://api.test/headers")), "its")
        # A container of that id again is another one.
        self.client.close()
        self.client = self.world.container("c", self.client.id)
        self.addCleanup(self.client.close)
        self.script(forward("mine"))
        self.get()
        self.assertEqual(self.calls(), 3)

    def test_nothing_of_it_is_written(self):
        secret = "lease-canary-7731"
        self.script(forward(secret))
        self.get()
        self.get()
        self.assertEqual(self.leased(2), [False, True])
        found = self.world.host_run("grep", "-rlF", "--exclude=origin.log", "--exclude=script_handler.log", "--exclude-dir=controlplane",
                                    secret, self.world.dir)
        # The script is a rule's params, which the agent keeps: it is not the lease that is found there.
        self.assertEqual([line for line in found.stdout.split() if "/agent/" not in line and "/run/" not in line], [])


if __name__ == "__main__":
    unittest.main()
