"""What Prometheus reads from a host and from the control plane, and what a load balancer does."""

import json
import os
import re
import signal
import unittest

from prometheus_client.parser import text_string_to_metric_families

import harness
from harness import World, eventually, read_text, run

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10", "api.test": "203.0.113.10"}
AGENT, CONTROL_PLANE = "127.0.0.1:9464", "127.0.0.1:9465"
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
# What Prometheus appends to a histogram's name.
SUFFIXES = re.compile(r"_(bucket|sum|count)$")


def get(world, address, path):
    """Status and body."""
    result = world.host_run("curl", "-sS", "-m", "20", "-w", "\n%{http_code}", f"http://{address}{path}")
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    body, status = result.stdout.rsplit("\n", 1)
    return int(status), body


class Scrape:
    """One answer, as Prometheus' own parser reads it."""

    def __init__(self, world, address=AGENT):
        status, self.text = get(world, address, "/metrics")
        assert status == 200, self.text
        self.families = list(text_string_to_metric_families(self.text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name, **labels):
        """The sum over all samples that have these labels; None: there are none."""
        found = [sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()]
        return sum(found) if found else None

    def names(self):
        return {line.split()[2] for line in self.text.splitlines() if line.startswith("# TYPE ")}


class MetricsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES, agent_flags=["--metrics", AGENT],
                          control_plane_flags=["--metrics", CONTROL_PLANE])
        cls.addClassCleanup(cls.world.close)
        cls.world.start_handler("respond")
        cls.world.apply_class("listed", enable_internet=False, allowed_hosts=["good.test", "api.test"],
                              outbound_by_host=[["api.test", "respond"]])
        cls.container = cls.world.container("listed", "listed-1")

    def grown(self, before, name, **labels):
        return Scrape(self.world).value(name, **labels) - (before.value(name, **labels) or 0)

    def test_decisions_are_counted_by_class_and_reason(self):
        before = Scrape(self.world)
        for _ in range(3):
            self.assertEqual(self.container.curl("http://good.test/").status, 200)
        self.assertEqual(self.container.curl("http://evil.test/", address="203.0.113.10").status, 520)
        self.assertEqual(self.container.curl("http://api.test/").status, 200)
        # Counted with its audit record, which comes after the answer.
        eventually(lambda: self.grown(before, "sallyport_request_duration_seconds_count", **{"class": "listed"}) == 5, what="5 requests")
        for decision, reason, count in (("egress", "", 3), ("deny", "not_allowed", 1), ("handler", "", 1)):
            labels = {"class": "listed", "decision": decision, "reason": reason}
            self.assertEqual(self.grown(before, "sallyport_decisions_total", **labels), count, labels)
        self.assertEqual(self.grown(before, "sallyport_handler_calls_total", handler="respond"), 1)
        self.assertEqual(self.grown(before, "sallyport_handler_failures_total", handler="respond"), 0)
        self.assertGreater(self.grown(before, "sallyport_sent_bytes_total", **{"class": "listed"}), 3 * len("origin good.test /"))

    def test_a_container_that_is_gone_still_counts(self):
        container = self.world.container("listed", "listed-2")
        before = Scrape(self.world)
        self.assertEqual(before.value("sallyport_containers", **{"class": "listed"}), 2)
        self.assertEqual(container.curl("http://evil.test/", address="203.0.113.10").status, 520)
        container.close()
        after = eventually(lambda: next((scrape for scrape in [Scrape(self.world)] if scrape.value(
            "sallyport_containers", **{"class": "listed"}) == 1), None), what="detached")
        labels = {"class": "listed", "decision": "deny"}
        self.assertEqual(after.value("sallyport_decisions_total", **labels), (before.value("sallyport_decisions_total", **labels) or 0) + 1)

    def test_a_killed_proxy_is_seen(self):
        before = Scrape(self.world)
        self.assertEqual(before.value("sallyport_proxy_up"), 1)
        os.kill(self.world.proxy_pid(), signal.SIGKILL)
        eventually(lambda: self.grown(before, "sallyport_proxy_restarts_total") == 1 and Scrape(self.world).value("sallyport_proxy_up") == 1,
                   what="a new proxy")
        self.assertEqual(get(self.world, AGENT, "/readyz"), (200, "ready\n"))

    def test_the_control_plane_counts_calls(self):
        before = Scrape(self.world, CONTROL_PLANE)
        self.world.cli("class", "get", "listed")
        self.assertEqual(self.world.cli_result("class", "get", "nowhere").returncode, 1)
        self.world.enforced("allow-host", "listed-1", "more.test")
        after = Scrape(self.world, CONTROL_PLANE)
        for method, code in (("OutboundPolicy.GetClass", "OK"), ("OutboundPolicy.GetClass", "NOT_FOUND"),
                             ("OutboundPolicy.AllowHost", "OK")):
            labels = {"method": method, "code": code}
            self.assertEqual(after.value("sallyportd_calls_total", **labels),
                             (before.value("sallyportd_calls_total", **labels) or 0) + 1, after.text)
        self.assertEqual(after.value("sallyportd_agents_connected"), 1)
        self.assertEqual(after.value("sallyportd_attached_containers"), 1)
        self.assertEqual(after.value("sallyportd_revision"), before.value("sallyportd_revision") + 1)
        host = Scrape(self.world)
        self.assertEqual(host.value("sallyport_enforced_revision"), after.value("sallyportd_revision"))
        self.assertEqual(host.value("sallyport_control_plane_connected"), 1)

    def test_health(self):
        for address in (AGENT, CONTROL_PLANE):
            self.assertEqual(get(self.world, address, "/healthz"), (200, "ok\n"))
            self.assertEqual(get(self.world, address, "/readyz"), (200, "ready\n"))
            self.assertEqual(get(self.world, address, "/")[0], 404)

    def test_names_that_a_container_makes_up_are_no_labels(self):
        """RX10: hosts, paths, methods and SNI of its choice."""
        self.assertEqual(self.container.curl("http://first.test/", address="203.0.113.10").status, 520)
        before = len(Scrape(self.world).samples)
        for number in range(50):
            self.assertEqual(self.container.curl(f"http://made-up-{number}.test/{number}", "-X", f"M{number}", address="203.0.113.10").status, 520)
            self.container.curl(f"https://made-up-{number}.test/", address="203.0.113.10")
        after = Scrape(self.world)
        self.assertNotIn("made-up", after.text)
        # A refusal of another kind, at most: relays that were reset.
        self.assertLessEqual(len(after.samples) - before, 2)

    def test_containers_do_not_reach_it(self):
        """CP23: it is on loopback alone, which no container is dialled to."""
        for target in (AGENT, f"{self.world.host_address}:9464"):
            self.assertNotEqual(self.container.curl(f"http://{target}/metrics").status, 200)

    def test_every_name_is_documented_and_drawn_from(self):
        served = Scrape(self.world).names() | Scrape(self.world, CONTROL_PLANE).names()
        # Of what the other tests need not have caused.
        documented = set(re.findall(r"^\| `(sallyportd?_\w+)`", read_text(os.path.join(ROOT, "docs/metrics.md")), re.M))
        self.assertLessEqual(served, documented)
        dashboard = read_text(os.path.join(ROOT, "deploy/grafana/sallyport.json"))
        expressions = [target["expr"] for panel in json.loads(dashboard)["panels"] for target in panel.get("targets", [])]
        used = {SUFFIXES.sub("", name) for name in re.findall(r"sallyportd?_\w+", " ".join(expressions))}
        self.assertGreater(len(used), 10)
        self.assertLessEqual(used, documented)


class NotReadyTest(unittest.TestCase):
    def test_a_host_that_has_never_had_a_policy_is_not_ready(self):
        with World(NAMES, agent_flags=["--metrics", AGENT]) as world:
            world.agent.stop()
            world.control_plane.stop()
            run("rm", "-r", f"{world.dir}/agent")
            world.start_agent(connected=False)
            status, why = get(world, AGENT, "/readyz")
            self.assertEqual(status, 503)
            self.assertIn("there is no policy: the control plane is away", why)
            self.assertEqual(get(world, AGENT, "/healthz")[0], 200)
            world.start_control_plane()
            world.apply_class("open")
            world.container("open", "open-1")
            self.assertEqual(get(world, AGENT, "/readyz"), (200, "ready\n"))

    def test_a_bad_address_is_said_at_once(self):
        for program in ("sallyport-agent", "sallyportd"):
            result = run(harness.binary(program), "--metrics", "9464", check=False)
            self.assertEqual(result.returncode, 2)
            self.assertIn('--metrics "9464": it is served without TLS, so write 127.0.0.1:PORT', result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
