"""curl inside a sandbox whose HTTPS is decrypted."""

import hashlib
import unittest

from clients.sandbox import V6, ClientTest
from clients.web_site import PAGE
from fakes.origin import PIECE

SITES = {"http://h1.test": "1.1", "https://h1.test": "1.1", "https://h2.test": "2"}
MEGABYTE = 1_000_000


def digest(size):
    """Of a sparse file."""
    whole = hashlib.sha256()
    for _ in range(size // MEGABYTE):
        whole.update(bytes(MEGABYTE))
    return f"{size} {whole.hexdigest()}"


class CurlTest(ClientTest):
    def curl(self, *options):
        return self.sandboxed("curl", "--silent", "--show-error", "--globoff", "--max-time", "60", *options)

    def test_get(self):
        for site, version in SITES.items():
            host = site.split("/")[2]
            self.assertEqual(self.curl("--write-out", " %{http_version}", f"{site}/get"), f"origin {host} /get {version}")
            if site.startswith("https"):
                self.assert_decrypted(host, "/get")

    def test_http_1_0(self):
        for site in SITES:
            self.assertEqual(self.curl("--http1.0", f"{site}/old"), f"origin {site.split('/')[2]} /old")

    def test_literal_ipv6_hosts(self):
        for scheme in ("http", "https"):
            self.assertEqual(self.curl(f"{scheme}://[{V6}]/"), f"origin [{V6}] /")

    def test_a_connection_is_used_again(self):
        for site in SITES:
            output = self.curl("--write-out", " %{num_connects}\n", *(f"{site}/{number}" for number in range(3)))
            self.assertEqual([line.split()[-1] for line in output.splitlines()], ["1", "0", "0"])

    # Uploads.

    def test_an_upload_of_100_megabytes(self):
        path = self.make_file("upload", 100 * MEGABYTE)
        for site in SITES:
            self.assertEqual(self.curl("--upload-file", path, f"{site}/digest"), digest(100 * MEGABYTE))

    def test_an_upload_of_unknown_length(self):
        path = self.make_file("unknown", 5 * MEGABYTE)
        for site in SITES:
            self.assertEqual(self.sandboxed("sh", "-c", f"curl -sS -T - {site}/digest < {path}"), digest(5 * MEGABYTE))

    def test_a_large_post_that_expects_100_continue(self):
        path = self.make_file("post", 5 * MEGABYTE)
        for site in SITES:
            # curl would send the body without having been asked after a second; it is not to come to that.
            answer = self.curl("--data-binary", f"@{path}", "--header", "Expect: 100-continue", "--expect100-timeout", "60",
                               f"{site}/digest")
            self.assertEqual(answer, digest(5 * MEGABYTE))

    def test_an_upload_that_is_refused_before_the_body(self):
        path = self.make_file("refused", 5 * MEGABYTE)
        for site in SITES:
            for status in ("403", "413", "417"):
                answer = self.curl("--upload-file", path, "--write-out", " %{http_code}", "--expect100-timeout", "60",
                                   f"{site}/refuse/{status}")
                self.assertEqual(answer, f"refused {status}")

    # Downloads.

    def test_server_sent_events(self):
        for site in SITES:
            self.assert_reads_events("curl", "-sS", "--no-buffer", f"{site}/events")

    def test_compressed(self):
        for site in SITES:
            self.assertEqual(self.curl("--compressed", f"{site}/page"), PAGE)
            self.assertIn("content-encoding: gzip", self.curl("--compressed", "--head", f"{site}/page"))

    def test_head(self):
        for site in SITES:
            self.assertIn("content-length: 1000\r\n".strip(), self.curl("--head", f"{site}/bytes/1000").lower())

    def test_ranges(self):
        for site in SITES:
            answer = self.curl("--range", "100-149", "--write-out", "%{http_code}", f"{site}/bytes/1000")
            self.assertEqual(answer, PIECE[100:150].decode() + "206")

    def test_a_download_goes_on_where_it_ended(self):
        for site in SITES:
            script = (f"head -c 600 /dev/zero > part; curl -sS -C - -o part {site}/bytes/1000; "
                      "wc -c < part; tail -c 400 part; rm part")
            self.assertEqual(self.sandboxed("sh", "-c", script), "1000\n" + PIECE[600:1000].decode())

    def test_redirects(self):
        for site in SITES:
            there = "https://h2.test/there" if "h1" in site else "http://h1.test/there"
            self.assertEqual(self.curl("--location", f"{site}/redirect?{there}"), f"origin {there.split('/')[2]} /there")


if __name__ == "__main__":
    unittest.main(verbosity=2)
