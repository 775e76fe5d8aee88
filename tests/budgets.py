"""What the tests of budgets share: a world whose limits are low, a container for each test, and what each has used and exceeded."""

import unittest

from harness import World, eventually, read_response

GOOD = "203.0.113.10"
ECHO_PORT = 22
GET = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n"


class BudgetCase(unittest.TestCase):
    """`NAMES` and `LIMITS` are the world's; `container` is the test's own, and `other` is one that keeps within its budget."""

    NAMES = {"good.test": GOOD}
    LIMITS = {}

    @classmethod
    def start_world(cls, more_flags=(), **options):
        flags = [part for name, value in cls.LIMITS.items() for part in ("--limit", f"{name}={value}")]
        cls.world = World(cls.NAMES, agent_flags=[*flags, *more_flags], ports=[ECHO_PORT, 80, 443], **options)
        cls.addClassCleanup(cls.world.close)
        cls.number = 0

    def setUp(self):
        self.container = self.attach("open")

    def attach(self, class_name):
        type(self).number += 1
        container = self.world.container(class_name, f"b-{self.number}")
        self.addCleanup(container.close)
        return container

    def connect(self, payload=b"", port=80, address=GOOD, container=None):
        connection = (container or self.container).connect(address, port)
        self.addCleanup(connection.close)
        if payload:
            connection.sendall(payload)
        return connection

    def limit(self, name, container=None):
        """Used and exceeded."""
        usage = self.world.agent_api.call("AgentControl.Usage")
        for one in usage.get("containers", []):
            if one["containerId"] == (container or self.container).id:
                for limit in one.get("limits", []):
                    if limit["name"] == name:
                        return int(limit.get("used", 0)), int(limit.get("exceeded", 0))
        return 0, 0

    def await_used(self, name, count, container=None):
        eventually(lambda: self.limit(name, container)[0] == count, what=f"{name} is {count}")

    def records(self, **fields):
        return self.world.audit.matching(containerId=self.container.id, **fields)

    def await_record(self, **fields):
        return self.world.audit.await_matching(containerId=self.container.id, **fields)[-1]

    def assert_over_budget(self, connection, status, name):
        got, headers, body = read_response(connection)
        self.assertEqual((got, headers.get("sallyport-reason")), (status, "over_budget"))
        self.assertIn(body, ("over_budget\n", f"over_budget: {name}\n"))
        self.assertEqual(headers.get("retry-after"), "1")
        record = self.await_record(reason="over_budget", detail=name)
        self.assertEqual((record["decision"], record["status"]), ("reject" if status == 429 else "error", status))
        self.assertGreaterEqual(self.limit(name)[1], 1)

    def assert_served(self, container):
        self.assertEqual(container.curl("http://good.test/", address=GOOD).status, 200)

    def assert_other_untouched(self, name):
        self.assertEqual(self.limit(name, self.other)[1], 0)
