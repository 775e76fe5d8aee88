"""`sallyport audit tail`: who gets which records of the fleet, and what becomes of followers that are killed, slow or left alone."""

import re
import signal
import subprocess
import threading
import unittest

from harness import World, binary, eventually

ORIGIN = "203.0.113.10"
NAMES = {"good.test": ORIGIN, "evil.test": ORIGIN}
AGENT_METRICS, CONTROL_PLANE_METRICS = "127.0.0.1:9464", "127.0.0.1:9465"


class AuditTailTest(unittest.TestCase):
    def setUp(self):
        self.world = World(NAMES, agent_flags=["--metrics", AGENT_METRICS], control_plane_flags=["--metrics", CONTROL_PLANE_METRICS])
        self.addCleanup(self.world.close)
        self.world.apply_class("open", denied_hosts=["evil.test"])
        self.world.apply_class("other")
        self.first, self.second = self.world.container("open", "c-1"), self.world.container("other", "c-2")

    def follow(self, *flags, name="follower"):
        """`sallyport audit tail`, from when no record is passed over."""
        follower = self.world.start(name, [binary("sallyport"), "audit", "tail", "--json", *flags], self.world.host)
        follower.await_text("sallyport: following")
        return follower

    def counted(self, address, name):
        text = self.world.host_run("curl", "-sS", "-m", "20", f"http://{address}/metrics").stdout
        return sum(int(float(value)) for value in re.findall(rf"(?m)^{name}(?:{{.*}})? (\S+)$", text))

    def get(self, container, url):
        # What is denied has no address.
        response = container.curl(url, address=ORIGIN)
        self.assertIn(response.status, (200, 520), response)

    @staticmethod
    def paths(follower):
        return [line.get("path") for line in follower.lines.all()]

    def await_paths(self, follower, *paths):
        eventually(lambda: len(self.paths(follower)) >= len(paths), what=f"{paths}, see {follower.log_path}")
        self.assertEqual(self.paths(follower), list(paths))

    def test_each_follower_gets_what_it_asked_for_from_now_on(self):
        self.get(self.first, "http://good.test/before")
        everything = self.follow(name="everything")
        one = self.follow("--container", "c-2", name="one")
        denied = self.follow("--class", "open", "--denied", name="denied")
        text = self.world.start("text", [binary("sallyport"), "audit", "tail", "--denied"], self.world.host)
        text.await_text("sallyport: following")
        self.get(self.first, "http://good.test/1?token=hidden")
        self.get(self.second, "http://good.test/2")
        self.get(self.second, "http://evil.test/3")
        self.get(self.first, "http://evil.test/4")
        self.await_paths(everything, "/1", "/2", "/3", "/4")
        self.await_paths(one, "/2", "/3")
        self.await_paths(denied, "/4")
        text.await_text(r"deny +GET +http://evil.test/4 +520 .*denied_host +c-1\n")
        # As in the host's file, field for field.
        eventually(lambda: self.world.audit.count() == 5, what="the file's records")
        self.assertEqual(everything.lines.all(), self.world.audit.since(1))
        self.assertNotIn("hidden", everything.text())

    def test_ctrl_c_ends_it_and_nothing_is_sent_any_more(self):
        self.get(self.first, "http://good.test/1")
        self.assertEqual(self.counted(AGENT_METRICS, "sallyport_audit_followed"), 0)
        follower = self.follow()
        self.assertEqual(self.counted(AGENT_METRICS, "sallyport_audit_followed"), 1)
        self.get(self.first, "http://good.test/2")
        self.await_paths(follower, "/2")
        follower.process.send_signal(signal.SIGINT)
        self.assertEqual(follower.process.wait(10), 0)
        eventually(lambda: self.counted(AGENT_METRICS, "sallyport_audit_followed") == 0, what="an agent that sends nothing")
        self.assertEqual(self.counted(CONTROL_PLANE_METRICS, "sallyportd_audit_followers"), 0)
        self.get(self.first, "http://good.test/3")
        self.assertEqual(self.counted(CONTROL_PLANE_METRICS, "sallyportd_audit_records_total"), 1)

    def test_proxies_that_come_later_are_followed_too(self):
        follower = self.follow()
        self.world.cli("restart-proxy")
        self.get(self.first, "http://good.test/1")
        self.await_paths(follower, "/1")

    def test_a_name_that_does_not_exist_is_an_error(self):
        for flags, message in ((("--container", "c-9"), "c-9"), (("--class", "wbe"), 'there is no class "wbe"; there are: open, other')):
            result = self.world.cli_result("audit", "tail", *flags)
            self.assertEqual(result.returncode, 1, result)
            self.assertIn("NOT_FOUND", result.stderr)
            self.assertIn(message, result.stderr)

    def test_a_slow_follower_is_told_what_it_missed_and_stops_nobody(self):
        slow = self.follow(name="slow")
        slow.suspend()
        narrow = self.follow("--container", "c-2", name="narrow")
        # More than is kept for it.
        while self.counted(CONTROL_PLANE_METRICS, "sallyportd_audit_records_missed_total") == 0:
            result = subprocess.run(self.first.command("wrk", "-t1", "-c8", "-d3s", f"http://{ORIGIN}/"), check=True, capture_output=True, text=True)
            self.assertNotIn("Non-2xx", result.stdout)
            self.assertNotIn("Socket errors", result.stdout)
        # Who keeps up has not lost what it wants.
        self.get(self.second, "http://good.test/seen")
        eventually(lambda: "/seen" in self.paths(narrow), what="the record of the other container")
        slow.resume()
        eventually(lambda: "/seen" in self.paths(slow), 60, "the newest record")
        lines = slow.lines.all()
        missing = sum(int(line["gap"]["missing"]) for line in lines if "gap" in line)
        records = sum("containerId" in line for line in lines)
        self.assertGreater(missing, 0)
        self.assertEqual(records + missing, self.counted(AGENT_METRICS, "sallyport_decisions_total"))
        # The file is the record of truth.
        self.assertEqual(self.world.audit.count(), records + missing)

    def test_a_control_plane_that_is_away_stops_nobody_and_leaves_a_gap(self):
        follower = self.follow()
        self.get(self.first, "http://good.test/1")
        self.await_paths(follower, "/1")
        self.world.control_plane.kill()
        follower.await_text("the control plane is away")
        self.get(self.first, "http://good.test/2")
        self.world.start_control_plane()
        eventually(lambda: follower.text().count("sallyport: following") == 2, 30, "the follower is back")
        eventually(self.is_sent, 30, "the agent is back")
        self.get(self.first, "http://good.test/3")
        eventually(lambda: "/3" in self.paths(follower), 30, f"what came after, see {follower.log_path}")
        self.assertEqual(follower.lines.all()[1], {"gap": {"host": "", "missing": 0}})
        self.assertEqual([path for path in self.paths(follower) if path not in (None, "/probe")], ["/1", "/3"])

    def test_an_agent_that_goes_leaves_a_gap(self):
        follower = self.follow()
        self.world.agent.stop()
        eventually(lambda: follower.lines.count() == 1, what="the gap")
        self.assertEqual(follower.lines.all(), [{"gap": {"host": "test-host", "missing": 0}}])

    def test_an_agent_speaks_for_its_own_containers_only(self):
        follower = self.follow()
        self.publish("elsewhere", ["c-1", "none"])
        eventually(lambda: follower.lines.count() == 2, what="the place of the records")
        self.assertEqual(follower.lines.all(), [{"gap": {"host": "elsewhere", "missing": 1}}] * 2)
        self.assertEqual(self.counted(CONTROL_PLANE_METRICS, "sallyportd_audit_records_refused_total"), 2)

    def is_sent(self):
        """Whether a record of now comes to the control plane that was started anew."""
        self.get(self.second, "http://good.test/probe")
        return self.counted(CONTROL_PLANE_METRICS, "sallyportd_audit_records_total") > 0

    def publish(self, host, container_ids):
        """As the agent of a host would."""
        api = self.world.api
        method = api.schema.methods["AuditStream.Publish"]
        request, response = api.schema.named("PublishRequest"), api.schema.named("PublishResponse")
        stub = api.channel.stream_stream(f"/{method.containing_service.full_name}/{method.name}", request.SerializeToString, response.FromString)
        said = threading.Event()

        def messages():
            yield request(host_name=host)
            yield request(entries={"entries": [{"record": {"container_id": one, "path": "/forged"}} for one in container_ids]})
            said.wait()

        # Whoever drops a stream ends it.
        self.published = stub(messages())
        self.addCleanup(said.set)
        # It is told that somebody follows.
        self.assertTrue(next(self.published).filters)

    def test_the_file_of_a_host_needs_no_control_plane(self):
        self.get(self.first, "http://good.test/1")
        self.world.control_plane.kill()
        text = self.world.host_run(binary("sallyport"), "audit", "tail", "--audit", self.world.audit.path, "--follow=false").stdout
        self.assertIn("http://good.test/1", text)
        result = self.world.cli_result("audit", "tail")
        self.assertEqual(result.returncode, 3, result)
        self.assertIn("cannot reach the control plane", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
