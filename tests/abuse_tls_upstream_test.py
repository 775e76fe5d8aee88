"""Origins whose TLS is not what it should be: rows UT and PX of the abuse list, end to end. upstream_certificates_test.cc has more kinds."""

import os
import subprocess
import sys
import threading
import unittest

from harness import World, binary, run, source

ORIGIN = "203.0.113.10"
RENEGOTIATES = "203.0.113.1"
# Name, the certificate's alternative names, its first and last day (openssl ca), and who signs it.
GOOD, BAD = ["good.test", "www.good.test"], {
    "UT01": ("expired.test", "DNS:expired.test", "200101000000Z", "210101000000Z", "root"),
    "UT01 early": ("early.test", "DNS:early.test", "490101000000Z", "491231000000Z", "root"),
    "UT03": ("wrong.test", "DNS:other.test", "200101000000Z", "491231000000Z", "root"),
    "UT03 name": ("named.test", "email:named@test", "200101000000Z", "491231000000Z", "root"),
    "UT04": ("star.test", "DNS:*.test", "200101000000Z", "491231000000Z", "root"),
    "PX03": ("untrusted.test", "DNS:untrusted.test", "200101000000Z", "491231000000Z", "stranger"),
}


class Pki:
    """Certificates with any validity, which `openssl ca` alone can give."""

    def __init__(self, directory):
        self.dir = directory
        self.origins = f"{directory}/origins"
        os.makedirs(self.origins)

    def issue(self, name, alternative_names, first, last, issuer, issuer_key):
        base = f"{self.dir}/{name}"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run("openssl", "req", *key, "-keyout", f"{base}.key", "-out", f"{base}.csr", "-subj", f"/CN={name}")
        for file, text in (("index", ""), ("index.attr", "unique_subject = no\n"), ("serial", os.urandom(8).hex()),
                           ("ext", f"subjectAltName={alternative_names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"),
                           ("cnf", f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}.index\nnew_certs_dir={self.dir}\nserial={base}.serial\n"
                                   "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")):
            with open(f"{base}.{file}", "w", encoding="ascii") as written:
                written.write(text)
        run("openssl", "ca", "-batch", "-config", f"{base}.cnf", "-in", f"{base}.csr", "-cert", issuer, "-keyfile", issuer_key, "-out",
            f"{base}.crt", "-notext", "-startdate", first, "-enddate", last, "-extfile", f"{base}.ext")
        with open(f"{self.origins}/{name}.pem", "w", encoding="ascii") as file:
            for part in ("crt", "key"):
                with open(f"{base}.{part}", encoding="ascii") as read:
                    file.write(read.read())


class AbuseTlsUpstreamTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        names = {name: ORIGIN for name in [*GOOD, *(row[0] for row in BAD.values())]}
        cls.world = World({**names, "renegotiates.test": RENEGOTIATES}, ports=[80])
        cls.addClassCleanup(cls.world.close)
        directory = f"{cls.world.dir}/pki"
        pki = Pki(directory)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            f"{directory}/stranger.key", "-out", f"{directory}/stranger.crt", "-subj", "/CN=Stranger")
        issuers = {"root": (cls.world.root_certificate, f"{cls.world.dir}/root.key"),
                   "stranger": (f"{directory}/stranger.crt", f"{directory}/stranger.key")}
        for name, names, first, last, issuer in BAD.values():
            pki.issue(name, names, first, last, *issuers[issuer])
        for name in GOOD:
            pki.issue(name, ",".join(f"DNS:{good}" for good in GOOD), "200101000000Z", "491231000000Z", *issuers["root"])
        cls.origins = cls.world.start("tls_origins", [
            sys.executable, source("fakes/tls_origins.py"), "--listen", f"{ORIGIN}:443", "--certificates", pki.origins],
            cls.world.internet, stdin=subprocess.PIPE)
        cls.origins.await_text('"ready"')
        cls.world.apply_class("decrypted", intercept_https=True, denied_hosts=["denied.test"])
        cls.container = cls.world.container("decrypted")

    def events(self, kind):
        return [line for line in self.origins.lines.all() if line["event"] == kind]

    def test_certificates_that_cannot_be_verified(self):
        for row, (name, *_) in BAD.items():
            with self.subTest(row):
                before = len(self.events("request"))
                response = self.container.curl(f"https://{name}/")
                self.assertEqual((response.status, response.reason), (502, "origin_certificate"), response)
                self.assertEqual(len(self.events("request")), before)

    def test_PX03_a_host_on_the_address_of_a_verified_one_is_verified_by_itself(self):
        """UT21 as well: a connection that was verified as one host serves no other, also where the certificate has both names."""
        for _ in range(2):
            self.assertEqual(self.container.curl("https://good.test/").body, "origin good.test /")
        self.assertEqual(self.container.curl("https://untrusted.test/").reason, "origin_certificate")
        before = len(self.events("connection"))
        self.assertEqual(self.container.curl("https://www.good.test/").body, "origin www.good.test /")
        self.assertEqual(len(self.events("connection")), before + 1)

    def test_UT17_an_end_without_close_notify_is_no_end(self):
        self.assertEqual(self.container.curl("https://good.test/closed").body, "body")
        for path in ("/short", "/cut"):
            with self.subTest(path):
                response = self.container.curl(f"https://good.test{path}")
                self.assertNotEqual(response.exit, 0, response)

    def test_UT15_renegotiation_and_questions_for_a_certificate(self):
        pem = f"{self.world.dir}/origin.pem"
        server = subprocess.Popen(
            self.world.internet.command("openssl", "s_server", "-accept", f"{RENEGOTIATES}:443", "-cert", pem, "-key", pem, "-tls1_2",
                                        "-verify", "1"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(server.stdout.close)
        lines = iter(server.stdout.readline, "")
        next(line for line in lines if line.startswith("ACCEPT"))
        responses = []

        def ask():
            responses.append(self.container.curl("https://renegotiates.test/"))
            server.kill()

        client = threading.Thread(target=ask)
        client.start()
        rest = ""
        # The first connection was made ahead of the request, which is sent once more on a new one when that one fails.
        for line in lines:
            rest += line
            if line.startswith("GET /"):
                server.stdin.write("r\n")
                server.stdin.flush()
        client.join()
        server.wait()
        server.stdin.close()
        self.assertEqual(rest.count("GET /"), 2)
        self.assertNotIn("BEGIN CERTIFICATE", rest)
        self.assertIn("no renegotiation", rest)
        self.assertEqual(responses[0].status, 502, responses)


class RootsTest(unittest.TestCase):
    def test_UT19_without_roots_the_proxy_does_not_start(self):
        for path, why in (("/nonexistent", "cannot read /nonexistent; install the package ca-certificates"), ("/dev/null", "holds none")):
            result = run(binary("sallyport-proxy"), "--control-fd=0", f"--origin-roots={path}", check=False, stdin=subprocess.DEVNULL)
            self.assertEqual(result.returncode, 1)
            self.assertIn(why, result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
