"""A policy's way: from a call of the control plane's API to the next request of a container."""

import json
import unittest

from harness import World, read_response

NAMES = {"a.test": "203.0.113.10", "b.test": "203.0.113.10", "c.test": "203.0.113.10"}


class PolicyTripTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.handler = cls.world.start_handler("respond", "inject")
        cls.world.apply_class("open", intercept_https=True)
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.container = self.world.container("open", f"p-{self.number}")
        self.addCleanup(self.container.close)

    def get(self, host, scheme="http"):
        return self.container.curl(f"{scheme}://{host}/", address="203.0.113.10")

    def set(self, command, *arguments):
        return self.world.enforced(command, self.container.id, *arguments)

    def test_a_change_holds_when_it_is_answered(self):
        for _ in range(20):
            self.set("deny-host", "a.test")
            self.assertEqual(self.get("a.test").reason, "denied_host")
            self.set("remove-denied-host", "a.test")
            self.assertEqual(self.get("a.test").status, 200)

    def test_removed_rule_while_a_connection_is_open(self):
        self.set("set-outbound-by-host", "a.test", "respond")
        with self.container.connect("203.0.113.10", 80) as connection:
            request = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
            connection.sendall(request)
            self.assertIn('"handler":"respond"', read_response(connection)[2])
            self.set("remove-outbound-by-host", "a.test")
            connection.sendall(request)
            self.assertEqual(read_response(connection)[2], "origin a.test /")

    def test_lists(self):
        self.set("set-allowed-hosts", "a.test")
        self.assertEqual(self.get("b.test").reason, "not_allowed")
        self.set("allow-host", "b.test")
        self.assertEqual(self.get("b.test").status, 200)
        self.set("deny-host", "*.test")
        self.assertEqual(self.get("b.test").reason, "denied_host")
        self.set("set-denied-hosts")
        self.assertEqual(self.get("b.test").status, 200)
        self.set("clear-allowed-hosts")
        self.assertEqual(self.get("c.test").status, 200)
        self.set("set-allowed-hosts")
        self.assertEqual(self.get("a.test").reason, "not_allowed")

    def test_catch_all(self):
        self.set("set-outbound-handler", "respond")
        self.assertEqual(json.loads(self.get("c.test").body)["handler"], "respond")
        self.assertEqual(json.loads(self.get("c.test", "https").body)["handler"], "respond")
        self.set("clear-outbound-handler")
        self.assertEqual(self.get("c.test").body, "origin c.test /")

    def test_a_changed_class_reaches_its_running_containers(self):
        self.world.apply_class("changing")
        container = self.world.container("changing", "changing-1")
        self.addCleanup(container.close)
        self.assertEqual(container.curl("http://a.test/").status, 200)
        answer = self.world.apply_class("changing", denied_hosts=["a.test"])
        self.assertEqual(answer["result"]["enforcement"], "ENFORCED")
        self.assertEqual(container.curl("http://a.test/", address="203.0.113.10").reason, "denied_host")

    def test_handler_registered_again_elsewhere_takes_over(self):
        self.set("set-outbound-by-host", "a.test", "respond")
        self.assertEqual(self.get("a.test").status, 200)
        other = self.world.start_handler(name="second", flags=["--handler=respond"])
        self.world.cli("handler", "register", "respond", f"grpc://{other.address}")
        self.assertEqual(self.get("a.test").status, 200)
        self.assertEqual(other.lines.last()["handler"], "respond")
        self.world.cli("handler", "register", "respond", f"grpc://{self.handler.address}")

    def test_a_rejected_change_changes_nothing(self):
        for command, argument, message in (("deny-host", "https://a.test", "a.test"), ("deny-host", ".evil.test", "*.evil.test"),
                                           ("allow-host", "10.0.0.1/8", "10.0.0.0/8")):
            result = self.world.cli_result(command, self.container.id, argument)
            self.assertEqual(result.returncode, 1, result)
            self.assertIn("INVALID_ARGUMENT", result.stderr)
            self.assertIn(message, result.stderr)
        result = self.world.cli_result("set-outbound-by-host", self.container.id, "a.test", "nope")
        self.assertIn("NOT_FOUND", result.stderr)
        self.assertEqual(self.get("a.test").status, 200)

    def test_container_that_is_attached_nowhere(self):
        self.world.cli("container", "create", "later", "--class", "open")
        answer = self.world.cli("deny-host", "later", "a.test")
        self.assertEqual(answer["enforcement"], "NOT_ATTACHED")
        container = self.world.container("open", "later")
        self.addCleanup(container.close)
        self.assertEqual(container.curl("http://a.test/", address="203.0.113.10").reason, "denied_host")

    def test_attached_by_the_command_line(self):
        answer = self.world.cli("container", "get", self.container.id)["container"]
        self.assertEqual(answer["host"], "test-host")
        self.world.cli("container", "detach", self.container.id)
        pid = str(self.container.holder.pid)
        answer = self.world.cli("container", "attach", "--pid", pid, "--id", self.container.id, "--class", "open")
        self.assertTrue(answer["policyEnforced"], answer)
        self.assertIn("BEGIN CERTIFICATE", answer["caCertificatePem"])
        self.assertEqual(self.get("a.test").status, 200)

    def test_unknown_class_reaches_nothing(self):
        result = self.world.cli_result("container", "attach", "--pid", str(self.container.holder.pid), "--id", "x", "--class", "none")
        self.assertEqual(result.returncode, 1, result)


if __name__ == "__main__":
    unittest.main(verbosity=2)
