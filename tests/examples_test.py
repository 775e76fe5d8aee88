"""The examples of handlers that answer or forward, against the real programs."""

import base64
import os
import re
import sqlite3
import unittest

from example_world import ORIGIN, ExampleTest
from harness import World, eventually


class TokenTest(ExampleTest):
    def database(self, *rows):
        path = f"{self.world.dir}/tokens.db"
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE IF NOT EXISTS tokens (container_id TEXT, host TEXT, token TEXT, PRIMARY KEY (container_id, host))")
            database.execute("DELETE FROM tokens")
            database.executemany("INSERT INTO tokens VALUES (?, ?, ?)", rows)
        database.close()
        return path

    def sent(self):
        """The values of the header that the origin got."""
        seen = self.world.origin_requests()[-1]
        self.assertTrue(seen["tls"])
        return [value for name, value in seen["headers"] if name.lower() == "authorization"]

    def test_token_for_each_container(self):
        path = self.database(("web-1", "api.test", "one"), ("web-2", "api.test", "two"))
        self.rule("api.test", "token", self.example("token_per_container.py", "--database", path), containers=("web-1", "web-2"),
                  flags=["--holds-secrets"])
        for scheme in ("http", "https"):
            for container, token in ((self.container, "one"), (self.other, "two")):
                answer = container.curl(f"{scheme}://api.test/x", "-H", "authorization: mine", "-d", "body")
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(self.sent(), [f"Bearer {token}"])
        self.database(("web-2", "api.test", "three"))
        self.assertEqual(self.other.curl("http://api.test/x").status, 200)
        self.assertEqual(self.sent(), ["Bearer three"])
        contacts = len(self.world.origin_requests())
        answer = self.container.curl("http://api.test/x")
        self.assertEqual((answer.status, answer.body), (403, "web-1 has no token for api.test\n"))
        self.assertEqual(len(self.world.origin_requests()), contacts)

    def test_a_lease_of_a_token(self):
        path = self.database(("web-1", "api.test", "one"), ("web-2", "api.test", "two"))
        program = self.example("token_per_container.py", "--database", path, "--lease", 60)
        self.rule("api.test", "token", program, containers=("web-1", "web-2"))
        self.assertEqual(self.container.curl("http://api.test/x").status, 200)
        program.kill()
        self.assertEqual(self.container.curl("http://api.test/y?z").status, 200)
        self.assertEqual(self.sent(), ["Bearer one"])
        # Not for another container, method or scheme, and not where the path could be read in another way.
        for container, url, options in ((self.other, "http://api.test/x", ()), (self.container, "http://api.test/x", ("-d", "x")),
                                        (self.container, "https://api.test/x", ()), (self.container, "http://api.test/a/../x", ())):
            with self.subTest(url=url, options=options):
                self.assertEqual(container.curl(url, "--path-as-is", *options).status, 502)


class MethodFilterTest(ExampleTest):
    def test_methods(self):
        program = self.example("method_filter.py")
        self.rule("api.test", "method-filter", program)
        self.assertEqual(self.container.curl("http://api.test/x").status, 200)
        refused = self.container.curl("http://api.test/x", "-X", "DELETE")
        self.assertEqual((refused.status, refused.headers["allow"]), (405, "GET, HEAD"))
        self.rule("api.test", "method-filter", program, {"methods": ["DELETE"]})
        self.assertEqual(self.container.curl("http://api.test/x").status, 405)
        self.assertEqual(self.container.curl("http://api.test/x", "-X", "DELETE").status, 200)
        program.kill()  # What has a lease passes all the same.
        self.assertEqual(self.container.curl("http://api.test/y", "-X", "DELETE").status, 200)
        self.assertEqual(self.container.curl("http://api.test/x").status, 502)


class KeyValueTest(ExampleTest):
    def test_key_value_service(self):
        path = f"{self.world.dir}/kv.db"
        program = self.example("key_value.py", "--database", path)
        self.rule("my.kv", "kv", program, containers=("web-1", "web-2"))
        large = "0123456789abcdef" * 20_000
        file = f"{self.world.dir}/large"
        with open(file, "w", encoding="ascii") as output:
            output.write(large)
        self.assertEqual(self.container.curl("http://my.kv/a", "-T", file).status, 204)
        self.assertEqual(self.container.curl("http://my.kv/a").body, large)
        self.assertEqual(self.container.curl("http://my.kv/").body, "/a\n")
        self.assertEqual(self.other.curl("http://my.kv/").body, "")
        self.assertEqual(self.container.curl("http://my.kv/none").status, 404)
        self.assertEqual(self.container.curl("http://my.kv/a", "-X", "POST").status, 405)
        program.kill()
        answer = self.container.curl("http://my.kv/a")
        self.assertEqual((answer.status, answer.reason), (502, "handler_unreachable"))
        self.rule("my.kv", "kv", self.example("key_value.py", "--database", path), {"max_bytes": 3})
        self.assertEqual(self.container.curl("http://my.kv/a").body, large)
        self.assertEqual(self.container.curl("http://my.kv/b", "-T", file).status, 413)
        self.assertEqual(self.container.curl("http://my.kv/a", "-X", "DELETE").status, 204)
        self.assertEqual(self.container.curl("http://my.kv/a").status, 404)


