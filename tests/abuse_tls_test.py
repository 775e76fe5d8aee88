"""What a container may do with TLS before anything is encrypted, and after: rows TL, HC34 and H226 of the abuse list."""

import socket
import ssl
import subprocess
import time
import unittest

from harness import World, eventually
from tls_client import (GROUPS, KEY_SHARE, SIGNATURES, TLS13, ByHand, alert_of, client_hello, extension, records,
                        server_name)

NAMES = {"good.test": "203.0.113.10", "evil.test": "198.51.100.4", "secret.test": "203.0.113.10"}
ORIGIN = "203.0.113.10"
UNEXPECTED_MESSAGE, RECORD_OVERFLOW, ILLEGAL_PARAMETER, DECODE_ERROR = 10, 22, 47, 50
PROTOCOL_VERSION, UNRECOGNIZED_NAME, NO_APPLICATION_PROTOCOL = 70, 112, 120
REQUEST = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n"
ALL = SIGNATURES + GROUPS + TLS13 + KEY_SHARE


class AbuseTlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.apply_class("decrypted", intercept_https=True, denied_hosts=["secret.test"])
        cls.world.apply_class("relayed", denied_hosts=["secret.test"])
        cls.decrypted = cls.world.container("decrypted", "c1")
        cls.relayed = cls.world.container("relayed", "c2")

    def context(self, container):
        return ssl.create_default_context(cafile=container.bundle)

    def by_hand(self, container, name="good.test", change=lambda hello: [hello]):
        """A whole exchange after a ClientHello that `change` cut into segments."""
        with container.connect(ORIGIN, 443) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = ByHand(connection, self.context(container), name)
            for segment in change(client.hello()):
                connection.sendall(segment)
            client.finish()
            return client.request(REQUEST)

    def raw(self, payload, container=None, timeout=10):
        """The alert that comes first, other first bytes, or None after a reset."""
        with (container or self.decrypted).connect(ORIGIN, 443, timeout) as connection:
            connection.sendall(payload)
            try:
                return alert_of(connection.recv(65536))
            except ConnectionResetError:
                return None

    def hello(self, message, **options):
        return self.raw(records(message, 16384), **options)

    def test_TL01_records_and_segments_of_one_byte(self):
        cuts = {
            "records": lambda hello: [records(hello[5:], 1)],
            "segments": lambda hello: [hello[i:i + 1] for i in range(len(hello))],
            "both": lambda hello: [records(hello[5:], 1)[i:i + 1] for i in range(6 * (len(hello) - 5))],
            "the name in a second record": lambda hello: [records(hello[5:], hello.index(b"good.test") - 5)],
            "the name cut in two": lambda hello: [records(hello[5:], hello.index(b"good.test") - 1)],
        }
        for container in (self.decrypted, self.relayed):
            for name, cut in cuts.items():
                with self.subTest(name, container=container.id):
                    self.assertEqual(self.by_hand(container, change=cut), "origin good.test /")

    def test_TL01_no_cut_hides_a_denied_name(self):
        contacts = self.world.origin_contacts()
        hello = client_hello(server_name(b"secret.test") + ALL)
        for size in (1, hello.index(b"secret.test"), hello.index(b"secret.test") + 3):
            self.assertIsNone(self.raw(records(hello, size), self.relayed))
        self.assertEqual(self.world.origin_contacts(), contacts)

    def audited(self, before, reason):
        """The first record since then with that reason. Those of connections before may still come."""
        return eventually(lambda: [line for line in self.world.audit.since(before) if line.get("reason") == reason],
                          what=f"a record of {reason}")[0]

    def test_TL01_a_hello_is_read_up_to_64_KiB(self):
        """That is what a name is looked for in; BoringSSL, which decrypts, takes messages of 16 KiB."""
        padded = server_name(b"good.test") + ALL + extension(21, bytes(40000))
        self.assertEqual(self.hello(client_hello(padded), container=self.relayed)[:1], b"\x16")
        self.assertEqual(self.hello(client_hello(padded)), ILLEGAL_PARAMETER)
        self.assertEqual(self.hello(client_hello(server_name(b"good.test") + ALL + extension(21, bytes(16000))))[:1], b"\x16")
        self.assertEqual(self.raw(records(b"\1\1\0\0", 16384)), ILLEGAL_PARAMETER)
        # 64 KiB of records of one byte, and still no end of the message.
        self.assertEqual(self.raw(records(client_hello(padded), 1)[:65536]), ILLEGAL_PARAMETER)

    def test_TL01_half_a_hello_is_waited_for_in_vain(self):
        before, started = self.world.audit.count(), time.monotonic()
        half = records(client_hello(server_name(b"good.test") + ALL), 16384)[:60]
        self.assertEqual(self.raw(half, timeout=30), DECODE_ERROR)
        self.assertLess(time.monotonic() - started, 20)
        self.audited(before, "bad_request")

    def test_TL03_what_comes_first_is_no_hello(self):
        # The origin of a name may be connected to before the handshake, to learn its ALPN.
        requests = len(self.world.origin_requests())
        ssl2 = bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + b"r" * 16
        for name, payload, expected in (
                ("alert", b"\x15\3\3\0\2\2\x28", UNEXPECTED_MESSAGE), ("change_cipher_spec", b"\x14\3\3\0\1\1", UNEXPECTED_MESSAGE),
                ("application data", b"\x17\3\3\0\x10" + b"x" * 16, UNEXPECTED_MESSAGE),
                ("ServerHello", records(b"\2\0\0\4abcd", 100), UNEXPECTED_MESSAGE), ("an empty record", b"\x16\3\1\0\0", UNEXPECTED_MESSAGE),
                ("an alert within", records(b"\1\0\1\0" + b"x" * 20, 100) + b"\x15\3\3\0\2\2\x28", UNEXPECTED_MESSAGE),
                ("a long record", b"\x16\3\1\x40\1\1", RECORD_OVERFLOW), ("nonsense", records(b"\1\0\0\4abcd", 100), DECODE_ERROR),
                ("SSL 3", records(client_hello(b"", version=0x0300), 16384, version=0x0300), PROTOCOL_VERSION),
                ("SSL 2", ssl2, b"HTTP/1.1 400 Bad"), ("garbage", bytes(range(128, 200)), b"HTTP/1.1 400 Bad")):
            for container in (self.decrypted, self.relayed):
                if name == "SSL 3" and container is self.relayed:
                    continue  # It is the origin's to answer.
                with self.subTest(name, container=container.id):
                    before = self.world.audit.count()
                    self.assertEqual(self.raw(payload, container), expected)
                    reason = "handshake_failed" if name == "SSL 3" else "bad_request"
                    self.assertEqual(self.audited(before, reason)["decision"], "reject")
        self.assertEqual(len(self.world.origin_requests()), requests)

    def test_TL04_versions_that_mean_nothing(self):
        for version in (0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x03ff):
            with self.subTest(record=hex(version)):
                answer = self.by_hand(self.decrypted, change=lambda hello: [records(hello[5:], 16384, version)])
                self.assertEqual(answer, "origin good.test /")
        grease = extension(0x0a0a, b"") + extension(43, b"\4\x1a\x1a\3\4") + extension(0xfafa, b"\0")
        for legacy in (0x0303, 0x0304, 0x03ff):
            with self.subTest(legacy=hex(legacy)):
                message = client_hello(server_name(b"good.test") + SIGNATURES + GROUPS + KEY_SHARE + grease, legacy, b"\x2a\x2a\x13\1")
                self.assertEqual(self.hello(message)[:1], b"\x16")

    def test_TL05_old_versions(self):
        for version in (0x0301, 0x0302):
            before = self.world.audit.count()
            self.assertEqual(self.hello(client_hello(server_name(b"good.test") + GROUPS, version)), PROTOCOL_VERSION)
            self.assertIn("UNSUPPORTED_PROTOCOL", self.audited(before, "handshake_failed")["detail"])

    def test_TL10_renegotiation(self):
        client = subprocess.Popen(
            self.decrypted.command("openssl", "s_client", "-connect", f"{ORIGIN}:443", "-servername", "good.test", "-tls1_2",
                                   "-CAfile", self.decrypted.ca, "-verify_return_error"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(client.stdout.close)
        before = self.world.audit.count()
        # It says so when the session is up; from there on a line R asks for another handshake.
        for line in client.stdout:
            if "Verify return code" in line:
                break
        client.stdin.write("R\n")
        client.stdin.flush()
        rest = client.stdout.read()
        client.stdin.close()
        client.wait(10)
        self.assertIn("no renegotiation", rest.lower())
        self.assertNotIn("egress", [line.get("decision") for line in self.world.audit.since(before)])

    def test_TL15_names_that_cannot_be(self):
        contacts = self.world.origin_contacts()
        for name, expected in (
                (b"*.good.test", UNRECOGNIZED_NAME), (b"*", UNRECOGNIZED_NAME), (b"good.test, DNS:evil.test", UNRECOGNIZED_NAME),
                (b"good..test", UNRECOGNIZED_NAME), (b"good.test:443", UNRECOGNIZED_NAME), (b"b\xc3\xbccher.test", UNRECOGNIZED_NAME),
                (b"a." * 127 + b"b", UNRECOGNIZED_NAME), (b"x" * 64 + b".test", UNRECOGNIZED_NAME), (b"0x7f.1", UNRECOGNIZED_NAME),
                (b"good.test\0.evil.test", DECODE_ERROR), (b"", DECODE_ERROR)):
            for container in (self.decrypted, self.relayed):
                with self.subTest(name, container=container.id):
                    before = self.world.audit.count()
                    self.assertEqual(self.hello(client_hello(server_name(name) + ALL), container=container), expected)
                    self.assertEqual(self.audited(before, "bad_request")["decision"], "reject")
        two = extension(0, b"\0\x18" + b"\0\0\x09good.test" + b"\0\0\x09evil.test")
        self.assertEqual(self.hello(client_hello(two + ALL)), DECODE_ERROR)
        self.assertEqual(self.hello(client_hello(server_name(b"good.test") * 2 + ALL)), DECODE_ERROR)
        self.assertEqual(self.world.origin_contacts(), contacts)
        for name in (b"GOOD.test.", b"_a_.test", b"xn--bcher-kva.test", b"a." * 126 + b"b"):
            with self.subTest(name):
                self.assertEqual(self.hello(client_hello(server_name(name) + ALL))[:1], b"\x16")

    def test_HC34_without_a_name_the_address_is_the_host(self):
        context = ssl.create_default_context(cafile=self.decrypted.ca)
        for host, expected in (("good.test", b"421"), (ORIGIN, b"200")):
            with self.decrypted.connect(ORIGIN, 443) as raw, context.wrap_socket(raw, server_hostname=ORIGIN) as tls:
                self.assertIn(("IP Address", ORIGIN), tls.getpeercert()["subjectAltName"])
                tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                self.assertEqual(tls.recv(65536).split()[1], expected)

    def test_the_outer_name_of_an_encrypted_hello_is_the_name(self):
        outer = extension(0xfe0d, b"\0\0\1\0\1\7\0\x20" + b"e" * 32 + b"\0\x20" + b"p" * 32)
        contacts = self.world.origin_contacts()
        self.assertIsNone(self.hello(client_hello(server_name(b"secret.test") + ALL + outer), container=self.relayed))
        self.assertEqual(self.world.origin_contacts(), contacts)
        for container in (self.decrypted, self.relayed):
            self.assertEqual(self.hello(client_hello(server_name(b"good.test") + ALL + outer), container=container)[:1], b"\x16")

    def test_H226_protocols_that_nobody_speaks(self):
        def offer(*protocols):
            listed = b"".join(bytes([len(protocol)]) + protocol for protocol in protocols)
            return self.hello(client_hello(server_name(b"good.test") + ALL + extension(16, len(listed).to_bytes(2, "big") + listed)))

        for protocols in ((b"h3",), (b"spdy/3.1", b"http/0.9"), (b"\x0a\x0a",)):
            self.assertEqual(offer(*protocols), NO_APPLICATION_PROTOCOL)
        for protocols in ((), (b"",), (b"http/1.1", b"")):
            self.assertEqual(offer(*protocols), DECODE_ERROR)
        self.assertEqual(offer(b"\x0a\x0a", b"h3", b"http/1.1")[:1], b"\x16")

    def test_TL22_what_is_no_TLS_on_443(self):
        before = self.world.audit.count()
        with self.decrypted.connect(ORIGIN, 443) as connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            self.assertEqual(connection.recv(65536).split()[1], b"400")
        self.audited(before, "bad_request")

    def test_TL24_a_name_is_a_claim_that_the_origin_of_that_name_is_asked_about(self):
        """However the container resolved the name: the connection goes where the agent resolves it."""
        before = len(self.world.origin_requests())
        response = self.relayed.curl("https://evil.test/", address=ORIGIN)
        self.assertEqual(response.body, "origin evil.test /")
        self.assertEqual(self.world.origin_requests()[before:][-1]["local"], NAMES["evil.test"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
