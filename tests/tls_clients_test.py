"""Clients of every TLS library at hand, in a container whose HTTPS is decrypted: they accept leaf and chain, or say so."""

import concurrent.futures
import hashlib
import ssl
import subprocess
import unittest

from harness import World, binary, eventually, run, source
from sockets import read_response

NAMES = {"good.test": "203.0.113.10", "_odd_.good.test": "203.0.113.10", "xn--bcher-kva.test": "203.0.113.10",
         f"{'a' * 63}.{'b' * 63}.test": "203.0.113.10", "plain.test": "203.0.113.1"}
ORIGIN = "203.0.113.10"
# PX01. They are denied, so that no origin limits how fast they are asked for.
MANY = [f"n{number}.many.test" for number in range(1000)]
NODE_CLIENT = ("require('https').get(process.argv[1], {agent: false}, r => r.pipe(process.stdout))"
               ".on('error', e => { console.error(e); process.exit(1); })")


class TlsClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.apply_class("decrypted", intercept_https=True, denied_hosts=["*.many.test"],
                              tls_passthrough_hosts=["plain.test"])
        cls.container = cls.world.container("decrypted")
        cls.ca = cls.container.ca
        cls.environment = {**cls.world.environment(), "HOME": cls.world.dir, "GOCACHE": f"{cls.world.dir}/go", "GO111MODULE": "off"}

    def context(self, container=None):
        context = ssl.create_default_context(cafile=(container or self.container).ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def shake(self, name, context, session=None, container=None):
        """A verified connection as `name`, after one request was answered on it."""
        raw = (container or self.container).connect(ORIGIN, 443, timeout=30)
        connection = context.wrap_socket(raw, server_hostname=name, session=session)
        self.addCleanup(connection.close)
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        return connection, read_response(connection)[0]

    def in_container(self, *command, **environment):
        return self.container.run(*command, env={**self.environment, **environment}, stdin=subprocess.DEVNULL)

    def clients(self):
        """Library, and the command that prints what a URL answers if it trusts the container's CA alone."""
        yield "OpenSSL (curl)", ("curl", "-sS", "--noproxy", "*", "--cacert", self.ca), {}
        yield "GnuTLS (wget)", ("wget", "-qO-", f"--ca-certificate={self.ca}", "--no-config"), {}
        client = f"{self.world.dir}/tls_client"
        run("go", "build", "-o", client, source("fakes/tls_client.go"), env=self.environment)
        yield "Go", (client, self.ca), {}
        yield "Node", ("node", "--use-openssl-ca", "-e", NODE_CLIENT), {"SSL_CERT_FILE": self.ca}
        yield "Java", ("java", source("fakes/TlsClient.java"), self.ca), {}

    def test_TL14_clients_accept_names_and_TL13_addresses(self):
        for library, command, environment in self.clients():
            for host in ("good.test", ORIGIN):
                with self.subTest(library, host=host):
                    result = self.in_container(*command, f"https://{host}/", **environment)
                    self.assertEqual((result.returncode, result.stdout), (0, f"origin {host} /"), result.stderr)

    def test_TL14_TL15_strict_ones_accept_odd_names_too(self):
        for name in (*(name for name in NAMES if name != "plain.test"), ORIGIN):
            with self.subTest(name):
                check = ["-verify_ip", name] if name == ORIGIN else ["-verify_hostname", name, "-servername", name]
                result = self.in_container("openssl", "s_client", "-connect", f"{ORIGIN}:443", "-CAfile", self.ca, "-no-CApath",
                                           "-x509_strict", "-purpose", "sslserver", "-verify_return_error", "-brief", *check)
                self.assertIn("Verification: OK", result.stderr)
                # Python's host names may not have underscores at an end.
                if not name.startswith("_"):
                    self.assertEqual(self.shake(name, self.context())[1], 200)

    def test_TL12_TL18_profile_as_others_read_it(self):
        connection, _ = self.shake("good.test", self.context())
        pem = f"{self.world.dir}/leaf.pem"
        with open(pem, "w", encoding="ascii") as file:
            file.write(ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True)))
        leaf = run("openssl", "x509", "-in", pem, "-noout", "-text").stdout
        for part in ("Version: 3", "CN = good.test", "prime256v1", "ecdsa-with-SHA256", "X509v3 Subject Alternative Name: \n" + " " * 16 + "DNS:good.test\n",
                     "CA:FALSE", "Digital Signature", "TLS Web Server Authentication", "X509v3 Authority Key Identifier"):
            self.assertIn(part, leaf)
        ca = run("openssl", "x509", "-in", self.ca, "-noout", "-text").stdout
        for part in ("CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "TLS Web Server Authentication", "X509v3 Subject Key Identifier", "CN = Sallyport CA c1 "):
            self.assertIn(part, ca)

    def test_TL08_UT18_sessions_are_resumed_by_container_and_name_on_every_worker(self):
        other = self.world.container("decrypted", "other")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version.name):
                context = self.context()
                context.load_verify_locations(other.ca)
                context.maximum_version = version
                session = self.shake("good.test", context)[0].session
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    resumed = list(pool.map(lambda _: self.shake("good.test", context, session)[0].session_reused, range(40)))
                self.assertEqual(resumed, [True] * 40)
                self.assertFalse(self.shake("xn--bcher-kva.test", context, session)[0].session_reused)
                self.assertFalse(self.shake("good.test", context, session, other)[0].session_reused)

    def test_PX01_no_name_is_minted_twice(self):
        context = self.context()

        def leaf(name):
            connection, status = self.shake(name, context)
            digest = hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest()
            connection.close()
            return name, status, digest

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            # Neighbours, so that two ask for a name at a time.
            seen = list(pool.map(leaf, [name for name in MANY for _ in range(2)]))
        self.assertEqual({status for _, status, _ in seen}, {520})
        self.assertEqual(len({(name, digest) for name, _, digest in seen}), len(MANY))

    def test_TL20_the_authority_of_another_container_is_not_trusted(self):
        other = self.world.container("decrypted", "stranger")
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.shake("good.test", self.context(), container=other)

    def test_TL11_a_client_certificate_is_asked_for_by_nobody(self):
        response = self.container.curl("https://good.test/headers", "--cert", f"{self.world.dir}/origin.pem")
        self.assertEqual(response.status, 200, response)
        self.assertNotIn("cert", response.body)

    def test_TL19_the_containers_files_are_its_own_affair(self):
        script = ("cd /etc/sallyport/certs; rm -f bundle.crt; mv bundle.crt x; cp /dev/null bundle.crt; mount -t tmpfs none .; "
                  "mount --bind /tmp .; curl -sS --noproxy '*' https://good.test/")
        result = self.world.host_run(binary("sallyport"), "run", "--class", "decrypted", "--", "sh", "-c", script)
        self.assertEqual((result.returncode, result.stdout), (0, "origin good.test /"), result)

    def audited(self, reason, before):
        """The detail of the one record since then with that reason."""
        def found():
            return [line for line in self.world.audit.since(before) if line.get("reason") == reason]

        records = eventually(found, what=f"a record of {reason}")
        self.assertEqual(len(records), 1, records)
        self.assertEqual((records[0]["containerId"], records[0]["decision"], records[0]["port"]), ("c1", "reject", 443))
        return records[0]["detail"]

    def test_TL22_a_client_that_does_not_trust_the_authority(self):
        for version in ("1.2", "1.3"):
            before = self.world.audit.count()
            # The origin may have been connected to, for what it speaks.
            requests = len(self.world.origin_requests())
            result = self.in_container("curl", "-sS", "--tls-max", version, "https://good.test/")
            self.assertEqual(result.returncode, 60, result)
            self.assertIn("TLSV1_ALERT_UNKNOWN_CA", self.audited("intercept_pin_failure", before))
            self.assertEqual(len(self.world.origin_requests()), requests)

    def test_TL22_a_client_that_leaves_without_an_alert(self):
        before = self.world.audit.count()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context().wrap_bio(incoming, outgoing, server_hostname="good.test")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        with self.container.connect(ORIGIN, 443) as connection:
            connection.sendall(outgoing.read())
            self.assertTrue(connection.recv(1))
        self.assertIn("without an alert", self.audited("intercept_pin_failure", before))

    def test_TL22_a_client_that_compares_a_pin_after_the_handshake(self):
        before = self.world.audit.count()
        result = self.in_container("curl", "-sS", "--cacert", self.ca, "--pinnedpubkey", "sha256//" + "A" * 43 + "=", "https://good.test/")
        self.assertEqual(result.returncode, 90, result)
        self.assertIn("without a request", self.audited("intercept_pin_suspected", before))

    def test_TL22_what_the_operator_does_then(self):
        """A name in tls_passthrough_hosts has its origin's own certificate."""
        self.assertEqual(self.in_container("curl", "-sS", "--cacert", self.ca, "https://plain.test/").returncode, 60)
        result = self.in_container("curl", "-sS", "--cacert", self.world.root_certificate, "https://plain.test/")
        self.assertEqual(result.stdout, "origin plain.test /", result)


if __name__ == "__main__":
    unittest.main(verbosity=2)
