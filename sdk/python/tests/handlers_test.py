"""What handlers return, on the wire."""

import asyncio
import datetime
import json
import logging
import os
import pathlib
import subprocess
import tempfile
import unittest

import grpc
import grpc.aio
from proxy import Proxy, fields

from sallyport import Handlers, Headers, Lease, MutableHeaders, Response

handlers = Handlers()
handler = handlers.handler


@handler("forward")
async def forward(request, context):
    return request.forward(set_headers={"X-A": "1"}, remove_headers=["Cookie"], url="https://other.test:8443/p?q=1",
                           send_request_id=True)


@handler("lease")
async def lease(request, context):
    return request.forward(lease=Lease(ttl=1.5, max_uses=3, methods=["GET", "HEAD"], path_prefix="/v1"), revoke_leases=True)


@handler("leased-response")
async def leased_response(request, context):
    return Response("no\n", 403, lease=Lease(ttl=datetime.timedelta(minutes=1)), revoke_leases=True)


@handler("large-lease")
async def large_lease(request, context):
    return Response(bytes(65537), lease=Lease(ttl=1))


@handler("text")
async def text(request, context):
    return Response("hello")


@handler("no-content")
async def no_content(request, context):
    return Response(status=204)


@handler("body-where-none-is")
async def body_where_none_is(request, context):
    return Response("x", status=304)


@handler("large")
async def large(request, context):
    return Response(bytes(1_000_000), trailers={"x-sum": "7"})


@handler("breaks")
async def breaks(request, context):
    async def body():
        yield b"begin"
        raise RuntimeError("canary")
    return Response(body())


@handler("raises")
async def raises(request, context):
    raise RuntimeError("canary")


@handler("nothing")
async def nothing(request, context):
    pass


@handler("gives-up")
async def gives_up(request, context):
    raise asyncio.CancelledError


@handler("context")
async def show_context(request, context):
    return Response.json([context.params, context.tls_server_name, context.http_version, context.dialled_port, request.query])


@handler("sync")
def on_a_thread(request, context):
    return Response("from a thread")


class AnswersTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        logging.getLogger("sallyport").setLevel(logging.CRITICAL)
        self.proxy = await self.enterAsyncContext(Proxy(handlers))

    async def test_forward(self):
        stream = await self.proxy.ask("forward")
        answer = await stream.expect("forward")
        self.assertEqual((answer.scheme, answer.authority, answer.path), ("https", "other.test:8443", "/p?q=1"))
        self.assertEqual(fields(answer.set_headers), [("x-a", "1")])
        self.assertEqual(list(answer.remove_headers), ["cookie"])
        self.assertTrue(answer.send_request_id)
        self.assertFalse(answer.inspect_response or answer.transform_request or answer.HasField("lease") or answer.revoke_leases)
        await stream.over()

    async def test_lease(self):
        answer = await (await self.proxy.ask("lease")).expect("forward")
        self.assertEqual(answer.lease.ttl.ToTimedelta(), datetime.timedelta(seconds=1.5))
        self.assertEqual((answer.lease.max_uses, list(answer.lease.methods), answer.lease.path_prefix), (3, ["GET", "HEAD"], "/v1"))
        self.assertTrue(answer.revoke_leases)

    async def test_lease_of_a_response(self):
        answer = await (await self.proxy.ask("leased-response")).expect("respond")
        self.assertEqual((answer.status, answer.lease.ttl.seconds, answer.revoke_leases), (403, 60, True))
        self.assertEqual(await self.failure("large-lease"), "INTERNAL")

    async def test_text(self):
        stream = await self.proxy.ask("text")
        answer = await stream.expect("respond")
        self.assertEqual(fields(answer.headers), [("content-type", "text/plain; charset=utf-8"), ("content-length", "5")])
        self.assertEqual(await stream.body(), (b"hello", []))
        await stream.over()

    async def test_no_body_where_there_is_none(self):
        stream = await self.proxy.ask("text", method="HEAD")
        self.assertIn(("content-length", "5"), fields((await stream.expect("respond")).headers))
        self.assertEqual(await stream.body(), (b"", []))
        stream = await self.proxy.ask("no-content")
        self.assertEqual(fields((await stream.expect("respond")).headers), [])
        self.assertEqual(await stream.body(), (b"", []))
        self.assertEqual(await self.failure("body-where-none-is"), "INTERNAL")

    async def test_large_body_in_pieces_with_trailers(self):
        stream = await self.proxy.ask("large")
        await stream.expect("respond")
        self.assertEqual(await stream.body(), (bytes(1_000_000), [("x-sum", "7")]))

    async def failure(self, name):
        stream = await self.proxy.ask(name)
        self.assertIsNone(await stream.receive())
        self.assertNotIn("canary", await stream.call.details())
        return await stream.code()

    async def test_failures(self):
        for name in ("raises", "nothing", "gives-up", "nobody-of-this-name"):
            with self.subTest(name):
                self.assertEqual(await self.failure(name), "INTERNAL")

    async def test_failure_within_a_body_has_no_end(self):
        stream = await self.proxy.ask("breaks")
        await stream.expect("respond", "body")
        self.assertIsNone(await stream.receive())
        self.assertEqual(await stream.code(), "INTERNAL")

    async def test_context(self):
        stream = await self.proxy.ask("context", path="/p?a=1&a=2&b=", context={
            "params": {"n": 3, "x": 0.5, "list": [True, None, {"s": "t"}]}, "tls_server_name": "api.test", "http_version": "HTTP/2",
            "dialled_port": 443})
        await stream.expect("respond")
        body, _ = await stream.body()
        params, *others = json.loads(body)
        self.assertEqual(params, {"n": 3, "x": 0.5, "list": [True, None, {"s": "t"}]})
        self.assertIsInstance(params["n"], int)
        self.assertEqual(others, ["api.test", "HTTP/2", 443, {"a": "2", "b": ""}])

    async def test_sync_handler(self):
        stream = await self.proxy.ask("sync")
        await stream.expect("respond")
        self.assertEqual(await stream.body(), (b"from a thread", []))

    async def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/handlers.sock"
            async with Proxy(handlers, f"unix:{path}", mode=0o660) as proxy:
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o660)
                self.assertEqual(proxy.server.endpoint, f"unix:{path}")
                await (await proxy.ask("forward")).expect("forward")


