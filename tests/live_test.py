"""Services that come, drain, break off and come back, and health that comes and goes, under a container's requests."""

import collections
import contextlib
import itertools
import os
import signal
import sys
import threading
import time
import unittest

from harness import World, binary, eventually, source
from sockets import CutShort, read_response

ORIGIN = "203.0.113.10"
NAME = "live"
CUT_SHORT = "a 200 cut short"


class Load:
    """Connections that ask without pause; `answers` counts what they got."""

    def __init__(self, container, connections=8, path="/wait/20"):
        self.container = container
        self.path = path
        self.answers = collections.Counter()
        self.lock = threading.Condition()
        self.stopping = False
        self.threads = [threading.Thread(target=self.run) for _ in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.await_more()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def run(self):
        try:
            with contextlib.closing(self.container.connect(ORIGIN, 80, timeout=30)) as connection:
                while not self.stopping:
                    connection.sendall(f"GET {self.path} HTTP/1.1\r\nHost: api.test\r\n\r\n".encode())
                    status, headers, body = read_response(connection)
                    self.count(body if status == 200 else f"{status} {headers.get('sallyport-reason')}")
        except CutShort as error:
            self.count(CUT_SHORT if "status 200" in str(error) else repr(error))
        except Exception as error:  # Whatever it is, the test has to see it.
            self.count(repr(error))

    def count(self, answer):
        with self.lock:
            self.answers[answer] += 1
            self.lock.notify_all()

    def await_more(self, count=50):
        """So many more answers, of requests that were sent from now on for the most part."""
        with self.lock:
            until = self.answers.total() + count
            if not self.lock.wait_for(lambda: self.answers.total() >= until, 30):
                raise AssertionError(f"no answers any more: {self.answers}")

    def since(self, before):
        with self.lock:
            return set(self.answers - before)


class LiveTest(unittest.TestCase):
    count = itertools.count()

    def setUp(self):
        self.world = self.enterContext(World(names={"api.test": ORIGIN}))
        self.world.apply_class("c", outbound_by_host=[("api.test", NAME)])
        self.container = self.world.container("c", "web-1")
        self.control_plane = f"unix:{self.world.dir}/controlplane.sock"

    def program(self):
        return ["env", f"PYTHONPATH={binary('python_sdk')}", sys.executable, source("fakes/live_service.py")]

    def start(self, name, *flags, listen="127.0.0.1:0"):
        command = [*self.program(), name, "--listen", listen, *flags]
        program = self.world.start(f"{name}-{next(self.count)}", command, self.world.host)
        program.address = program.await_text(r"listening on (\S+)").group(1)
        program.endpoint = f"grpc://{program.address}"
        return program

    def serve(self, name, grace=10, **options):
        return self.start(name, "--control-plane", self.control_plane, "--grace-period", str(grace), **options)

    def handler(self):
        return self.world.api.call("GetHandler", name=NAME)

    def live(self):
        return {one["endpoint"]: one.get("draining", False) for one in self.handler()["handler"].get("liveEndpoints", [])}

    def ask(self, path="/"):
        return self.container.curl(f"http://api.test{path}")

    def expect_failure(self, reason, detail):
        records = self.world.audit.count()
        answer = self.ask()
        self.assertEqual((answer.status, answer.reason), (502, reason), answer)
        self.assertIn(detail, self.world.audit.await_last(records)["detail"])


class RegistrationTest(LiveTest):
    def setUp(self):
        super().setUp()
        self.world.cli("handler", "register", NAME, "--live")

    def test_comes_and_goes(self):
        self.expect_failure("handler_unreachable", "no service has registered itself")
        service = self.serve("a")
        self.assertEqual(self.ask().body, "a")
        self.assertIn(f"{service.endpoint}   live   up", self.world.cli_text("handler", "list"))
        self.world.cli("handler", "register", NAME, "--live", "--retries", "1")
        self.assertEqual(self.ask().body, "a")
        os.kill(service.pid, signal.SIGTERM)
        self.assertEqual(service.process.wait(10), 0)
        self.assertEqual(self.live(), {})
        self.expect_failure("handler_unreachable", "no service has registered itself")
        self.assertEqual(self.world.origin_contacts(), 0)

    def test_killed_it_stays_for_its_grace_period(self):
        killed, other = self.serve("a", grace=2), self.serve("b")
        killed.kill()
        begin = time.monotonic()
        with Load(self.container) as load:
            self.assertEqual(set(self.live()), {killed.endpoint, other.endpoint})
            eventually(lambda: set(self.live()) == {other.endpoint}, what="the grace period is over")
            self.assertGreater(time.monotonic() - begin, 1)
        # It refuses connections, and is passed over.
        self.assertEqual(set(load.answers), {"b"})

    def test_back_within_the_grace_period_nothing_changes(self):
        service = self.serve("a", grace=3)
        revision = self.handler()["revision"]
        service.kill()
        again = self.serve("a", grace=3, listen=service.address)
        # Later the first would have gone.
        witness = self.serve("b", grace=3)
        witness.kill()
        eventually(lambda: witness.endpoint not in self.live(), what="the grace period of one that does not come back")
        self.assertEqual(self.live(), {again.endpoint: False})
        self.assertEqual(self.ask().body, "a")
        again.kill()
        self.assertGreater(int(self.handler()["revision"]), int(revision))

    def test_drains_without_a_failed_request(self):
        services = {name: self.serve(name) for name in "ab"}
        with Load(self.container) as load:
            for name, other in (("a", "b"), ("b", "a"), ("a", "b")):
                os.kill(services[name].pid, signal.SIGTERM)
                self.assertEqual(services[name].process.wait(20), 0)
                before = load.answers.copy()
                load.await_more()
                self.assertEqual(load.since(before), {other})
                services[name] = self.serve(name)
                load.await_more()
        self.assertEqual(set(load.answers), {"a", "b"})

    def test_a_long_request_ends_before_its_service(self):
        service, _ = self.serve("a"), None
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.ask("/wait/1500")))
        asking.start()
        eventually(lambda: any(one.get("inFlight") for one in self.world.cli("handler", "list")["usage"].get("endpoints", [])),
                   what="it is asked")
        other = self.serve("b")
        os.kill(service.pid, signal.SIGTERM)
        eventually(lambda: set(self.live()) == {other.endpoint}, what="it has drained")
        self.assertIsNone(service.process.poll())
        self.assertEqual(self.ask().body, "b")
        asking.join()
        self.assertEqual(answers[0].body, "a")
        self.assertEqual(service.process.wait(10), 0)

    def test_a_control_plane_that_restarts(self):
        stays, dies = self.serve("a", grace=0), self.serve("b", grace=600)
        with Load(self.container) as load:
            self.world.control_plane.kill()
            dies.kill()
            load.await_more()
            registered = stays.text().count("is registered")
            self.world.start_control_plane()
            self.assertEqual(set(self.live()), {stays.endpoint, dies.endpoint})
            eventually(lambda: stays.text().count("is registered") > registered, what="it has come back")
            # What is stored has ten seconds.
            eventually(lambda: set(self.live()) == {stays.endpoint}, seconds=20, what="the other has gone")
            before = load.answers.copy()
            load.await_more()
            self.assertEqual(load.since(before), {"a"})
        # The calls that the killed one had are lost; a response that had begun is cut short.
        self.assertLessEqual(set(load.answers), {"a", "b", "502 handler_unreachable", CUT_SHORT})

    def test_the_handler_is_removed_and_comes_back(self):
        service = self.serve("a")
        self.world.cli("handler", "delete", NAME)
        self.assertEqual(self.ask().reason, "handler_missing")
        service.await_text("the handler was removed")
        self.world.cli("handler", "register", NAME, "--live")
        eventually(lambda: self.live() == {service.endpoint: False}, what="it has registered itself anew")
        self.assertEqual(self.ask().body, "a")

    def test_what_is_refused_ends_the_program(self):
        self.world.cli("handler", "register", NAME, "http://127.0.0.1:1")
        with self.assertRaisesRegex(RuntimeError, "speaks gRPC"):
            self.serve("a")


