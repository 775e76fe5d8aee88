"""WebSockets: from a container through the real agent and proxy to real origins, and what is not one."""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
import unittest

import websockets

import harness
from harness import World

NAMES = {"ws.test": "203.0.113.20", "other.test": "203.0.113.21", "raw.test": "203.0.113.22"}
SCHEMES = ("ws", "wss")
MEBIBYTE = 1 << 20
# semantics.md section 7.
CLOSE_SECONDS = 0.1

ASK = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
EARLY = b"GET /evil HTTP/1.1\r\nHost: raw.test\r\n\r\n"


def raw_request(answer, fields=ASK, method=b"GET"):
    """A request to the raw origin for these bytes as its answer."""
    return method + b" /" + answer.hex().encode() + b" HTTP/1.1\r\nHost: raw.test\r\n" + fields + b"\r\n"


class WebSocketTest(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        # The ordinary origins leave 80 and 443 to those of this test.
        cls.world = world = World(NAMES, addresses=list(NAMES.values()), ports=[22])
        cls.addClassCleanup(world.close)
        command = [sys.executable, harness.source("fakes/websocket_origin.py"), "--certificate", f"{world.dir}/origin.pem",
                   "--raw", f"{NAMES['raw.test']}@80"]
        for name in ("ws.test", "other.test"):
            command += ["--http", f"{NAMES[name]}@80", "--https", f"{NAMES[name]}@443"]
        cls.origin = world.start("websocket_origin", command, world.internet, stdin=subprocess.PIPE)
        cls.origin.await_text('"ready"')
        world.start_handler("inject", "reroute", "respond", "fail")
        world.apply_class("open", intercept_https=True, denied_hosts=["nowhere.test"])
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.container = self.world.container("open", f"w-{self.number}")
        self.addCleanup(self.container.close)
        self.seen = self.origin.lines.count()

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # It reports each step that takes 0.1 s.

    def set(self, command, *arguments):
        return self.world.enforced(command, self.container.id, *arguments)

    def connect(self, scheme, host, path):
        """A WebSocket from inside the container, as a context."""
        connection = self.container.connect(NAMES[host], 443 if scheme == "wss" else 80)
        connection.setblocking(False)
        tls = {"ssl": ssl.create_default_context(cafile=self.container.ca), "server_hostname": host} if scheme == "wss" else {}
        return websockets.connect(f"{scheme}://{host}{path}", sock=connection, max_size=None, ping_interval=None, **tls)

    def origin_lines(self, event, **fields):
        return [line for line in self.origin.lines.since(self.seen) if line["event"] == event
                and all(line[key] == value for key, value in fields.items())]

    def origin_line(self, event, **fields):
        return harness.eventually(lambda: self.origin_lines(event, **fields), what=event)[-1]

    def audit_record(self, **fields):
        """The record of this container with these fields, once it has been written."""
        return self.world.audit.await_matching(containerId=self.container.id, **fields)[-1]

    async def assert_echoes(self, connection, message="still here"):
        await connection.send(message)
        self.assertEqual(await asyncio.wait_for(connection.recv(), 10), message)

    # What is passed.

    async def test_frames_both_ways_by_egress(self):
        for scheme in SCHEMES:
            with self.subTest(scheme):
                async with self.connect(scheme, "ws.test", "/greet?token=secret") as connection:
                    self.assertEqual(await asyncio.wait_for(connection.recv(), 10), "hello")
                    await self.assert_echoes(connection, "text")
                    await self.assert_echoes(connection, os.urandom(200))
                    await asyncio.wait_for(await connection.ping(), 10)
                record = self.audit_record(status=101, scheme="https" if scheme == "wss" else "http")
                self.assertEqual((record["decision"], record["host"], record["path"]), ("egress", "ws.test", "/greet"))
                self.assertGreater(int(record["bytesSent"]), 100)
                self.assertGreater(int(record["bytesReceived"]), 100)
                self.assertGreater(int(record["durationUs"]), 0)
                self.assertNotIn("detail", record)

    async def test_frames_both_ways_by_a_handler_that_forwards(self):
        self.set("set-outbound-by-host", "ws.test", "inject")
        for scheme in SCHEMES:
            with self.subTest(scheme):
                async with self.connect(scheme, "ws.test", "/echo") as connection:
                    await self.assert_echoes(connection)
                headers = dict(self.origin_line("open")["headers"])
                self.assertEqual(headers["authorization"], "Bearer of-the-handler")
                record = self.audit_record(status=101, scheme="https" if scheme == "wss" else "http")
                self.assertEqual((record["decision"], record["handler"]), ("handler", "inject"))
                self.assertGreater(int(record["bytesReceived"]), 0)

    async def test_ten_mebibytes_both_ways_at_once(self):
        sent = [os.urandom(MEBIBYTE) for _ in range(10)]
        for scheme in SCHEMES:
            with self.subTest(scheme):
                async with self.connect(scheme, "ws.test", "/echo") as connection:
                    async def send_all():
                        for message in sent:
                            await connection.send(message)

                    sender = asyncio.create_task(send_all())
                    received = [await asyncio.wait_for(connection.recv(), 60) for _ in sent]
                    await sender
                self.assertEqual(received, sent)
                record = self.audit_record(status=101, scheme="https" if scheme == "wss" else "http")
                self.assertGreaterEqual(min(int(record["bytesSent"]), int(record["bytesReceived"])), len(sent) * MEBIBYTE)

    async def test_closing_by_the_container(self):
        for scheme in SCHEMES:
            with self.subTest(scheme):
                async with self.connect(scheme, "ws.test", "/echo") as connection:
                    await self.assert_echoes(connection)
                    await connection.close(4002, "enough")
                self.assertEqual(self.origin_line("closed")["code"], 4002)

    async def test_closing_by_the_origin(self):
        for scheme in SCHEMES:
            with self.subTest(scheme):
                async with self.connect(scheme, "ws.test", "/close") as connection:
                    await connection.send("close")
                    with self.assertRaises(websockets.ConnectionClosed):
                        await asyncio.wait_for(connection.recv(), 10)
                    self.assertEqual((connection.close_code, connection.close_reason), (4001, "as asked"))

    async def test_an_ordinary_request_is_served_before_it(self):
        with self.container.connect(NAMES["raw.test"], 80) as connection:
            connection.sendall(raw_request(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b""))
            self.assertEqual(harness.read_response(connection)[2], "ok")
            connection.sendall(raw_request(SWITCH))
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 101 "))

    # What policy ends.

    async def assert_closed_by(self, connection, method, **request):
        """The call closes the connection within the time that it has, counted from its answer."""
        async def end():
            with contextlib.suppress(websockets.ConnectionClosed):
                await connection.recv()
            return time.monotonic()

        call = self.world.agent_api.call if method == "Detach" else self.world.api.enforced
        ended = asyncio.create_task(end())
        await asyncio.get_running_loop().run_in_executor(None, lambda: call(method, **request))
        answered = time.monotonic()
        late = await asyncio.wait_for(ended, 10) - answered
        self.assertLess(late, CLOSE_SECONDS)
        self.assertEqual(connection.close_code, 1006)  # Not by a frame.

    async def test_a_denial_closes_it_and_leaves_others_alone(self):
        for scheme in SCHEMES:
            with self.subTest(scheme):
                async with self.connect(scheme, "ws.test", "/echo") as denied, \
                        self.connect(scheme, "other.test", "/echo") as other:
                    await self.assert_echoes(denied)
                    await self.assert_echoes(other)
                    await self.assert_closed_by(denied, "DenyHost", containerId=self.container.id, host="ws.test")
                    await self.assert_echoes(other)
                record = self.audit_record(host="ws.test", status=101, scheme="https" if scheme == "wss" else "http")
                self.assertIn("closed by a change of policy", record["detail"])
                self.assertEqual(self.origin_line("closed", local=NAMES["ws.test"])["code"], 1006)
                self.set("remove-denied-host", "ws.test")

    async def test_an_allow_list_without_the_host_closes_it(self):
        async with self.connect("ws", "ws.test", "/echo") as denied, self.connect("ws", "other.test", "/echo") as other:
            await self.assert_closed_by(denied, "SetAllowedHosts", containerId=self.container.id, hosts=["other.test"])
            await self.assert_echoes(other)

    async def test_the_end_of_the_internet_closes_it(self):
        self.world.apply_class("changing")
        self.container.close()
        self.container = self.world.container("changing", "changing-1")
        self.addCleanup(self.container.close)
        async with self.connect("ws", "ws.test", "/echo") as connection:
            await self.assert_echoes(connection)
            await self.assert_closed_by(connection, "ApplyClass", **{"class": {"name": "changing", "enableInternet": False}})

    async def test_a_denied_address_of_the_origin_closes_it(self):
        async with self.connect("ws", "ws.test", "/echo") as connection:
            await self.assert_echoes(connection)
            await self.assert_closed_by(connection, "DenyHost", containerId=self.container.id, host=f"{NAMES['ws.test']}/32")

    async def test_detachment_closes_it(self):
        async with self.connect("ws", "ws.test", "/echo") as connection:
            await self.assert_echoes(connection)
            await self.assert_closed_by(connection, "Detach", containerId=self.container.id)

    async def test_the_end_of_the_container_closes_it(self):
        async with self.connect("ws", "ws.test", "/echo") as connection:
            await self.assert_echoes(connection)
            self.container.close()
            await asyncio.wait_for(connection.wait_closed(), 10)
            self.assertEqual(connection.close_code, 1006)
        self.assertEqual(self.origin_line("closed")["code"], 1006)
        self.assertIn("detachment", self.audit_record(status=101)["detail"])

    async def test_a_handler_that_comes_or_goes_does_not(self):
        async with self.connect("ws", "ws.test", "/echo") as connection:
            self.set("set-outbound-by-host", "ws.test", "inject")
            await self.assert_echoes(connection)
            async with self.connect("ws", "ws.test", "/echo") as forwarded:
                self.set("remove-outbound-by-host", "ws.test")
                await self.assert_echoes(forwarded)
                await self.assert_closed_by(forwarded, "DenyHost", containerId=self.container.id, host="ws.test")

    async def test_where_a_handler_sent_it_counts_too(self):
        self.set("set-outbound-by-host", "ws.test", "reroute", "--params", json.dumps({"to": "other.test"}))
        async with self.connect("ws", "ws.test", "/echo") as connection:
            await self.assert_echoes(connection)
            self.assertEqual(self.origin_line("open")["local"], NAMES["other.test"])
            await self.assert_closed_by(connection, "DenyHost", containerId=self.container.id, host="other.test")

    def hold_request(self, connection):
        """Sends a request for a WebSocket, and returns what lets the origin agree to it."""
        connection.sendall(b"GET /hold/" + SWITCH.hex().encode() + b" HTTP/1.1\r\nHost: raw.test\r\n" + ASK + b"\r\n")
        self.origin_line("raw")

        def release():
            with harness.in_namespace(f"/run/netns/{self.world.internet.name}", harness.connect_socket,
                                      NAMES["raw.test"], 80, 10) as other:
                other.sendall(b"GET /release HTTP/1.1\r\n\r\n")
                harness.read_all(other)
        return release

    def test_a_denial_between_the_request_and_the_101_is_the_answer(self):
        with self.container.connect(NAMES["raw.test"], 80) as connection:
            release = self.hold_request(connection)
            connection.sendall(EARLY)
            self.set("deny-host", "raw.test")
            release()
            answer = harness.read_all(connection)
        self.assertTrue(answer.startswith(b"HTTP/1.1 520 "), answer)
        self.assertIn(b"sallyport-reason: denied_host\r\n", answer)
        self.assertEqual(self.origin_line("raw-end")["after"], "")
        self.assertEqual(self.audit_record(status=520)["decision"], "deny")

    def test_another_change_between_the_request_and_the_101_changes_nothing(self):
        with self.container.connect(NAMES["raw.test"], 80) as connection:
            release = self.hold_request(connection)
            self.set("deny-host", "ws.test")
            self.set("set-outbound-by-host", "raw.test", "fail")
            release()
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 101 "))

    # What is not a WebSocket.

    def ask(self, payload):
        """What comes back until the proxy closes; None after a reset."""
        return self.container.raw(NAMES["raw.test"], 80, payload)

    def test_a_refused_request_is_answered_and_the_connection_closed(self):
        self.set("deny-host", "raw.test")
        answer = self.ask(raw_request(SWITCH) + EARLY)
        self.assertTrue(answer.startswith(b"HTTP/1.1 520 "), answer)
        self.assertEqual(answer.count(b"HTTP/1.1"), 1)
        self.assertEqual(self.origin_lines("raw"), [])

    def test_tu04_bytes_before_the_101_are_held_and_then_passed(self):
        with self.container.connect(NAMES["raw.test"], 80) as connection:
            connection.sendall(raw_request(SWITCH + b"first") + EARLY)
            connection.shutdown(1)
            answer = harness.eventually(lambda: connection.recv(65536))
            while not answer.endswith(b"first"):
                answer += connection.recv(65536)
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), answer)
        self.assertEqual(self.origin_line("raw")["early"], "")
        self.assertEqual(bytes.fromhex(self.origin_line("raw-end")["after"]), EARLY)
        record = self.audit_record(status=101)
        self.assertEqual((int(record["bytesReceived"]), int(record["bytesSent"])), (len(EARLY), len(b"first")))

    def test_tu04_bytes_before_another_answer_are_dropped(self):
        for name, answer in (("403", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"),
                             ("TU05", b"HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno"),
                             ("426", b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno"),
                             ("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")):
            with self.subTest(name):
                self.seen = self.origin.lines.count()
                received = self.ask(raw_request(answer) + EARLY)
                self.assertEqual(received[:13], answer[:13])
                self.assertEqual(received.count(b"HTTP/1.1"), 1)
                self.assertIn(b"Connection: close\r\n", received)
                self.assertNotIn(b"pgrade:", received)
                self.assertIn(b"no", received)
                end = self.origin_line("raw-end")
                self.assertEqual((self.origin_line("raw")["early"], end["after"]), ("", ""))
                self.assertEqual(len(self.origin_lines("raw")), 1)

    def test_tu06_another_101_than_asked_for_is_502(self):
        for name, fields in (("foo", b"Upgrade: foo\r\nConnection: Upgrade\r\n"),
                             ("h2c", b"Upgrade: h2c\r\nConnection: Upgrade\r\n"),
                             ("list", b"Upgrade: websocket, foo\r\nConnection: Upgrade\r\n"),
                             ("no upgrade", b"Connection: Upgrade\r\n"),
                             ("no connection", b"Upgrade: websocket\r\n"),
                             ("body", b"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\n")):
            with self.subTest(name):
                self.seen = self.origin.lines.count()
                received = self.ask(raw_request(b"HTTP/1.1 101 Switching Protocols\r\n" + fields + b"\r\nbytes") + EARLY)
                self.assertTrue(received.startswith(b"HTTP/1.1 502 "), received)
                self.assertIn(b"sallyport-reason: origin_failed\r\n", received)
                self.assertEqual(received.count(b"HTTP/1.1"), 1)
                self.assertEqual(self.origin_line("raw-end")["after"], "")

    def test_h132_a_101_that_nobody_asked_for_is_502(self):
        received = self.ask(raw_request(SWITCH, b"Connection: close\r\n"))
        self.assertTrue(received.startswith(b"HTTP/1.1 502 "), received)

    def test_interim_answers_may_come_before_the_101(self):
        with self.container.connect(NAMES["raw.test"], 80) as connection:
            connection.sendall(raw_request(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + SWITCH))
            received = b""
            while b"HTTP/1.1 101 " not in received:
                piece = connection.recv(65536)
                self.assertTrue(piece, received)
                received += piece
            self.assertTrue(received.startswith(b"HTTP/1.1 103 "), received)

    def test_other_upgrades_are_stripped_and_served(self):
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        ask = b"Connection: close, Upgrade\r\n"
        for name, method, fields in (("h131", b"GET", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
                                     ("foo", b"GET", b"Connection: Upgrade\r\nUpgrade: foo\r\n"),
                                     ("list", b"GET", b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"),
                                     ("two", b"GET", b"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"),
                                     ("no connection", b"GET", b"Upgrade: websocket\r\n"),
                                     ("post", b"POST", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
                                     ("closing", b"GET", ask + b"Upgrade: websocket\r\n")):
            with self.subTest(name), self.container.connect(NAMES["raw.test"], 80) as connection:
                self.seen = self.origin.lines.count()
                connection.sendall(raw_request(ok, fields, method))
                self.assertEqual(harness.read_response(connection)[2], "ok")
                head = self.origin_line("raw")["head"].lower()
                for field in ("upgrade", "connection:", "http2-settings"):
                    self.assertNotIn(field, head)

    def test_nothing_is_pooled(self):
        answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        for _ in range(2):
            self.assertTrue(self.ask(raw_request(answer)).startswith(b"HTTP/1.1 403 "))
            harness.eventually(lambda: self.origin_lines("raw-end"))
        self.assertEqual(len(self.origin_lines("raw")), 2)

    def test_a_handler_may_answer_instead(self):
        self.set("set-outbound-by-host", "raw.test", "respond")
        received = self.ask(raw_request(SWITCH) + EARLY)
        self.assertTrue(received.startswith(b"HTTP/1.1 200 "), received)
        self.assertIn(b"Connection: close\r\n", received)
        self.assertEqual(received.count(b"HTTP/1.1"), 1)
        self.assertEqual(self.origin_lines("raw"), [])

    def test_a_handler_that_fails_is_502(self):
        self.set("set-outbound-by-host", "raw.test", "fail")
        received = self.ask(raw_request(SWITCH) + EARLY)
        self.assertTrue(received.startswith(b"HTTP/1.1 502 "), received)
        self.assertEqual(self.origin_lines("raw"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
