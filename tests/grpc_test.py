"""gRPC from a container to a server, decrypted on the way, with a real client and a real server."""

import json
import sys
import unittest

import harness
from harness import World, eventually

NAMES = {"grpc.test": "203.0.113.40"}
MESSAGE_OF_200 = 200


class GrpcTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The ordinary origins leave 80 and 443 to this test's.
        cls.world = world = World(NAMES, addresses=list(NAMES.values()), ports=[22])
        cls.addClassCleanup(world.close)
        address = NAMES["grpc.test"]
        cls.origin = world.start("grpc_origin", [
            sys.executable, harness.source("fakes/grpc_origin.py"), "--certificate", f"{world.dir}/origin.pem",
            "--tls", f"{address}:443", "--plain", f"{address}:80"], world.internet)
        cls.origin.await_text('"ready"')
        world.apply_class("open", intercept_https=True, denied_hosts=["no.test"])
        cls.container = world.container("open")

    def check(self, port, certificate, scheme):
        count = self.world.audit.count()
        slow = len([line for line in self.origin.lines.all() if line["event"] == "slow"])
        result = self.container.run(sys.executable, harness.source("grpc_client.py"), f"ipv4:{NAMES['grpc.test']}:{port}", certificate)
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
        ended = eventually(lambda: [line for line in self.origin.lines.all() if line["event"] == "slow"][slow:], what="the slow call's end")
        self.assertLess(ended[0]["left"], 0.6)
        def records():
            return [line for line in self.world.audit.since(count) if line["scheme"] == scheme and line["decision"] == "egress"]

        eventually(lambda: len(records()) >= 8, what="the audit records of every call")
        self.assertEqual({line["path"] for line in records()} >= {"/test.Echo/Unary", "/test.Echo/Bidi"}, True)

    def test_over_decrypted_tls(self):
        self.check(443, self.container.ca, "https")

    def test_without_tls(self):
        self.check(80, "", "http")


if __name__ == "__main__":
    unittest.main()