class HealthTest(LiveTest):
    nobody_there = "no service 'nobody' here"

    def setUp(self):
        super().setUp()
        self.services = {name: self.start(name) for name in "ab"}

    def register(self, *flags):
        endpoints = [service.endpoint for service in self.services.values()]
        self.world.cli("handler", "register", NAME, *endpoints, "--health-interval", "100ms", *flags)

    def health(self):
        endpoints = {one["endpoint"]: one.get("health", "") for one in self.world.cli("handler", "list")["usage"].get("endpoints", [])}
        return [endpoints.get(service.endpoint) for service in self.services.values()]

    def await_health(self, *texts):
        eventually(lambda: self.health() == list(texts), what=f"health {texts}")

    def test_goes_and_comes_back(self):
        self.register("--health-check")
        self.await_health("serving", "serving")
        with Load(self.container) as load:
            self.services["a"].process.send_signal(signal.SIGUSR1)
            self.await_health("not serving: it says so", "serving")
            load.await_more()
            before = load.answers.copy()
            load.await_more()
            self.assertEqual(load.since(before), {"b"})
            self.services["a"].process.send_signal(signal.SIGUSR2)
            self.await_health("serving", "serving")
            before = load.answers.copy()
            load.await_more()
            self.assertEqual(load.since(before), {"a", "b"})
        self.assertEqual(set(load.answers), {"a", "b"})
        self.assertIn("health: serving", self.world.cli_text("handler", "list"))

    def test_none_is_healthy(self):
        self.register("--health-check", "--on-failure", "deny")
        self.await_health("serving", "serving")
        self.services["a"].process.send_signal(signal.SIGUSR1)
        self.services["b"].suspend()
        self.await_health("not serving: it says so", "not serving: it did not answer in 1000 ms")
        self.expect_failure("handler_unreachable", "no endpoint is healthy")
        self.assertIn(f"{self.services['a'].endpoint} is not serving: it says so", self.world.audit.last()["detail"])
        self.assertEqual(self.world.origin_contacts(), 0)
        self.services["b"].resume()
        self.await_health("not serving: it says so", "serving")
        self.assertEqual(self.ask().body, "b")

    def test_by_the_name_of_a_service(self):
        self.register(f"--health-check={NAME}")
        self.await_health("serving", "serving")
        self.register("--health-check=nobody")
        eventually(lambda: all("NOT_FOUND" in (text or "") for text in self.health()), what="it is not known")
        self.expect_failure("handler_unreachable", self.nobody_there)
        # Without a check they may be called again.
        self.world.cli("handler", "register", NAME, *(service.endpoint for service in self.services.values()))
        self.assertEqual(self.ask().status, 200)

    def test_web_servers_and_builtins_are_not_checked(self):
        for arguments, message in (((NAME, "http://127.0.0.1:1", "--health-check"), "is for gRPC"),
                                   ((NAME, "--builtin", "{scheme: https}", "--health-check"), "are for services"),
                                   ((NAME, "grpc://127.0.0.1:1", "--health-interval", "1s"), "go with --health-check")):
            result = self.world.cli_result("handler", "register", *arguments)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(message, result.stderr)


if __name__ == "__main__":
    unittest.main()
