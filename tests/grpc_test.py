"""gRPC from a container to a server, decrypted on the way, with real clients and real servers."""

import json
import sys
import unittest

import harness
from harness import World, binary, eventually

NAMES = {"python.test": "203.0.113.40", "cpp.test": "203.0.113.41"}
MESSAGE_OF_200 = 200


class GrpcTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The ordinary origins leave 80 and 443 to this test's.
        cls.world = world = World(NAMES, addresses=list(NAMES.values()), ports=[22])
        cls.addClassCleanup(world.close)
        cls.clients = {
            "python.test": [sys.executable, harness.source("grpc_client.py")],
            "cpp.test": [binary("grpc_pair"), "call"],
        }
        servers = {
            "python.test": [sys.executable, harness.source("fakes/grpc_origin.py")],
            "cpp.test": [binary("grpc_pair"), "serve"],
        }
        cls.origins = {name: world.start(name, [*command, "--certificate", f"{world.dir}/origin.pem", "--tls", f"{NAMES[name]}:443",
                                                "--plain", f"{NAMES[name]}:80"], world.internet) for name, command in servers.items()}
        for origin in cls.origins.values():
            origin.await_text('"ready"')
        world.apply_class("open", intercept_https=True, denied_hosts=["no.test"])
        cls.container = world.container("open")

    def check(self, name, port, certificate, scheme):
        origin = self.origins[name]
        count = self.world.audit.count()
        slow = len(origin.lines.matching(event="slow"))
        result = self.container.run(*self.clients[name], f"ipv4:{NAMES[name]}:{port}", name, certificate)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout), {
            "unary": ["hello", "hello", "00ff"],
            "large": True,
            "client_stream": "50 5000000",
            "server_stream": MESSAGE_OF_200,
            "bidi": [str(i) for i in range(20)],
            "fail": [["one"], "RESOURCE_EXHAUSTED", "no more: ü %"],
            "unknown": "UNIMPLEMENTED",
            "slow": ["DEADLINE_EXCEEDED", True],
        })
        # The server heard of the deadline, and of the client's end.
        ended = eventually(lambda: origin.lines.matching(event="slow")[slow:], what="the slow call's end")
        self.assertLess(ended[0]["left"], 0.6)

        def records():
            return [line for line in self.world.audit.since(count) if line["scheme"] == scheme and line["decision"] == "egress"]

        eventually(lambda: len(records()) >= 8, what="the audit records of every call")
        self.assertEqual({line["path"] for line in records()} >= {"/test.Echo/Unary", "/test.Echo/Bidi"}, True)

    def test_python_over_decrypted_tls(self):
        self.check("python.test", 443, self.container.ca, "https")

    def test_python_without_tls(self):
        self.check("python.test", 80, "", "http")

    def test_cpp_over_decrypted_tls(self):
        self.check("cpp.test", 443, self.container.ca, "https")

    def test_cpp_without_tls(self):
        self.check("cpp.test", 80, "", "http")


if __name__ == "__main__":
    unittest.main()
