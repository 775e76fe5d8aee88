"""Go's net/http inside a sandbox whose HTTPS is decrypted, with Go's own resolver and the C library's."""

import hashlib
import os
import subprocess
import unittest

from clients.sandbox import ClientTest
from clients.web_site import PAGE
from harness import source

PROTOCOLS = {"https://h1.test": "HTTP/1.1", "https://h2.test": "HTTP/2.0"}
SIZE = 5_000_000


class GoTest(ClientTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.program = f"{cls.dir}/client"
        environment = {**os.environ, "HOME": cls.dir, "GOPATH": f"{cls.dir}/path", "GOCACHE": f"{cls.dir}/cache",
                       "GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
        subprocess.run(["go", "build", "-o", cls.program, source("clients/client.go")], check=True, env=environment,
                       timeout=300)

    def test_client(self):
        digest = f"{SIZE} {hashlib.sha256(bytes(SIZE)).hexdigest()}"
        for url, protocol in PROTOCOLS.items():
            host = url.split("/")[2]
            for resolver in ("go", "cgo"):
                output = self.sandboxed(self.program, url, GODEBUG=f"netdns={resolver}").splitlines()
                self.assertEqual(output, [f"origin {host} /get {protocol}", f"origin {host} /there", digest, digest, str(SIZE),
                                          str(PAGE.count("\n")), str(sum(range(1000, 1050)))])
            self.assert_decrypted(host, "/get")

    def test_server_sent_events(self):
        for url in PROTOCOLS:
            self.assert_reads_events(self.program, url, "events")


if __name__ == "__main__":
    unittest.main(verbosity=2)
