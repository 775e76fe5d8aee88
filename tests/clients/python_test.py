"""Python's clients inside a sandbox whose HTTPS is decrypted: urllib, requests, httpx, and uploads as botocore makes them."""

import hashlib
import sys
import unittest

from clients.sandbox import ClientTest
from clients.web_site import PAGE
from harness import source

URLS = ("https://h1.test", "https://h2.test")
# Each is run with the site's URL in `url`.
COMMON = """
import hashlib, json, sys
url = sys.argv[1]
PIECES = [bytes([number]) * 50_000 for number in range(100)]
"""
URLLIB = COMMON + """
from urllib.request import Request, urlopen
print(urlopen(url + "/get").read().decode())
print(urlopen(url + "/redirect?" + url + "/there").read().decode())
print(urlopen(Request(url + "/digest", data=b"".join(PIECES), method="PUT")).read().decode())
print(urlopen(Request(url + "/digest", data=iter(PIECES), method="POST")).read().decode())
print(len(urlopen(url + "/bytes/5000000").read()))
"""
REQUESTS = COMMON + """
import requests
with requests.Session() as session:
    print(session.get(url + "/get").text)
    print(session.get(url + "/redirect?" + url + "/there").text)
    print(session.put(url + "/digest", data=b"".join(PIECES)).text)
    print(session.post(url + "/digest", data=iter(PIECES)).text)
    with session.get(url + "/bytes/5000000", stream=True) as response:
        print(sum(len(piece) for piece in response.iter_content(65536)))
    compressed = session.get(url + "/page")
    assert compressed.headers["content-encoding"] == "gzip"
    print(hashlib.sha256(compressed.content).hexdigest())
"""
HTTPX = COMMON + """
import httpx
with httpx.Client(http2=sys.argv[2] == "2") as client:
    print(client.get(url + "/get").text)
    print(client.get(url + "/redirect?" + url + "/there", follow_redirects=True).text)
    print(client.put(url + "/digest", content=b"".join(PIECES)).text)
    print(client.post(url + "/digest", content=iter(PIECES)).text)
    with client.stream("GET", url + "/bytes/5000000") as response:
        print(sum(len(piece) for piece in response.iter_bytes()))
    compressed = client.get(url + "/page")
    assert compressed.headers["content-encoding"] == "gzip"
    print(hashlib.sha256(compressed.content).hexdigest())
"""
EVENTS = {
    "urllib": "import sys, urllib.request as u\nfor line in u.urlopen(sys.argv[1]): print(line.decode(), end='', flush=True)",
    "requests": "import sys, requests\nfor line in requests.get(sys.argv[1], stream=True).iter_lines(chunk_size=1):\n"
                "  if line: print(line.decode(), flush=True)",
    "httpx": "import sys, httpx\nwith httpx.stream('GET', sys.argv[1]) as response:\n"
             "  for line in response.iter_lines():\n    if line.strip(): print(line.strip(), flush=True)",
}
MEBIBYTE = 1 << 20


class PythonTest(ClientTest):
    def python(self, script, *arguments):
        return self.sandboxed(sys.executable, "-c", script, *arguments).splitlines()

    def assert_used(self, output, url):
        host = url.split("/")[2]
        body = b"".join(bytes([number]) * 50_000 for number in range(100))
        digest = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
        self.assertEqual(output[:5], [f"origin {host} /get", f"origin {host} /there", digest, digest, "5000000"])
        self.assertEqual(output[5:], [hashlib.sha256(PAGE.encode()).hexdigest()][:len(output) - 5])
        self.assert_decrypted(host, "/get")

    def test_urllib(self):
        for url in URLS:
            self.assert_used(self.python(URLLIB, url), url)

    def test_requests(self):
        for url in URLS:
            self.assert_used(self.python(REQUESTS, url), url)

    def test_httpx(self):
        for url in URLS:
            for version in ("1", "2"):
                self.assert_used(self.python(HTTPX, url, version), url)

    def test_server_sent_events(self):
        for url in URLS:
            for name, script in EVENTS.items():
                with self.subTest(url=url, client=name):
                    self.assert_reads_events(sys.executable, "-c", script, f"{url}/events")

    def test_uploads_as_botocore_makes_them(self):
        digest = f"{5 * MEBIBYTE} {hashlib.sha256(bytes(5 * MEBIBYTE)).hexdigest()}"
        for url in URLS:
            for path, answer in (("/digest", f"100 200 {digest}"), ("/refuse/403", "403 refused")):
                output = self.sandboxed(sys.executable, source("clients/expect_client.py"), url + path, str(5 * MEBIBYTE))
                self.assertTrue(output.strip().endswith(answer), output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
