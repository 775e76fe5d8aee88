"""Handlers and policy by the Python SDK, against the real programs: the examples, and what its README says."""

import asyncio
import itertools
import json
import os
import signal
import sys
import unittest

from harness import World, binary

sys.path.insert(0, binary("python_sdk"))
import sallyport  # noqa: E402  (The package is the file that users put on their path.)

ORIGIN = "203.0.113.10"
NAMES = {"api.test": ORIGIN, "other.test": "198.51.100.4"}


class PythonSdkTest(unittest.TestCase):
    count = itertools.count()

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names=NAMES))
        cls.world.apply_class("c", allowed_hosts=["*.test", "my.kv"], intercept_https=True)
        cls.container = cls.world.container("c", "web-1")

    def start(self, file, *flags):
        command = ["env", f"PYTHONPATH={binary('python_sdk')}", sys.executable, file, "--listen", "127.0.0.1:0", *flags]
        # A log of its own, for what it says of its address.
        program = self.world.start(f"{os.path.basename(file)}-{next(self.count)}", command, self.world.host)
        program.address = "grpc://" + program.await_text(r"listening on (\S+)").group(1)
        return program

    def control(self, work):
        """Runs `work` with a connection to the control plane."""
        async def run():
            async with sallyport.ControlPlane(f"unix:{self.world.dir}/controlplane.sock") as control_plane:
                return await work(control_plane)
        return asyncio.run(run())

    def test_what_handlers_return(self):
        program = self.start(os.path.join(os.getcwd(), "tests/fakes/python_handlers.py"))

        async def register(control_plane):
            for name in ("stream", "json", "raises", "unread", "elsewhere", "blocking", "params"):
                await control_plane.register_handler(name, program.address)
        self.control(register)

        def answer(handler, *options, params=None):
            change = self.control(lambda control_plane: control_plane.container("web-1").set_outbound_by_host(
                "api.test", handler, params))
            self.assertIs(change.enforcement, sallyport.Enforcement.ENFORCED)
            return self.container.curl("http://api.test/p?q=1", *options)

        self.assertEqual(answer("stream").body, "0123456789")
        self.assertEqual(json.loads(answer("json", "-d", '{"a": 1}').body), {"got": {"a": 1}, "query": {"q": "1"}})
        failed = answer("raises")
        self.assertEqual((failed.status, failed.reason), (502, "handler_failed"))
        self.assertNotIn("canary", failed.body)
        failed = answer("unread", "-d", "x")
        self.assertEqual((failed.status, failed.reason), (502, "handler_failed"))
        contacts = len(self.world.origin_requests())
        self.assertEqual(answer("elsewhere").status, 200)
        seen = self.world.origin_requests()[contacts]
        self.assertEqual((seen["host"], seen["path"]), ("other.test", "/moved"))
        self.assertEqual(answer("blocking").body, "from a thread")
        self.assertEqual(answer("params", params={"scope": ["a", 1]}).body, '["a", 1]')

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

    def test_stops_on_a_signal(self):
        program = self.start(os.path.join(os.getcwd(), "tests/fakes/python_handlers.py"))
        os.kill(program.pid, signal.SIGTERM)
        self.assertEqual(program.process.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
