"""Requests to handlers and origins: who asks, credentials, loops (ID, HS, PX, NB28 of the abuse list)."""

import concurrent.futures
import contextlib
import json
import os
import select
import socket
import struct
import threading
import unittest

from harness import World, eventually
from netns import in_namespace
from sockets import connect_socket, read_all, read_response

ORIGIN = "203.0.113.10"
LOOP_ADDRESS, LOOP_PORT = "203.0.113.1", 8081
NAMES = {"good.test": ORIGIN, "evil.test": ORIGIN, "api.test": ORIGIN, "loop.test": LOOP_ADDRESS, "dead.test": "203.0.113.99",
         # The origins' certificate is not for these.
         "*.elsewhere.test": ORIGIN}
SECRET = "Bearer of-the-handler"
CANARY = "canary-7f3a91"
SWAPS = 20_000


class CallingBack:
    """An origin that asks again, from inside a container, whatever it is asked: requests go round through the agent."""

    def __init__(self, world, container):
        self.requests = []
        self.inside = f"/proc/{container.holder.pid}/ns/net"
        self.server = in_namespace(f"/run/netns/{world.internet.name}", self.listen)
        threading.Thread(target=self.serve, daemon=True).start()

    @staticmethod
    def listen():
        return socket.create_server((LOOP_ADDRESS, LOOP_PORT))

    def serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(4096)
                if not piece:
                    return
                head += piece
            self.requests.append(head)
            with in_namespace(self.inside, connect_socket, LOOP_ADDRESS, LOOP_PORT, 20) as again:
                again.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                connection.sendall(read_all(again))

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


class HandlerAbuseTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.handler = cls.world.start_handler("respond", "inject", "fail")
        cls.world.cli("handler", "register", "gone", "grpc://127.0.0.1:9")
        cls.world.api.call("ApplyClass", **{"class": {"name": "open", "httpPorts": [80, 443, LOOP_PORT]}})
        cls.world.api.call("ApplyClass", **{"class": {
            "name": "handled", "interceptHttps": True, "outboundByHost": [
                {"host": "good.test", "handler": {"handler": "respond"}},
                {"host": "api.test", "handler": {"handler": "inject", "params": {"header": "x-api-key"}}},
                {"host": "fail.test", "handler": {"handler": "fail"}}, {"host": "gone.test", "handler": {"handler": "gone"}}]}})
        cls.world.api.call("ApplyClass", **{"class": {"name": "listed", "enableInternet": False, "interceptHttps": True, "allowedHosts": {
            "hosts": ["good.test", "*.elsewhere.test"]}}})
        cls.open = cls.world.container("open", "open-1")
        cls.handled = cls.world.container("handled", "handled-1")
        cls.listed = cls.world.container("listed", "listed-1")

    def ask(self, container, payload, port=80):
        with container.connect(ORIGIN, port) as connection:
            connection.sendall(payload)
            return read_response(connection)

    def api_request(self):
        """What api.test was sent last."""
        return next(request for request in reversed(self.world.origin_requests()) if request["host"] == "api.test")

    # Who asks.

    def test_ID01_an_address_is_nobody(self):
        # All containers have the same one, and another of its own making has no way back.
        self.handled.run("ip", "addr", "add", "192.0.2.77/32", "dev", "lo")
        calls = self.handler.lines.count()
        with self.assertRaises(OSError):
            in_namespace(f"/proc/{self.handled.holder.pid}/ns/net", connect_from, "192.0.2.77").close()
        self.assertEqual(self.handler.lines.count(), calls)
        status, _, body = self.ask(self.handled, b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
        self.assertEqual((status, json.loads(body)["container"]), (200, "handled-1"))

    def test_ID04_metadata_of_grpc_is_a_header_like_any_other(self):
        names = ["container-id-bin", "grpc-timeout", "grpc-status", "grpc-encoding", "content-type", "x-bin"]
        lines = "".join(f"{name}: 1n\r\n" for name in names)
        status, _, body = self.ask(self.handled, f"GET / HTTP/1.1\r\nHost: good.test\r\nTE: trailers\r\n{lines}\r\n".encode())
        call = json.loads(body)
        self.assertEqual((status, call["container"]), (200, "handled-1"))
        self.assertEqual({name: call["headers"][name] for name in names}, {name: "1n" for name in names})
        self.assertNotIn("te", call["headers"])
        calls = self.handler.lines.count()
        for line in (b":path: /evil", b":authority: evil.test", b"container-id\x00: x"):
            self.assertEqual(self.ask(self.handled, b"GET / HTTP/1.1\r\nHost: good.test\r\n" + line + b"\r\n\r\n")[0], 400)
        self.assertEqual(self.handler.lines.count(), calls)

    def test_ID12_requests_of_two_containers_are_never_swapped(self):
        other = self.world.container("handled", "handled-3")
        self.addCleanup(other.close)

        def ask_many(container, worker):
            swapped = 0
            with container.connect(ORIGIN, 80) as connection:
                for number in range(SWAPS // 4):
                    path = f"/{container.id}/{worker}/{number}"
                    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: good.test\r\n\r\n".encode())
                    call = json.loads(read_response(connection)[2])
                    swapped += (call["container"], call["path"]) != (container.id, path)
            return swapped

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            swapped = list(pool.map(ask_many, [self.handled, other] * 2, range(4)))
        self.assertEqual(swapped, [0] * 4)

    # Credentials.

    def test_HS02_methods_that_reflect(self):
        before = self.world.origin_contacts()
        for method in ("TRACE", "TRACK"):
            self.assertEqual(self.ask(self.handled, f"{method} /headers HTTP/1.1\r\nHost: api.test\r\n\r\n".encode())[0], 405)
        self.assertEqual(self.world.origin_contacts(), before)

    def test_HS03_a_redirect_takes_no_secret_along(self):
        for target in ("http://evil.test/headers", "http://api.test:5432/headers", "https://evil.test/headers"):
            with self.subTest(target):
                response = self.handled.curl(f"http://api.test/to/{target}", "--location", address=ORIGIN)
                self.assertEqual(response.status, 200, response)
                self.assertNotIn("x-api-key", json.loads(response.body))
                self.assertNotIn(SECRET, response.body + response.error)
                self.assertIn(["x-api-key", SECRET], lowered(self.api_request_to("/to/")["headers"]))

    def api_request_to(self, prefix):
        return next(request for request in reversed(self.world.origin_requests()) if request["path"].startswith(prefix))

    def test_HS04_exactly_what_the_handler_sets_is_sent(self):
        own = ["X-Api-Key", "x-api-key", "X_API_KEY", "x_api-key", "X-API-KEY"]
        lines = "".join(f"{name}: of-the-container\r\n" for name in own)
        self.assertEqual(self.ask(self.handled, f"GET /headers HTTP/1.1\r\nHost: api.test\r\n{lines}\r\n".encode())[0], 200)
        keys = [header for header in lowered(self.api_request()["headers"]) if header[0].replace("_", "-") == "x-api-key"]
        self.assertEqual(keys, [["x-api-key", SECRET]])

    def test_HS05_the_connection_header_takes_nothing_from_what_a_handler_sets(self):
        self.ask(self.handled, b"GET /headers HTTP/1.1\r\nHost: api.test\r\nConnection: x-api-key, keep-alive\r\nX-Api-Key: own\r\n\r\n")
        self.assertIn(["x-api-key", SECRET], lowered(self.api_request()["headers"]))

    def test_HS17_bodies_that_break_off_leave_nothing_behind(self):
        descriptors = f"/proc/{self.world.proxy_pid()}/fd"
        self.ask(self.handled, b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
        before = len(os.listdir(descriptors))
        for number in range(200):
            with self.handled.connect(ORIGIN, 80) as connection:
                host = (b"good.test", b"api.test", b"evil.test")[number % 3]
                connection.sendall(b"POST /digest HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000)
                if number % 2:
                    # A reset in place of an end.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eventually(lambda: len(os.listdir(descriptors)) <= before + 8, 30, "connections of both sides are closed")
        status, _, body = self.ask(self.handled, b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
        self.assertEqual((status, json.loads(body)["container"]), (200, "handled-1"))

    def test_HS18_TM08_nothing_of_a_request_but_its_path_is_logged(self):
        for host in ("good.test", "api.test", "evil.test", "fail.test"):
            self.handled.curl(f"http://{host}/path?{CANARY}", "--data", CANARY, "-H", f"Authorization: {CANARY}", "-H", f"X-Odd: {CANARY}",
                              "-H", f"Cookie: {CANARY}", "--user-agent", CANARY, address=ORIGIN)
            self.handled.raw(ORIGIN, 80, f"GET / HTTP/1.1\r\nHost: {host}\r\nBad {CANARY}\r\n\r\n".encode())
        with open(self.world.audit.path, encoding="utf-8") as file:
            records = file.read()
        self.assertIn('"path":"/path"', records)
        for text in (records, self.world.agent.text(), self.world.control_plane.text()):
            self.assertNotIn(CANARY, text)

    def test_HS19_no_core_and_no_stranger_reads_the_memory(self):
        pid = self.world.proxy_pid()
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            core = next(line.split() for line in file if line.startswith("Max core file size"))
        self.assertEqual(core[4:6], ["0", "0"])
        # Not dumpable: what is in /proc belongs to root, not to the proxy's user.
        self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0)

    def test_HS20_failures_name_nothing_of_the_inside(self):
        for host, reason in (("fail.test", "handler_failed"), ("gone.test", "handler_unreachable"), ("dead.test", "origin_unreachable")):
            response = self.handled.curl(f"http://{host}/", address=ORIGIN)
            self.assertEqual((response.reason, response.body), (reason, f"{reason}\n"), response)
            for inside in ("127.0.0.1", "203.0.113.99", "grpc", self.handler.address):
                self.assertNotIn(inside, response.head + response.body)

    def test_RX03_a_peer_that_does_not_read_holds_up_nobody(self):
        # The origin's echo comes back, and is not read.
        with self.handled.connect(ORIGIN, 5432) as stuck:
            stuck.sendall(b"\0")
            stuck.setblocking(False)
            full = eventually(lambda: self.is_full(stuck), 20, "every buffer on the way is full")
            self.assertTrue(full)
            self.assertEqual(self.ask(self.handled, b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")[0], 200)

    @staticmethod
    def is_full(connection):
        """Whether nothing was taken for half a second."""
        try:
            while True:
                connection.send(b"x" * 65536)
        except BlockingIOError:
            return not select.select([], [connection], [], 0.5)[1]

    # Origins.

    def test_PX03_a_verified_connection_vouches_for_no_other_name(self):
        for _ in range(2):
            self.assertEqual(self.listed.curl("https://good.test/", address=ORIGIN).status, 200)
            requests = len(self.world.origin_requests())
            response = self.listed.curl("https://b.elsewhere.test/", address=ORIGIN)
            self.assertEqual((response.status, response.reason), (502, "origin_certificate"), response)
            self.assertEqual(len(self.world.origin_requests()), requests)

    def test_PX04_clients_that_speak_at_once_are_all_served(self):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.open.connect(ORIGIN, 80)) for _ in range(64)]
            for number, client in enumerate(clients):
                client.sendall(f"GET /{number} HTTP/1.1\r\nHost: good.test\r\n\r\n".encode())
            answers = [read_response(client) for client in clients]
        self.assertEqual([(status, body) for status, _, body in answers], [(200, f"origin good.test /{number}") for number in range(64)])

    # Loops.

    def test_NB28_a_request_that_goes_round_ends_after_eight_agents(self):
        calling_back = CallingBack(self.world, self.open)
        self.addCleanup(calling_back.close)
        with self.open.connect(LOOP_ADDRESS, LOOP_PORT, 60) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: loop.test:{LOOP_PORT}\r\nConnection: close\r\n\r\n".encode())
            answer = read_all(connection)
        self.assertTrue(answer.startswith(b"HTTP/1.1 508 Loop Detected\r\n"), answer)
        self.assertIn(b"sallyport-reason: loop\r\n", answer)
        self.assertEqual([head.lower().count(b"cdn-loop: sallyport") for head in calling_back.requests], list(range(1, 9)))

    def test_NB28_nor_does_a_handler_see_it_again(self):
        calls = self.handler.lines.count()
        status, headers, _ = self.ask(self.handled, b"GET / HTTP/1.1\r\nHost: good.test\r\n" + b"CDN-Loop: sallyport\r\n" * 8 + b"\r\n")
        self.assertEqual((status, headers["sallyport-reason"]), (508, "loop"))
        self.assertEqual(self.handler.lines.count(), calls)


def lowered(headers):
    return [[name.lower(), value] for name, value in headers]


def connect_from(source):
    return socket.create_connection((ORIGIN, 80), timeout=1, source_address=(source, 0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
