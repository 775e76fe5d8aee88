"""The origin's body, read by a handler before it decides about the head, against the real agent."""

import base64
import time
import unittest

from handler_scripts import BOTH, INSPECT, PASS, READ, ScriptTest, body, header, respond
from streams import MEBIBYTE, Peak


class ResponseBodyTest(ScriptTest):
    def test_a_response_is_replaced_after_a_look_at_its_body(self):
        self.world.script(INSPECT, "response", READ, "response_end", respond(418, ("content-length", "7")), body("instead"), {"end": {}})
        answer = self.get(path="/bytes/1000000")
        self.assertEqual((answer.status, answer.body), (418, "instead"), answer)
        pieces = self.world.events("response_body", self.seen)
        self.assertEqual(sum(len(base64.b64decode(piece["message"]["responseBody"])) for piece in pieces), 1_000_000)
        record = self.record()
        self.assertEqual((record["decision"], record["status"], record.get("reason")), ("handler", 418, None), record)

    def test_a_response_passes_after_a_look_at_its_body(self):
        self.world.script(INSPECT, "response", READ, "response_end", {"passResponse": {
            "status": 203, "transformBody": True, "setHeaders": [header("content-length", "3"), header("x-seen", "1")]}}, body("new"), {"end": {}})
        for options in (["--http1.1"], ["--http2"]):
            answer = self.get(*options, path="/bytes/1000000")
            self.assertEqual((answer.exit, answer.status, answer.body), (0, 203, "new"), answer)
            self.assertEqual((answer.headers["x-seen"], answer.headers["content-length"]), ("1", "3"))

    def test_an_answer_before_the_bodys_end(self):
        self.world.script(INSPECT, "response", READ, "response_body", respond(502), body("enough"), {"end": {}})
        for version in ("--http1.1", "--http2"):
            answer = self.get(version, path="/bytes/100000000")
            self.assertEqual((answer.exit, answer.status, answer.body), (0, 502, "enough"), answer)
        self.world.script(INSPECT, "response", READ, "response_body", {"passResponse": {"transformBody": True}}, body("begun"), "response_end",
                          body(" and ended"), {"end": {}})
        answer = self.get(path="/bytes/1000000")
        self.assertEqual((answer.status, answer.body), (200, "begun and ended"), answer)

    def test_an_origin_that_breaks_off_while_its_body_is_read(self):
        self.world.script(INSPECT, "response", READ, "forever", host="raw.test")
        client = self.ask("GET /")
        origin = self.raw.next_request().peer
        origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        self.world.await_event("response", self.seen)
        origin.connection.close()
        line, headers = client.read_head()
        self.assertIn(" 502 ", line)
        self.assertEqual(headers["sallyport-reason"], "origin_failed")
        self.assertFalse(self.world.await_over(self.seen)["finished"])
        self.assertEqual(self.record()["reason"], "origin_failed")

    def test_the_handlers_time_is_from_the_bodys_end(self):
        self.late(500)
        self.world.script(INSPECT, "response", READ, "response_end", respond(418), {"end": {}}, host="raw.test")
        client = self.ask("GET /")
        origin = self.raw.next_request().peer
        origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart ")
        time.sleep(1)  # Twice the handler's time, and the origin's own affair.
        origin.send(b"rest")
        self.assertIn(" 418 ", client.read_head()[0])
        self.world.script(INSPECT, "response", READ, "response_end", "forever")
        answer = self.get()
        self.assertEqual((answer.status, answer.reason), (504, "handler_timeout"), answer)

    def test_a_handler_that_does_not_read_stops_the_origin(self):
        self.world.script(INSPECT, "response", READ, "stall", host="raw.test")
        with Peak(self.world.proxy_pid()) as peak:
            client = self.ask("GET /")
            origin = self.raw.next_request().peer
            origin.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            origin.connection.settimeout(2)
            taken = 0
            with self.assertRaises(TimeoutError):
                while taken < 512 * MEBIBYTE:
                    origin.send_piece(bytes(16384))
                    taken += 16384
        self.assertLess(taken, 64 * MEBIBYTE)
        self.assertLess(peak.growth(), 16 * 1024)
        client.connection.close()
        self.assertFalse(self.world.await_over(self.seen)["finished"])

    def test_illegal_about_the_origins_body(self):
        self.failed("before Respond or Forward", READ)
        self.failed("asks for the origin's body twice", INSPECT, "response", READ, READ, "forever")
        self.failed("after it has read it; set transform_body", INSPECT, "response", READ, "response_end", PASS)
        self.failed("before its head or after its end", INSPECT, "response", READ, body("x"), "forever")
        self.failed("the body of an origin's response that has none", INSPECT, "response", READ, "forever", options=["--head"])
        self.failed("before its last word", INSPECT, "response", READ, "response_end")
        self.failed("where there is none", INSPECT, "response", READ, "response_end", respond(204), body("x"), {"end": {}})

    def test_asked_for_before_there_is_a_response(self):
        self.world.script(INSPECT, READ, "forever", host="raw.test")
        client = self.ask("GET /")
        origin = self.raw.next_request().peer
        self.world.await_over(self.seen)
        origin.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        line, headers = client.read_head()
        self.assertIn(" 502 ", line)
        self.assertEqual(headers["sallyport-reason"], "handler_failed")
        self.assertIn("before it was told the origin's response", self.record()["detail"])

    # Whoever has the whole answer may go.

    def test_a_container_that_goes_with_its_answer_before_its_request_is_through(self):
        whole = [respond(418, ("content-length", "4")), body("full"), "forever"]
        for steps in ([BOTH, "response", *whole], [BOTH, "response", READ, *whole], [{"readBody": {}}, "body", *whole]):
            with self.subTest(steps=len(steps)):
                self.records = self.world.audit.count()
                self.world.script(*steps, host="raw.test")
                client = self.ask("POST /", "Content-Length: 10")
                client.send(b"part")
                if BOTH in steps:
                    self.raw.next_request().peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                self.assertIn(" 418 ", client.read_head()[0])
                self.assertEqual(client.take(4), b"full")
                client.connection.close()
                record = self.record()
                self.assertEqual((record["decision"], record["status"], record.get("reason"), record.get("detail")),
                                 ("handler", 418, None, None), record)


if __name__ == "__main__":
    unittest.main()
