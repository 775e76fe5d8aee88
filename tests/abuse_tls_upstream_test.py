"""Origins whose TLS is not what it should be: rows UT and PX of the abuse list, end to end. upstream_certificates_test.cc has more kinds."""

import os
import subprocess
import sys
import threading
import unittest

from harness import World, binary, eventually, run, source

ORIGIN = "203.0.113.10"
RENEGOTIATES = "203.0.113.1"
ALWAYS = ("200101000000Z", "491231000000Z")
# Name, the certificate's alternative names, its first and last day (openssl ca), and who signs it.
GOOD, BAD = ["good.test", "www.good.test"], {
    "UT01": ("expired.test", "DNS:expired.test", "200101000000Z", "210101000000Z", "root"),
    "UT01 early": ("early.test", "DNS:early.test", "490101000000Z", "491231000000Z", "root"),
    "UT03": ("wrong.test", "DNS:other.test", *ALWAYS, "root"),
    "UT03 name": ("named.test", "email:named@test", *ALWAYS, "root"),
    "UT04": ("star.test", "DNS:*.test", *ALWAYS, "root"),
    "PX03": ("untrusted.test", "DNS:untrusted.test", *ALWAYS, "stranger"),
}
SERVER = "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
# Of whoever signs beside the root: who signed it, and what its certificate says.
AUTHORITIES = {
    "between": ("root", CA),
    "last": ("root", CA.replace("CA:TRUE", "CA:TRUE,pathlen:0")),
    "beyond": ("last", CA),
    "narrow": ("root", CA + "nameConstraints=critical,permitted;DNS:other.test\n"),
    "without": ("root", CA + "nameConstraints=critical,excluded;DNS:excluded.test\n"),
    "lists": ("root", CA.replace("keyCertSign,", "")),
    "server": ("root", SERVER),
    "clients": ("root", CA + "extendedKeyUsage=clientAuth\n"),
}
# Name, what its certificate says besides the name, who signs it, and why it is refused.
CHAINS_GOOD = {"chained.test": (SERVER, "between"), "silent.test": ("", "root"), "elsewhere.test": (SERVER, "without")}
CHAINS_BAD = {
    "for-clients.test": (SERVER.replace("serverAuth", "clientAuth"), "root", "unsupported certificate purpose"),
    "for-code.test": (SERVER.replace("serverAuth", "codeSigning"), "root", "unsupported certificate purpose"),
    "lists-only.test": (SERVER + "keyUsage=critical,cRLSign\n", "root", "KEY_USAGE_BIT_INCORRECT"),
    "is-a-ca.test": (CA.replace("keyCertSign", "digitalSignature,keyCertSign") + "extendedKeyUsage=serverAuth\n", "root", "it is a CA's"),
    "too-far.test": (SERVER, "beyond", "path length constraint exceeded"),
    "not-permitted.test": (SERVER, "narrow", "permitted subtree violation"),
    "excluded.test": (SERVER, "without", "excluded subtree violation"),
    "by-lists.test": (SERVER, "lists", "unable to get local issuer certificate"),
    "by-server.test": (SERVER, "server", "invalid CA certificate"),
    "by-clients.test": (SERVER, "clients", "unsupported certificate purpose"),
}


class Pki:
    """Certificates with any validity, which `openssl ca` alone can give."""

    def __init__(self, directory):
        self.dir = directory
        self.origins = f"{directory}/origins"
        os.makedirs(self.origins)

    def sign(self, name, extensions, first, last, issuer):
        """Of `issuer`, the path of a certificate and of its key; both paths of what is made."""
        base = f"{self.dir}/{name}"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run("openssl", "req", *key, "-keyout", f"{base}.key", "-out", f"{base}.csr", "-subj", f"/CN={name}")
        for file, text in (("index", ""), ("index.attr", "unique_subject = no\n"), ("serial", os.urandom(8).hex()), ("ext", extensions),
                           ("cnf", f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}.index\nnew_certs_dir={self.dir}\nserial={base}.serial\n"
                                   "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")):
            with open(f"{base}.{file}", "w", encoding="ascii") as written:
                written.write(text)
        run("openssl", "ca", "-batch", "-config", f"{base}.cnf", "-in", f"{base}.csr", "-cert", issuer[0], "-keyfile", issuer[1], "-out",
            f"{base}.crt", "-notext", "-startdate", first, "-enddate", last, "-extfile", f"{base}.ext")
        return f"{base}.crt", f"{base}.key"

    def issue(self, name, extensions, first, last, issuer, *between):
        """An origin's; `between` are the certificates that it shows besides its own."""
        certificate, key = self.sign(name, extensions, first, last, issuer)
        with open(f"{self.origins}/{name}.pem", "w", encoding="ascii") as file:
            for part in (certificate, *between, key):
                with open(part, encoding="ascii") as read:
                    file.write(read.read())

    def issue_chains(self, root):
        authorities, above = {"root": root}, {"root": []}
        for name, (issuer, extensions) in AUTHORITIES.items():
            authorities[name] = self.sign(name, extensions, *ALWAYS, authorities[issuer])
            above[name] = [authorities[name][0], *above[issuer]]
        for name, (extensions, issuer, *_) in (CHAINS_GOOD | CHAINS_BAD).items():
            self.issue(name, f"subjectAltName=DNS:{name}\n{extensions}", *ALWAYS, authorities[issuer], *above[issuer])


class AbuseTlsUpstreamTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        names = {name: ORIGIN for name in [*GOOD, *(row[0] for row in BAD.values()), *CHAINS_GOOD, *CHAINS_BAD]}
        cls.world = World({**names, "renegotiates.test": RENEGOTIATES}, ports=[80])
        cls.addClassCleanup(cls.world.close)
        directory = f"{cls.world.dir}/pki"
        pki = Pki(directory)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            f"{directory}/stranger.key", "-out", f"{directory}/stranger.crt", "-subj", "/CN=Stranger")
        issuers = {"root": (cls.world.root_certificate, f"{cls.world.dir}/root.key"),
                   "stranger": (f"{directory}/stranger.crt", f"{directory}/stranger.key")}
        for name, names, first, last, issuer in BAD.values():
            pki.issue(name, f"subjectAltName={names}\n{SERVER}", first, last, issuers[issuer])
        for name in GOOD:
            pki.issue(name, f"subjectAltName={','.join(f'DNS:{good}' for good in GOOD)}\n{SERVER}", *ALWAYS, issuers["root"])
        pki.issue_chains(issuers["root"])
        cls.origins = cls.world.start("tls_origins", [
            sys.executable, source("fakes/tls_origins.py"), "--listen", f"{ORIGIN}:443", "--certificates", pki.origins],
            cls.world.internet, stdin=subprocess.PIPE)
        cls.origins.await_text('"ready"')
        cls.world.apply_class("decrypted", intercept_https=True, denied_hosts=["denied.test"])
        cls.container = cls.world.container("decrypted")

    def events(self, kind):
        return [line for line in self.origins.lines.all() if line["event"] == kind]

    def assert_refused(self, name):
        before = len(self.events("request"))
        response = self.container.curl(f"https://{name}/")
        self.assertEqual((response.status, response.reason), (502, "origin_certificate"), response)
        self.assertEqual(len(self.events("request")), before)

    def test_certificates_that_cannot_be_verified(self):
        for row, (name, *_) in BAD.items():
            with self.subTest(row):
                self.assert_refused(name)

    def test_UT10_certificates_for_other_uses_and_chains_that_break_their_own_constraints(self):
        for name in CHAINS_GOOD:
            with self.subTest(name):
                response = self.container.curl(f"https://{name}/")
                self.assertEqual((response.status, response.body), (200, f"origin {name} /"), response)
        for name, (*_, why) in CHAINS_BAD.items():
            with self.subTest(name):
                self.assert_refused(name)
                eventually(lambda: any(record["host"] == name and why in record.get("detail", "") for record in self.world.audit.all()), what=why)

    def test_UT10_nor_are_they_good_enough_for_what_a_handler_forwards(self):
        """Its secret stays as well."""
        self.world.api.call("RegisterHandler", handler={"name": "token", "builtin": {
            "scheme": "https", "setHeaders": [{"name": "authorization", "value": "Bearer of-the-handler"}]}})
        for name in ("chained.test", "for-clients.test", "too-far.test"):
            self.world.api.enforced("SetOutboundByHost", containerId=self.container.id, host=name, handler="token")
        self.addCleanup(self.world.api.enforced, "SetOutboundByHosts", containerId=self.container.id)
        self.assertEqual(self.container.curl("http://chained.test/").status, 200)
        before = len(self.events("request"))
        for name in ("for-clients.test", "too-far.test"):
            response = self.container.curl(f"http://{name}/")
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
