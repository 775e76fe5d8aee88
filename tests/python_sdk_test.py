"""Handlers and policy by the Python SDK, against the real programs."""

import asyncio
import hashlib
import itertools
import json
import os
import signal
import sys
import unittest

from fakes.raw_origin import RawOrigin
from harness import World, binary, source
from sockets import read_response

sys.path.insert(0, binary("python_sdk"))
import sallyport  # noqa: E402  (The package is the file that users put on their path.)

ORIGIN = "203.0.113.10"
RAW, PIECES = 9080, 9081
NAMES = {"api.test": ORIGIN, "other.test": "198.51.100.4"}


class SdkTest(unittest.TestCase):
    count = itertools.count()

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names=NAMES))
        cls.world.api.call("ApplyClass", **{"class": {
            "name": "c", "allowedHosts": {"hosts": ["*.test"]}, "interceptHttps": True, "httpPorts": [80, 443, RAW, PIECES]}})
        cls.container = cls.world.container("c", "web-1")

    def start(self, file, listen="127.0.0.1:0"):
        command = ["env", f"PYTHONPATH={binary('python_sdk')}", sys.executable, os.path.join(os.getcwd(), "tests/fakes", file), "--listen", listen]
        # A log of its own, for what it says of its address.
        program = self.world.start(f"{file}-{next(self.count)}", command, self.world.host)
        address = program.await_text(r"listening on (\S+)").group(1)
        program.address = address if listen.startswith("unix:") else f"grpc://{address}"
        return program

    def control(self, work):
        """Runs `work` with a connection to the control plane."""
        async def run():
            async with sallyport.ControlPlane(f"unix:{self.world.dir}/controlplane.sock") as control_plane:
                return await work(control_plane)
        return asyncio.run(run())


class PolicyTest(SdkTest):
    def test_refusals_have_codes(self):
        async def work(control_plane):
            container = control_plane.container("web-1")
            with self.assertRaises(sallyport.ControlPlaneError) as unknown:
                await container.set_outbound_by_host("api.test", "nobody")
            with self.assertRaises(sallyport.ControlPlaneError) as bad:
                await container.allow_host("https://x.test/")
            with self.assertRaises(sallyport.ControlPlaneError) as raced:
                await container.deny_host("x.test", expected_revision=1)
            return unknown.exception, bad.exception, raced.exception
        unknown, bad, raced = self.control(work)
        self.assertEqual((unknown.code, bad.code, raced.code), ("NOT_FOUND", "INVALID_ARGUMENT", "ABORTED"))
        self.assertIn("x.test", str(bad))

    def test_lists_change_at_run_time(self):
        async def work(control_plane):
            container = control_plane.container("web-1")
            await container.deny_host("denied.test")
            denied = await container.get()
            await container.remove_denied_host("denied.test")
            return denied, await container.get()
        denied, after = self.control(work)
        self.assertEqual(denied["effectiveDeniedHosts"]["hosts"], ["denied.test"])
        self.assertNotIn("denied.test", str(after.get("effectiveDeniedHosts")))

    def test_nobody_there(self):
        async def work():
            async with sallyport.ControlPlane(f"unix:{self.world.dir}/nobody.sock") as control_plane:
                await control_plane.container("web-1").get()
        with self.assertRaises(sallyport.ControlPlaneError) as error:
            asyncio.run(work())
        self.assertEqual(error.exception.code, "UNAVAILABLE")
        self.assertIn("nobody.sock", str(error.exception))

    def test_a_control_plane_that_is_far_away(self):
        async def pump(reader, writer):
            while piece := await reader.read(65536):
                writer.write(piece)
            writer.close()

        async def relay(reader, writer):
            await asyncio.sleep(0.5)  # As several round trips.
            near = await asyncio.open_unix_connection(f"{self.world.dir}/controlplane.sock")
            await asyncio.gather(pump(reader, near[1]), pump(near[0], writer))

        async def work():
            async with await asyncio.start_server(relay, "127.0.0.1", 0) as far:
                port = far.sockets[0].getsockname()[1]
                async with sallyport.ControlPlane(f"127.0.0.1:{port}") as control_plane:
                    return await control_plane.container("web-1").get()
        self.assertIn("web-1", str(asyncio.run(work())))

    def test_stops_on_a_signal(self):
        program = self.start("python_handlers.py")
        os.kill(program.pid, signal.SIGTERM)
        self.assertEqual(program.process.wait(10), 0)

    def test_a_socket_file(self):
        program = self.start("python_handlers.py", f"unix:{self.world.dir}/python.sock")

        async def work(control_plane):
            await control_plane.register_handler("blocking", program.address)
            return await control_plane.container("web-1").set_outbound_by_host("api.test", "blocking")
        self.assertIs(self.control(work).enforcement, sallyport.Enforcement.ENFORCED)
        self.assertEqual(self.container.curl("http://api.test/").body, "from a thread")

    def test_a_class_of_containers(self):
        self.start("python_container.py")
        container = self.world.container("Sandbox", "box-1")
        self.assertEqual(container.curl("http://my.hello/").body, "hello box-1, class")
        self.assertEqual(container.curl("https://api.test/x").status, 200)
        self.assertEqual(container.curl("https://api.test/x", "-d", "x").status, 405)
        self.assertEqual(container.curl("http://elsewhere.example/", address=ORIGIN).status, 520)

        class Sandbox(sallyport.Container):
            outbound_handlers = {"hello": lambda request, context: None}
        Sandbox.outbound_handlers["hello"].__name__ = "hello"

        async def change(control_plane):
            box = control_plane.container("box-1", Sandbox)
            changes = [await box.set_outbound_by_host("other.test", "hello", {"who": "container"}),
                       await box.set_outbound_handler("Sandbox.slow")]
            with self.assertRaises(sallyport.ControlPlaneError) as refused:
                await box.set_outbound_by_host("other.test", "Sandbox.read_only")
            return changes, refused.exception
        changes, refused = self.control(change)
        self.assertEqual({change.enforcement for change in changes}, {sallyport.Enforcement.ENFORCED})
        self.assertIn("read_only", str(refused))
        self.assertEqual(container.curl("http://other.test/").body, "hello box-1, container")
        self.assertEqual(container.curl("http://api.test/", "-d", "x").body, "slow")


