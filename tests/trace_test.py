"""`traceparent` (W3C Trace Context): kept, and started by an agent that is asked to."""

import json
import unittest

from harness import World

NAMES = {"good.test": "203.0.113.10"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
KEPT = f"00-{TRACE}-00f067aa0ba902b7-00"


class TraceTest(unittest.TestCase):
    def world(self, *agent_flags):
        world = World(NAMES, agent_flags=agent_flags)
        self.addCleanup(world.close)
        self.audit = world.audit
        world.apply_class("open")
        return world, world.container("open", "c-1")

    def test_handler_and_origin_are_in_one_trace(self):
        world, _ = self.world("--trace")
        handler = world.start_handler("inject")
        world.apply_class("handled", outbound_by_host=[["good.test", "inject"]])
        handled = world.container("handled", "c-2")
        traceparent = self.headers(handled, "http://good.test/headers")["traceparent"]
        asked = {name.lower(): value for name, value in handler.lines.last()["headers"].items()}
        self.assertEqual(asked["traceparent"], traceparent)
        record = world.audit.last()
        self.assertEqual((record["handler"], record["traceId"]), ("inject", traceparent.split("-")[1]))

    def headers(self, container, url, *options):
        """What the origin got."""
        records = self.audit.count()
        response = container.curl(url, *options)
        self.assertEqual(response.status, 200, response)
        self.audit.await_last(records)
        return json.loads(response.body)

    def test_without_the_flag_nothing_is_added_and_what_is_there_is_kept(self):
        world, container = self.world()
        self.assertNotIn("traceparent", self.headers(container, "http://good.test/headers"))
        self.assertNotIn("traceId", world.audit.last())
        self.assertEqual(self.headers(container, "http://good.test/headers", "-H", f"traceparent: {KEPT}")["traceparent"], KEPT)
        self.assertEqual(world.audit.last()["traceId"], TRACE)

    def test_with_the_flag_each_request_has_a_trace(self):
        world, container = self.world("--trace")
        seen = set()
        for _ in range(2):
            traceparent = self.headers(container, "http://good.test/headers")["traceparent"]
            self.assertRegex(traceparent, r"^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
            self.assertEqual(world.audit.last()["traceId"], traceparent.split("-")[1])
            seen.add(traceparent.split("-")[1])
        self.assertEqual(len(seen), 2)
        # Sender and receiver know what theirs means.
        self.assertEqual(self.headers(container, "http://good.test/headers", "-H", f"traceparent: {KEPT}")["traceparent"], KEPT)
        self.assertEqual(world.audit.last()["traceId"], TRACE)
        self.assertEqual(self.headers(container, "http://good.test/headers", "-H", "traceparent: 00-x")["traceparent"], "00-x")
        self.assertNotIn("traceId", world.audit.last())


if __name__ == "__main__":
    unittest.main(verbosity=2)
