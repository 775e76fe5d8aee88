"""What is said of a container when it is attached reaches its handlers, beside the rules' params and never in their place."""

import json
import signal
import unittest

from api import ApiError
from harness import run
from restart_test import KEEPER, KeptWorld

ORIGIN = "203.0.113.10"
NAMES = {"ruled.test": ORIGIN, "plain.test": ORIGIN}
ASKED = {"name": "asked", "enableInternet": False, "allowedHosts": {"hosts": ["ruled.test", "plain.test"]},
         "outboundByHost": [{"host": "ruled.test", "handler": {"handler": "respond", "params": {"scope": "repo", "depth": {"a": 1}}}}],
         "outbound": {"handler": "respond"}}
SAID = {"tenant": "acme", "scope": "everything", "seats": [1, None, {"x": True}]}


class ContainerParamsTest(unittest.TestCase):
    def setUp(self):
        self.world = KeptWorld(NAMES, agent_flags=KEEPER)
        self.addCleanup(self.world.close)
        self.world.start_handler("respond")
        self.world.api.call("ApplyClass", **{"class": ASKED})

    def params(self, container, host):
        return json.loads(container.curl(f"http://{host}/", address=ORIGIN).body)["params"]

    def assert_given(self, container):
        self.assertEqual(self.params(container, "plain.test"), SAID)
        self.assertEqual(self.params(container, "ruled.test"), {**SAID, "scope": "repo", "depth": {"a": 1}})

    def test_a_rule_holds_against_them(self):
        self.assert_given(self.world.container("asked", "web-1", params=SAID))
        # They are this container's alone.
        other = self.world.container("asked", "web-2")
        self.assertEqual(self.params(other, "plain.test"), {})
        self.assertEqual(self.params(other, "ruled.test"), {"scope": "repo", "depth": {"a": 1}})

    def test_they_live_as_long_as_the_container_is_attached(self):
        container = self.world.container("asked", "web-1", params=SAID)
        large = {"large": "x" * 16_000}
        largest = self.world.container("asked", "web-2", params=large)
        self.world.agent_api.call("RestartProxy", timeout=30)
        self.assert_given(container)
        for how in (signal.SIGKILL, signal.SIGHUP):
            self.world.replace_agent(how)
            self.assert_given(container)
            self.assertEqual(self.params(largest, "plain.test"), large)
        # The next proxy gets them of an agent that was given them by the one before.
        self.world.agent_api.call("RestartProxy", timeout=30)
        self.assert_given(container)
        self.world.agent_api.call("Detach", containerId="web-1")
        container.params = {}
        container.attach()
        self.assertEqual(self.params(container, "plain.test"), {})

    def test_what_is_too_much_is_refused(self):
        deep = {}
        for _ in range(30):
            deep = {"deeper": deep}
        for wrong, why in (({"big": "x" * 70_000}, "64 KiB"), ({"big": "x" * 17_000}, "16 KiB"), ({"many": [1] * 2_000}, "16 KiB"), (deep, "nested")):
            with self.assertRaisesRegex(ApiError, why):
                self.world.agent_api.call("Attach", containerId="web-1", className="asked", explicitProxy={}, params=wrong)
        self.assertEqual(self.world.agent_api.call("ListAttached").get("containers", []), [])

    def test_the_command_line(self):
        attach = ["container", "attach", "--explicit-proxy", "--id", "web-1", "--class", "asked", "--params"]
        for wrong in ("acme", "[]", "{"):
            result = self.world.cli_result(*attach, wrong)
            self.assertEqual(result.returncode, 2, result)
            self.assertIn("--params is not a JSON object", result.stderr)
        proxy = self.world.cli(*attach, json.dumps(SAID))["explicitProxyUrl"]
        answer = run(*self.world.host.command("curl", "--silent", "--proxy", proxy, "http://plain.test/")).stdout
        self.assertEqual(json.loads(answer)["params"], SAID)


if __name__ == "__main__":
    unittest.main()
