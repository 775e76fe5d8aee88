"""Handlers that are plain web servers: nginx, a WSGI application, and ones that the test plays byte by byte."""

import hashlib
import itertools
import json
import os
import socket
import sys
import unittest

from fakes.raw_origin import RawOrigin
from harness import World, eventually, source
from sockets import HttpPeer
from streams import MEBIBYTE, Peak, allowed_kib

ORIGIN = "203.0.113.10"
PLAYED = "203.0.113.40"  # Where the test's own handlers listen.
NAMES = {"api.test": ORIGIN, "other.test": ORIGIN, "web.test": ORIGIN, "denied.test": ORIGIN, "*.elsewhere.test": ORIGIN}
NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log; events {{ }}
http {{
  access_log off; client_body_temp_path {dir}/nginx-body; client_max_body_size 64m;
  server {{
    listen 127.0.0.1:8080; listen unix:{dir}/nginx.sock;
    location /who {{ return 200 "$request_method $scheme $host $request_uri $http_sallyport_container_id $http_sallyport_class $http_sallyport_handler $http_sallyport_params"; }}
    location /denied {{ add_header sallyport-forward 1 always; add_header sallyport-forward-authority denied.test always; return 299; }}
    location / {{
      add_header sallyport-forward 1 always;
      add_header sallyport-set-header "authorization: Bearer of-nginx" always;
      add_header sallyport-set-header "x-params: $http_sallyport_params" always;
      add_header sallyport-remove-header cookie always;
      return 299;
    }}
  }}
}}
"""
CLOSE = "Connection: close\r\n"


def header(request, name):
    return [value for key, value in request["headers"] if key.lower() == name]


class HttpHandlerTest(unittest.TestCase):
    count = itertools.count()

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(NAMES, addresses=[ORIGIN, PLAYED]))
        config = f"{cls.world.dir}/nginx.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX.format(dir=cls.world.dir))
        cls.world.start("nginx", ["nginx", "-c", config], cls.world.host)
        eventually(lambda: os.path.exists(f"{cls.world.dir}/nginx.pid"), what="nginx is up")
        cls.nginx = ["http://127.0.0.1:8080", f"http+unix:{cls.world.dir}/nginx.sock"]
        cls.wsgi = []
        for listen in ("127.0.0.1:0", f"{cls.world.dir}/wsgi.sock"):
            program = cls.world.start(f"wsgi-{len(cls.wsgi)}",
                                      [sys.executable, source("fakes/wsgi_handler.py"), "--listen", listen], cls.world.host)
            cls.wsgi.append(program.await_text(r"listening on (\S+)").group(1))
        cls.world.api.call("ApplyClass", **{"class": {
            "name": "web", "interceptHttps": True, "deniedHosts": {"hosts": ["denied.test"]}, "outboundByHost": [
                {"host": "api.test", "handler": {"handler": "api", "params": {"scope": "repo:read", "who": "\u00e4"}}},
                {"host": "other.test", "handler": {"handler": "other"}}]}})
        cls.container = cls.world.container("web", "web-1")

    def register(self, name, *endpoints, flags=()):
        self.world.cli("handler", "register", name, *endpoints, *flags)

    def expect_record(self, detail="", **values):
        """The newest record, as soon as it is one with these values: it is written behind its answer."""
        def newest():
            record = self.world.audit.last()
            return detail in record.get("detail", "") and values.items() <= record.items() and record
        return eventually(newest, what=f"a record with {values} {detail}")

    def play(self):
        """A handler that the test plays, and its endpoint."""
        port = 9000 + next(self.count)
        played = RawOrigin(self.world, PLAYED, port)
        self.addCleanup(played.close)
        return played, f"http://{PLAYED}:{port}"

    def client(self, host="api.test"):
        peer = HttpPeer(self.container.connect(ORIGIN, 80, 30))
        self.addCleanup(peer.connection.close)
        peer.host = host
        return peer

    @staticmethod
    def ask(peer, method="GET", path="/x", fields=""):
        peer.send(f"{method} {path} HTTP/1.1\r\nHost: {peer.host}\r\n{fields}\r\n".encode())

    # nginx

    def test_nginx_answers(self):
        for endpoint in self.nginx:
            with self.subTest(endpoint):
                self.register("api", endpoint)
                answer = self.container.curl("http://api.test/who?a=b")
                self.assertEqual(answer.status, 200, answer)
                facts, params = answer.body.split("{")
                self.assertEqual(facts, "GET http api.test /who?a=b web-1 web api ")
                self.assertEqual(json.loads("{" + params), {"scope": "repo:read", "who": "\u00e4"})
                self.assertIn("\\u00e4", params)
                self.expect_record(decision="handler", handler="api", status=200, path="/who")

    def test_nginx_forwards(self):
        for endpoint in self.nginx:
            self.register("api", endpoint)
            for scheme in ("http", "https"):
                for options in ([], ["--data-binary", "x" * 100_000]):
                    with self.subTest(endpoint=endpoint, scheme=scheme, options=len(options)):
                        answer = self.container.curl(f"{scheme}://api.test/digest", *options, "-H", "authorization: mine", "-H",
                                                     "cookie: mine", "-H", "sallyport-container-id: forged")
                        body = b"x" * 100_000 if options else b""
                        self.assertEqual((answer.status, answer.body), (200, f"{len(body)} {hashlib.sha256(body).hexdigest()}"))
                        seen = self.world.origin_requests()[-1]
                        self.assertEqual(header(seen, "authorization"), ["Bearer of-nginx"])
                        self.assertEqual(json.loads(header(seen, "x-params")[0]), {"scope": "repo:read", "who": "\u00e4"})
                        self.assertEqual([name for name, _ in seen["headers"] if name.lower().startswith(("sallyport", "cookie",
                                                                                                            "expect"))], [])
                        self.assertEqual(seen["tls"], scheme == "https")

    def test_a_forward_is_policed(self):
        self.register("api", self.nginx[0])
        contacts = self.world.origin_contacts()
        answer = self.container.curl("http://api.test/denied")
        self.assertEqual((answer.status, answer.reason), (502, "handler_failed"))
        self.assertEqual(self.world.origin_contacts(), contacts)

    # WSGI

    def test_wsgi_learns_who_asks(self):
        for endpoint in self.wsgi:
            with self.subTest(endpoint):
                self.register("api", endpoint)
                answer = self.container.curl("https://api.test/who?a=b", "-H", "sallyport-container-id: forged", "-H",
                                             "Sallyport_Class: forged", "-H", "accept: x/y")
                self.assertEqual((answer.status, answer.headers["x-of"]), (200, "the-handler"), answer)
                call = json.loads(answer.body)
                record = self.expect_record(requestId=call["headers"]["sallyport-request-id"])
                self.assertEqual((call["method"], call["url"], call["query"]), ("GET", "https://api.test/who", "a=b"))
                self.assertEqual(json.loads(call["headers"]["sallyport-params"]), {"scope": "repo:read", "who": "\u00e4"})
                self.assertEqual({name: call["headers"].get(name) for name in (
                    "host", "accept", "sallyport-container-id", "sallyport-class", "sallyport-handler", "sallyport-rule",
                    "sallyport-policy-revision", "sallyport-request-id", "sallyport-dialled")}, {
                        "host": "api.test", "accept": "x/y", "sallyport-container-id": "web-1", "sallyport-class": "web",
                        "sallyport-handler": "api", "sallyport-rule": record["rule"],
                        "sallyport-policy-revision": str(record["revision"]), "sallyport-request-id": record["requestId"],
                        "sallyport-dialled": f"{ORIGIN}:443"})

    def test_wsgi_reads_bodies_and_forwards(self):
        body = os.urandom(50_000)
        path = f"{self.world.dir}/body"
        with open(path, "wb") as file:
            file.write(body)
        digest = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
        for endpoint in self.wsgi:
            with self.subTest(endpoint):
                self.register("api", endpoint)
                before = len(self.world.origin_requests())
                answer = self.container.curl("http://api.test/digest", "--data-binary", f"@{path}")
                self.assertEqual((answer.status, answer.body), (200, digest), answer)
                self.assertEqual(len(self.world.origin_requests()), before)
                answer = self.container.curl("http://api.test/sign", "--data-binary", f"@{path}", "-H", "cookie: mine")
                self.assertEqual((answer.status, answer.body), (200, digest), answer)
                seen = self.world.origin_requests()[-1]
                self.assertEqual([header(seen, name) for name in ("authorization", "x-asked-by", "cookie")],
                                 [["Bearer of-wsgi"], ["web-1"], []])

    def test_what_is_not_legal_fails(self):
        self.register("api", self.wsgi[0])
        contacts = self.world.origin_contacts()
        for number, detail in enumerate(["299 without `sallyport-forward: 1`", "path does not begin with /", "host", "connection",
                                         "neither http nor https", "sallyport-forwardpath"]):
            with self.subTest(detail):
                answer = self.container.curl(f"http://api.test/illegal/{number}")
                self.assertEqual((answer.status, answer.reason), (502, "handler_failed"), answer)
                self.expect_record(detail=detail)
        # wsgiref, which speaks HTTP/1.0 by default, does not say that it wants the body.
        answer = self.container.curl("http://api.test/sign-late", "-d", "body")
        self.assertEqual((answer.status, answer.reason), (502, "handler_failed"), answer)
        self.expect_record(detail="forwards (299) after it was sent the body")
        self.assertEqual(self.world.origin_contacts(), contacts)

    # Byte by byte

    def test_both_directions_stream_at_once(self):
        played, endpoint = self.play()
        self.register("api", endpoint)
        client = self.client()
        self.ask(client, "POST", fields="Transfer-Encoding: chunked\r\n")
        request = played.next_request()
        line, headers = request.head
        self.assertEqual((line, headers["host"], headers["expect"]), ("POST http://api.test/x HTTP/1.1", "api.test", "100-continue"))
        handler = request.peer
        handler.connection.settimeout(30)
        handler.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send_piece(b"first")
        self.assertEqual(handler.read_piece(5), b"first")
        handler.send(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{CLOSE}\r\n".encode())
        self.assertIn(" 200 ", client.read_head()[0])
        for number in range(20):
            up, down = b"up %04d" % number, b"down %04d" % number
            client.send_piece(up)
            self.assertEqual(handler.read_piece(len(up)), up)
            handler.send_piece(down)
            self.assertEqual(client.read_piece(len(down)), down)
        client.end()
        handler.read_end()
        handler.end()
        client.read_end()

    def test_ID03_trailers_do_not_say_who_asks(self):
        played, endpoint = self.play()
        self.register("api", endpoint)
        client = self.client()
        self.ask(client, "POST", fields="Transfer-Encoding: chunked\r\n")
        handler = played.next_request().peer
        handler.connection.settimeout(30)
        handler.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"2\r\nhi\r\n0\r\nSallyport-Container-Id: forged\r\nsallyport_params: {}\r\nX-Forwarded-For: forged\r\n"
                    b"X-Real-IP: forged\r\nCF-Worker: forged\r\nX-Digest: own\r\n\r\n")
        self.assertEqual(handler.read_piece(2), b"hi")
        self.assertEqual(handler.read_head(), ("0", {"x-digest": "own"}))
        handler.send(f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{CLOSE}\r\n".encode())
        self.assertIn(" 200 ", client.read_head()[0])

    def test_a_reader_that_stalls_stops_the_writer(self):
        played, endpoint = self.play()
        self.register("api", endpoint)
        size = 64 * MEBIBYTE
        client = self.client()
        self.ask(client, "POST", fields=f"Content-Length: {size}\r\n")
        handler = played.next_request().peer
        handler.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        with Peak(self.world.proxy_pid()) as peak:
            client.connection.settimeout(1)
            with self.assertRaises(TimeoutError):
                client.send(bytes(size))
        self.assertLess(peak.growth(), allowed_kib(8), "KiB")
        client = self.client()
        self.ask(client)
        handler = played.next_request().peer
        handler.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n{CLOSE}\r\n".encode())
        with Peak(self.world.proxy_pid()) as peak:
            handler.connection.settimeout(1)
            with self.assertRaises(TimeoutError):
                handler.send(bytes(size))
        self.assertLess(peak.growth(), allowed_kib(8), "KiB")

    def test_an_answer_that_breaks_off_is_cut(self):
        played, endpoint = self.play()
        self.register("api", endpoint, flags=["--on-failure", "egress"])
        client = self.client()
        self.ask(client)
        handler = played.next_request().peer
        handler.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        self.assertIn(" 200 ", client.read_head()[0])
        self.assertEqual(client.take(4), b"half")
        handler.connection.close()
        with self.assertRaises((EOFError, ConnectionResetError)):
            client.take(1)
        self.expect_record(reason="handler_failed")

    def test_what_is_not_http_fails(self):
        for answer in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"):
            with self.subTest(answer):
                played, endpoint = self.play()
                self.register("api", endpoint)
                client = self.client()
                self.ask(client)
                played.next_request().peer.send(answer)
                head = client.read_head()
                self.assertIn(" 502 ", head[0])
                self.assertEqual(head[1]["sallyport-reason"], "handler_failed")

    def test_a_container_that_hangs_up_ends_the_call(self):
        played, endpoint = self.play()
        self.register("api", endpoint)
        client = self.client()
        self.ask(client, "POST", fields="Content-Length: 10\r\n")
        handler = played.next_request().peer
        handler.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"half")
        self.assertEqual(handler.take(4), b"half")
        client.connection.close()
        handler.connection.settimeout(30)
        with self.assertRaises((EOFError, ConnectionResetError)):
            handler.take(1)

    def test_a_late_answer(self):
        played, endpoint = self.play()
        self.register("api", endpoint, flags=["--timeout", "200ms"])
        client = self.client()
        self.ask(client)
        played.next_request()
        head = client.read_head()
        self.assertIn(" 504 ", head[0])
        self.assertEqual(head[1]["sallyport-reason"], "handler_timeout")

    # Endpoints

    def test_over_tls(self):
        # The origin is a web server like any other; its certificate is for web.test.
        self.register("api", "https://web.test")
        answer = self.container.curl("http://api.test/x")
        self.assertEqual((answer.status, answer.body), (200, "origin api.test http://api.test/x"), answer)
        self.register("api", "https://wrong.elsewhere.test")
        answer = self.container.curl("http://api.test/x")
        self.assertEqual((answer.status, answer.reason), (502, "handler_unreachable"))
        self.expect_record(detail="cannot be verified")

    def test_grpc_on_a_unix_socket(self):
        path = f"{self.world.dir}/grpc.sock"
        handler = self.world.start_handler(name="grpc-unix", flags=["--listen", f"unix:{path}"])
        self.assertEqual(handler.address, f"unix:{path}")
        self.register("inject", f"unix://{path}")
        self.world.enforced("set-outbound-by-host", "web-1", "web.test", "inject")
        answer = self.container.curl("http://web.test/headers")
        self.assertEqual(json.loads(answer.body)["authorization"], "Bearer of-the-handler", answer)
        handler.stop()
        answer = self.container.curl("http://web.test/headers")
        self.assertEqual((answer.status, answer.reason), (502, "handler_unreachable"))
        self.world.enforced("remove-outbound-by-host", "web-1", "web.test")

    def test_only_sockets_where_handlers_are(self):
        path = f"/run/{self.world.id}.sock"
        self.addCleanup(os.unlink, path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            listener.settimeout(0)
            self.register("api", f"http+unix:{path}")
            answer = self.container.curl("http://api.test/x")
            self.assertEqual((answer.status, answer.reason), (502, "handler_unreachable"))
            self.expect_record(detail="is not below")
            with self.assertRaises(BlockingIOError):
                listener.accept()

    def test_the_next_endpoint_is_asked(self):
        self.register("api", "http://127.0.0.1:9", self.nginx[0], f"http+unix:{self.world.dir}/none.sock")
        client = self.client()
        for _ in range(60):
            self.ask(client, path="/who")
            line, headers = client.read_head()
            self.assertIn(" 200 ", line)
            client.take(int(headers["content-length"]))
        usage = {one["endpoint"]: one for one in self.world.cli("handler", "list")["usage"]["endpoints"]
                 if one["handler"] == "api"}
        self.assertEqual(int(usage[self.nginx[0]].get("failures", 0)), 0)
        self.assertEqual(int(usage[self.nginx[0]]["calls"]), 60)
        # After three failures it is left out, and asked again after one second, two, four: not 40 times, as in turns.
        dead = usage["http://127.0.0.1:9"]
        self.assertGreaterEqual(int(dead["failures"]), 3)
        self.assertLess(int(dead["failures"]), 12)
        self.assertGreaterEqual(int(dead["ejections"]), 1)
        self.assertIn("http://127.0.0.1:9   failing", self.world.cli_text("handler", "list"))

    def test_the_least_loaded_is_asked(self):
        sides = [self.play(), self.play()]
        self.register("api", *(endpoint for _, endpoint in sides))
        clients = [self.client() for _ in range(6)]
        asked = []
        for client in clients:
            self.ask(client)
            asked.append(next_of(sides))
        ports = [request.peer.connection.getsockname()[1] for request in asked]
        self.assertEqual([ports.count(port) for port in set(ports)], [3, 3])
        for request in asked:
            request.peer.send(f"HTTP/1.1 204 No Content\r\n{CLOSE}\r\n".encode())
        for client in clients:
            self.assertIn(" 204 ", client.read_head()[0])

    def test_a_call_is_made_again_only_if_asked_for(self):
        for retries, status in ((0, " 502 "), (1, " 204 ")):
            with self.subTest(retries=retries):
                sides = [self.play(), self.play()]
                self.register("api", *(endpoint for _, endpoint in sides), flags=["--retries", str(retries)])
                client = self.client()
                self.ask(client)
                first = next_of(sides)
                first.peer.connection.close()
                if retries:
                    next_of(sides).peer.send(f"HTTP/1.1 204 No Content\r\n{CLOSE}\r\n".encode())
                self.assertIn(status, client.read_head()[0])

    def test_a_call_whose_body_was_sent_is_not_made_again(self):
        sides = [self.play(), self.play()]
        self.register("api", *(endpoint for _, endpoint in sides), flags=["--retries", "5"])
        client = self.client()
        self.ask(client, "POST", fields="Content-Length: 4\r\n")
        first = next_of(sides)
        first.peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"body")
        self.assertEqual(first.peer.take(4), b"body")
        first.peer.connection.close()
        self.assertIn(" 502 ", client.read_head()[0])
        self.assertTrue(all(side.requests.empty() for side, _ in sides))

    def test_no_more_than_the_handler_takes(self):
        played, endpoint = self.play()
        self.register("api", endpoint, flags=["--max-concurrency", "1", "--on-failure", "egress"])
        contacts = self.world.origin_contacts()
        first = self.client()
        self.ask(first)
        handler = played.next_request().peer
        answer = self.container.curl("http://api.test/x")
        self.assertEqual((answer.status, answer.reason), (503, "handler_busy"), answer)
        self.assertIn("retry-after", answer.headers)
        self.expect_record(detail="max_concurrency")
        handler.send(f"HTTP/1.1 204 No Content\r\n{CLOSE}\r\n".encode())
        self.assertIn(" 204 ", first.read_head()[0])
        second = self.client()
        self.ask(second)
        played.next_request().peer.send(f"HTTP/1.1 204 No Content\r\n{CLOSE}\r\n".encode())
        self.assertIn(" 204 ", second.read_head()[0])
        self.assertEqual(self.world.origin_contacts(), contacts)

    def test_an_endpoint_that_is_removed_finishes_its_calls(self):
        played, endpoint = self.play()
        self.register("api", endpoint)
        client = self.client()
        self.ask(client)
        handler = played.next_request().peer
        self.register("api", self.nginx[0])
        self.assertEqual(self.container.curl("http://api.test/who").status, 200)
        handler.send(f"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n{CLOSE}\r\nlate".encode())
        self.assertIn(" 200 ", client.read_head()[0])
        self.assertEqual(client.take(4), b"late")
        self.assertNotIn(endpoint, json.dumps(self.world.cli("handler", "list")["usage"]))

    def test_failing_open_is_asked_for_and_never_with_secrets(self):
        result = self.world.cli_result("handler", "register", "api", "http://127.0.0.1:9", "--on-failure", "egress",
                                       "--holds-secrets")
        self.assertEqual(result.returncode, 1)
        self.assertIn("may not fail open", result.stderr)
        self.register("api", "http://127.0.0.1:9", flags=["--holds-secrets"])
        self.assertEqual(self.container.curl("http://api.test/x").reason, "handler_unreachable")
        self.register("api", "http://127.0.0.1:9", flags=["--on-failure", "egress"])
        answer = self.container.curl("http://api.test/digest", "-d", "body")
        self.assertEqual((answer.status, answer.body), (200, f"4 {hashlib.sha256(b'body').hexdigest()}"))
        self.assertEqual(self.world.origin_requests()[-1]["path"], "/digest")
        record = self.expect_record(decision="egress", handler="api", status=200,
                                    rule="handler api on_failure egress: handler_unreachable")
        self.assertNotEqual(record["detail"], "")

    def test_leases_are_revoked(self):
        self.register("api", self.nginx[0])
        answer = self.world.cli("handler", "revoke-leases", "api")
        self.assertEqual((answer["leaseEpoch"], answer["result"]["enforcement"]), ("1", "ENFORCED"))
        self.assertEqual(self.world.cli("handler", "revoke-leases", "api")["leaseEpoch"], "2")
        self.register("api", self.nginx[1])
        self.assertEqual(self.world.cli("handler", "get", "api")["handler"]["leaseEpoch"], "2")
        self.assertEqual(self.world.cli_result("handler", "revoke-leases", "absent").returncode, 1)


def next_of(sides):
    """The next request at whichever of them."""
    return eventually(lambda: next((side.next_request() for side, _ in sides if not side.requests.empty()), None), what="a request")


if __name__ == "__main__":
    unittest.main()
