"""Built-in handlers against a container that knows them: their secrets, their patterns, their rates (HS of the abuse list)."""

import base64
import concurrent.futures
import contextlib
import json
import unittest

from api import ApiError
from fakes.raw_origin import RawOrigin
from harness import World
from sockets import HttpPeer, read_all

ORIGIN, RAW, ELSEWHERE = "203.0.113.10", "203.0.113.1", "198.51.100.4"
RAW_PORT = 8081
NAMES = {"a.test": ORIGIN, "b.test": ELSEWHERE, "raw.test": RAW}
SECRET = "sealed-5ecret-4c1f"
BEARER = f"Bearer {SECRET}"
TOKEN = {"setHeaders": [{"name": "x-api-key", "prefix": "Bearer ", "secret": {"secret": "token"}}]}
# Targets that a pattern of /v1/** must not take for one of its own.
ROUNDABOUT = [
    b"/V1/x", b"/v1x", b"/%76%31/../admin", b"//v1/x", b"/v1//x", b"/./v1/x", b"/v1/./x", b"/v1/../admin", b"/v1/%2e%2e/admin", b"/v1/.%2e/admin",
    b"/v1/..;/admin", b"/v1/..%3b/admin", b"/v1/%2e%2e;x/admin", b"/v1%2fx", b"/v1/%2Fx", b"/v1/%5cx", b"/v1\\x", b"/v1/%252e%252e/admin",
    b"/v1/%c0%af..%c0%afadmin", b"/v1/%e0%80%af", b"/v1/%u002e%u002e/admin", b"/v1/%0d%0ax", b"/v1/%00", b"/v1/%", b"/v1/%4", b"/v1/#/../admin", b"/admin?/v1/x",
    b"/admin;/v1/x", b"/admin#/v1/x", b"*", b"v1/x", b"http://a.test/admin", b"http://a.test/v1/../admin", b"http://a.test//v1/x",
    b"http://A.TEST/v1/%2e%2e/admin", b"http://a.test", b"http://a.test?/v1/x", b"http://a.test/V1/x", b"http://b.test/v1/x", b"https://a.test/v1/x",
    b"http://x@a.test/v1/x", b"HTTP://a.test/admin",
]


class BuiltinAbuseTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.set_secret(SECRET)
        cls.world.api.call("ApplyClass", **{"class": {"name": "open", "interceptHttps": True, "httpPorts": [80, 443, RAW_PORT]}})
        cls.number = 0

    @classmethod
    def set_secret(cls, value):
        return cls.world.api.call("SetSecret", name="token", value=base64.b64encode(value.encode()).decode())

    def setUp(self):
        type(self).number += 1
        self.container = self.world.container("open", f"c-{self.number}")
        self.addCleanup(self.container.close)
        self.handler = f"h-{self.number}"

    def use(self, *hosts, container=None, **builtin):
        """A handler of these fields stands in the way to the hosts."""
        self.world.api.call("RegisterHandler", handler={"name": self.handler, "builtin": builtin})
        for host in hosts:
            self.world.api.enforced("SetOutboundByHost", containerId=(container or self.container).id, host=host, handler=self.handler)

    def ask(self, target, *lines, method=b"GET", host=b"a.test", body=b""):
        """Status and body of a request of these bytes, and what origins got by it. The connection ends with it."""
        before = len(self.world.origin_requests())
        head = b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: " + host, b"Connection: close", *lines, b"", body])
        answer = self.container.raw(ORIGIN, 80, head)
        return int(answer.split(b" ", 2)[1]), answer, self.world.origin_requests()[before:]

    def sent_headers(self, request):
        return [(name.lower(), value) for name, value in request["headers"]]

    # The secret.

    def test_HS31_methods_that_reflect_are_refused_whatever_the_policy_says(self):
        self.use("a.test", allowMethods=["GET", "TRACE", "OPTIONS"], **TOKEN)
        before = len(self.world.origin_requests())
        for method in (b"TRACE", b"TRACK", b"trace"):
            for lines in ((), (b"Max-Forwards: 0",)):
                status, answer, _ = self.ask(b"/headers", *lines, method=method)
                self.assertIn(status, (400, 405))
                self.assertNotIn(SECRET.encode(), answer)
        for scheme in ("http", "https"):
            for options in (("--http2",), ("--http2-prior-knowledge",), ("--http1.1",)):
                response = self.container.curl(f"{scheme}://a.test/headers", "-X", "TRACE", *options, address=ORIGIN)
                self.assertEqual(response.status, 405, response)
        self.assertEqual(len(self.world.origin_requests()), before)

    def test_HS31_what_an_origin_echoes_is_read_where_it_may_be_asked_and_nowhere_else(self):
        self.use("a.test", **TOKEN)
        self.assertIn(SECRET, self.container.curl("http://a.test/headers", address=ORIGIN).body)
        self.use("a.test", allowPaths=["/v1/**"], **TOKEN)
        status, answer, requests = self.ask(b"/headers")
        self.assertEqual((status, requests), (403, []))
        self.assertNotIn(SECRET.encode(), answer)

    def test_HS31_a_redirect_takes_no_secret_along(self):
        self.use("a.test", **TOKEN)
        for target in ("http://b.test/headers", "https://b.test/headers", f"http://{ELSEWHERE}/headers", f"http://{ORIGIN}/headers"):
            with self.subTest(target):
                response = self.container.curl(f"http://a.test/to/{target}", "--location", "-H", "x-api-key: mine")
                self.assertEqual(response.status, 200, response)
                # The container's own word is not changed for a host without a handler.
                self.assertEqual(json.loads(response.body)["x-api-key"], "mine")
                self.assertNotIn(SECRET, response.body + response.error)

    def test_HS31_a_rule_by_an_address_adds_nothing_to_what_goes_elsewhere(self):
        """The container says where to in two ways: by the address that it dials, which the rule is for, and by the host."""
        for rule in (ORIGIN, "203.0.113.0/28"):
            self.use(rule, **TOKEN)
            for scheme in ("http", "https"):
                response = self.container.curl(f"{scheme}://a.test/headers", address=ORIGIN)
                self.assertEqual(response.status, 200, response)
                self.assertIn(SECRET, response.body)
                before = len(self.world.origin_requests())
                for host in ("b.test",) if scheme == "https" else ("b.test", ELSEWHERE):
                    response = self.container.curl(f"{scheme}://{host}/headers", address=ORIGIN)
                    self.assertEqual((response.status, response.reason), (520, "forbidden_address"), response)
                self.assertEqual(self.world.origin_requests()[before:], [])
            # Not even over a connection that is there.
            self.assertEqual(self.container.curl("http://b.test/headers", address=ELSEWHERE).status, 200)
            self.assertEqual(self.container.curl("http://b.test/headers", address=ORIGIN).status, 520)
            # Where it goes by the handler's word, the handler meant it.
            self.use(rule, authority="b.test", **TOKEN)
            self.assertIn(SECRET, self.container.curl("http://a.test/headers", address=ORIGIN).body)

    def test_HS31_its_own_redirect_takes_no_secret_along(self):
        self.use("a.test", redirect={"location": "http://b.test{path}{query}"})
        response = self.container.curl("http://a.test/headers", "--location")
        self.assertEqual(response.status, 200, response)
        self.assertNotIn("x-api-key", json.loads(response.body))

    def test_HS31_a_secret_for_tls_never_travels_in_the_clear(self):
        self.use("a.test", scheme="https", **TOKEN)
        before = len(self.world.origin_requests())
        for url in ("http://a.test/", "http://a.test:80/", "http://a.test./", "http://A.TEST/", "https://a.test/", "http://a.test/to/http://a.test/"):
            response = self.container.curl(url, "--location", address=ORIGIN)
            self.assertEqual(response.status, 200, response)
        requests = self.world.origin_requests()[before:]
        self.assertEqual(len(requests), 7)
        self.assertEqual({request["tls"] for request in requests}, {True})

    def test_HS31_failures_do_not_name_it(self):
        self.use("a.test", setHeaders=[{"name": "x-api-key", "secret": {"secret": "not-there"}}])
        status, answer, requests = self.ask(b"/")
        self.assertEqual((status, requests), (502, []))
        self.assertEqual(answer.split(b"\r\n\r\n")[1], b"handler_failed\n")
        for inside in (b"not-there", b"secret", b"x-api-key"):
            self.assertNotIn(inside, answer)

    def test_HS31_exactly_what_it_sets_is_sent(self):
        self.use("a.test", removeHeaders=["x-debug"], **TOKEN)
        own = [b"X-Api-Key: own", b"x_api_key: own", b"X_API-KEY: own", b"X-Debug: own", b"x_debug: own", b"Connection: x-api-key, x-debug"]
        status, _, requests = self.ask(b"/", *own)
        self.assertEqual(status, 200)
        about = [field for field in self.sent_headers(requests[0]) if field[0].replace("_", "-") in ("x-api-key", "x-debug")]
        self.assertEqual(about, [("x-api-key", BEARER)])

    def test_HS31_nor_do_trailers_add_to_it(self):
        origin = RawOrigin(self.world, RAW, RAW_PORT)
        self.addCleanup(origin.close)
        self.use("raw.test", removeHeaders=["x-debug"], **TOKEN)
        with self.container.connect(RAW, RAW_PORT) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: raw.test:%d\r\nTransfer-Encoding: chunked\r\nTrailer: x-api-key\r\n\r\n" % RAW_PORT
                               + b"2\r\nhi\r\n0\r\nX-Api-Key: own\r\nX_Api_Key: own\r\nx_debug: own\r\nX-Digest: own\r\n"
                               + b"Sallyport-Request-Id: own\r\nsallyport_container: own\r\n\r\n")
            peer = origin.next_request().peer
            body = b""
            while not body.endswith(b"\r\n\r\n"):
                body += peer.read_line().encode() + b"\r\n"
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.assertEqual(read_statuses(connection, 1), [200])
        self.assertEqual(body.lower(), b"2\r\nhi\r\n0\r\nx-digest: own\r\n\r\n")

    # What it lets through.

    def test_HS32_paths_that_go_round_a_pattern(self):
        self.use("a.test", allowPaths=["/v1/**"], **TOKEN)
        for target in (b"/v1/x", b"/%76%31/x", b"/v1/", b"http://a.test/v1/x", b"/v1/x?a=/../admin", b"/v1/a;b/c"):
            with self.subTest(target):
                status, _, requests = self.ask(target)
                self.assertEqual((status, [request["path"] for request in requests]), (200, [target.decode().removeprefix("http://a.test")]))
        for target in ROUNDABOUT:
            with self.subTest(target):
                status, answer, requests = self.ask(target)
                self.assertIn(status, (400, 403))
                self.assertEqual(requests, [])
                self.assertNotIn(SECRET.encode(), answer)

    def test_HS32_paths_that_go_round_what_is_rewritten(self):
        self.use("a.test", stripPathPrefix="/kv", addPathPrefix="/v2/store")
        for target, arrives in ((b"/kv", "/v2/store"), (b"/kv/", "/v2/store/"), (b"/kv/x?y", "/v2/store/x?y"), (b"/kv?x=/../y", "/v2/store?x=/../y")):
            status, _, requests = self.ask(target)
            self.assertEqual((status, [request["path"] for request in requests]), (200, [arrives]))
        for target in (b"/kv/../admin", b"/kv/%2e%2e/%2e%2e/admin", b"/kv//x", b"/kvx", b"/KV/x", b"/%6bv/x", b"/x/kv", b"//kv/x", b"/kv/..;/x", b"/kv\\..\\x",
                       b"http://a.test/kv/../x", b"http://a.test", b"*", b"/kv" + b"/x" * 4090):
            with self.subTest(target[:40]):
                status, _, requests = self.ask(target)
                self.assertIn(status, (400, 403, 414))
                self.assertEqual(requests, [])

    def test_HS32_methods_that_go_round_the_list(self):
        self.use("a.test", allowMethods=["GET"])
        for method in (b"POST", b"get", b"GeT", b"GETX", b"HEAD", b"DELETE", b"OPTIONS", b"PROPFIND", b"CONNECT", b"G\x00ET", b" GET"):
            with self.subTest(method):
                status, _, requests = self.ask(b"/", method=method)
                self.assertIn(status, (400, 405))
                self.assertEqual(requests, [])

    def test_HS32_headers_by_which_servers_take_another_method_or_path(self):
        """Stopped only where the policy removes them."""
        names = ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"]
        lines = [line for name in names for line in (f"{name}: x".encode(), f"{name.replace('-', '_').title()}: x".encode())]
        self.use("a.test", allowMethods=["GET"], allowPaths=["/v1/**"])
        _, _, requests = self.ask(b"/v1/x", *lines)
        self.assertEqual(len([field for field in self.sent_headers(requests[0]) if field[0].replace("_", "-") in names]), 10)
        self.use("a.test", allowMethods=["GET"], allowPaths=["/v1/**"], removeHeaders=names)
        _, _, requests = self.ask(b"/v1/x", *lines)
        self.assertEqual([field for field in self.sent_headers(requests[0]) if field[0].replace("_", "-") in names], [])

    def test_HS32_the_host_in_another_spelling_is_the_same_host(self):
        self.use("a.test", respond={"status": 418})
        for host in (b"A.test", b"a.test.", b"a.test:80", b"A.TEST.:80"):
            self.assertEqual(self.ask(b"/", host=host)[0], 418)
        self.assertEqual(self.ask(b"http://A.TEST/", host=b"a.test")[0], 418)
        for host in (b"a.test:8080", b"a.test\t.", b"a%2etest", b"a.test@b.test"):
            self.assertEqual(self.ask(b"/", host=host)[0], 400)

    # Its rate.

    def burst(self, container, connections=8, each=5):
        """Statuses of so many requests, as close together as they come."""
        def ask(number):
            forged = b"Sallyport-Container-Id: c-%d\r\nX-Forwarded-For: 192.0.2.%d\r\n" % (number, number)
            with container.connect(ORIGIN, 80) as connection:
                connection.sendall((b"GET /rate HTTP/1.1\r\nHost: a.test\r\n" + forged + b"\r\n") * each)
                return read_statuses(connection, each)

        with concurrent.futures.ThreadPoolExecutor(connections) as pool:
            return [status for statuses in pool.map(ask, range(connections)) for status in statuses]

    def test_HS33_a_rate_is_used_up_by_its_own_container_alone(self):
        other = self.world.container("open", f"{self.container.id}-other")
        self.addCleanup(other.close)
        rate = {"rateLimit": {"requestsPerSecond": 0.001, "burst": 10}}
        self.use("a.test", "b.test", **rate)
        self.use("a.test", container=other, **rate)
        before = len(self.world.origin_requests())
        # On both workers, and whatever it says of itself.
        statuses = self.burst(self.container)
        self.assertEqual((statuses.count(200), statuses.count(429)), (10, 30))
        # The bucket is the handler's, not the host's.
        self.assertEqual(self.container.curl("http://b.test/").status, 429)
        self.assertEqual(self.container.curl("https://a.test/", address=ORIGIN).status, 429)
        self.assertEqual(len(self.world.origin_requests()), before + 10)
        statuses = self.burst(other)
        self.assertEqual((statuses.count(200), statuses.count(429)), (10, 30))

    def test_HS33_what_is_refused_for_another_reason_counts_too(self):
        """Or it could ask for forbidden paths without end."""
        self.use("a.test", allowPaths=["/v1/**"], rateLimit={"requestsPerSecond": 0.001, "burst": 5})
        self.assertEqual([self.ask(b"/admin")[0] for _ in range(6)], [403] * 5 + [429])

    # Line ends.

    def test_HS34_line_ends_are_refused_in_policy(self):
        for builtin in ({"addPathPrefix": "/v1\r\nx: y"}, {"stripPathPrefix": "/v1\nx"}, {"addPathPrefix": "/v1%0d%0ax"},
                        {"allowPaths": ["/v1\r\n"]}, {"allowMethods": ["GET /\r\n"]}, {"authority": "a.test\r\nx: y"},
                        {"setHeaders": [{"name": "x-a", "value": "a\r\nx: y"}]}, {"setHeaders": [{"name": "x-a\r\nx", "value": "a"}]},
                        {"setHeaders": [{"name": "x-a", "prefix": "a\r\nx: y", "secret": {"secret": "token"}}]},
                        {"redirect": {"location": "https://b.test/\r\nx: y"}}, {"respond": {"headers": [{"name": "x-a", "value": "a\nb"}]}}):
            with self.subTest(builtin), self.assertRaises(ApiError) as refused:
                self.world.api.call("RegisterHandler", handler={"name": self.handler, "builtin": builtin})
            self.assertEqual(refused.exception.code, "INVALID_ARGUMENT")

    def test_HS34_line_ends_in_a_secret_send_nothing(self):
        self.use("a.test", **TOKEN)
        self.addCleanup(self.set_secret, SECRET)
        for value in ("one\r\nx-evil: yes", "one\nx-evil: yes", "one\0"):
            with contextlib.suppress(ApiError):
                self.set_secret(value)
            status, answer, requests = self.ask(b"/")
            self.assertIn(status, (200, 502))
            self.assertNotIn("x-evil", str(requests))
            # Refused: the one before is in force.
            self.assertEqual([dict(self.sent_headers(request))["x-api-key"] for request in requests], [BEARER] * (status == 200), answer)

    def test_HS34_line_ends_of_a_request_stay_encoded(self):
        """In what is rewritten they are refused; a redirect and an untouched path have the container's own bytes."""
        self.use("a.test", redirect={"location": "http://b.test{path}{query}"})
        _, answer, _ = self.ask(b"/a%0d%0aset-cookie:x?b%0d%0ax")
        self.assertIn(b"\r\nlocation: http://b.test/a%0d%0aset-cookie:x?b%0d%0ax\r\n", answer)
        self.use("a.test", addPathPrefix="/v2")
        for target in (b"/a%0d%0ax", b"/a%0ax", b"/a%0dx", b"/a%7f"):
            status, _, requests = self.ask(target)
            self.assertEqual((status, requests), (403, []))
        for target in (b"/a\rx", b"/a\x0bx", b"/a\x7fx"):
            status, _, requests = self.ask(target)
            self.assertEqual((status, requests), (400, []))

    def test_HS34_nothing_is_smuggled_past_what_it_refuses(self):
        """Its answer ends where the request does, whatever body came with it."""
        self.use("a.test", allowMethods=["GET"])
        before = len(self.world.origin_requests())
        inner = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
        with self.container.connect(ORIGIN, 80) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
                               + b"GET /after HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
            answer = read_all(connection)
        self.assertEqual(answer.count(b"HTTP/1.1 "), 2)
        self.assertEqual([request["path"] for request in self.world.origin_requests()[before:]], ["/after"])


def read_statuses(connection, count):
    peer, statuses = HttpPeer(connection), []
    for _ in range(count):
        line, headers = peer.read_head()
        peer.take(int(headers["content-length"]))
        statuses.append(int(line.split()[1]))
    return statuses


if __name__ == "__main__":
    unittest.main(verbosity=2)
