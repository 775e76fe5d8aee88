"""Enforced means enforced: whatever a container does after a change has been answered obeys the change."""

import os
import threading
import time
import unittest

from hammer import Hammer
from harness import World, eventually
from relay_client import Relay, closed_by
from sockets import read_response

NAMES = {"a.test": "203.0.113.10", "b.test": "203.0.113.10", "x.test": "203.0.113.1", "silent.test": "203.0.113.99"}
ORIGIN = "203.0.113.10"
CLOSED_SECONDS = 0.1
# Something to decide inside of TLS, so that it is decrypted.
HAMMERED = {"interceptHttps": True, "deniedHosts": {"hosts": ["never.test"]}}
# Each as a change and its undoing: RPC, fields, and what requests for b.test get.
CHANGES = [
    (("DenyHost", {"host": "b.test"}, "denied_host"), ("RemoveDeniedHost", {"host": "b.test"}, "origin")),
    (("AllowHost", {"host": "a.test"}, "not_allowed"), ("AllowHost", {"host": "b.test"}, "origin")),
    (("SetAllowedHosts", {"hosts": ["a.test"]}, "not_allowed"), ("ClearAllowedHosts", {}, "origin")),
    (("SetDeniedHosts", {"hosts": ["*.test"]}, "denied_host"), ("ClearDeniedHosts", {}, "origin")),
    (("SetOutboundByHost", {"host": "b.test", "handler": "first"}, "first"), ("RemoveOutboundByHost", {"host": "b.test"}, "origin")),
    (("SetOutboundByHosts", {"rules": [{"host": "*.test", "handler": {"handler": "second"}}]}, "second"),
     ("SetOutboundByHosts", {"rules": []}, "origin")),
    (("SetOutboundHandler", {"handler": "first"}, "first"), ("ClearOutboundHandler", {}, "origin")),
    (("SetEnableInternet", {"enableInternet": False}, "no_internet"), ("SetEnableInternet", {}, "origin")),
    (("InterceptAllOutboundHttp", {"handler": "first"}, {"http": "first", "https": "origin"}),
     ("RemoveInterceptAllOutboundHttp", {}, "origin")),
    (("InterceptOutboundHttps", {"target": "b.test", "handler": "second"}, {"http": "origin", "https": "second"}),
     ("RemoveInterceptOutboundHttps", {"host": "b.test"}, "origin")),
    (("ApplyClass", {**HAMMERED, "deniedHosts": {"hosts": ["never.test", "b.*"]}}, "denied_host"), ("ApplyClass", HAMMERED, "origin")),
    (("ApplyClass", {**HAMMERED, "outbound": {"handler": "second"}}, "second"), ("ApplyClass", HAMMERED, "origin")),
    (("ApplyClass", {**HAMMERED, "enableInternet": False}, "no_internet"), ("ApplyClass", HAMMERED, "origin")),
]
ROUNDS = 8


class EnforcedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES, workers=3)
        cls.addClassCleanup(cls.world.close)
        cls.world.start_handler("first", "second")
        # Small buffers, so that a connection that nobody reads soon stands still.
        for namespace in (cls.world.host, cls.world.internet):
            cls.world.limit_buffers(namespace.command())
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.id = f"e-{self.number}"

    def attach(self, **class_fields):
        self.world.api.call("ApplyClass", **{"class": {"name": self.id, **class_fields}})
        self.container = self.world.container(self.id, self.id)
        self.addCleanup(self.container.close)
        self.world.limit_buffers(self.container.command())

    def change(self, method, **fields):
        if method == "ApplyClass":
            return self.world.api.enforced(method, **{"class": {"name": self.id, **fields}})
        return self.world.api.enforced(method, containerId=self.id, **fields)

    # Requests.

    def test_every_request_after_the_answer_obeys_while_16_connections_hammer(self):
        self.attach(**HAMMERED)
        with Hammer(self.container, ORIGIN, "b.test", {"http": 8, "https": 8}, "origin") as hammer:
            changes = 0
            for _ in range(ROUNDS):
                for pair in CHANGES:
                    for method, fields, expected in pair:
                        hammer.change(expected, lambda m=method, f=fields: self.change(m, **f))
                        changes += 1
        self.assertEqual(hammer.wrong, [])
        self.assertGreaterEqual(changes, 200)
        self.assertGreaterEqual(sum(hammer.conclusive), 16 * changes)
        self.assertGreaterEqual(self.busy_workers(), 2, "one worker alone would prove little")

    def busy_workers(self):
        """Threads of the proxy that have had a tenth of a second of CPU."""
        pid = self.world.proxy_pid()
        ticks = []
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
                ticks.append(sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13])))
        return sum(one * 10 >= os.sysconf("SC_CLK_TCK") for one in ticks)

    def test_a_request_half_sent_at_the_answer_obeys(self):
        self.attach()
        with self.container.connect(ORIGIN, 80) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: b.te")
            self.change("DenyHost", host="b.test")
            connection.sendall(b"st\r\n\r\n")
            self.assertEqual(read_response(connection)[0], 520)

    def test_a_connection_that_has_not_spoken_at_the_answer_obeys(self):
        self.attach()
        with self.container.connect(ORIGIN, 443) as connection:
            self.change("DenyHost", host="b.test")
            with self.assertRaises(ConnectionResetError):
                self.container.tls(connection, "b.test")

    # Relays.

    def relay(self, address, port=5432, name=None):
        connection = self.container.connect(address, port)
        relay = Relay(self.container.tls(connection, name) if name else connection)
        self.addCleanup(relay.close)
        relay.exchange()
        return relay

    def assert_closed(self, relays, method, **fields):
        """Relays that the change denies are closed within CLOSED_SECONDS of its answer."""
        self.change(method, **fields)
        closed = closed_by(relays, time.monotonic() + CLOSED_SECONDS)
        self.assertEqual(len(closed), len(relays))

    def test_a_denial_closes_the_relays_that_it_denies_and_no_others(self):
        self.attach()
        denied = [self.relay("198.51.100.4") for _ in range(15)] + [self.relay("203.0.113.1", 443, "x.test") for _ in range(10)]
        others = [self.relay(ORIGIN) for _ in range(15)] + [self.relay(ORIGIN, 443, "b.test") for _ in range(10)]
        # Of each a third is idle, a third busy in both directions, a third stands still with all buffers full.
        for relay in denied[::3] + others[::3]:
            relay.fill()
        with Pump(denied[1::3] + others[1::3]) as pump:
            pump.await_round()
            self.assert_closed(denied, "SetDeniedHosts", hosts=["198.51.100.4", "x.test"])
            pump.await_round()
        self.assertLessEqual(set(pump.ended), set(denied))
        self.assertEqual(closed_by(others, 0), [])
        for relay in others:
            relay.settle()
            relay.exchange()
        records = eventually(lambda: self.closed_records(len(denied)), what="a record of each closed relay")
        self.assertEqual({record["upstream"] for record in records}, {"198.51.100.4:5432", "203.0.113.1:443"})

    def closed_records(self, count):
        records = [record for record in self.world.audit.all()
                   if record["containerId"] == self.id and record.get("detail", "").startswith("closed by a change of policy")]
        return records if len(records) >= count else None

    def test_whatever_turns_against_a_relay_closes_it(self):
        self.attach()
        plain, tls = lambda: self.relay(ORIGIN), lambda: self.relay(ORIGIN, 443, "b.test")
        for makers, change, back in (
                ([plain, tls], ("SetEnableInternet", {"enableInternet": False}), ("SetEnableInternet", {})),
                ([plain, tls], ("SetAllowedHosts", {"hosts": ["a.test"]}), ("ClearAllowedHosts", {})),
                ([plain, tls], ("AllowHost", {"host": "a.test"}), ("ClearAllowedHosts", {})),
                ([plain, tls], ("DenyHost", {"host": "203.0.113.0/24"}), ("ClearDeniedHosts", {})),
                ([plain, tls], ("ApplyClass", {"enableInternet": False}), ("ApplyClass", {})),
                # What is to be looked into from now on was not from the beginning.
                ([tls], ("ApplyClass", {"interceptHttps": True, "outbound": {"handler": "first"}}), ("ApplyClass", {}))):
            with self.subTest(change=change):
                self.assert_closed([make() for make in makers], change[0], **change[1])
                self.change(back[0], **back[1])

    def test_a_relay_by_the_name_that_dns_gave(self):
        self.attach()
        self.assertIn(ORIGIN, self.container.run("dig", "@9.9.9.9", "+short", "a.test").stdout)
        self.assert_closed([self.relay(ORIGIN)], "DenyHost", host="a.test")

    def test_a_relay_that_is_still_connecting(self):
        self.attach()
        # Nothing answers there, not even to ARP.
        self.world.host.ip("route", "add", "203.0.113.99/32", "dev", "up0", "src", self.world.host_address)
        relay = Relay(self.container.connect("203.0.113.99", 5432))
        self.addCleanup(relay.close)
        self.assert_closed([relay], "DenyHost", host="203.0.113.99")

    # WebSockets: websocket_test.py.

    # Answers.

    def test_a_container_that_is_attached_nowhere_is_answered_at_once(self):
        self.world.api.call("ApplyClass", **{"class": {"name": self.id}})
        self.world.api.call("CreateContainer", containerId=self.id, className=self.id)
        for method, fields in (("DenyHost", {"containerId": self.id, "host": "a.test"}),
                               ("ApplyClass", {"class": {"name": self.id, "interceptHttps": True}})):
            answer = self.world.api.call(method, options={"timeout": "60s"}, **fields)
            result = answer.get("result", answer)
            self.assertEqual(result["enforcement"], "NOT_ATTACHED")
            self.assertNotIn("pendingHosts", result)
            # It says so itself how long it waited.
            self.assertLess(float(result.get("waited", "0s").rstrip("s")), 0.05)


class Pump:
    """Keeps relays busy from a thread of its own."""

    def __init__(self, relays):
        self.relays = relays
        self.stopping = False
        self.lock = threading.Lock()
        self.rounds = 0
        self.ended = []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()

    def run(self):
        while not self.stopping:
            with self.lock:
                for relay in list(self.relays):
                    try:
                        # A piece or two are always under way in each direction.
                        if relay.sent - relay.received < 32 * 1024:
                            relay.send()
                        relay.receive()
                    except OSError:  # TLS has errors of its own for a connection that is gone.
                        self.relays.remove(relay)
                        self.ended.append(relay)
                self.rounds += 1

    def await_round(self):
        """Until every relay that lives has moved bytes since."""
        with self.lock:
            begin = [(relay, relay.received) for relay in self.relays]
        eventually(lambda: all(relay.received > then or relay not in self.relays for relay, then in begin), 30, "the relays move bytes")


if __name__ == "__main__":
    unittest.main(verbosity=2)
