"""Leases of handlers that are web servers: by headers of a 299 and of an answer, as far as they say and not further."""

import json
import os
import sys
import unittest
import urllib.parse

from harness import World, eventually, source

ORIGIN = "203.0.113.10"
NAMES = {"api.test": ORIGIN, "other.test": ORIGIN, "keys.test": ORIGIN}
NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log; events {{ }}
http {{
  access_log {dir}/nginx-access.log; client_body_temp_path {dir}/nginx-body;
  server {{
    listen unix:{dir}/nginx.sock;
    location / {{
      add_header sallyport-forward 1 always;
      add_header sallyport-set-header "authorization: Bearer of-nginx" always;
      add_header sallyport-lease 'ttl=60, methods=(GET HEAD), path-prefix="/"' always;
      return 299;
    }}
  }}
}}
"""
LEASE, REVOKE = "sallyport-lease", "sallyport-revoke-leases"


class HttpLeaseTest(unittest.TestCase):
    number = 0

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(NAMES, addresses=[ORIGIN]))
        program = cls.world.start("wsgi", [sys.executable, source("fakes/wsgi_handler.py"), "--listen", "127.0.0.1:0"], cls.world.host)
        cls.endpoint = program.await_text(r"listening on (\S+)").group(1)
        cls.world.cli("handler", "register", "api", cls.endpoint)
        cls.world.cli("handler", "register", "keys", f"http+unix:{cls.world.dir}/nginx.sock")
        cls.world.api.call("ApplyClass", **{"class": {"name": "web", "interceptHttps": True, "outboundByHost": [
            {"host": host, "handler": {"handler": "api"}} for host in ("api.test", "other.test")] + [
                {"host": "keys.test", "handler": {"handler": "keys"}}]}})

    def setUp(self):
        type(self).number += 1
        self.container = self.world.container("web", f"w-{self.number}")
        self.addCleanup(self.container.close)
        self.records = self.world.audit.count()

    def get(self, path, *headers, options=(), host="api.test"):
        query = urllib.parse.quote(json.dumps(headers))
        answer = self.container.curl(f"http://{host}/terms/{path}?{query}", "--path-as-is", *options)
        self.assertEqual(answer.exit, 0, answer)
        self.assertEqual([name for name in answer.headers if name in (LEASE, REVOKE)], [])
        return answer

    def call(self, path, *headers, **options):
        """By which call of the handler the request was decided."""
        answer = self.get(path, *headers, **options)
        self.assertEqual(answer.status, 200, answer)
        if answer.body.startswith("{"):
            seen = {name.lower(): value for name, value in json.loads(answer.body).items()}
            self.assertNotIn(LEASE, seen)
            return seen["x-call"]
        return answer.body.split()[1]

    def assert_leased(self, expected):
        def leased():
            return [record.get("lease", False) for record in self.world.audit.since(self.records)]
        eventually(lambda: leased() == expected, what=f"records {expected}")

    def test_an_answer_decides_again(self):
        first = self.call("x", (LEASE, "ttl=60"))
        self.assertEqual([self.call("x"), self.call("x", ("x-other", "query"))], [first, first])
        self.assert_leased([False, True, True])
        # Not for another path or method.
        self.assertNotEqual(self.call("y"), first)
        self.assertNotEqual(self.call("x", options=["-d", "body"]), first)

    def test_a_forward_decides_again(self):
        first = self.call("forward/a/b", (LEASE, 'ttl=60, methods=(GET POST), path-prefix="/terms/forward/a"'))
        for path, options in (("forward/a", ()), ("forward/a/c", ["-d", "body"])):
            self.assertEqual(self.call(path, options=options), first)
        self.assert_leased([False, True, True])
        for path in ("forward/ab", "forward/a/../x", "forward/a/%2e%2e/x"):
            self.assertNotEqual(self.call(path), first, path)
        self.assertNotEqual(self.call("forward/a", host="other.test"), first)
        self.assertNotEqual(self.call("forward/a", options=["-X", "PUT"]), first)

    def test_so_many_uses_and_no_longer_than_its_time(self):
        first = self.call("uses", (LEASE, "ttl=60, max-uses=2"))
        self.assertEqual([self.call("uses"), self.call("uses")], [first, first])
        self.assertNotEqual(self.call("uses"), first)
        first = self.call("time", (LEASE, "ttl=0.001"))
        eventually(lambda: self.call("time") != first, what="the lease's end")

    def test_with_a_body_that_was_read(self):
        post = ["-d", "x" * 10_000]
        first = self.call("p", (LEASE, "ttl=60"), options=post)
        self.assertEqual(self.call("p", options=post), first)

    def test_of_64_kib_and_no_more(self):
        first = self.call("fits", (LEASE, "ttl=60"), ("x-bytes", "65536"))
        self.assertEqual(self.call("fits"), first)
        self.failed("more than 64 KiB", "long", (LEASE, "ttl=60"), ("x-bytes", "65537"))

    def test_an_answer_to_head_is_not_lent_to_get(self):
        head = self.get("h", (LEASE, "ttl=60, methods=(GET HEAD)"), options=["--head"])
        self.assertGreater(int(head.headers["content-length"]), 0)
        first = self.call("h", (LEASE, "ttl=60, methods=(GET HEAD)"))
        self.assertEqual(self.call("h"), first)
        self.assertEqual(self.get("h", options=["--head"]).headers["content-length"], str(len(f"call {first}")))
        self.assert_leased([False, False, True, True])

    def test_the_handler_revokes(self):
        for path in ("revoked", "forward/revoked"):
            first = self.call("kept", (LEASE, "ttl=60"))
            self.assertEqual(self.call("kept"), first)
            self.call(path, (REVOKE, "1"))
            self.assertNotEqual(self.call("kept"), first)

    def test_a_revocation_comes_before_its_own_lease(self):
        old = self.call("old", (LEASE, "ttl=60"))
        own = self.call("own", (REVOKE, "1"), (LEASE, "ttl=60"))
        self.assertEqual(self.call("own"), own)
        self.assertNotEqual(self.call("old"), old)

    def test_operator_and_registration_end_it(self):
        first = self.call("o", (LEASE, "ttl=60"))
        self.world.cli("handler", "revoke-leases", "api")
        second = self.call("o", (LEASE, "ttl=60"))
        self.assertNotEqual(second, first)
        self.world.cli("handler", "register", "api", self.endpoint, "--timeout", "20s")
        self.addCleanup(self.world.cli, "handler", "register", "api", self.endpoint)
        self.assertNotEqual(self.call("o"), second)

    def failed(self, detail, path, *headers):
        self.records = self.world.audit.count()
        contacts = self.world.origin_contacts()
        answer = self.get(path, *headers)
        self.assertEqual((answer.status, answer.reason), (502, "handler_failed"), answer)
        record = eventually(lambda: self.world.audit.since(self.records), what="a record")[-1]
        self.assertIn(detail, record["detail"])
        self.assertEqual(self.world.origin_contacts(), contacts)

    def test_what_is_illegal(self):
        for path in ("x", "forward/x"):
            self.failed("is no dictionary of RFC 9651", path, (LEASE, "60"))
            self.failed("no ttl from 1 ms to 1 h", path, (LEASE, "max-uses=1"))
            self.failed("no ttl from 1 ms to 1 h", path, (LEASE, "ttl=3601"))
            self.failed('has the unknown member "uses"', path, (LEASE, "ttl=1, uses=1"))
            self.failed("not a plain path", path, (LEASE, 'ttl=1, path-prefix="/a/../b"'))
            self.failed("stands twice", path, (LEASE, "ttl=1"), (LEASE, "ttl=1"))
            self.failed("is not `1`, once", path, (REVOKE, "?1"))
            self.assertNotEqual(self.get(path).status, 502)  # Nothing of these was kept.

    def test_nginx(self):
        with open(f"{self.world.dir}/nginx.conf", "w", encoding="ascii") as file:
            file.write(NGINX.format(dir=self.world.dir))
        self.world.start("nginx", ["nginx", "-c", f"{self.world.dir}/nginx.conf"], self.world.host)
        eventually(lambda: os.path.exists(f"{self.world.dir}/nginx.pid"), what="nginx is up")
        for scheme in ("http", "https"):
            for path in ("headers", "other", "headers"):
                self.assertEqual(self.container.curl(f"{scheme}://keys.test/{path}").status, 200)
                seen = self.world.origin_requests()[-1]
                self.assertIn(["authorization", "Bearer of-nginx"], [[name.lower(), value] for name, value in seen["headers"]])
        self.assert_leased([False, True, True] * 2)
        with open(f"{self.world.dir}/nginx-access.log", encoding="ascii") as file:
            self.assertEqual(len(file.readlines()), 2)


if __name__ == "__main__":
    unittest.main()