class HandlersTest(SdkTest):
    """What handlers may return; the handlers are those of fakes/python_handlers.py."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.program = cls.start(cls, "python_handlers.py")
        cls.names = set()

    def use(self, handler, params=None):
        """The requests for api.test go to this handler from here on."""
        async def work(control_plane):
            if handler not in self.names:
                await control_plane.register_handler(handler, self.program.address, timeout=60)
                self.names.add(handler)
            return await control_plane.container("web-1").set_outbound_by_host("api.test", handler, params)
        self.assertIs(self.control(work).enforcement, sallyport.Enforcement.ENFORCED)

    def answer(self, handler, *options, url="http://api.test/p?q=1", params=None):
        self.use(handler, params)
        return self.container.curl(url, *options)

    def test_responses(self):
        self.assertEqual(self.answer("stream").body, "0123456789")
        self.assertEqual(json.loads(self.answer("json", "-d", '{"a": 1}').body), {"got": {"a": 1}, "query": {"q": "1"}})
        self.assertEqual(self.answer("blocking").body, "from a thread")
        self.assertEqual(self.answer("params", params={"scope": ["a", 1]}).body, '["a", 1]')
        self.assertEqual(self.answer("stream", "-I").status, 200)

    def test_failures(self):
        for handler in ("raises", "unread"):
            contacts = self.world.origin_contacts()
            failed = self.answer(handler, "-d", "x")
            self.assertEqual((failed.status, failed.reason), (502, "handler_failed"))
            self.assertNotIn("canary", failed.body)
            self.assertEqual(self.world.origin_contacts(), contacts)

    def test_elsewhere(self):
        contacts = len(self.world.origin_requests())
        self.assertEqual(self.answer("elsewhere").status, 200)
        seen = self.world.origin_requests()[contacts]
        self.assertEqual((seen["host"], seen["path"]), ("other.test", "/moved"))

    def test_inspect(self):
        answer = self.answer("inspect")
        self.assertEqual((answer.status, answer.body, answer.headers["x-length"]), (203, "ORIGIN API.TEST /P?Q=1", "22"))
        self.assertNotIn("content-type", answer.headers)
        self.assertEqual(self.container.curl("https://api.test/large").body, "0123456789ABCDEF" * 62500)
        self.assertEqual(self.container.curl("http://api.test/to/x").status, 403)
        self.assertEqual(self.container.curl("http://api.test/p", "-I").status, 203)

    def test_the_body_is_read_before_the_head_is_decided(self):
        answer = self.answer("judge", url="https://api.test/secret")
        self.assertEqual((answer.status, answer.body), (403, "withheld\n"))
        answer = self.answer("judge", url="https://api.test/bytes/1000000")
        self.assertEqual((answer.status, answer.body, answer.headers["x-length"], answer.headers["content-length"]),
                         (203, "012", "1000000", "3"))
        self.assertEqual(self.answer("judge", url="https://api.test/bytes/100000000").status, 502)
        self.assertEqual(self.answer("judge", "-I", url="https://api.test/bytes/1000000").headers["x-length"], "0")

    def test_look_only(self):
        records = self.world.audit.count()
        answer = self.answer("look", url="http://api.test/bytes/1000000")
        self.assertEqual((answer.status, len(answer.body)), (200, 1_000_000))
        headers = {name.lower(): value for name, value in self.world.origin_requests()[-1]["headers"]}
        self.assertEqual(headers["sallyport-request-id"], self.world.audit.await_last(records)["requestId"])

    def test_request_bodies(self):
        body = b"0123456789abcdef" * 200_000
        path = f"{self.world.dir}/body"
        with open(path, "wb") as file:
            file.write(body)
        for handler, sent in (("transform", body.upper()), ("replace", body * 2), ("both", body.upper())):
            with self.subTest(handler):
                answer = self.answer(handler, "--data-binary", f"@{path}", "-H", "expect:", url="http://api.test/digest")
                self.assertEqual(answer.body.lower(), f"{len(sent)} {hashlib.sha256(sent).hexdigest()}")
        self.assertEqual(self.answer("transform").body, "origin api.test /p?q=1")

    def test_an_origin_that_answers_early(self):
        self.use("gate")
        origin = RawOrigin(self.world, ORIGIN, RAW)
        self.addCleanup(origin.close)
        for status, expected in ((200, 200), (413, 403)):
            with self.container.connect(ORIGIN, RAW) as connection:
                connection.sendall(f"POST / HTTP/1.1\r\nhost: api.test:{RAW}\r\ncontent-length: 1000000\r\n\r\nabc".encode())
                peer = origin.next_request().peer
                peer.send(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
                self.assertEqual(read_response(connection)[::2], (expected, "no\n" if expected == 403 else ""))

    def test_both_bodies_at_once(self):
        self.use("both")
        origin = self.world.start("pieces", [sys.executable, source("fakes/piece_origin.py"), "--port", str(PIECES)], self.world.internet)
        origin.await_text('"ready"')
        sent, received = f"{self.world.dir}/sent", f"{self.world.dir}/received"
        body = os.urandom(3_000_000).hex().encode()
        with open(sent, "wb") as file:
            file.write(body)
        for version in ("--http1.1", "--http2-prior-knowledge"):
            answer = self.container.curl(f"http://api.test:{PIECES}/echo", version, "-H", "expect:", "--max-time", "60",
                                         "--data-binary", f"@{sent}", "-o", received)
            self.assertEqual((answer.status, answer.exit), (200, 0), answer)
            with open(received, "rb") as file:
                self.assertEqual(hashlib.sha256(file.read()).digest(), hashlib.sha256(body.upper()).digest())

    def test_a_failure_within_a_body_cuts_it(self):
        answer = self.answer("breaks", url="http://api.test/bytes/1000000")
        self.assertEqual((answer.status, answer.exit != 0), (200, True), answer)

    def test_leases(self):
        self.use("lease", {"ttl": 60, "max_uses": 2})
        self.assertEqual(len({self.container.curl("http://api.test/a").body for _ in range(3)}), 1)
        self.assertEqual(len({self.container.curl("http://api.test/a").body for _ in range(3)}), 1)
        self.use("lease", {"ttl": 60, "path_prefix": "/v1"})
        first = self.container.curl("http://api.test/v1/a").body
        self.assertEqual(self.container.curl("http://api.test/v1/b?c").body, first)
        self.assertNotEqual(self.container.curl("http://api.test/v2").body, first)
        self.assertEqual(self.container.curl("http://api.test/revoke").body, "revoked")
        self.assertNotEqual(self.container.curl("http://api.test/v1/b").body, first)

    def test_hanging_up_cancels(self):
        for handler, text in (("waits", "the handler was cancelled"), ("endless", "the generator was ended")):
            self.use(handler)
            for version in ("http1.1", "http2-prior-knowledge"):
                path = f"/{handler}/{version}"
                command = self.container.command("curl", "--silent", "--noproxy", "*", f"--{version}", "--output", "/dev/null",
                                                 f"http://api.test{path}")
                client = self.world.start(f"client-{handler}-{version}", command)
                self.program.await_text(f"{path}: begun")
                client.kill()
                self.program.await_text(f"{path}: {text}")

    def test_a_slow_reader_stops_the_generator(self):
        self.use("endless")
        with self.container.connect(ORIGIN, 80) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nhost: api.test\r\n\r\n")
            pieces = int(self.program.await_text(r"/slow: stalled after (\d+) pieces").group(1))
        self.assertLess(pieces * 65536, 32 * 1024 * 1024)
        self.program.await_text("/slow: the generator was ended")

    def test_context(self):
        self.assertEqual(json.loads(self.answer("context", "--http1.1", url="https://api.test/").body), {
            "tls": ["TLSv1.3", "api.test"], "http": "HTTP/1.1", "rule": "instance outbound_by_host api.test", "container": "web-1", "class": "c"})
        self.assertEqual(json.loads(self.answer("context", "--http2-prior-knowledge").body)["http"], "HTTP/2")


if __name__ == "__main__":
    unittest.main()
