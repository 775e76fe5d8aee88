"""Monitor mode: real traffic that an enforcing class would refuse passes, and is recorded as such."""

import json
import unittest

import harness
from harness import World

NAMES = {"good.test": "203.0.113.10", "bad.test": "203.0.113.10", "net.test": "198.51.100.65", "other.test": "203.0.113.1",
         "private.test": "10.1.2.3"}
RULES = {"allowed_hosts": ["good.test", "net.test", "private.test", "203.0.113.10"], "denied_hosts": ["198.51.100.0/24"],
         "enable_internet": False}


class MonitorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.start_handler("respond")
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.name = f"m-{self.number}"

    def container(self, **fields):
        self.apply(monitor=True, **fields)
        container = self.world.container(self.name, self.name)
        self.addCleanup(container.close)
        return container

    def apply(self, **fields):
        return self.world.apply_class(self.name, **{**RULES, **fields})

    def record(self, count, **wanted):
        """The record written since `count` that has these values."""
        def find():
            return next((line for line in self.world.audit.since(count)
                         if line["containerId"] == self.name and all(line.get(key) == value for key, value in wanted.items())), None)
        return harness.eventually(find, what=f"a record with {wanted} in {self.world.audit.since(count)}")

    def test_http_passes_and_is_recorded(self):
        container = self.container()
        count = self.world.audit.count()
        self.assertEqual(container.curl("http://bad.test/").body, "origin bad.test /")
        record = self.record(count, scheme="http", host="bad.test")
        self.assertEqual((record["decision"], record["wouldDeny"], record["status"]), ("egress", "not_allowed", 200))
        self.assertNotIn("reason", record)

    def test_what_is_allowed_is_not_recorded_as_denied(self):
        container = self.container()
        count = self.world.audit.count()
        self.assertEqual(container.curl("http://good.test/").status, 200)
        self.assertNotIn("wouldDeny", self.record(count, scheme="http", host="good.test"))

    def test_denied_network_of_a_resolved_address(self):
        container = self.container(enable_internet=True)
        count = self.world.audit.count()
        for _ in range(2):
            # The second time over the kept connection to the origin.
            self.assertEqual(container.curl("http://net.test/", address="203.0.113.1").status, 200)
        harness.eventually(lambda: sum(line.get("wouldDeny") == "denied_host" and line["scheme"] == "http"
                                       for line in self.world.audit.since(count)) == 2)

    def test_decrypted_https(self):
        container = self.container(intercept_https=True)
        count = self.world.audit.count()
        self.assertEqual(container.curl("https://bad.test/").status, 200)
        self.assertEqual(self.record(count, scheme="https", host="bad.test")["wouldDeny"], "not_allowed")

    def test_tls_by_name(self):
        container = self.container()
        count = self.world.audit.count()
        self.assertEqual(container.curl("https://bad.test/").status, 200)
        record = self.record(count, scheme="tls", host="bad.test")
        self.assertEqual((record["decision"], record["wouldDeny"]), ("relay", "not_allowed"))

    def test_names_are_resolved_and_recorded(self):
        container = self.container()
        count = self.world.audit.count()
        answer = container.run("dig", "+short", "+tries=1", "@9.9.9.9", "bad.test")
        self.assertEqual(answer.stdout.split(), ["203.0.113.10"])
        record = self.record(count, scheme="dns", host="bad.test")
        self.assertEqual((record["decision"], record["wouldDeny"]), ("egress", "not_allowed"))

    def test_handlers_run_as_if_the_lists_allowed(self):
        container = self.container(outbound="respond")
        count = self.world.audit.count()
        self.assertEqual(json.loads(container.curl("http://bad.test/").body)["handler"], "respond")
        record = self.record(count, scheme="http", host="bad.test")
        self.assertEqual((record["decision"], record["wouldDeny"]), ("handler", "not_allowed"))

    def test_forbidden_addresses_stay_forbidden(self):
        container = self.container()
        self.assertEqual(container.curl("http://10.1.2.3/").reason, "forbidden_address")
        self.assertEqual(container.curl("http://169.254.169.254/").reason, "forbidden_address")
        response = container.curl("http://private.test/", address="203.0.113.1")
        self.assertEqual(response.reason, "forbidden_address")

    def test_relays_outlive_changes_until_monitor_mode_ends(self):
        container = self.container()
        count = self.world.audit.count()
        with container.connect("203.0.113.1", 5432) as denied, container.connect("203.0.113.10", 5432) as allowed:
            for relay in (denied, allowed):
                relay.sendall(b"x")
                self.assertEqual(relay.recv(1), b"x")
            # Both would be refused: raw bytes need the internet.
            self.apply(monitor=True, denied_hosts=["203.0.113.0/24"])
            for relay in (denied, allowed):
                relay.sendall(b"y")
                self.assertEqual(relay.recv(1), b"y")
            self.apply(enable_internet=True)
            denied.settimeout(5)
            with self.assertRaises(ConnectionResetError):
                denied.recv(1)
            allowed.sendall(b"z")
            self.assertEqual(allowed.recv(1), b"z")
        record = self.record(count, scheme="tcp", dialled="203.0.113.1")
        self.assertEqual((record["decision"], record["wouldDeny"]), ("relay", "not_allowed"))

    def test_enforced_again(self):
        container = self.container()
        self.assertEqual(container.curl("http://bad.test/").status, 200)
        self.apply()
        self.assertEqual(container.curl("http://bad.test/", address="203.0.113.10").reason, "not_allowed")

    def test_applying_says_that_nothing_is_enforced(self):
        warnings = self.apply(monitor=True)["warnings"]
        self.assertTrue(any("class.monitor" in warning for warning in warnings), warnings)


if __name__ == "__main__":
    unittest.main(verbosity=2)
