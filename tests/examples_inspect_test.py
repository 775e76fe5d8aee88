"""The examples that look at what origins answer, against the real programs."""

import unittest

from example_world import ORIGIN, PIECES, ExampleTest
from harness import Lines

SECRET = b"s3cret-canary-0123456789"


class RedactTest(ExampleTest):
    def setUp(self):
        path = f"{self.world.dir}/secrets.txt"
        with open(path, "wb") as file:
            file.write(SECRET + b"\n" + SECRET[:12] + b"\n")
        self.pieces = self.origin("piece_origin.py", "--port", PIECES)
        self.rule("api.test", "redact", self.example("redact/redact.py", "--secrets", path))

    def get(self, *pieces, options=(), query=""):
        path = "-".join(piece.hex() for piece in pieces)
        return self.container.curl(f"http://api.test:{PIECES}/pieces/{path}{query}", *options)

    def test_secrets_across_pieces(self):
        for cut in (1, 11, 12, 13, len(SECRET) - 1):
            answer = self.get(b"begin " + SECRET[:cut], SECRET[cut:] + b" end")
            self.assertEqual((answer.status, answer.body), (200, "begin [redacted] end"))
        self.assertEqual(self.get(*[bytes([byte]) for byte in b"x" + SECRET + b"y"]).body, "x[redacted]y")
        self.assertEqual(self.get(SECRET[:12]).body, "[redacted]")
        self.assertEqual(self.get(b"s3cret-c", b"lear").body, "s3cret-clear")

    def test_heads(self):
        answer = self.get(b"x", query=f"?header={SECRET.decode()}")
        self.assertEqual((answer.headers["x-leak"], answer.body), ("[redacted]", "x"))
        self.assertNotIn("etag", answer.headers)

    def test_what_could_hide_a_secret_is_not_asked_for(self):
        self.get(b"x", options=("-H", "range: bytes=5-", "-H", "accept-encoding: gzip"))
        headers = dict(self.pieces.lines.last()["headers"])
        self.assertEqual(headers["accept-encoding"], "identity")
        self.assertNotIn("range", headers)
        self.assertEqual(self.container.curl(f"http://api.test:{PIECES}/gzip").status, 502)

    def test_an_event_stream_does_not_wait(self):
        with self.container.connect(ORIGIN, PIECES) as connection:
            connection.settimeout(20)
            connection.sendall(f"GET /held HTTP/1.1\r\nhost: api.test:{PIECES}\r\n\r\n".encode())
            received = b""
            while b"data: one\n\n" not in received:
                received += connection.recv(65536)
            self.container.curl(f"http://api.test:{PIECES}/release")
            while b"data: two\n\n" not in received:
                received += connection.recv(65536)


class LogAndCountTest(ExampleTest):
    def test_lines_and_counts(self):
        path = f"{self.world.dir}/requests.jsonl"
        program = self.example("log_and_count.py", "--log", path)
        self.rule("api.test", "log", program)
        self.rule("counts.internal", "counts", program, containers=("web-1", "web-2"))
        self.assertEqual(self.container.curl("http://api.test/a?token=canary", "-H", "authorization: canary", "-d", "x").status, 200)
        self.assertEqual(self.container.curl("https://api.test/bytes/1000000").status, 200)
        first, second = Lines(path).all()
        self.assertEqual([first[key] for key in ("container", "method", "host", "path", "status")], ["web-1", "POST", "api.test", "/a", 200])
        self.assertEqual((second["path"], second["status"]), ("/bytes/1000000", 200))
        self.world.audit.await_matching(requestId=first["request"], path="/a")
        with open(path, encoding="utf-8") as file:
            self.assertNotIn("canary", file.read())
        self.assertEqual(self.container.curl("http://counts.internal/").body, '{"api.test 200": 2}')
        self.assertEqual(self.other.curl("http://counts.internal/").body, "{}")


if __name__ == "__main__":
    unittest.main()
