"""The handler's contract against the real agent: answers inspected and replaced, bodies transformed, and whatever is illegal."""

import base64
import hashlib
import json
import socket
import struct
import unittest

from handler_scripts import BOTH, INSPECT, PASS, SECRET, TRANSFORM, ScriptTest, body, header, request_body, respond
from harness import SANITIZED, eventually
from streams import MEBIBYTE, Peak, allowed_kib


class ContractTest(ScriptTest):
    # What the origin answers, seen before the container.

    def test_an_answer_passes_as_it_is(self):
        self.world.script(INSPECT, "response", PASS)
        answer = self.get()
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "text/plain"), answer)
        self.assertIn("host", json.loads(answer.body))
        told = self.world.events("response", self.seen)[-1]["message"]["response"]
        headers = {field["name"]: base64.b64decode(field["value"]).decode() for field in told["headers"]}
        self.assertEqual((told["status"], told["hasBody"], headers["content-type"]), (200, True, "text/plain"))
        self.assertEqual(int(told["contentLength"]), len(answer.body))
        self.assertNotIn("connection", headers)
        record = self.record()
        self.assertEqual((record["decision"], record["handler"], record["status"]), ("handler", "script", 200), record)
        self.assertGreater(record["handlerUs"], 0)
        self.assertTrue(self.world.await_over(self.seen)["finished"])

    def test_an_answer_passes_with_changes(self):
        self.world.script(INSPECT, "response", {"passResponse": {
            "status": 203, "setHeaders": [header("Content-Type", "text/x"), header("x-new", "1")], "removeHeaders": ["Server", "date"]}})
        answer = self.get()
        self.assertEqual((answer.status, answer.headers["content-type"], answer.headers["x-new"]), (203, "text/x", "1"), answer)
        self.assertFalse({"server", "date"} & set(answer.headers))
        self.assertIn("host", json.loads(answer.body))
        self.assertEqual(self.record()["status"], 203)

    def test_another_response_takes_its_place(self):
        self.world.script(INSPECT, "response", respond(418, ("x-a", "b")), body("inst"), body("ead"), {"end": {}})
        answer = self.get(path="/bytes/1000000")
        self.assertEqual((answer.status, answer.body, answer.headers["x-a"]), (418, "instead", "b"), answer)
        self.assertNotIn("server", answer.headers)

    def test_a_status_without_body_drops_the_origins(self):
        self.world.script(INSPECT, "response", {"passResponse": {"status": 204}})
        answer = self.get(path="/bytes/1000000")
        self.assertEqual((answer.exit, answer.status, answer.body), (0, 204, ""), answer)

    def test_head_has_no_body_to_transform(self):
        self.world.rule("upper")
        answer = self.get("--head", path="/bytes/10")
        self.assertEqual((answer.exit, answer.status, answer.body), (0, 200, answer.body), answer)
        self.world.script(INSPECT, "response", PASS)
        answer = self.get("--head", path="/bytes/10")
        self.assertEqual(answer.headers["content-length"], "10")

    # Bodies by way of the handler.

    def test_both_bodies_are_transformed(self):
        self.world.rule("upper")
        answer = self.get("-d", "abc" * 30_000, path="/digest")
        self.assertEqual(answer.body, f"90000 {hashlib.sha256(b'ABC' * 30_000).hexdigest().upper()}".upper(), answer)
        self.assertTrue(self.world.await_over(self.seen)["finished"])

    def test_trailers_both_ways(self):
        self.world.rule("upper", "raw.test")
        client = self.ask("POST /", "Transfer-Encoding: chunked")
        client.send_piece(b"piece")
        client.send(b"0\r\nX-Sum: a\r\n\r\n")
        origin = self.raw.next_request().peer
        self.assertEqual(origin.read_piece(5), b"PIECE")
        self.assertEqual(origin.take(len("0\r\nx-sum: A\r\nx-handler: was here\r\n\r\n")),
                         b"0\r\nx-sum: A\r\nx-handler: was here\r\n\r\n")
        origin.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\nx-end: b\r\n\r\n")
        client.read_head()
        self.assertEqual(client.read_piece(1), b"Z")
        self.assertEqual(client.take(len("0\r\nx-end: B\r\nx-handler: was here\r\n\r\n")),
                         b"0\r\nx-end: B\r\nx-handler: was here\r\n\r\n")

    def test_pieces_pass_both_ways_before_the_next_is_there(self):
        self.world.rule("upper", "raw.test")
        client = self.ask("POST /", "Transfer-Encoding: chunked")
        client.send_piece(b"first")
        origin = self.raw.next_request().peer
        self.assertEqual(origin.read_piece(5), b"FIRST")
        # An answer before the request's end.
        origin.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertIn(" 200 ", client.read_head()[0])
        for number in range(20):
            client.send_piece(b"up%03d" % number)
            self.assertEqual(origin.read_piece(5), b"UP%03d" % number)
            origin.send_piece(b"dn%03d" % number)
            self.assertEqual(client.read_piece(5), b"DN%03d" % number)
        client.end()
        origin.read_end()
        origin.end()
        client.read_end()

    def test_an_origin_that_wants_no_more_of_the_request(self):
        self.world.rule("upper", "raw.test")
        client = self.ask("POST /", "Transfer-Encoding: chunked")
        client.send_piece(b"first")
        origin = self.raw.next_request().peer
        origin.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        line, headers = client.read_head()
        self.assertIn(" 413 ", line)
        self.assertEqual(client.read_piece(3), b"BIG")

    def test_a_handler_that_wants_no_more_of_the_request(self):
        self.world.script(TRANSFORM, "body", request_body("enough"), {"requestEnd": {}}, host="raw.test")
        client = self.ask("POST /", "Transfer-Encoding: chunked")
        client.send_piece(b"first")
        origin = self.raw.next_request().peer
        self.assertEqual(origin.read_piece(6), b"enough")
        origin.read_end()
        origin.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        client.read_head()
        self.assertEqual(client.take(2), b"ok")

    def test_a_handler_that_wants_no_more_of_the_response(self):
        self.world.script(INSPECT, "response", {"passResponse": {"transformBody": True}}, "response_body", body("enough"), {"end": {}})
        answer = self.get(path="/bytes/100000000")
        self.assertEqual((answer.exit, answer.body), (0, "enough"), answer)

    def test_a_body_that_was_read_first(self):
        self.world.script({"readBody": {}}, "end", {"forward": {"transformRequest": True, "contentLength": 3}}, request_body("new"),
                          {"requestEnd": {}})
        self.assertEqual(self.get("-d", "old and longer", path="/digest").body.split()[0], "3")
        self.assertIn(["content-length", "3"], [[name.lower(), value] for name, value in self.origin_saw()[-1]["headers"]])

    def test_a_body_where_there_was_none(self):
        self.world.script(TRANSFORM, "end", request_body("made"), {"requestEnd": {}})
        self.assertEqual(self.get("-X", "POST", path="/digest").body.split()[0], "4")
        self.world.script(TRANSFORM, "end", {"requestEnd": {}})
        self.assertEqual(self.get(path="/digest").body.split()[0], "0")
        names = {name.lower() for name, _ in self.origin_saw()[-1]["headers"]}
        self.assertFalse({"content-length", "transfer-encoding"} & names)

    def test_a_client_that_waits_to_be_asked(self):
        for handler in ("upper", "copy"):
            self.world.rule(handler)
            answer = self.get("-H", "Expect: 100-continue", "--expect100-timeout", "20", "-d", "abcd", path="/digest")
            self.assertEqual((answer.status, answer.body.split()[0]), (200, "4"), answer)

    def test_a_web_socket_passes_by_an_inspecting_handler(self):
        self.world.script(INSPECT, "response", respond(500), host="raw.test")
        client = self.ask("GET /", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        origin = self.raw.next_request().peer
        origin.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
        self.assertIn(" 101 ", client.read_head()[0])
        self.assertEqual(client.take(5), b"hello")
        client.send(b"bytes")
        self.assertEqual(origin.take(5), b"bytes")

    # Flow.

    def test_long_bodies_in_constant_memory(self):
        self.world.rule("copy")
        size = (8 if SANITIZED else 64) * MEBIBYTE
        self.get(path="/bytes/1000000")
        with Peak(self.world.proxy_pid()) as peak:
            sent = self.client.run("sh", "-c", f"head -c {size} /dev/zero | curl -sS --cacert {self.client.bundle} -T - "
                                               "https://api.test/digest")
            got = self.client.run("sh", "-c", f"curl -sS --cacert {self.client.bundle} https://api.test/bytes/{size} | wc -c")
        self.assertEqual((sent.stdout.split()[0], int(got.stdout)), (str(size), size), (sent, got))
        self.assertLess(peak.growth(), allowed_kib(16), "KiB")

    def test_a_reader_that_stalls_stops_the_writer(self):
        self.world.rule("copy", "raw.test")
        for direction in ("down", "up"):
            with self.subTest(direction=direction), Peak(self.world.proxy_pid()) as peak:
                client = self.ask("POST /", "Transfer-Encoding: chunked")
                client.send_piece(b"x")
                origin = self.raw.next_request().peer
                self.assertEqual(origin.read_piece(1), b"x")
                origin.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
                client.read_head()
                writer, reader = (origin, client) if direction == "down" else (client, origin)
                writer.connection.settimeout(2)
                taken = 0
                with self.assertRaises(TimeoutError):
                    while taken < 512 * MEBIBYTE:
                        writer.send_piece(bytes(16384))
                        taken += 16384
                # The other direction is not held up.
                back, front = reader, writer
                front.connection.settimeout(30)
                back.send_piece(b"still")
                self.assertEqual(front.read_piece(5), b"still")
                for peer in (client, origin):
                    peer.connection.close()
            self.assertLess(taken, 64 * MEBIBYTE)
            self.assertLess(peak.growth(), allowed_kib(16), "KiB")

    def test_what_waits_counts_as_the_containers_memory(self):
        def used():
            container = next(one for one in self.world.agent_api.call("AgentControl.Usage")["containers"] if one["containerId"] == self.client.id)
            return next((int(limit.get("used", 0)) for limit in container.get("limits", []) if limit["name"] == "memory_bytes"), 0)
        # Much of nothing, for a client that does not read.
        self.world.script(INSPECT, "response", {"passResponse": {"transformBody": True}}, {"repeat": 400, "message": body("x" * 30_000)},
                          {"end": {}}, host="raw.test")
        client = self.ask("GET /", "Connection: close")
        self.raw.next_request().peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        eventually(lambda: used() > 4 * MEBIBYTE, what="the queue is counted")
        self.assertLess(used(), 10 * MEBIBYTE)
        received = 0
        while piece := client.connection.recv(1 << 20):
            received += piece.count(b"x")
        self.assertGreaterEqual(received, 400 * 30_000)
        eventually(lambda: used() < MEBIBYTE, what="nothing of it is left")

    def test_the_handler_hears_that_the_container_hung_up(self):
        self.world.rule("copy", "raw.test")
        client = self.ask("POST /", "Content-Length: 100000")
        client.send(b"part")
        self.raw.next_request()
        client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.connection.close()
        self.assertFalse(self.world.await_over(self.seen)["finished"])

    def test_the_handler_hears_of_it_over_http2(self):
        self.world.script("forever")
        self.client.run("timeout", "1", "curl", "-sS", "--http2", "--cacert", self.client.bundle, "https://api.test/")
        self.assertFalse(self.world.await_over(self.seen)["finished"])
        self.assertEqual(self.origin_saw(), [])

    # Whatever is illegal is handler_failed, and the record says what it was.

    def test_illegal_before_anything_leaves(self):
        self.failed("without an answer")
        self.failed("before Respond or Forward", body("x"))
        self.failed("before Respond or Forward", PASS)
        self.failed("before Respond or Forward", request_body("x"))
        self.failed("must be 200 to 599", respond(101))
        self.failed("CR, LF or NUL", respond(200, ("x", f"{SECRET}\r\ny: z")), {"end": {}})
        self.failed("belongs to the connection", respond(200, ("connection", "close")), {"end": {}})
        self.failed("asked for the body twice", {"readBody": {}}, {"readBody": {}}, options=["-d", "x"])
        self.failed("after it has read the body", {"readBody": {}}, "end", INSPECT, options=["-d", "x"])
        self.failed("content_length without transform_request", {"forward": {"contentLength": 1}})
        self.failed("lowers https to http", {"forward": {"scheme": "http"}})
        self.failed("not HOST or HOST:PORT", {"forward": {"authority": "user@api.test"}})
        self.failed("no ttl", {"forward": {"lease": {"maxUses": 1}}})
        self.failed("leases a forward", {"forward": {"lease": {"ttl": "1s"}, "inspectResponse": True}})
        self.failed("more than 64 KiB", respond(200, lease={"ttl": "1s"}), {"repeat": 7, "message": body("x" * 10_000)}, {"end": {}})
        self.failed("the length that it declared", respond(200, ("content-length", "2"), lease={"ttl": "1s"}), body("x"), {"end": {}})
        self.assertEqual(self.origin_saw(), [])

    def test_illegal_bodies_where_there_is_none(self):
        self.failed("where there is none", respond(204), body("x"), {"end": {}})
        self.failed("where there is none", respond(304), body("x"), {"end": {}})
        self.failed("where there is none", respond(200), body("x"), {"end": {}}, options=["--head"])
        self.failed("where there is none", INSPECT, "response", respond(204), body("x"), {"end": {}})
        self.failed("where there is none", INSPECT, "response", {"passResponse": {"transformBody": True}}, body("x"), {"end": {}},
                    options=["--head"])

    def test_illegal_after_a_forward(self):
        self.failed("before its last word", INSPECT)
        self.failed("forwards twice", INSPECT, INSPECT, "forever")
        self.failed("asks for the body after its Forward", INSPECT, "response", {"readBody": {}}, "forever")
        self.failed("in the place of", INSPECT, "response", respond(200, lease={"ttl": "1s"}), {"end": {}})
        self.failed("only with `transform_body`", INSPECT, "response", {"passResponse": {"setHeaders": [header("content-length", "1")]}})
        self.failed("must be 200 to 599", INSPECT, "response", {"passResponse": {"status": 101}})
        self.failed("the length that it declared", {"forward": {"transformRequest": True, "contentLength": 9}}, "end", request_body("short"),
                    {"requestEnd": {}}, options=["-d", "x"], path="/digest")
        self.failed("before its last word", BOTH, "end", request_body("part"), options=["-d", "x"], path="/digest")
        self.failed("may not be a trailer", TRANSFORM, "end", request_body("x"), {"requestEnd": {"trailers": [header("content-length", "1")]}},
                    options=["-d", "x"], path="/digest")

    def test_an_answer_before_there_is_one_to_inspect(self):
        self.world.script(INSPECT, PASS, "forever", host="raw.test")
        client = self.ask("GET /")
        origin = self.raw.next_request().peer
        self.world.await_over(self.seen)
        origin.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        line, headers = client.read_head()
        self.assertIn(" 502 ", line)
        self.assertEqual(headers["sallyport-reason"], "handler_failed")
        self.assertIn("before it was told", self.record()["detail"])

    def test_illegal_after_the_head_cuts_the_response(self):
        for detail, steps in {
                "before its last word": [respond(200), body("begun")],
                "forwards twice": [respond(200), body("begun"), INSPECT, "forever"],
                "the length that it declared": [respond(200, ("content-length", "9")), body("begun"), {"end": {}}],
                "before its head or after its end": [INSPECT, "response", {"passResponse": {"transformBody": True}}, body("begun"), PASS],
                "may not be a trailer": [INSPECT, "response", {"passResponse": {"transformBody": True}}, body("begun"),
                                         {"end": {"trailers": [header("content-length", "1")]}}]}.items():
            self.records = self.world.audit.count()
            self.world.script(*steps)
            answer = self.get()
            self.assertNotEqual(answer.exit, 0, (steps, answer))
            record = self.record()
            # A second decision is the order's fault, too.
            self.assertEqual((record["decision"], record["reason"]), ("error", "handler_failed"), record)
            if detail != "before its head or after its end" and detail != "forwards twice":
                self.assertIn(detail, record["detail"])

    def test_killed_before_its_last_word(self):
        self.addCleanup(self.world.register, "script", self.world.handler)
        for declared, is_whole in (("5", True), ("9", False)):
            dies = self.world.start_handler(f"dies_at_{declared}")
            self.world.register("script", dies)
            self.world.script(respond(200, ("content-length", declared)), body("whole"), "stall", host="raw.test")
            self.records = self.world.audit.count()
            client = self.ask("GET /")
            client.read_head()
            self.assertEqual(client.take(5), b"whole")
            dies.kill()
            record = self.record()
            self.assertTrue(record["detail"], record)
            if is_whole:
                self.assertEqual((record["decision"], record["status"]), ("handler", 200), record)
                # The container has all of it, and its connection goes on.
                self.world.register("script", self.world.handler)
                self.world.script(respond(201), {"end": {}}, host="raw.test")
                client.send(b"GET / HTTP/1.1\r\nHost: raw.test\r\n\r\n")
                self.assertIn(" 201 ", client.read_head()[0])
            else:
                self.assertEqual((record["decision"], record["reason"]), ("error", "handler_unreachable"), record)
                with self.assertRaises(ConnectionResetError):
                    client.take(4)

    def test_where_policy_does_not_let_a_forward_go(self):
        for host, why in {"denied.test": "denied_host", "private.test": "forbidden_address", "10.1.2.3": "forbidden_address",
                          "127.0.0.1": "forbidden_address"}.items():
            self.failed(why, {"forward": {"authority": host}})
        self.assertEqual(self.origin_saw(), [])
        # What the container itself asks for is policy's matter.
        self.world.script({"forward": {}}, host="private.test")
        answer = self.client.curl("http://private.test/", address="203.0.113.10")
        self.assertEqual((answer.status, answer.reason), (520, "forbidden_address"), answer)

    def test_a_handler_that_is_late_for_the_answer(self):
        self.late(300)
        self.world.script(INSPECT, "response", "forever")
        answer = self.get()
        self.assertEqual((answer.status, answer.reason), (504, "handler_timeout"), answer)

    def test_a_body_on_its_way_when_the_origin_is_not_there(self):
        for host, status, reason in (("raw.test:81", 502, "origin_unreachable"), ("private.test", 502, "handler_failed")):
            self.world.script({"forward": {**BOTH["forward"], "authority": host, "scheme": "https"}}, "body", "forever")
            for version in ("--http1.1", "--http2"):
                result = self.client.run("sh", "-c", f"head -c 10000000 /dev/zero | curl -sS {version} --max-time 20 -o /dev/null -w "
                                                     "'%{http_code}' --cacert " + self.client.bundle + " -T - https://api.test/x")
                self.assertEqual(result.stdout, str(status), (host, version, result))
                self.assertEqual(self.record()["reason"], reason)
        self.assertEqual(self.get(path="/headers", host="other.test").status, 200)

    # Who asks.

    def test_the_context_tells_of_the_connection(self):
        self.world.script({"forward": {"sendRequestId": True}})
        answer = self.get("--http1.1", "-H", "sallyport-request-id: forged", "-H", "SALLYPORT_Request_Id: forged")
        context = self.world.events("call", self.seen)[-1]["start"]["context"]
        record = self.record()
        self.assertEqual((context["httpVersion"], context["tlsServerName"], context["tlsVersion"]), ("HTTP/1.1", "api.test", "TLSv1.3"))
        self.assertEqual(context["requestId"], record["requestId"])
        ids = [value for name, value in self.origin_saw()[-1]["headers"] if "sallyport" in name.lower()]
        self.assertEqual(ids, [record["requestId"]], answer)
        self.get("--http2")
        self.assertEqual(self.world.events("call", self.seen)[-1]["start"]["context"]["httpVersion"], "HTTP/2")
        self.world.script({"forward": {}}, host="raw.test")
        client = self.ask("GET /")
        names = self.raw.next_request().head[1]
        client.connection.close()
        self.assertFalse([name for name in names if "sallyport" in name])
        context = self.world.events("call", self.seen)[-1]["start"]["context"]
        self.assertEqual((context["httpVersion"], context.get("tlsServerName"), context["dialledPort"]), ("HTTP/1.1", None, 80))


if __name__ == "__main__":
    unittest.main()
