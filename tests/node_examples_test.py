"""The examples in JavaScript, against the real programs."""

import json
import os
import unittest

from harness import World
from node_sdk import NodePrograms

ORIGIN = "203.0.113.10"
NAMES = {"api.test": ORIGIN, "other.test": ORIGIN, "b.amazonaws.com": ORIGIN}


class NodeExamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names=NAMES))
        cls.world.apply_class("c", intercept_https=True)
        cls.container = cls.world.container("c", "web-1")
        cls.node = NodePrograms(cls.world)

    def example(self, name, *flags):
        return self.node.start(f"examples/node/{name}.mjs", "--listen", "127.0.0.1:0",
                               "--control-plane", f"unix:{self.world.dir}/controlplane.sock", *flags)

    def file(self, name, text):
        path = f"{self.world.dir}/{name}"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def sent(self, name):
        return [value for key, value in self.world.origin_requests()[-1]["headers"] if key.lower() == name]

    def test_token_per_container(self):
        tokens = self.file("tokens.json", '{"web-1": "s3cret"}')
        self.example("token", "--tokens", tokens)
        self.world.enforced("set-outbound-by-host", "web-1", "api.test", "token")
        answer = self.container.curl("https://api.test/x", "-H", "authorization: mine", "-d", "body")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.sent("authorization"), ["Bearer s3cret"])
        self.file("tokens.json", "{}")
        contacts = self.world.origin_contacts()
        answer = self.container.curl("http://api.test/x")
        self.assertEqual((answer.status, answer.body), (403, "web-1 has no token\n"))
        self.assertEqual(self.world.origin_contacts(), contacts)

    def test_method_filter(self):
        self.example("methods")
        self.world.enforced("set-outbound-by-host", "web-1", "api.test", "methods", "--params", '{"methods": ["GET", "PUT"]}')
        answer = self.container.curl("http://api.test/", "-X", "DELETE")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, PUT"))
        self.assertEqual(self.container.curl("http://api.test/", "-X", "PUT", "-d", "x").status, 200)

    def test_a_folder_as_a_host(self):
        program = self.example("bucket", "--folder", f"{self.world.dir}/buckets")
        other = self.world.container("c", "web-2")
        for container in ("web-1", "web-2"):
            self.world.enforced("set-outbound-by-host", container, "my.bucket", "bucket")
        large = self.file("large", "0123456789abcdef" * 200_000)
        self.assertEqual(self.container.curl("http://my.bucket/a.txt", "-T", large).status, 201)
        answer = self.container.curl("http://my.bucket/a.txt")
        self.assertEqual((len(answer.body), answer.headers["content-length"]), (3_200_000, "3200000"))
        self.assertEqual(self.container.curl("http://my.bucket/").body, "a.txt\n")
        self.assertEqual(self.container.curl("http://my.bucket/empty", "-T", "/dev/null").status, 201)
        self.assertEqual(self.container.curl("http://my.bucket/empty").status, 200)
        self.assertEqual(other.curl("http://my.bucket/a.txt").status, 404)
        for path in ("../web-1/a.txt", "..%2fweb-1%2fa.txt", "%2e%2e/web-1/a.txt", ".a", "a%00", "a/b"):
            self.assertEqual(other.curl(f"http://my.bucket/{path}", "--path-as-is").status, 404, path)
        self.assertEqual(self.container.curl("http://my.bucket/a.txt", "-X", "DELETE").status, 204)
        self.assertEqual(self.container.curl("http://my.bucket/a.txt").status, 404)
        program.kill()
        answer = self.container.curl("http://my.bucket/empty")
        self.assertEqual((answer.status, answer.reason), (502, "handler_unreachable"))

    def test_requests_to_aws_are_signed(self):
        key = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cret"}
        os.environ.update(key)
        self.addCleanup(lambda: [os.environ.pop(name) for name in key])
        program = self.example("aws")
        params = json.dumps({"service": "s3", "region": "eu-central-1"})
        self.world.enforced("set-outbound-by-host", "web-1", "*.amazonaws.com", "aws", "--params", params)
        answer = self.container.curl("http://b.amazonaws.com/x?y=1", "-H", "authorization: mine", "-d", "body")
        self.assertEqual(answer.status, 200, answer)
        seen = self.world.origin_requests()[-1]
        self.assertEqual((seen["tls"], seen["body_length"]), (True, 4))
        [authorization] = self.sent("authorization")
        self.assertRegex(authorization, "^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/[0-9]+/eu-central-1/s3/aws4_request, "
                                        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}$")
        self.assertNotIn("s3cret", program.text())

    def test_log_and_count(self):
        program = self.example("count")
        self.world.enforced("set-outbound-by-host", "web-1", "*.test", "count")
        for host in ("api.test", "other.test", "api.test"):
            self.assertEqual(self.container.curl(f"https://{host}/?token=private").body, f"origin {host} /?token=private")
        counts = json.loads(self.container.curl("http://count.test/").body)
        self.assertEqual(counts, {"web-1 api.test": 2, "web-1 other.test": 1})
        lines = program.lines.all()
        self.assertEqual([(line["method"], line["host"]) for line in lines],
                         [("GET", "api.test"), ("GET", "other.test"), ("GET", "api.test")])
        self.assertNotIn("private", program.text())
        self.world.cli("remove-outbound-by-host", "web-1", "*.test")


if __name__ == "__main__":
    unittest.main()
