"""Bodies that go by way of a handler: read, changed, inspected; in both directions, at once."""

import asyncio
import logging
import unittest

from proxy import Proxy, fields

from sallyport import BodyTooLarge, Handlers, Response

handlers = Handlers()
handler = handlers.handler
waiting = asyncio.Event()
cancelled = asyncio.Event()
generator_ended = asyncio.Event()


async def shout(pieces):
    async for piece in pieces:
        yield piece.upper()


@handler("echo")
async def echo(request, context):
    return Response(await request.body(limit=10))


@handler("limit")
async def limit(request, context):
    try:
        return Response(await request.body(limit=3))
    except BodyTooLarge:
        return Response(status=413)


@handler("unread")
async def forward_after_reading(request, context):
    await request.body()
    return request.forward()


@handler("transform")
async def transform(request, context):
    return request.forward(body=shout)


@handler("rest")
async def transform_the_rest(request, context):
    async for piece in request.pieces():
        return request.forward(body=shout, set_headers={"x-first": piece})


@handler("replace")
async def replace(request, context):
    return request.forward(body=(await request.body()) * 2, method="PUT")


@handler("inspect")
async def inspect(request, context):
    response = await request.fetch(set_headers={"accept-encoding": "identity"})
    if response.status == 401:
        return Response("not today\n", 403)
    if response.status == 200:
        return response.pass_on(status=203, set_headers={"x-seen": response.headers["x-from"]}, remove_headers=["Server"], body=shout)
    return response


@handler("fetch-then-forward")
async def fetch_then_forward(request, context):
    await request.fetch()
    return request.forward()


@handler("lease-in-place")
async def lease_in_place(request, context):
    from sallyport import Lease
    await request.fetch()
    return Response("x", lease=Lease(ttl=1))


@handler("both")
async def both(request, context):
    response = await request.fetch(body=shout)
    return response.pass_on(body=shout)


@handler("early-end")
async def early_end(request, context):
    async def first(pieces):
        async for piece in pieces:
            yield piece
            return
    response = await request.fetch(body=first)
    return response.pass_on(body=first)


@handler("broken-transform")
async def broken_transform(request, context):
    async def broken(pieces):
        async for _ in pieces:
            raise RuntimeError("canary")
        yield b""
    return await request.fetch(body=broken)


@handler("trailers")
async def change_trailers(request, context):
    async def count(pieces):
        length = 0
        async for piece in pieces:
            length += len(piece)
            yield piece
        response.trailers["x-length"] = str(length)
    response = await request.fetch(body=shout)
    return response.pass_on(body=count)


@handler("waits")
async def wait(request, context):
    try:
        waiting.set()
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.set()
        raise


@handler("endless")
async def endless(request, context):
    async def body():
        try:
            while True:
                yield bytes(65536)
        finally:
            generator_ended.set()
    return Response(body())


class BodiesTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        logging.getLogger("sallyport").setLevel(logging.CRITICAL)
        self.proxy = await self.enterAsyncContext(Proxy(handlers))

    async def post(self, name, **start):
        return await self.proxy.ask(name, "POST", has_body=True, **start)

    async def send_body(self, stream, *pieces, trailers=()):
        for piece in pieces:
            await stream.send(body=piece)
        await stream.send(end={"trailers": [{"name": name, "value": value.encode()} for name, value in trailers]})

    async def answer(self, stream, status=200, pieces=(), trailers=(), has_body=True, headers=(("x-from", "o"), ("server", "s"))):
        """The origin's head and, once the handler wants it, its body."""
        await stream.send(response={"status": status, "has_body": has_body,
                                    "headers": [{"name": name, "value": value.encode()} for name, value in headers]})
        head = await stream.expect("pass_response")
        if head.transform_body:
            for piece in pieces:
                await stream.send(response_body=piece)
            await stream.send(response_end={"trailers": [{"name": name, "value": value.encode()} for name, value in trailers]})
        return head

    async def test_read(self):
        stream = await self.post("echo")
        await stream.expect("read_body")
        await self.send_body(stream, b"ab", b"cd")
        await stream.expect("respond")
        self.assertEqual(await stream.body(), (b"abcd", []))

    async def test_no_body_is_not_asked_for(self):
        stream = await self.proxy.ask("echo")
        await stream.expect("respond")

    async def test_limit(self):
        stream = await self.post("limit")
        await stream.expect("read_body")
        await self.send_body(stream, b"ab", b"cd")
        self.assertEqual((await stream.expect("respond")).status, 413)
        # Where the length is known, nothing of it comes here.
        stream = await self.post("limit", content_length=4)
        self.assertEqual((await stream.expect("respond")).status, 413)

    async def test_what_was_read_does_not_go_on_by_itself(self):
        stream = await self.post("unread")
        await stream.expect("read_body")
        await self.send_body(stream, b"x")
        self.assertIsNone(await stream.receive())
        self.assertEqual(await stream.code(), "INTERNAL")

    async def test_transform(self):
        stream = await self.post("transform")
        head = await stream.expect("forward")
        self.assertTrue(head.transform_request and not head.inspect_response and not head.HasField("content_length"))
        await stream.send(body=b"ab")
        self.assertEqual(await stream.expect("request_body"), b"AB")  # Before the end: it flows.
        await self.send_body(stream, b"cd", trailers=[("x-sum", "1")])
        self.assertEqual(await stream.body("request_body", "request_end"), (b"CD", [("x-sum", "1")]))
        await stream.over()

    async def test_nothing_to_transform(self):
        stream = await self.proxy.ask("transform")
        self.assertFalse((await stream.expect("forward")).transform_request)
        await stream.over()

    async def test_transform_of_what_is_left(self):
        stream = await self.post("rest")
        await stream.expect("read_body")
        await self.send_body(stream, b"first", b"second")
        head = await stream.expect("forward")
        self.assertEqual(fields(head.set_headers), [("x-first", "first")])
        self.assertEqual(await stream.body("request_body", "request_end"), (b"SECOND", []))

    async def test_replace(self):
        stream = await self.post("replace")
        await stream.expect("read_body")
        await self.send_body(stream, b"ab")
        head = await stream.expect("forward")
        self.assertEqual((head.transform_request, head.content_length, head.method), (True, 4, "PUT"))
        self.assertEqual(await stream.body("request_body", "request_end"), (b"abab", []))
        await stream.over()

    async def test_inspect(self):
        stream = await self.proxy.ask("inspect")
        self.assertTrue((await stream.expect("forward")).inspect_response)
        head = await self.answer(stream, 200, [b"ab", b"cd"], [("x-t", "1")])
        self.assertEqual((head.status, fields(head.set_headers), list(head.remove_headers)), (203, [("x-seen", "o")], ["server"]))
        self.assertEqual(await stream.body(), (b"ABCD", [("x-t", "1")]))
        await stream.over()

    async def test_inspect_changes_nothing(self):
        stream = await self.proxy.ask("inspect")
        await stream.expect("forward")
        head = await self.answer(stream, 404)
        self.assertEqual(str(head), "")
        await stream.over()

    async def test_inspect_without_a_body(self):
        stream = await self.proxy.ask("inspect", "HEAD")
        await stream.expect("forward")
        head = await self.answer(stream, 200, has_body=False)
        self.assertEqual((head.transform_body, list(head.remove_headers)), (False, ["server"]))
        await stream.over()

    async def test_another_response_in_place(self):
        stream = await self.proxy.ask("inspect")
        await stream.expect("forward")
        await stream.send(response={"status": 401, "has_body": True})
        self.assertEqual((await stream.expect("respond")).status, 403)
        self.assertEqual(await stream.body(), (b"not today\n", []))
        await stream.over()

    async def test_illegal_after_fetch(self):
        for name in ("fetch-then-forward", "lease-in-place"):
            with self.subTest(name):
                stream = await self.proxy.ask(name)
                await stream.expect("forward")
                await stream.send(response={"status": 200})
                self.assertIsNone(await stream.receive())
                self.assertEqual(await stream.code(), "INTERNAL")

    async def test_a_websocket_is_not_seen(self):
        stream = await self.proxy.ask("inspect")
        await stream.expect("forward")
        await stream.half_close()
        self.assertIsNone(await stream.receive())
        self.assertEqual(await stream.code(), "CANCELLED")

    async def test_both_bodies_at_once(self):
        stream = await self.post("both")
        await stream.expect("forward")
        await stream.send(body=b"a")
        self.assertEqual(await stream.expect("request_body"), b"A")
        await stream.send(response={"status": 200, "has_body": True})
        await stream.expect("pass_response")
        await stream.send(response_body=b"x")
        self.assertEqual(await stream.expect("body"), b"X")
        await stream.send(body=b"b")
        self.assertEqual(await stream.expect("request_body"), b"B")
        await stream.send(response_end={})
        await stream.expect("end")
        await stream.send(end={})
        await stream.expect("request_end")
        await stream.over()

    async def test_early_ends(self):
        stream = await self.post("early-end")
        await stream.expect("forward")
        await self.send_body(stream, b"a", *[b"more"] * 100)
        self.assertEqual(await stream.body("request_body", "request_end"), (b"a", []))
        await stream.send(response={"status": 200, "has_body": True})
        await stream.expect("pass_response")
        await stream.send(response_body=b"x")
        self.assertEqual(await stream.body(), (b"x", []))
        await stream.over()

    async def test_a_broken_transform_fails_the_request(self):
        stream = await self.post("broken-transform")
        await stream.expect("forward")
        await stream.send(body=b"a")
        self.assertIsNone(await stream.receive())
        self.assertEqual(await stream.code(), "INTERNAL")

    async def test_trailers_of_both(self):
        stream = await self.post("trailers")
        await stream.expect("forward")
        await self.send_body(stream, b"a", trailers=[("x-sum", "1")])
        self.assertEqual(await stream.body("request_body", "request_end"), (b"A", [("x-sum", "1")]))
        await self.answer(stream, 200, [b"abc"], [("x-t", "1")])
        self.assertEqual(await stream.body(), (b"abc", [("x-t", "1"), ("x-length", "3")]))

    async def test_hanging_up_cancels_the_handler(self):
        stream = await self.proxy.ask("waits")
        await asyncio.wait_for(waiting.wait(), 10)
        stream.cancel()
        await asyncio.wait_for(cancelled.wait(), 10)

    async def test_hanging_up_ends_the_generator(self):
        stream = await self.proxy.ask("endless")
        await stream.expect("respond", "body")
        stream.cancel()
        await asyncio.wait_for(generator_ended.wait(), 10)


if __name__ == "__main__":
    unittest.main()
