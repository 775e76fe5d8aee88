"""From a class in monitor mode to an allow list that is enforced, by way of what its containers were seen to do."""

import os
import select
import signal
import subprocess
import unittest

from harness import World, binary, eventually, run

NAMES = {name: "203.0.113.10" for name in ("a.test", "b.test", "c.test")}
MONITORED = """\
classes:
  agent:
    enable_internet: false
    intercept_https: true
    monitor: true
    allowed_hosts: []
"""


class MonitorTripTest(unittest.TestCase):
    def setUp(self):
        self.world = World(NAMES)
        self.addCleanup(self.world.close)

    def cli(self, *arguments, stdin=None):
        return run(*self.world.host.command(binary("sallyport"), *arguments), env=self.world.environment(), input=stdin).stdout

    def get(self, container, url):
        return container.curl(url, address="203.0.113.10")

    def test_what_was_seen_is_allowed_and_nothing_else(self):
        self.cli("apply", "-f", "-", stdin=MONITORED)
        container = self.world.container("agent", "web-1")
        for url in ("http://a.test/", "https://b.test/x"):
            self.assertEqual(self.get(container, url).status, 200)
        eventually(lambda: {record.get("host") for record in self.world.audit.all()} >= {"a.test", "b.test"}, what="records")
        self.assertIn("monitor mode", self.cli("explain", "web-1", "http://c.test/"))

        suggested = self.cli("suggest", "--class", "agent", "--audit", self.world.audit.path)
        self.assertIn("allowed_hosts:\n      - a.test\n      - b.test\n", suggested)
        self.assertEqual(self.cli("explain", "web-1", "http://a.test/").splitlines()[0], "GET http://a.test/ -> egress")
        out = self.cli("apply", "-f", "-", stdin=suggested.replace("monitor: true", "monitor: false"))
        self.assertRegex(out, r"class agent +updated\n1 changed, 0 unchanged   revision \d+, enforced on test-host")
        self.assertEqual(self.get(container, "http://a.test/").status, 200)
        self.assertEqual(self.get(container, "http://c.test/").reason, "not_allowed")
        self.assertRegex(self.cli("explain", "web-1", "http://c.test/"),
                         r"-> deny: not_allowed\ndecided by step 2, .*\npolicy: revision (\d+) stored, \1 enforced\n")

    def test_watch_shows_a_change_and_that_its_host_enforces_it(self):
        self.cli("apply", "-f", "-", stdin=MONITORED)
        self.world.container("agent", "web-1")
        watch = subprocess.Popen(self.world.host.command(binary("sallyport"), "container", "watch", "web-1"),
                                 stdout=subprocess.PIPE, env=self.world.environment())
        self.addCleanup(lambda: (watch.kill(), watch.wait(), watch.stdout.close()))
        text = ""

        def read_to(part):
            nonlocal text
            while part not in text:
                self.assertTrue(select.select([watch.stdout], [], [], 30)[0], f"{part!r} not in {text!r}")
                piece = os.read(watch.stdout.fileno(), 65536).decode()
                self.assertTrue(piece, text)
                text += piece

        read_to("changes follow")
        self.assertIn("container web-1   on test-host", text)
        revision = self.world.enforced("allow-host", "web-1", "a.test")["revision"]
        read_to(f"host test-host   enforces revision {revision}")
        self.assertIn("allowed hosts of its own", text)
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(30), 0)


if __name__ == "__main__":
    unittest.main()