class BucketTest(ExampleTest):
    def setUp(self):
        self.root = f"{self.world.dir}/buckets-{next(self.count)}"
        os.mkdir(self.root)
        self.rule("my.bucket", "bucket", self.example("bucket.py", "--root", self.root), {"max_bytes": 20_000_000},
                  containers=("web-1", "web-2"))
        self.content = os.urandom(5_000_000)
        self.file = f"{self.world.dir}/object"
        with open(self.file, "wb") as file:
            file.write(self.content)

    def get(self, path, *options):
        """Status, headers and the bytes."""
        target = f"{self.world.dir}/got"
        answer = self.container.curl(f"http://my.bucket{path}", "-o", target, *options)
        with open(target, "rb") as file:
            return answer, file.read()

    def test_objects(self):
        self.assertEqual(self.container.curl("http://my.bucket/a/b%20c", "-T", self.file).status, 204)
        answer, body = self.get("/a/b%20c")
        self.assertEqual((answer.status, answer.headers["content-length"]), (200, "5000000"))
        self.assertEqual(body, self.content)
        head = self.container.curl("http://my.bucket/a/b%20c", "-I")
        self.assertEqual((head.status, head.headers["content-length"]), (200, "5000000"))
        self.assertEqual(self.container.curl("http://my.bucket/a/").body, "b c\n")
        self.assertEqual(self.other.curl("http://my.bucket/a/b%20c").status, 404)
        self.assertEqual(self.container.curl("http://my.bucket/a", "-T", self.file).status, 409)  # A folder.
        self.assertEqual(self.container.curl("http://my.bucket/a/b%20c", "-X", "DELETE").status, 204)
        self.assertEqual(self.container.curl("http://my.bucket/a/b%20c").status, 404)

    def test_ranges(self):
        self.container.curl("http://my.bucket/o", "-T", self.file)
        for header, status, expected in (("0-9", 206, self.content[:10]), ("4999990-", 206, self.content[-10:]),
                                         ("-5", 206, self.content[-5:]), ("10-9999999", 206, self.content[10:]),
                                         ("9-3", 200, self.content), ("1-2,5-6", 200, self.content)):
            answer, body = self.get("/o", "-H", f"range: bytes={header}")
            self.assertEqual((header, answer.status, body == expected), (header, status, True))
        answer, _ = self.get("/o", "-H", "range: bytes=0-9")
        self.assertEqual(answer.headers["content-range"], "bytes 0-9/5000000")
        outside, _ = self.get("/o", "-H", "range: bytes=5000000-")
        self.assertEqual((outside.status, outside.headers["content-range"]), (416, "bytes */5000000"))
        changed, body = self.get("/o", "-H", "range: bytes=0-9", "-H", 'if-range: "another"')
        self.assertEqual((changed.status, len(body)), (200, 5_000_000))

    def test_no_path_leads_out(self):
        with open(f"{self.root}/secret", "w", encoding="ascii") as file:
            file.write("secret")
        os.mkdir(f"{self.root}/web-1")
        os.symlink(f"{self.root}/secret", f"{self.root}/web-1/link")
        os.symlink(self.root, f"{self.root}/web-1/folder")
        for path in ("/../secret", "/%2e%2e/secret", "/a/../../secret", "/..%2fsecret", "//secret", "/./secret", "/%2fsecret", "/..%5csecret",
                     "/link", "/folder/secret", "/%00", "/.upload-1", f"/{'x' * 300}", "/%ff"):
            for options in ((), ("-T", self.file), ("-X", "DELETE")):
                with self.subTest(path=path, options=options):
                    answer = self.container.curl(f"http://my.bucket{path}", "--path-as-is", *options)
                    if options[:1] == ("-T",) and path == "/link" or options[:1] == ("-X",) and path == "/link":
                        continue  # The link itself may be replaced or removed; what it points to stays.
                    self.assertIn(answer.status, (400, 404, 409), answer)
                    self.assertNotIn("secret", answer.body)
        with open(f"{self.root}/secret", encoding="ascii") as file:
            self.assertEqual(file.read(), "secret")

    def test_what_is_too_long_or_broken_off_leaves_nothing(self):
        with open(f"{self.world.dir}/long", "wb") as file:
            file.truncate(20_000_001)
        for options in ((), ("-H", "transfer-encoding: chunked")):
            self.assertEqual(self.container.curl("http://my.bucket/long", "-T", f"{self.world.dir}/long", *options).status, 413)
        with self.container.connect("203.0.113.10", 80) as connection:
            connection.sendall(b"PUT /part HTTP/1.1\r\nhost: my.bucket\r\ncontent-length: 100000\r\n\r\n" + bytes(50_000))
            eventually(lambda: os.path.isdir(f"{self.root}/web-1") and os.listdir(f"{self.root}/web-1"), what="an upload under way")
        eventually(lambda: not os.listdir(f"{self.root}/web-1"), what="the end of the upload")


