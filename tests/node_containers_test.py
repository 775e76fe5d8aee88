"""Container classes of the Node SDK, as Cloudflare's page "Handle outbound traffic" has them, against the real programs."""

import json
import subprocess
import unittest

from harness import World, eventually
from node_sdk import NodePrograms

ORIGIN = "203.0.113.10"
NAMES = {"api.test": ORIGIN, "other.test": "198.51.100.4", "a.vcs.test": ORIGIN, "near.test": "198.51.100.65", "github.test": ORIGIN}


class NodeContainersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names=NAMES))
        cls.program = NodePrograms(cls.world).start(
            "tests/fakes/node_containers.mjs", f"unix:{cls.world.dir}/controlplane.sock", stdin=subprocess.PIPE)
        cls.containers = {}

    def container(self, class_name, container_id):
        if container_id not in self.containers:
            self.containers[container_id] = self.world.container(class_name, container_id)
        return self.containers[container_id]

    def call(self, class_name, container_id, method, *arguments):
        """A method of the container's instance; what it resolved to, or failed with."""
        count = self.program.lines.count()
        command = {"className": class_name, "id": container_id, "method": method, "args": arguments}
        self.program.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.program.process.stdin.flush()
        return eventually(lambda: self.program.lines.since(count), 20, f"an answer to {command}")[0]

    def change(self, *arguments):
        answer = self.call(*arguments)
        self.assertEqual(answer.get("change", answer)["enforcement"], "ENFORCED", answer)

    def sent(self, name):
        """Values of one header of the origin's last request."""
        return [value for key, value in self.world.origin_requests()[-1]["headers"] if key.lower() == name]

    def test_denied_hosts(self):
        container = self.container("Wary", "wary-1")
        for scheme in ("http", "https"):
            self.assertEqual(container.curl(f"{scheme}://api.test/").status, 200)
            self.assertEqual(container.curl(f"{scheme}://other.test/", address=ORIGIN).reason, "denied_host")
        self.assertEqual(container.curl("http://198.51.100.65/").reason, "denied_host")
        self.assertEqual(container.curl("http://near.test/", address=ORIGIN).reason, "denied_host")

    def test_allowed_hosts(self):
        container = self.container("Walled", "walled-1")
        self.assertEqual(container.curl("https://api.test/").status, 200)
        answer = container.curl("http://other.test/", address=ORIGIN)
        self.assertEqual((answer.status, answer.reason), (520, "not_allowed"))

    def test_lists_at_run_time(self):
        container = self.container("Walled", "walled-2")

        def reached(host):
            return container.curl(f"http://{host}/", address=ORIGIN).status == 200

        self.change("Walled", "walled-2", "allowHost", "other.test")
        self.assertTrue(reached("other.test"))
        self.change("Walled", "walled-2", "removeAllowedHost", "other.test")
        self.assertFalse(reached("other.test"))
        self.change("Walled", "walled-2", "setAllowedHosts", ["other.test"])
        self.assertEqual((reached("other.test"), reached("api.test")), (True, False))
        self.change("Walled", "walled-2", "denyHost", "other.*")
        self.assertFalse(reached("other.test"))
        self.change("Walled", "walled-2", "removeDeniedHost", "other.*")
        self.assertTrue(reached("other.test"))
        self.change("Walled", "walled-2", "setDeniedHosts", ["other.test"])
        self.assertFalse(reached("other.test"))

    def test_one_handler_for_all(self):
        container = self.container("ReadOnly", "reader-1")
        contacts = self.world.origin_contacts()
        for scheme in ("http", "https"):
            answer = container.curl(f"{scheme}://api.test/x", "-d", "body")
            self.assertEqual((answer.status, answer.body), (405, "read only\n"))
        self.assertEqual(self.world.origin_contacts(), contacts)
        self.assertEqual(container.curl("https://api.test/x").body, "origin api.test /x")

    def test_hosts_that_exist_nowhere(self):
        container = self.container("Bound", "bound-1")
        self.assertEqual(json.loads(container.curl("http://my.worker/", "-d", "hello").body), {"heard": "hello"})
        self.assertEqual(container.curl("http://my.kv/colour").body, "blue")
        self.assertEqual(container.curl("https://my.kv/size").status, 404)
        self.assertEqual(container.curl("http://my.bucket/file.txt").body, "file of 1")
        self.assertEqual(self.container("Bound", "bound-2").curl("http://my.bucket/file.txt").status, 404)
        self.assertEqual(container.curl("http://other.test/").body, "for all")

    def test_secrets(self):
        for number in (1, 2):
            container = self.container("Bound", f"bound-{number}")
            self.assertEqual(container.curl("https://api.test/", "-H", "x-auth-token: mine").status, 200)
            self.assertEqual(self.sent("x-auth-token"), ["s3cret"])
            self.assertEqual(container.curl("http://a.vcs.test/", "-d", "push").status, 200)
            self.assertEqual(self.sent("x-auth-token"), [f"key-of-{number}"])

    def test_handlers_at_run_time(self):
        container = self.container("Flexible", "flexible-1")
        self.assertEqual(container.curl("http://github.test/", address=ORIGIN).reason, "no_internet")
        self.change("Flexible", "flexible-1", "setOutboundByHost", "github.test", "authenticated")
        self.assertEqual(container.curl("https://github.test/").status, 200)
        self.assertEqual(self.sent("authorization"), ["Bearer s3cret all"])
        self.change("Flexible", "flexible-1", "setOutboundByHosts",
                    {"github.test": {"method": "authenticated", "params": {"scope": "read"}}, "*.hello": "greet"})
        self.assertEqual(container.curl("https://github.test/").status, 200)
        self.assertEqual(self.sent("authorization"), ["Bearer s3cret read"])
        self.assertEqual(container.curl("http://any.hello/").body, "Flexible flexible-1 undefined")
        self.change("Flexible", "flexible-1", "removeOutboundByHost", "github.test")
        self.assertEqual(container.curl("http://github.test/", address=ORIGIN).reason, "no_internet")
        self.change("Flexible", "flexible-1", "setOutboundHandler", "greet", {"hello": "world"})
        self.assertEqual(container.curl("https://github.test/").body, "Flexible flexible-1 world")
        self.change("Flexible", "flexible-1", "clearOutboundHandler")
        self.assertEqual(container.curl("http://github.test/", address=ORIGIN).reason, "no_internet")

    def test_the_low_level(self):
        container = self.container("Flexible", "flexible-2")
        self.change("Flexible", "flexible-2", "intercept", "203.0.113.0/24", "by network")
        self.assertEqual(container.curl(f"http://{ORIGIN}/x").body, f"by network http://{ORIGIN}/x true")
        self.change("Flexible", "flexible-2", "interceptSecure", "*.test", "secure")
        self.assertEqual(container.curl("https://api.test/").body, "secure https://api.test/ true")
        self.change("Flexible", "flexible-2", "interceptAll", "post-install")
        self.assertEqual(container.curl("http://api.test/").body, "post-install http://api.test/ true")

    def test_only_the_classs_own_handlers_may_be_named(self):
        self.container("Flexible", "flexible-3")
        refused = self.call("Flexible", "flexible-3", "setOutboundByHost", "github.test", "nobody")
        self.assertEqual(refused["error"]["message"], "Flexible.outboundHandlers has no nobody")
        refused = self.call("Flexible", "nowhere", "setOutboundByHost", "github.test", "greet")
        self.assertEqual(refused["error"]["code"], "NOT_FOUND")
        refused = self.call("Flexible", "flexible-3", "allowHost", "https://x.test/")
        self.assertEqual((refused["error"]["name"], refused["error"]["code"]), ("ControlPlaneError", "INVALID_ARGUMENT"))


if __name__ == "__main__":
    unittest.main()
