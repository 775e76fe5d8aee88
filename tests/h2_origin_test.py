"""Origins that speak HTTP/2 and such that do not, through the real agent and proxy, asked in either version."""

import hashlib
import json
import subprocess
import time
import unittest

import netns
from harness import SANITIZED, World, binary, eventually
from streams import Peak, allowed_kib

NAMES = {"two.test": "203.0.113.30", "one.test": "203.0.113.31", "gone.test": "203.0.113.32", "no.test": "203.0.113.33"}
VERSIONS = ("--http1.1", "--http2")
# What the container speaks to where, so that each version meets each.
WAYS = (("https://two.test", "--http1.1"), ("https://two.test", "--http2"), ("https://one.test", "--http1.1"),
        ("http://one.test", "--http2-prior-knowledge"))
MEBIBYTE = 1 << 20
GIBIBYTE = (64 << 20) if SANITIZED else (1 << 30)
# What the proxy may hold of one stalled or large body, buffers of the kernel not counted.
# AddressSanitizer holds up to 64 MiB of what was freed.
MAX_GROWTH = (88 if SANITIZED else 24) * MEBIBYTE


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))


class H2OriginTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The ordinary origins leave 80 and 443 to those of this test. Each worker has its own connections.
        cls.world = world = World(NAMES, addresses=list(NAMES.values()), ports=[22], workers=1)
        cls.addClassCleanup(world.close)
        cls.origin = world.start("http_origin", [
            binary("http_origin"), f"{world.dir}/origin.pem", f"h2@{NAMES['two.test']}:443", f"h1@{NAMES['one.test']}:443",
            f"plain@{NAMES['one.test']}:80"],
            world.internet, stdin=subprocess.PIPE)
        cls.origin.await_text('"ready"')
        world.start_handler("respond")
        world.apply_class("open", intercept_https=True, denied_hosts=["no.test"], outbound_by_host=[("handled.test", "respond")])
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.container = self.world.container("open", f"o-{self.number}")
        self.addCleanup(self.container.close)
        self.seen = self.origin.lines.count()

    def curl(self, url, *options, **more):
        if "://" not in url:
            url = f"https://{url}"
        host = url.split("/")[2]
        address = NAMES.get(host, "203.0.113.34")
        return self.container.curl(url, "--resolve", f"{host}:443:{address}", "--resolve", f"{host}:80:{address}", *options, **more)

    def events(self, event):
        return [line for line in self.origin.lines.since(self.seen) if line["event"] == event]

    def test_each_side_has_its_own_version(self):
        for site, version in WAYS:
            response = self.curl(f"{site}/any", version)
            origin = "HTTP/2.0 two.test /any" if "two" in site else "HTTP/1.1 one.test /any"
            self.assertEqual((response.status, response.body), (200, origin), (site, version))
            self.assertTrue(response.head.startswith("HTTP/1.1" if version == "--http1.1" else "HTTP/2"), (site, version))

    def test_the_client_is_offered_what_the_origin_speaks(self):
        versions = {"two.test": "2", "one.test": "1.1", "no.test": "2", "handled.test": "2", "gone.test": "2"}
        statuses = {"two.test": 200, "one.test": 200, "no.test": 520, "handled.test": 200, "gone.test": 502}
        for _ in range(2):
            for host, version in versions.items():
                response = self.curl(f"{host}/any", "--write-out", "\n%{http_version}")
                self.assertEqual((response.status, response.body.splitlines()[-1]), (statuses[host], version), (host, response))
        # The handshake's connection was the request's, and every later request's.
        self.assertEqual(len(self.events("connection")), 2)

    def test_bodies_come_whole_both_ways(self):
        body = bytes(range(256)) * 4096
        path = f"{self.world.dir}/body"
        with open(path, "wb") as file:
            file.write(body)
        for site, version in WAYS:
            without_length = "transfer-encoding: chunked" if version == "--http1.1" else "content-length:"
            for framing in ([], ["--header", without_length]):
                response = self.curl(f"{site}/digest", version, "--data-binary", f"@{path}", *framing)
                answer = json.loads(response.body)
                self.assertEqual((answer["bytes"], answer["sha256"]), (len(body), hashlib.sha256(body).hexdigest()), (site, version))
                self.assertEqual(answer["length"], -1 if framing else len(body), (site, version))
            response = self.curl(f"{site}/bytes/1000000", version)
            self.assertEqual(len(response.body), 1000000, (site, version))

    def test_answers_without_body(self):
        for site, version in WAYS:
            head = self.curl(f"{site}/bytes/1234", version, "--head")
            self.assertEqual((head.status, head.headers.get("content-length"), head.exit), (200, "1234", 0), (site, version))
            for status in (204, 304):
                response = self.curl(f"{site}/{status}", version)
                self.assertEqual((response.status, response.headers.get("etag"), response.exit), (status, '"1"', 0), (site, version))

    def test_interim_answers_and_trailers_are_passed_on(self):
        for site, version in WAYS:
            hints = self.curl(f"{site}/hints", version)
            self.assertEqual((hints.status, hints.body), (200, "body"), (site, version))
            self.assertRegex(hints.error, r"HTTP/\S+ 103", (site, version))
            trailers = self.curl(f"{site}/trailers", version)
            self.assertEqual((trailers.status, trailers.body), (200, "body"), (site, version))
            self.assertIn("x-checksum: 1", trailers.error.lower(), (site, version))

    def test_trailers_behind_a_body_of_known_length(self):
        """RFC 9110 section 6.5.1: HTTP/1.1 has no room for both, and whoever says that it takes trailers gets those."""
        for fields, length, checksum in (((), "4", False), (("--header", "te: trailers", "--header", "connection: te"), None, True)):
            response = self.curl("two.test/sized", "--http1.1", *fields)
            self.assertEqual((response.status, response.body), (200, "body"), fields)
            self.assertEqual(response.headers.get("content-length"), length, fields)
            self.assertEqual("x-checksum: 1" in response.error.lower(), checksum, (fields, response.error))

    def test_fields_of_a_connection_stay_on_it(self):
        for version in VERSIONS:
            response = self.curl("two.test/headers", version, "--header", "te: trailers", "--header", "cookie: a=1; b=2",
                                 *(["--header", "connection: x-hop", "--header", "x-hop: 1"] if version == "--http1.1" else []))
            fields = json.loads(response.body)
            self.assertEqual(fields.get("Te"), ["trailers"], version)
            self.assertEqual(fields.get("Cookie"), ["a=1; b=2"], version)
            self.assertFalse({"X-Hop", "Connection", "Upgrade", "Keep-Alive"} & fields.keys(), version)

    def test_an_answer_before_the_requests_end(self):
        with open(f"{self.world.dir}/large", "wb") as file:
            file.truncate(64 * MEBIBYTE)
        for version in VERSIONS:
            response = self.curl("two.test/refuse", version, "--data-binary", f"@{self.world.dir}/large")
            self.assertEqual(response.status, 413, (version, response))

    def test_many_requests_share_one_connection(self):
        # PX06: all of them at once, and the origin is not yet known.
        urls = [f"https://two.test/any/{i}" for i in range(100)]
        options = ["--parallel", "--parallel-immediate", "--parallel-max", "100", "--http1.1", "--cacert", self.container.bundle,
                   "--silent", "--resolve", f"two.test:443:{NAMES['two.test']}"]
        result = self.container.run("curl", *options, *urls)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.count("HTTP/2.0 two.test /any/"), 100)
        self.assertEqual(len(self.events("connection")), 1)

    def test_what_a_reader_does_not_take_stays_with_the_origin(self):
        pid = self.world.proxy_pid()
        for version in VERSIONS:
            before = resident_bytes(pid)
            command = self.container.command("curl", "--silent", version, "--limit-rate", "1", "--cacert", self.container.bundle,
                                             "--resolve", f"two.test:443:{NAMES['two.test']}", f"https://two.test/bytes/{512 * MEBIBYTE}")
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as client:
                try:
                    eventually(lambda: any(line["path"].startswith("/bytes/") for line in self.events("request")), what="the request")
                    response = self.curl(f"two.test/bytes/{256 * MEBIBYTE}", version, "--output", "/dev/null", "--max-time", "120")
                    self.assertEqual(response.exit, 0, response)
                    self.assertLess(resident_bytes(pid) - before, MAX_GROWTH, version)
                finally:
                    client.kill()

    def test_who_gives_up_is_noticed_by_the_origin(self):
        response = self.curl("two.test/stall/1000", "--http2", "--max-time", "2")
        self.assertEqual(response.exit, 28, response)
        eventually(lambda: self.events("given up"), what="the origin sees the end")

    def test_an_origin_that_has_vanished(self):
        """Not a word of its connection's end: what is sent over it is sent again over another one, long before it is late."""
        self.assertEqual(self.curl("two.test/before", "--http1.1").exit, 0)
        port = self.events("request")[-1]["peer"].rsplit(":", 1)[1]
        rules = f"add table ip gone; add chain ip gone in {{ type filter hook input priority 0; }}; add rule ip gone in tcp sport {port} drop"
        netns.run(*self.world.internet.command("nft", rules))
        self.addCleanup(netns.run, *self.world.internet.command("nft", "delete table ip gone"))
        begun = time.monotonic()
        response = self.curl("two.test/after", "--http1.1", "--max-time", "55")
        self.assertEqual((response.status, response.exit), (200, 0), response)
        self.assertGreater(time.monotonic() - begun, 20, "the connection was not used")
        self.assertEqual([line["path"] for line in self.events("request")], ["/before", "/after"])

    def test_large_uploads_in_constant_memory(self):
        pid = self.world.proxy_pid()
        path = f"{self.world.dir}/upload"
        with open(path, "wb") as file:
            file.truncate(256 * MEBIBYTE)
        for version in VERSIONS:
            before = resident_bytes(pid)
            response = self.curl("two.test/digest", version, "--upload-file", path, "--max-time", "120")
            self.assertEqual(json.loads(response.body)["bytes"], 256 * MEBIBYTE, response)
            self.assertLess(resident_bytes(pid) - before, MAX_GROWTH, version)

    def test_a_gibibyte_each_way_in_constant_memory(self):
        path = f"{self.world.dir}/gibibyte"
        with open(path, "wb") as file:
            file.truncate(GIBIBYTE)
        with Peak(self.world.proxy_pid()) as peak:
            response = self.curl(f"two.test/bytes/{GIBIBYTE}", "--http2", "--output", "/dev/null", "--max-time", "300",
                                 "--write-out", "%{size_download} %{http_version}")
            self.assertEqual(response.body, f"{GIBIBYTE} 2", response)
            response = self.curl("two.test/digest", "--http2", "--upload-file", path, "--max-time", "300")
            self.assertEqual(json.loads(response.body)["bytes"], GIBIBYTE, response)
        self.assertLess(peak.growth(), allowed_kib(8), "KiB")

    def test_a_forbidden_address_gets_no_new_stream(self):
        # Dialled elsewhere, so that only the address of the pooled connection is forbidden.
        ask = ["https://two.test/any", "--resolve", "two.test:443:203.0.113.99"]
        self.assertEqual(self.container.curl(*ask).status, 200)
        self.world.enforced("deny-host", self.container.id, NAMES["two.test"])
        response = self.container.curl(*ask)
        self.assertEqual((response.status, response.reason), (520, "denied_host"))
        self.assertEqual(len(self.events("request")), 1)


if __name__ == "__main__":
    unittest.main()