def make_certificates(folder):
    """ca.crt, and by it tls.crt and tls.key, for 127.0.0.1 and for any client."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=CA", "-days", "2")
    openssl("req", *key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=server")
    with open(f"{folder}/ext", "w", encoding="ascii") as file:
        file.write("subjectAltName=IP:127.0.0.1")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", "tls.crt")


class TlsTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        make_certificates(self.folder)
        self.root, self.key, self.certificate = ((self.folder / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt"))

    async def ask(self, *credentials):
        async with Proxy(handlers, credentials=grpc.ssl_channel_credentials(self.root, *credentials), tls_dir=str(self.folder)) as proxy:
            self.assertTrue(proxy.server.endpoint.startswith("grpcs://127.0.0.1:"))
            await (await proxy.ask("forward")).expect("forward")

    async def test_who_has_a_certificate_may_ask(self):
        await self.ask(self.key, self.certificate)

    async def test_who_has_none_may_not(self):
        with self.assertRaises(grpc.aio.AioRpcError) as refused:
            await self.ask()
        self.assertIs(refused.exception.code(), grpc.StatusCode.UNAVAILABLE)

    async def test_without_a_ca_everyone_may(self):
        (self.folder / "ca.crt").unlink()
        await self.ask()


class HealthTest(unittest.IsolatedAsyncioTestCase):
    async def test_of_the_whole_and_of_each_handler(self):
        proxy = await self.enterAsyncContext(Proxy(handlers))
        check = proxy.channel.unary_unary("/grpc.health.v1.Health/Check")
        whole, of_text, of_nobody = b"", b"\n\x04text", b"\n\x06nobody"
        serving, not_serving = b"\x08\x01", b"\x08\x02"
        self.assertEqual([await check(whole), await check(of_text)], [serving, serving])
        proxy.server.serving = False
        self.assertEqual([await check(whole), await check(of_text)], [not_serving, not_serving])
        with self.assertRaises(grpc.aio.AioRpcError) as unknown:
            await check(of_nobody)
        self.assertEqual(unknown.exception.code(), grpc.StatusCode.NOT_FOUND)


class ValuesTest(unittest.TestCase):
    def test_headers(self):
        headers = MutableHeaders([("A", "1"), ("b", b"\xe9"), ("a", "2")])
        self.assertEqual((headers["a"], headers.get_all("A"), headers["B"], headers.get("c")), ("1, 2", ["1", "2"], "é", None))
        headers["A"] = "3"
        headers.add("c", "4")
        del headers["b"]
        self.assertEqual(headers.items(), [("a", "3"), ("c", "4")])
        self.assertNotIn("3", repr(headers))

    def test_received_headers_are_not_changed_by_mistake(self):
        with self.assertRaises(TypeError):
            Headers({"a": "1"})["a"] = "2"

    def test_lease(self):
        for wrong in ({"ttl": 0}, {"ttl": 3601}, {"ttl": 1, "max_uses": -1}, {"ttl": 1, "methods": "GET"}, {"ttl": 1, "path_prefix": "v1"}):
            with self.subTest(wrong), self.assertRaises(ValueError):
                Lease(**wrong)

    def test_status(self):
        for status in (0, 100, 101, 600):
            with self.assertRaises(ValueError):
                Response(status=status)


if __name__ == "__main__":
    unittest.main()
