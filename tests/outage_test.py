"""The control plane is away, comes back, or says what it should not: hosts enforce the last good policy."""

import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import threading
import unittest

from api import ApiError
from harness import World, eventually
from netns import UnnamedNamespace

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10", "api.test": "203.0.113.10", "b.test": "203.0.113.10"}
ORIGIN = "203.0.113.10"
LISTED = {"name": "listed", "interceptHttps": True, "enableInternet": False, "allowedHosts": {"hosts": ["good.test", "api.test", "b.test"]},
          "outboundByHost": [{"host": "api.test", "handler": {"handler": "respond", "params": {"scope": "repo"}}}]}


class OutageTest(unittest.TestCase):
    def setUp(self):
        self.world = World(NAMES, sync_tap=True)
        self.addCleanup(self.world.close)
        self.api, self.tap = self.world.api, self.world.tap
        self.world.start_handler("respond")
        self.api.call("ApplyClass", **{"class": LISTED})
        self.container = self.world.container("listed")

    def get(self, host, scheme="http", container=None):
        return (container or self.container).curl(f"{scheme}://{host}/", address=ORIGIN)

    def assert_enforced(self, container=None):
        """The class's rules, and that b.test is denied to the container itself."""
        self.assertEqual(self.get("good.test", "https", container).status, 200)
        self.assertEqual(self.get("evil.test", "https", container).reason, "not_allowed")
        self.assertEqual(self.get("b.test", "http", container).reason, "denied_host")
        self.assertEqual(json.loads(self.get("api.test", "http", container).body)["params"], {"scope": "repo"})

    def assert_reaches_nothing(self, container):
        before = self.world.origin_contacts()
        for host in ("good.test", "evil.test"):
            response = container.curl(f"http://{host}/", "--max-time", "2", address=ORIGIN)
            self.assertIn((response.status, response.reason), ((0, ""), (520, "no_policy")), response)
        self.assertEqual(self.world.origin_contacts(), before)

    def status_of(self, container_id):
        return self.api.call("GetContainer", containerId=container_id)["container"]

    def kill_proxy(self):
        pid = self.world.proxy_pid()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.world.status().get("proxyPid", pid) not in (0, pid), what="a new proxy")

    def come_back(self):
        self.world.start_control_plane()
        eventually(lambda: self.world.status().get("controlPlaneConnected"), 20, "the agent is connected again")

    @contextlib.contextmanager
    def separated(self):
        """The agent and the control plane do not reach each other; both live."""
        with self.tap.separated():
            eventually(lambda: not self.world.status().get("controlPlaneConnected"), what="the agent notices")
            yield
        eventually(lambda: self.world.status().get("controlPlaneConnected"), 20, "the agent is connected again")

    # Away.

    def test_the_last_policy_holds_whatever_is_killed_meanwhile(self):
        self.api.enforced("DenyHost", containerId="c1", host="b.test")
        self.world.control_plane.kill()
        self.assert_enforced()
        self.kill_proxy()
        self.assert_enforced()
        self.world.agent.kill()
        self.assert_reaches_nothing(self.container)
        self.world.start_agent(connected=False)
        # Its sockets went with the agent that had made them; it is closed until it is attached again.
        self.assert_reaches_nothing(self.container)
        answer = self.container.attach()
        self.assertEqual((answer["policyEnforced"], answer["pending"]),
                         (True, "the control plane is away; the last known policy holds"))
        self.assert_enforced()
        self.kill_proxy()
        self.assert_enforced()
        status = self.world.status()
        self.assertNotIn("controlPlaneConnected", status)
        self.assertTrue(status["controlPlaneError"])
        self.assertTrue(status["controlPlaneLost"])
        self.come_back()
        self.assert_enforced()
        self.api.enforced("RemoveDeniedHost", containerId="c1", host="b.test")
        self.assertEqual(self.get("b.test").status, 200)
        self.assertNotIn("controlPlaneLost", self.world.status())

    def test_a_stopped_agent_comes_back_with_the_last_policy(self):
        self.api.enforced("DenyHost", containerId="c1", host="b.test")
        self.world.control_plane.kill()
        self.world.agent.stop()
        self.assert_reaches_nothing(self.container)
        self.world.start_agent(connected=False)
        self.container.attach()
        self.assert_enforced()

    def test_what_the_agent_has_not_heard_of_reaches_nothing_while_the_control_plane_is_away(self):
        self.world.control_plane.kill()
        stranger = self.world.container("listed", "stranger", wait="0s")
        self.assert_reaches_nothing(stranger)
        self.come_back()
        eventually(lambda: self.get("good.test", container=stranger).status == 200, what="its policy comes")

    def test_without_a_usable_cache_nothing_is_reached(self):
        """AG04, AG06."""
        state = f"{self.world.dir}/agent"
        with open(f"{state}/policy.cache", "rb") as file:
            good = file.read()
        self.world.control_plane.kill()
        for what, content, mode in (("missing", None, 0), ("edited", good[:-1] + bytes([good[-1] ^ 1]), 0o600), ("cut", good[:-1], 0o600),
                                    ("anybody's", good, 0o666)):
            with self.subTest(what):
                self.world.agent.stop()
                shutil.rmtree(state)
                os.mkdir(state)
                if content is not None:
                    with open(f"{state}/policy.cache", "wb") as file:
                        file.write(content)
                    os.chmod(f"{state}/policy.cache", mode)
                self.world.start_agent(connected=False)
                self.container.attach(wait="0s")
                self.assert_reaches_nothing(self.container)
                if content is not None:
                    self.assertIn("the cached policy is ignored", self.world.agent.text())
        self.come_back()
        eventually(lambda: self.get("good.test").status == 200, what="the policy comes")

    def test_a_cache_put_back_to_an_older_day_lasts_until_the_control_plane_is_heard(self):
        """AG06: a checksum does not find that, the control plane does."""
        state = f"{self.world.dir}/agent"
        shutil.copytree(state, f"{state}.old")
        self.api.enforced("DenyHost", containerId="c1", host="b.test")
        self.world.agent.stop()
        shutil.rmtree(state)
        shutil.move(f"{state}.old", state)
        self.world.start_agent()
        self.container.attach()
        self.assert_enforced()

    # Back again.

    def test_it_resumes_without_sending_everything_again(self):
        others = [UnnamedNamespace() for _ in range(10)]
        for number, namespace in enumerate(others):
            self.addCleanup(namespace.close)
            self.world.agent_api.call("Attach", containerId=f"other-{number}", className="listed", netnsPath=namespace.path)
        before = self.tap.count()
        self.world.control_plane.kill()
        self.come_back()
        self.api.enforced("DenyHost", containerId="c1", host="b.test")
        hello = self.tap.of("agent", "hello", before)[-1]
        # Eleven containers, their class, its handler.
        self.assertEqual(len(hello.known), 13)
        self.assertEqual([resource.container.container_id for delta in self.tap.deltas(before) for resource in delta.updated], ["c1"])
        self.assertFalse(any(delta.reset for delta in self.tap.deltas(before)))

    def test_what_changed_meanwhile_is_all_that_comes(self):
        before = self.tap.count()
        with self.separated():
            answer = self.api.call("DenyHost", containerId="c1", host="b.test", options={"timeout": "0.1s"})
            self.assertEqual((answer["enforcement"], answer["pendingHosts"]), ("PENDING", ["test-host"]))
            self.assertEqual(self.get("b.test").status, 200)
        eventually(lambda: self.get("b.test").reason == "denied_host", what="the change comes")
        updated = [resource.container.container_id for delta in self.tap.deltas(before) for resource in delta.updated]
        self.assertEqual(updated, ["c1"])

    def test_a_store_put_back_to_an_older_day(self):
        """CP09, CP26: revisions mean something else now; everything is taken anew."""
        store = f"{self.world.dir}/controlplane"
        self.world.control_plane.stop()
        shutil.copytree(store, f"{store}.old")
        self.come_back()
        for number in range(20):
            self.api.enforced("DenyHost", containerId="c1", host=f"host-{number}.test")
        self.api.enforced("DenyHost", containerId="c1", host="b.test")
        self.world.control_plane.stop()
        shutil.rmtree(store)
        shutil.move(f"{store}.old", store)
        before = self.tap.count()
        self.come_back()
        eventually(lambda: self.get("b.test").status == 200, what="the older policy")
        self.assertTrue(self.tap.deltas(before)[0].reset)
        self.api.enforced("DenyHost", containerId="c1", host="b.test")
        self.assert_enforced()

    def test_a_store_made_anew(self):
        """CP26: another epoch. What it does not know is not enforced from memory."""
        self.world.control_plane.stop()
        shutil.rmtree(f"{self.world.dir}/controlplane")
        self.come_back()
        self.world.agent.await_text("its store is another one")
        eventually(lambda: self.get("good.test").reason == "no_policy", what="the old policy is gone")
        self.assert_reaches_nothing(self.container)

    # What it should not say.

    def test_a_resource_that_the_host_cannot_use_is_refused_alone(self):
        """CP07: as a newer control plane might send it."""
        other = self.world.container("listed", "c2")
        with self.separated():
            for container in ("c1", "c2"):
                self.api.call("DenyHost", containerId=container, host="b.test", options={"wait": "WAIT_STORED"})
            self.tap.change_response = spoil("c2")
        # One delta brought both.
        eventually(lambda: self.get("b.test").reason == "denied_host", what="c1's change comes")
        both = [delta for delta in self.tap.deltas() if {resource.container.container_id for resource in delta.updated} == {"c1", "c2"}]
        self.assertEqual(len(both), 1)
        self.assertEqual(self.get("b.test", container=other).status, 200, "the last good policy holds")
        shown = self.world.cli("container", "get", "c2")["container"]
        self.assertIn("from-a-newer-one", shown["rejection"])
        self.assertGreaterEqual(int(shown["enforcedRevision"]), int(shown["storedRevision"]))
        self.assertNotIn("rejection", self.status_of("c1"))
        self.assertIn("refused the last change: ", self.world.cli_text("container", "get", "c2"))
        # Whoever makes the change is told.
        answer = self.api.call("AllowHost", containerId="c2", host="more.test")
        self.assertEqual(answer["enforcement"], "REJECTED")
        self.assertIn("from-a-newer-one", answer["rejections"][0])
        # It is offered again after a break, and is refused again.
        before = self.tap.count()
        with self.separated():
            pass
        eventually(lambda: any(ack.rejected for ack in self.tap.of("agent", "ack", before)), what="refused again")
        self.assertIn("from-a-newer-one", self.world.cli("container", "get", "c2")["container"]["rejection"])
        # The next usable version ends it.
        self.tap.change_response = lambda response: [response]
        self.api.enforced("AllowHost", containerId="c2", host="yet-more.test")
        self.assertNotIn("rejection", self.status_of("c2"))
        self.assertEqual(self.get("b.test", container=other).reason, "denied_host")

    def test_a_class_or_a_handler_that_the_host_cannot_use(self):
        for method, fields, spoiling in (
                ("ApplyClass", {"class": {**LISTED, "deniedHosts": {"hosts": ["good.test"]}}},
                 lambda resource: getattr(resource, "class").denied_hosts.hosts.append("re:from-a-newer-one")),
                ("RegisterHandler", {"handler": {"name": "respond", "endpoints": ["grpc://127.0.0.1:9"]}},
                 lambda resource: resource.handler.endpoints.append("newer://from-a-newer-one"))):
            with self.subTest(method):
                kind = {"ApplyClass": "class", "RegisterHandler": "handler"}[method]
                self.tap.change_response = spoil_kind(kind, spoiling)
                answer = self.api.call(method, **fields)
                self.assertEqual(answer["result"]["enforcement"], "REJECTED", answer)
                self.assertIn("from-a-newer-one", answer["result"]["rejections"][0])
                self.assertIn("from-a-newer-one", self.status_of("c1")["rejection"])
                # The last good version of it holds, and everything else goes on.
                self.assertEqual(self.get("good.test").status, 200)
                self.assertEqual(json.loads(self.get("api.test").body)["handler"], "respond")
                self.api.call("DenyHost", containerId="c1", host="b.test")
                self.assertEqual(self.get("b.test").reason, "denied_host")

    def test_replayed_and_lost_deltas(self):
        """CP09, CP11: an older delta is not enforced; a lost one is made up for."""
        self.api.enforced("AllowHost", containerId="c1", host="evil.test")
        old = self.tap.deltas()[-1]
        self.api.enforced("RemoveAllowedHost", containerId="c1", host="evil.test")
        self.tap.change_response = in_place_of_the_next_delta(self.tap, old)
        # The delta that denies is lost, and the old one comes in its place.
        answer = self.api.call("DenyHost", containerId="c1", host="b.test", options={"timeout": "20s"})
        self.assertEqual(answer["enforcement"], "ENFORCED")
        self.assertEqual(self.get("evil.test").reason, "not_allowed")
        self.assertEqual(self.get("b.test").reason, "denied_host")

    def test_an_ack_of_an_older_stream_counts_for_nothing(self):
        """CP10."""
        self.api.enforced("DenyHost", containerId="c1", host="b.test")
        ack = self.tap.of("agent", "ack")[-1]
        with self.separated():
            pass
        self.tap.inject(ack)
        self.api.enforced("AllowHost", containerId="c1", host="evil.test")
        self.world.control_plane.await_text(r"ack\.revision: \d+ is acknowledged, but")
        eventually(lambda: self.world.status().get("controlPlaneConnected"), 20, "the agent is connected again")
        self.api.enforced("RemoveAllowedHost", containerId="c1", host="evil.test")
        self.assert_enforced()

    # More than it can take.

    def test_a_storm_of_changes_is_coalesced_and_the_last_one_wins(self):
        """AG08."""
        changes = 400
        before = self.tap.count()
        release = threading.Event()

        def hold(response):
            if response.HasField("delta"):
                release.wait(60)
            return [response]

        self.tap.change_response = hold
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self.api.call("SetDeniedHosts", containerId="c1", hosts=[f"host-{number}.test"],
                                                       options={"wait": "WAIT_STORED"}), range(changes)))
        self.api.call("SetDeniedHosts", containerId="c1", hosts=["b.test"], options={"wait": "WAIT_STORED"})
        # Requests go on meanwhile, by the policy before.
        self.assertEqual(self.get("b.test").status, 200)
        release.set()
        self.api.enforced("DenyHost", containerId="c1", host="last.test")
        # The one that was held, and one or two for all the others.
        self.assertLessEqual(len(self.tap.deltas(before)), 4)
        self.assert_enforced()

    def test_calls_while_it_is_away_say_so(self):
        self.world.control_plane.kill()
        with self.assertRaises(ApiError) as raised:
            self.api.call("DenyHost", containerId="c1", host="b.test", timeout=5)
        self.assertIn(raised.exception.code, ("UNAVAILABLE", "DEADLINE_EXCEEDED"))


def spoil_kind(kind, spoiling):
    def change(response):
        for resource in response.delta.updated:
            if resource.HasField(kind):
                spoiling(resource)
        return [response]
    return change


def spoil(container_id):
    """Makes one container's policy unusable, as a pattern of a kind that this agent does not know would."""
    def change(response):
        for resource in response.delta.updated:
            if resource.container.container_id == container_id:
                resource.container.denied_hosts.added.append("re:from-a-newer-one")
        return [response]
    return change


def in_place_of_the_next_delta(tap, old):
    def change(response):
        if not response.HasField("delta"):
            return [response]
        tap.change_response = lambda later: [later]
        response.delta.CopyFrom(old)
        return [response]
    return change


if __name__ == "__main__":
    unittest.main(verbosity=2)
