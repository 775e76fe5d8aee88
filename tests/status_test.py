"""`sallyport status`: hosts and containers at a glance."""

import json
import unittest

from harness import World, eventually


class StatusTest(unittest.TestCase):
    def test_hosts_and_containers_at_a_glance(self):
        world = World()
        self.addCleanup(world.close)
        world.apply_class("open")
        world.container("open", "c-1")
        world.api.call("CreateContainer", containerId="c-2", className="open")
        change = world.enforced("allow-host", "c-1", "good.test")
        status = world.cli("status")
        plane = status["controlPlane"]
        self.assertTrue(plane["reachable"])
        self.assertEqual(plane["classes"], 1)
        self.assertEqual([(one["host"], one["connected"]) for one in plane["hosts"]], [("test-host", True)])
        here, nowhere = plane["containers"]
        self.assertEqual((here["policy"]["containerId"], here["policy"]["className"], here["host"]), ("c-1", "open", "test-host"))
        self.assertEqual(here["storedRevision"], change["revision"])
        self.assertGreaterEqual(int(here["enforcedRevision"]), int(change["revision"]))
        self.assertEqual((nowhere["policy"]["containerId"], nowhere["host"]), ("c-2", ""))
        text = world.cli_text("status")
        self.assertRegex(text, r"host +test-host +connected +revision \d+ enforced, 1 containers\n")
        self.assertRegex(text, rf"container +c-1 +open +test-host +revision {change['revision']} enforced\n")
        self.assertRegex(text, r"container +c-2 +open +- +attached nowhere\n")
        self.assertRegex(text, rf"proxy +process {world.proxy_pid()},")
        # A host that is away, and a change that it does not have.
        world.agent.suspend()
        world.api.call("AllowHost", containerId="c-1", host="b.test", options={"wait": "WAIT_STORED"})
        [here, _] = self.fleet(world)["containers"]
        self.assertLess(int(here["enforcedRevision"]), int(here["storedRevision"]))
        world.agent.kill()
        eventually(lambda: not self.fleet(world)["hosts"][0].get("connected"), what="the host is away")

    @staticmethod
    def fleet(world):
        """Of another machine: no agent is asked."""
        return json.loads(world.cli_result("status", "--agent", "unix:/nowhere").stdout)["controlPlane"]


if __name__ == "__main__":
    unittest.main(verbosity=2)
