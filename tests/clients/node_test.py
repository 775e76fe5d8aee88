"""Node's fetch inside a sandbox whose HTTPS is decrypted."""

import hashlib
import unittest

from clients.sandbox import ClientTest
from clients.web_site import PAGE

URLS = ("https://h1.test", "https://h2.test")
FETCH = """
const url = process.argv[1];
const pieces = Array.from({length: 100}, (_, number) => Buffer.alloc(50000, number));
const whole = Buffer.concat(pieces);
const stream = new ReadableStream({
  pull(controller) { pieces.length > 0 ? controller.enqueue(pieces.shift()) : controller.close(); }
});
(async () => {
  const text = async (path, options) => (await fetch(url + path, options)).text();
  console.log(await text("/get"));
  console.log(await text("/redirect?" + url + "/there"));
  console.log(await text("/digest", {method: "PUT", body: whole}));
  console.log(await text("/digest", {method: "POST", body: stream, duplex: "half"}));
  let count = 0;
  for await (const piece of (await fetch(url + "/bytes/5000000")).body) count += piece.length;
  console.log(count);
  const page = await fetch(url + "/page");
  console.log(page.headers.get("content-encoding"), Buffer.byteLength(await page.text()));
})();
"""
EVENTS = """
(async () => {
  const response = await fetch(process.argv[1], {headers: {accept: "text/event-stream"}});
  for await (const piece of response.body) process.stdout.write(piece);
})();
"""


class NodeTest(ClientTest):
    def test_fetch(self):
        body = b"".join(bytes([number]) * 50_000 for number in range(100))
        digest = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
        for url in URLS:
            host = url.split("/")[2]
            output = self.sandboxed("node", "-e", FETCH, url).splitlines()
            self.assertEqual(output, [f"origin {host} /get", f"origin {host} /there", digest, digest, "5000000",
                                      f"gzip {len(PAGE)}"])
            self.assert_decrypted(host, "/get")

    def test_server_sent_events(self):
        for url in URLS:
            self.assert_reads_events("node", "-e", EVENTS, f"{url}/events")


if __name__ == "__main__":
    unittest.main(verbosity=2)
