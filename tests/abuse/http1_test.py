"""Requests that two implementations may read in two ways (HTTP/1 framing and host confusion).

Each payload goes through the real agent and proxy twice, from a container whose requests go to an origin, and from one whose requests go to
a handler. The answer must be the expected refusal, the connection must be closed, and neither may be reached.
"""

import os
import unittest

from fakes.raw_origin import RawOrigin
from harness import World, read_text

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10"}

HOST = b"Host: good.test\r\n"
ORIGIN = "203.0.113.10"
# Of an origin whose bytes are looked at.
RAW_PORT = 8081
RAW_HOST = b"Host: good.test:8081\r\n"


def get(head):
    return b"GET / HTTP/1.1\r\n" + head + b"\r\n"


def post(head, body=b""):
    return b"POST / HTTP/1.1\r\n" + HOST + head + b"\r\n" + body


def chunked(body):
    return post(b"Transfer-Encoding: chunked\r\n", body)


SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNK_SIZES = [b"0x5", b"+5", b"-0", b"5_", b" 5", b"5 ", b"Z", b"", b"0" * 22 + b"5", b"F" * 16]

# id, payload, permitted statuses.
REFUSED = [
    ("HC01", get(HOST + b"Host: evil.test\r\n"), 400),
    ("HC02", get(HOST + HOST), 400),
    ("HC04", get(b"X: y\r\n"), 400),
    ("HC06", b"GET http://evil.test/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("HC10-userinfo", get(b"Host: good.test@evil.test\r\n"), 400),
    ("HC10-fragment", get(b"Host: good.test#@evil.test\r\n"), 400),
    ("HC10-backslash", get(b"Host: good.test\\evil.test\r\n"), 400),
    ("HC10-path", get(b"Host: good.test/evil\r\n"), 400),
    ("HC14", get(b"Host: [good.test]\r\n"), 400),
    ("HC15-zero", get(b"Host: good.test:0\r\n"), 400),
    ("HC15-large", get(b"Host: good.test:65536\r\n"), 400),
    ("HC15-negative", get(b"Host: good.test:-1\r\n"), 400),
    ("HC15-leading-zero", get(b"Host: good.test:007\r\n"), 400),
    ("HC15-twice", get(b"Host: good.test:80:80\r\n"), 400),
    ("HC15-space", get(b"Host: good.test:8 0\r\n"), 400),
    ("HC15-plus", get(b"Host: good.test:+80\r\n"), 400),
    ("HC15-name", get(b"Host: good.test:https\r\n"), 400),
    ("HC16-percent", get(b"Host: good%2etest\r\n"), 400),
    ("HC16-nul", get(b"Host: good.test%00.evil.test\r\n"), 400),
    ("HC17", get(b"Host: good.test\x00.evil.test\r\n"), 400),
    ("HC18-vt", get(b"Host: good.test\x0b\r\n"), 400),
    ("HC18-nbsp", get(b"Host: \xa0good.test\r\n"), 400),
    ("HC18-ff", get(b"Host: \xffgood.test\xff\r\n"), 400),
    ("HC19-cyrillic", get("Host: gооd.test\r\n".encode()), 400),
    ("HC19-fullwidth", get("Host: ｇood.test\r\n".encode()), 400),
    ("HC19-ideographic-stop", get("Host: good。test\r\n".encode()), 400),
    ("HC19-joiner", get("Host: go\u200dod.test\r\n".encode()), 400),
    ("HC19-right-to-left", get("Host: \u202egood.test\r\n".encode()), 400),
    ("HC22-label", get(b"Host: " + b"a" * 64 + b".test\r\n"), 400),
    ("HC22-empty-label", get(b"Host: a..test\r\n"), 400),
    ("HC22-name", get(b"Host: " + b"a23456789." * 25 + b"test\r\n"), 400),
    ("HC22-labels", get(b"Host: " + b"a." * 127 + b"a\r\n"), 400),
    ("HC37", get(b"Host: good.test:8443\r\n"), 400),
    ("HC39-ftp", b"GET ftp://good.test/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("HC39-https", b"GET https://good.test/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("IP09-zone", get(b"Host: [fe80::1%eth0]\r\n"), 400),
    ("IP09-open", get(b"Host: [::1\r\n"), 400),
    ("IP09-bare", get(b"Host: ::1\r\n"), 400),
    ("IP09-double", get(b"Host: [[::1]]\r\n"), 400),
    ("IP09-v4", get(b"Host: [1.2.3.4]\r\n"), 400),
    ("IP03-decimal", get(b"Host: 2852039166\r\n"), 400),
    ("IP03-hex", get(b"Host: 0xA9FEA9FE\r\n"), 400),
    ("H101", post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("H103-twice", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), 400),
    ("H103-list", post(b"Content-Length: 5, 5\r\n", b"hello"), 400),
    *[(f"H104-{i}", post(b"Content-Length: " + value + b"\r\n", b"hello"), 400)
      for i, value in enumerate([b"+5", b"-5", b"0x5", b"5_0", b"05", b"5 5", b"5Z", b"", "٥".encode(), b"1e3"])],
    *[(f"H105-{i}", post(b"Content-Length: " + value + b"\r\n"), 400)
      for i, value in enumerate([b"18446744073709551616", b"9" * 4096])],
    ("H106-list", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), 400),
    ("H106-twice", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("H108-space", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), 400),
    ("H108-vt", post(b"\x0bTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("H108-x85", post(b"Transfer-Encoding\x85: chunked\r\n", b"0\r\n\r\n"), 400),
    ("H108-underscore", post(b"Transfer_Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("H108-leading-space", post(b"X: y\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("H109", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), (400, 501)),
    ("H110", b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    # They come with their heads, before anything has been passed on.
    *[(f"H111-{i}", chunked(size + b"\r\nhello\r\n0\r\n\r\n") + SMUGGLED, 400) for i, size in enumerate(CHUNK_SIZES)],
    ("H116-lf", b"GET / HTTP/1.1\nHost: good.test\n\n", 400),
    ("H116-cr", get(HOST + b"X: a\rb\r\n"), 400),
    ("H117", get(HOST + b"X: a\r\n b\r\n"), 400),
    ("H118-empty", get(HOST + b": v\r\n"), 400),
    ("H118-space", get(HOST + b"X y: v\r\n"), 400),
    ("H118-paren", get(HOST + b"X(: v\r\n"), 400),
    ("H118-x80", get(HOST + b"X\x80: v\r\n"), 400),
    ("H118-nul", get(HOST + b"X\x00: v\r\n"), 400),
    ("H119", get(HOST + b"Content-Length 10\r\n"), 400),
    ("H122-line", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    ("H122-count", get(HOST + b"".join(b"X%d: y\r\n" % i for i in range(120))), 431),
    ("H122-size", get(HOST + b"X: " + b"a" * 65536 + b"\r\n"), 431),
    ("H123-token", b'G=":<> / HTTP/1.1\r\n' + HOST + b"\r\n", 400),
    ("H123-TRACE", b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    ("H123-CONNECT", b"CONNECT good.test:443 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    # No preface of HTTP/2, though it begins like one.
    ("H123-PRI", b"PRI * HTTP/2.0\r\n" + HOST + b"\r\n", (400, 505)),
    *[(f"H124-{i}", b"GET / " + version + b"\r\n" + HOST + b"\r\n", (400, 505))
      for i, version in enumerate([b"HTTP/1.32", b"HTTP/4294967297.1", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 x"])],
    ("H125-spaces", b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("H125-tab", b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("H125-crlfs", b"\r\n" * 10 + get(HOST), 400),
    ("H127-expect", post(b"Expect: 200-maybe\r\nContent-Length: 0\r\n"), 417),
    ("H137-ssh", b"SSH-2.0-OpenSSH_9.0\r\n", 400),
    ("H137-binary", b"\x00\x01\x02", 400),
    ("TU11-proxy", b"PROXY TCP4 192.0.2.1 203.0.113.10 1 80\r\n" + get(HOST), 400),
    ("TU11-socks", b"\x05\x01\x00", 400),
]

# A fault behind the body's beginning, and what has been passed on of the body by then: the beginning cannot be taken back.
HELLO = b"5\r\nhello\r\n"
BROKEN_BODIES = [
    *[(f"H111-behind-{i}", chunked(HELLO + size + b"\r\nhello\r\n0\r\n\r\n"), HELLO) for i, size in enumerate(CHUNK_SIZES)],
    ("H113", chunked(b"5\r\nhelloXX0\r\n\r\n"), HELLO),
    ("H114", chunked(HELLO + b"5;" + b"x" * (1 << 20) + b"\r\nhello\r\n0\r\n\r\n"), HELLO),
    ("H114-in-all", chunked((b"5;" + b"x" * 15_000 + b"\r\nhello\r\n") * 2 + b"0\r\n\r\n"), HELLO),
    ("H115-colon", chunked(HELLO + b"0\r\nno colon\r\n\r\n"), HELLO),
    ("H115-count", chunked(HELLO + b"0\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(10_000)) + b"\r\n"), HELLO),
    ("H115-size", chunked(HELLO + b"0\r\nX: " + b"y" * 17_000 + b"\r\n\r\n"), HELLO),
]


class AbuseH1Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.handler = cls.world.start_handler("respond")
        ports = [f"--http-port={port}" for port in (80, 443, RAW_PORT)]
        cls.world.cli("class", "apply", "listed", "--denied-host=evil.test", *ports)
        cls.world.apply_class("handled", denied_hosts=["evil.test"], outbound="respond")
        cls.container = cls.world.container("listed")
        cls.handled = cls.world.container("handled", "handled-1")
        cls.raw_origin = RawOrigin(cls.world, ORIGIN, RAW_PORT)
        cls.addClassCleanup(cls.raw_origin.close)

    def assert_refused(self, answer, statuses):
        """And closed, and nothing behind it answered."""
        self.assertIsNotNone(answer, "reset before the answer")
        status = int(answer.split(b" ")[1])
        self.assertIn(status, statuses if isinstance(statuses, tuple) else (statuses,), answer)
        self.assertIn(b"connection: close", answer.lower())
        self.assertEqual(answer.lower().count(b"http/1.1 "), 1, answer)

    def refused(self, payload, statuses):
        before = self.world.origin_contacts(), self.handler.lines.count()
        for container in (self.container, self.handled):
            self.assert_refused(container.raw(ORIGIN, 80, payload), statuses)
        self.assertEqual((self.world.origin_contacts(), self.handler.lines.count()), before)

    def broken(self, payload, passed):
        before = len(self.world.origin_requests()), self.handler.lines.count()
        for container in (self.container, self.handled):
            self.assert_refused(container.raw(ORIGIN, 80, payload + SMUGGLED), 400)
        # The recording handler reads the body before it writes its line.
        self.assertEqual((len(self.world.origin_requests()), self.handler.lines.count()), before)
        self.assert_refused(self.container.raw(ORIGIN, RAW_PORT, (payload + SMUGGLED).replace(HOST, RAW_HOST)), 400)
        request = self.raw_origin.next_request(10)
        self.assertEqual(request.head[0], "POST / HTTP/1.1")
        self.assertEqual(request.head[1]["transfer-encoding"], "chunked")
        # No end of the body, and no more of the connection.
        self.assertEqual(read_until_gone(request.peer), passed)

    def test_HC07_default_port(self):
        self.assertIn(b" 200 ", self.container.raw(ORIGIN, 80, get(b"Host: good.test:80\r\nConnection: close\r\n")))

    def test_HC15_empty_port(self):
        self.assertIn(b" 200 ", self.container.raw(ORIGIN, 80, get(b"Host: good.test:\r\nConnection: close\r\n")))

    def test_HC32_path_with_two_slashes_stays_a_path(self):
        payload = b"GET //evil.test/x HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
        self.assertIn(b" 200 ", self.container.raw(ORIGIN, 80, payload))
        request = self.world.origin_requests()[-1]
        self.assertEqual((request["host"], request["path"]), ("good.test", "//evil.test/x"))

    def test_H114_millions_of_chunks_cost_what_their_bytes_do(self):
        """They are passed on, as far fewer."""
        proxy = self.world.proxy_pid()
        costs = []
        for count in (1_000_000, 4_000_000):
            before = cpu_seconds(proxy)
            head = b"POST /digest HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            answer = self.container.raw(ORIGIN, 80, head + b"1\r\nx\r\n" * count + b"0\r\n\r\n", timeout=60)
            self.assertIn(b" 200 ", answer)
            self.assertIn(b"\r\n\r\n%d " % count, answer)
            costs.append(cpu_seconds(proxy) - before)
        # Four times as much, and the clock's ticks. By the square it would be sixteen times.
        self.assertLess(costs[1], 8 * costs[0] + 0.1)

    def test_H115_forbidden_trailers_are_dropped(self):
        body = b"5\r\nhello\r\n0\r\nHost: evil.test\r\nContent-Length: 9\r\nX-Fine: yes\r\n\r\n"
        payload = post(b"Transfer-Encoding: chunked\r\nConnection: close\r\n", body)
        self.assertIn(b" 200 ", self.container.raw(ORIGIN, 80, payload))
        self.assertEqual(self.world.origin_requests()[-1]["body_length"], 5)

    def test_H129_pipelined_requests_are_answered_in_order(self):
        hosts = [b"good.test"] * 4 + [b"evil.test"] + [b"good.test"] * 5
        payload = b"".join(b"GET /%d HTTP/1.1\r\nHost: %s\r\n\r\n" % item for item in enumerate(hosts))
        with self.container.connect(ORIGIN, 80) as connection:
            connection.sendall(payload)
            file = connection.makefile("rb")
            answers = [read_one(file) for _ in hosts]
        self.assertEqual([status for status, _ in answers], [200] * 4 + [520] + [200] * 5)
        self.assertEqual(answers[9][1], b"origin good.test /9")

    def test_H129_nothing_after_close_is_processed(self):
        requests = len(self.world.origin_requests())
        payload = get(HOST + b"Connection: close\r\n") + get(HOST)
        answer = self.container.raw(ORIGIN, 80, payload)
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 1)
        self.assertEqual(len(self.world.origin_requests()), requests + 1)

    def test_H130_connection_header_cannot_remove_what_frames_a_request(self):
        payload = post(b"Connection: close, host, content-length\r\nContent-Length: 5\r\n", b"hello")
        answer = self.container.raw(ORIGIN, 80, payload)
        if b" 200 " in answer:
            self.assertEqual(self.world.origin_requests()[-1]["body_length"], 5)
        else:
            self.assertIn(b" 400 ", answer)


def cpu_seconds(pid):
    user, system = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def read_one(file):
    status = int(file.readline().split()[1])
    length = 0
    while line := file.readline().strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, file.read(length)


def read_until_gone(peer):
    """What comes before the other side ends or resets the connection."""
    try:
        while True:
            peer.fill()
    except (EOFError, ConnectionResetError):
        return peer.received


def add_rows():
    for row, payload, statuses in REFUSED:
        def test(self, payload=payload, statuses=statuses):
            self.refused(payload, statuses)
        setattr(AbuseH1Test, f"test_{row}", test)
    for row, payload, passed in BROKEN_BODIES:
        def test(self, payload=payload, passed=passed):
            self.broken(payload, passed)
        setattr(AbuseH1Test, f"test_{row}", test)


add_rows()

if __name__ == "__main__":
    unittest.main(verbosity=1)
