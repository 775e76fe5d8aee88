"""What other proxies do badly under load (abuse cases PX01, PX02, PX04)."""

import concurrent.futures
import ssl
import time
import unittest

from harness import World, read_response

NAMES = {"a.test": "203.0.113.10", "b.test": "203.0.113.10", "*.new.test": "203.0.113.10"}
ADDRESS = NAMES["a.test"]
ECHO_PORT = 5432
NAME_COUNT = 1000
AT_ONCE = 16


def get(host, *fields):
    return "\r\n".join([f"GET / HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()


class PeersCasesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = world = World(NAMES)
        cls.addClassCleanup(world.close)
        world.start_handler("respond")
        world.apply_class("answered", outbound="respond", intercept_https=True)
        world.apply_class("open")
        cls.answered = world.container("answered", "answered")
        cls.open = world.container("open", "open")

    def connect(self, container, port):
        connection = container.connect(ADDRESS, port, timeout=30)
        self.addCleanup(connection.close)
        return connection

    def leaf_of(self, name):
        """The certificate for the name, after a request that was answered."""
        with self.answered.connect(ADDRESS, 443, timeout=30) as connection:
            # Verifies chain and name.
            context = ssl.create_default_context(cafile=self.answered.ca)
            with context.wrap_socket(connection, server_hostname=name) as tls:
                tls.sendall(get(name))
                if read_response(tls)[0] != 200:
                    raise AssertionError(f"{name}: not answered")
                return tls.getpeercert(binary_form=True)

    def test_px01_new_names(self):
        names = [f"n{i}.new.test" for i in range(NAME_COUNT)]
        # Two connections to each name right after each other, so that both may find it new.
        twice = [name for name in names for _ in range(2)]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            leaves = list(pool.map(self.leaf_of, twice))
        self.assertEqual(leaves[0::2], leaves[1::2])
        self.assertEqual(len(set(leaves)), NAME_COUNT)

    def rate(self, host, seconds):
        """Requests a second on four kept connections."""
        def load(connection):
            count, end = 0, time.monotonic() + seconds
            while time.monotonic() < end:
                connection.sendall(get(host))
                if read_response(connection)[0] != 200:
                    raise AssertionError(f"{host}: not answered")
                count += 1
            return count
        connections = [self.connect(self.open, 80) for _ in range(4)]
        with concurrent.futures.ThreadPoolExecutor(len(connections)) as pool:
            return sum(pool.map(load, connections)) / seconds

    def test_px02_an_idle_pool_does_not_slow_another_host(self):
        before = self.rate("b.test", 2)
        for _ in range(100):
            answer = self.open.raw(ADDRESS, 80, get("a.test", "Connection: close"))
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer[:60])
        after = max(self.rate("b.test", 2), self.rate("b.test", 2))
        # haproxy went to a fortieth.
        self.assertGreater(after, before / 4)

    def test_px04_clients_that_speak_first(self):
        connections = {port: [self.open.connect(ADDRESS, port, timeout=30) for _ in range(64)] for port in (ECHO_PORT, 80)}
        for port, opened in connections.items():
            for i, connection in enumerate(opened):
                self.addCleanup(connection.close)
                connection.sendall(get("a.test") if port == 80 else b"first %02d" % i)
        for connection in connections[80]:
            self.assertEqual(read_response(connection)[0], 200)
        for i, connection in enumerate(connections[ECHO_PORT]):
            self.assertEqual(connection.recv(8), b"first %02d" % i)


if __name__ == "__main__":
    unittest.main()
