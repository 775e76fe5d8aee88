"""The origin's body, read before the handler decides what becomes of the response."""

import logging
import unittest

from proxy import Proxy, fields

from sallyport import BodyTooLarge, Handlers, Response, Unread

handlers = Handlers()
handler = handlers.handler


async def shout(pieces):
    async for piece in pieces:
        yield piece.upper()


@handler("judge")
async def judge(request, context):
    response = await request.fetch()
    if b"secret" in await response.body():
        return Response("withheld\n", 403)
    return response.pass_on(status=203, set_headers={"x-length": "known"}, body=f"[{response.status}]")


@handler("json")
async def read_json(request, context):
    response = await request.fetch()
    return Response.json({"was": await response.json(), "of": response.trailers.get("x-t")}, status=response.status)


@handler("limit")
async def limit(request, context):
    response = await request.fetch()
    try:
        return Response(await response.body(limit=3))
    except BodyTooLarge:
        return Response("too long\n", 502)


@handler("rest")
async def the_rest(request, context):
    response = await request.fetch()
    async for first in response.pieces():
        return response.pass_on(set_headers={"x-first": first}, body=shout)
    return response


@handler("by-itself")
async def by_itself(request, context):
    response = await request.fetch()
    await response.text()
    return response


@handler("twice")
async def twice(request, context):
    response = await request.fetch()
    await response.body()
    try:
        await response.body()
    except Unread:
        return Response("once")
    return None


@handler("both")
async def both(request, context):
    response = await request.fetch(body=shout)
    return Response(await response.body())


class ResponseBodyTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        logging.getLogger("sallyport").setLevel(logging.CRITICAL)
        self.proxy = await self.enterAsyncContext(Proxy(handlers))

    async def answered(self, name, status=200, has_body=True, **response):
        stream = await self.proxy.ask(name)
        await stream.expect("forward")
        await stream.send(response={"status": status, "has_body": has_body, **response})
        return stream

    async def give(self, stream, *pieces, trailers=()):
        await stream.expect("read_response_body")
        for piece in pieces:
            await stream.send(response_body=piece)
        await stream.send(response_end={"trailers": [{"name": name, "value": value.encode()} for name, value in trailers]})

    async def test_another_response_after_a_look_at_the_body(self):
        stream = await self.answered("judge")
        await self.give(stream, b"a sec", b"ret")
        self.assertEqual((await stream.expect("respond")).status, 403)
        self.assertEqual(await stream.body(), (b"withheld\n", []))
        await stream.over()

    async def test_status_and_headers_after_a_look_at_the_body(self):
        stream = await self.answered("judge", 201)
        await self.give(stream, b"fine", trailers=[("x-t", "1")])
        head = await stream.expect("pass_response")
        self.assertEqual((head.status, head.transform_body, fields(head.set_headers)),
                         (203, True, [("x-length", "known"), ("content-length", "5")]))
        self.assertEqual(await stream.body(), (b"[201]", [("x-t", "1")]))
        await stream.over()

    async def test_json_and_trailers(self):
        stream = await self.answered("json", 409)
        await self.give(stream, b'["x"', b"]", trailers=[("x-t", "1")])
        self.assertEqual((await stream.expect("respond")).status, 409)
        self.assertEqual(await stream.body(), (b'{"was": ["x"], "of": "1"}', []))

    async def test_a_body_that_is_not_there_is_not_asked_for(self):
        stream = await self.answered("limit", 204, has_body=False)
        self.assertEqual((await stream.expect("respond")).status, 200)
        self.assertEqual(await stream.body(), (b"", []))
        stream = await self.answered("by-itself", 204, has_body=False)
        self.assertEqual(str(await stream.expect("pass_response")), "")
        await stream.over()

    async def test_limit(self):
        stream = await self.answered("limit")
        await stream.expect("read_response_body")
        for piece in (b"ab", b"cd"):  # And no end.
            await stream.send(response_body=piece)
        self.assertEqual((await stream.expect("respond")).status, 502)
        await stream.body()
        await stream.over()
        # Where the length is known, nothing of it comes here.
        stream = await self.answered("limit", content_length=4)
        self.assertEqual((await stream.expect("respond")).status, 502)

    async def test_transform_of_what_is_left(self):
        stream = await self.answered("rest")
        await self.give(stream, b"first", b"second")
        self.assertEqual(fields((await stream.expect("pass_response")).set_headers), [("x-first", "first")])
        self.assertEqual(await stream.body(), (b"SECOND", []))
        await stream.over()

    async def test_what_was_read_does_not_pass_by_itself(self):
        stream = await self.answered("by-itself")
        await self.give(stream, b"x")
        self.assertIsNone(await stream.receive())
        self.assertEqual(await stream.code(), "INTERNAL")

    async def test_a_body_is_read_once(self):
        stream = await self.answered("twice")
        await self.give(stream, b"x")
        await stream.expect("respond")
        self.assertEqual(await stream.body(), (b"once", []))

    async def test_the_request_goes_on_while_the_response_is_read(self):
        stream = await self.proxy.ask("both", "POST", has_body=True)
        await stream.expect("forward")
        await stream.send(response={"status": 200, "has_body": True})
        await stream.expect("read_response_body")
        await stream.send(body=b"q")
        self.assertEqual(await stream.expect("request_body"), b"Q")
        await stream.send(response_body=b"r")
        await stream.send(response_end={})
        await stream.expect("respond")
        self.assertEqual(await stream.body(), (b"r", []))
        await stream.send(end={})
        await stream.expect("request_end")
        await stream.over()


if __name__ == "__main__":
    unittest.main()
