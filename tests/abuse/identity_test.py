"""Who is asking is never what the container says: identities, ids that are used again, and keys (ID and HC of the abuse list)."""

import contextlib
import json
import unittest

from api import ApiError
from harness import World, binary, eventually
from sockets import read_response

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10", "moved.test": "203.0.113.10"}
ORIGIN = "203.0.113.10"
# ID02. What services take for who asks, or for where it came in.
IMITATIONS = ["Sallyport-Container", "X-Container-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded",
              "X-Tls-Sni", "X-Hostname", "CF-Connecting-IP", "cf-worker"]


def header_bytes(names, value="forged"):
    return b"".join(f"{name}: {value}\r\n".encode() for name in names)


class IdentityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.handler = cls.world.start_handler("respond", "inject")
        cls.world.api.call("ApplyClass", **{"class": {
            "name": "handled", "interceptHttps": True, "outboundByHost": [{"host": "good.test", "handler": {"handler": "respond"}}]}})
        cls.world.api.call("ApplyClass", **{"class": {"name": "open"}})
        cls.container = cls.world.container("handled")

    def handler_sees(self, payload):
        """The headers of the call that a request makes."""
        before = self.handler.lines.count()
        with self.container.connect(ORIGIN, 80) as connection:
            connection.sendall(payload)
            status, _, body = read_response(connection)
        self.assertEqual(status, 200, body)
        call = self.handler.lines.since(before)[-1]
        self.assertEqual((call["container"], call["authority"]), ("c1", "good.test"))
        self.assertEqual(call["headers"].pop("cdn-loop"), "sallyport")
        return call["headers"]

    def test_ID02_imitations_do_not_reach_a_handler(self):
        seen = self.handler_sees(b"GET / HTTP/1.1\r\nHost: good.test\r\nX-Plain: kept\r\n" + header_bytes(IMITATIONS) + b"\r\n")
        self.assertEqual(seen, {"x-plain": "kept"})

    def test_ID03_nor_do_variants_of_them(self):
        variants = [name.replace("-", "_") for name in IMITATIONS] + [name.upper() for name in IMITATIONS] + IMITATIONS * 2
        seen = self.handler_sees(b"GET / HTTP/1.1\r\nHost: good.test\r\n" + header_bytes(variants, "forged \t") + b"\r\n")
        self.assertEqual(seen, {})

    def test_ID03_folded_and_spaced_names_are_refused(self):
        for line in (b"X: y\r\n Sallyport-Container: forged\r\n", b"Sallyport-Container : forged\r\n", b"\tSallyport-Container: forged\r\n"):
            with self.subTest(line), self.container.connect(ORIGIN, 80) as connection:
                before = self.handler.lines.count()
                connection.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n" + line + b"\r\n")
                self.assertEqual(read_response(connection)[0], 400)
                self.assertEqual(self.handler.lines.count(), before)

    def test_ID03_nor_do_trailers(self):
        seen = self.handler_sees(b"POST / HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\nTrailer: Sallyport-Container\r\n\r\n"
                                 b"3\r\nabc\r\n0\r\n" + header_bytes(IMITATIONS) + b"\r\n")
        self.assertFalse([name for name in seen if "container" in name or "forwarded" in name], seen)

    def test_ID02_ours_do_not_leave(self):
        open_container = self.world.container("open", "leaving")
        response = open_container.curl("http://evil.test/headers", "-H", "Sallyport-Container: x", "-H", "sallyport_container: x",
                                       "-H", "X-Forwarded-For: 192.0.2.9")
        seen = json.loads(response.body)
        self.assertFalse([name for name in seen if name.startswith("sallyport")], seen)
        # Between a container and an origin this is an ordinary header.
        self.assertEqual(seen["x-forwarded-for"], "192.0.2.9")

    def test_ID06_an_id_that_is_used_again_inherits_nothing(self):
        world = self.world
        first = world.container("handled", "again")
        world.api.enforced("SetOutboundByHost", containerId="again", host="evil.test", handler="respond")
        world.api.enforced("DenyHost", containerId="again", host="moved.test")
        self.assertEqual(first.curl("https://evil.test/", address=ORIGIN).status, 200)
        self.assertEqual(first.curl("http://moved.test/", address=ORIGIN).reason, "denied_host")
        # A connection to an origin that is kept for the next request, and a name that DNS has given out.
        placeholder_before = first.run("dig", "@9.9.9.9", "+short", "good.test").stdout
        with first.connect(ORIGIN, 80) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: kept.test\r\n\r\n")
        with open(first.ca, encoding="ascii") as file:
            first_ca = file.read()
        world.agent_api.call("Detach", containerId="again")
        first.close()

        def is_deleted():
            # The control plane hears of the detachment a moment later.
            with contextlib.suppress(ApiError):
                return world.api.call("DeleteContainer", containerId="again") is not None

        eventually(is_deleted, what="the container is detached for the control plane, too")

        second = world.container("open", "again")
        contacts = world.origin_contacts()
        calls = self.handler.lines.count()
        self.assertEqual(second.curl("http://moved.test/", address=ORIGIN).status, 200)
        self.assertEqual(second.curl("http://evil.test/", address=ORIGIN).body, "origin evil.test /")
        self.assertEqual(self.handler.lines.count(), calls)
        # A new connection, none of the pool.
        self.assertGreater(world.origin_contacts(), contacts)
        with open(second.ca, encoding="ascii") as file:
            self.assertNotEqual(file.read(), first_ca)
        self.assertTrue(placeholder_before)
        status = world.api.call("GetContainer", containerId="again")["container"]
        self.assertEqual(status["policy"], {"containerId": "again", "className": "open"})

    def test_ID11_one_authority_a_container(self):
        other = self.world.container("handled", "other")
        response = other.run("curl", "--silent", "--cacert", self.container.ca, "--connect-to", f"::{ORIGIN}:", "https://good.test/")
        self.assertEqual(response.returncode, 60, "the authority of another container must not be trusted")

    def test_ID11_the_container_finds_the_certificate_and_no_key(self):
        script = ("cd /etc/sallyport/certs && ls -A && grep -l 'PRIVATE KEY' * ; "
                  "for f in *; do { echo x >> $f; } 2> /dev/null && echo $f is writable; done; true")
        result = self.world.host_run(binary("sallyport"), "run", "--class", "open", "--", "sh", "-c", script)
        self.assertEqual(result.stdout.split(), ["bundle.crt", "sallyport-ca.crt"], result)

    def test_HC26_a_host_other_than_the_sni_gets_no_secret(self):
        self.world.api.enforced("SetOutboundByHost", containerId="c1", host="moved.test", handler="inject")
        self.addCleanup(self.world.api.enforced, "RemoveOutboundByHost", containerId="c1", host="moved.test")
        before, calls = self.world.origin_contacts(), self.handler.lines.count()
        with self.container.connect(ORIGIN, 443) as raw, self.container.tls(raw, "moved.test") as tls:
            tls.sendall(b"GET /headers HTTP/1.1\r\nHost: evil.test\r\n\r\n")
            status, headers, _ = read_response(tls)
        self.assertEqual((status, headers["sallyport-reason"]), (421, "misdirected"))
        self.assertEqual((self.world.origin_contacts(), self.handler.lines.count()), (before, calls))

    def test_HC27_each_request_of_a_connection_is_decided_by_itself(self):
        self.world.api.enforced("DenyHost", containerId="c1", host="evil.test")
        self.addCleanup(self.world.api.enforced, "RemoveDeniedHost", containerId="c1", host="evil.test")
        with self.container.connect(ORIGIN, 80) as connection:
            for host, expected in (("good.test", (200, "")), ("evil.test", (520, "denied_host")), ("good.test", (200, ""))):
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                status, headers, _ = read_response(connection)
                self.assertEqual((status, headers.get("sallyport-reason", "")), expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