class BuiltinTest(unittest.TestCase):
    """The policy file whose handlers the proxy has built in."""

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names={"api.github.com": ORIGIN, "mirror.example": "198.51.100.4", "handbook.example": ORIGIN}))
        cls.world.api.call("SetSecret", name="github", value=base64.b64encode(b"s3cret").decode())
        cls.world.cli("apply", "-f", f"{os.getcwd()}/examples/builtin/policy.yaml")

    def setUp(self):
        self.container = self.world.container("builtin-agent", self.id().rsplit(".", 1)[1])
        self.addCleanup(self.container.close)

    def get(self, url, *options):
        """The answer, and what the origins got."""
        before = len(self.world.origin_requests())
        return self.container.curl(url, *options), self.world.origin_requests()[before:]

    def test_reading_one_organisation(self):
        for scheme in ("http", "https"):
            answer, requests = self.get(f"{scheme}://api.github.com/repos/acme/x?ref=main", "-H", "authorization: mine", "-H", "cookie: a=b",
                                        "-H", "X_HTTP_Method_Override: DELETE")
            self.assertEqual((answer.status, answer.body), (200, "origin api.github.com /repos/acme/x?ref=main"))
            headers = {name.lower(): value for name, value in requests[0]["headers"]}
            self.assertEqual((headers["authorization"], headers["user-agent"], requests[0]["tls"]), ("Bearer s3cret", "acme-agent", True))
            self.assertFalse({"cookie", "x_http_method_override"} & set(headers))
        for path, options, status in (("/repos/other/x", (), 403), ("/repos/acme/../other", ("--path-as-is",), 403), ("/user/keys", (), 403),
                                      ("/user", ("-X", "DELETE"), 405)):
            answer, requests = self.get(f"https://api.github.com{path}", *options)
            self.assertEqual((answer.status, requests), (status, []))

    def test_its_rate(self):
        request = b"GET /user HTTP/1.1\r\nHost: api.github.com\r\n"
        answers = self.container.raw(ORIGIN, 80, (request + b"\r\n") * 39 + request + b"Connection: close\r\n\r\n")
        statuses = re.findall(rb"HTTP/1.1 (\d+) ", answers)
        self.assertEqual((len(statuses), statuses[:10]), (40, [b"200"] * 10))
        self.assertIn(b"429", statuses)

    def test_a_mirror(self):
        answer, requests = self.get("http://packages.example/packages/left/1.0?x")
        self.assertEqual((answer.status, answer.body), (200, "origin mirror.example /v2/packages/left/1.0?x"))
        self.assertEqual((requests[0]["tls"], requests[0]["local"]), (True, "198.51.100.4"))
        self.assertEqual(self.get("http://packages.example/other")[0].status, 403)

    def test_what_is_answered_here(self):
        for url, options, status in (("https://telemetry.example/v1/events", ("-d", "{}"), 204), ("https://telemetry.example/", (), 405)):
            answer, requests = self.get(url, *options)
            self.assertEqual((answer.status, requests), (status, []))
        answer, requests = self.get("http://docs.example/a?b=c")
        self.assertEqual((answer.status, answer.headers["location"], requests), (308, "https://handbook.example/a?b=c", []))
        # Where the redirect leads is not among the class's hosts, and has no address inside.
        self.assertEqual(self.container.curl("https://handbook.example/a", address=ORIGIN).reason, "not_allowed")


if __name__ == "__main__":
    unittest.main()
