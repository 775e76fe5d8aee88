"""Handlers on another host: mutual TLS by a CA of their own, and tokens that say which container asks."""

import base64
import itertools
import json
import os
import shutil
import sys
import unittest

from harness import World, binary, eventually, read_text, run, source
from tls_test import TlsWorld

ORIGIN = "203.0.113.10"
ELSEWHERE = "203.0.113.40"  # The handlers' host.
NAMES = {f"{name}.test": ORIGIN for name in ("who", "verify", "web", "plain")}
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Pki:
    """Two CAs, of handlers and of their clients, and whatever they issue."""

    def __init__(self, directory):
        self.dir = directory
        os.makedirs(directory)
        for name in ("handlers", "clients", "strangers"):
            run("openssl", "req", "-x509", *KEY, "-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.crt", "-subj",
                f"/CN={name}", "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, issuer, name, usage, alternative_name):
        """NAME.crt and NAME.key; the folder that they are in."""
        base, ca = f"{self.dir}/{name}", f"{self.dir}/{issuer}"
        with open(f"{base}.ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alternative_name}\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n")
        run("openssl", "req", *KEY, "-keyout", f"{base}.key", "-out", f"{base}.csr", "-subj", f"/CN={name}")
        run("openssl", "x509", "-req", "-in", f"{base}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2",
            "-extfile", f"{base}.ext", "-out", f"{base}.crt")

    def put(self, name, certificate, key):
        """Replaces two files as tools do: each whole, one after the other."""
        for part, to in ((f"{name}.crt", certificate), (f"{name}.key", key)):
            shutil.copy(f"{self.dir}/{part}", f"{to}.new")
            os.chmod(f"{to}.new", 0o600)
            os.rename(f"{to}.new", to)

    def server_dir(self, clients):
        """For servers: the handler's certificate, and who signs those of its clients."""
        directory = f"{self.dir}/server"
        os.makedirs(directory, exist_ok=True)
        self.put("keys", f"{directory}/tls.crt", f"{directory}/tls.key")
        shutil.copy(clients, f"{directory}/ca.crt")
        return directory


class HandlersElsewhere:
    """Starts fakes/identity_handler.py beyond the host's network, and registers it."""

    count = itertools.count()

    @classmethod
    def start_handlers(cls, clients_ca):
        cls.pki.issue("handlers", "keys", "serverAuth", "DNS:keys.internal")
        directory = cls.pki.server_dir(clients_ca)
        cls.endpoints, cls.programs = {}, []
        for kind, flags in (("grpcs", ()), ("https", ("--web",))):
            program = cls.world.start(f"handler-{kind}", [
                "env", f"PYTHONPATH={binary('python_sdk')}", sys.executable, source("fakes/identity_handler.py"), "--listen",
                f"{ELSEWHERE}:0", "--tls-dir", directory, "--control-plane", f"unix:{cls.world.dir}/controlplane.sock", *flags],
                cls.world.internet)
            address = program.await_text(r"listening on (\S+)").group(1)
            cls.endpoints[kind] = f"{kind}://{address}"
            cls.programs.append(program)

    @classmethod
    def register(cls, name, *flags, ca="handlers", mutual=True, server_name="keys.internal", kind="grpcs"):
        """As it should be, unless it is said otherwise."""
        cls.world.cli("handler", "register", name, cls.endpoints[kind], "--ca", f"{cls.pki.dir}/{ca}.crt", "--tls-server-name",
                      server_name, *(["--client-certificate"] if mutual else []), *flags)

    @classmethod
    def register_all(cls):
        cls.register("who", "--identity-token=for-who", "--identity-ttl", "1m")
        cls.register("verify", "--identity-token=keys")
        cls.register("web", "--identity-token", kind="https")

    @classmethod
    def make_containers(cls):
        cls.world.api.call("ApplyClass", **{"class": {
            "name": "agents", "enableInternet": False, "interceptHttps": True,
            "outboundByHost": [{"host": f"{name}.test", "handler": {"handler": name}} for name in ("who", "verify", "web", "plain")]}})
        cls.container, cls.other = (cls.world.container("agents", name) for name in ("web-1", "web-2"))

    def ask(self, name, *options, container=None):
        return (container or self.container).curl(f"http://{name}.test/", *options, address=ORIGIN)

    def who(self, **options):
        return json.loads(self.ask("who", **options).body)

    def assert_answers(self, name="verify", container=None):
        answer = self.ask(name, container=container)
        self.assertEqual(answer.status, 200, answer)
        return json.loads(answer.body)

    def assert_refused(self, name, *details):
        """502, nobody was asked, and the record says why."""
        calls, contacts, records = len(self.calls()), self.world.origin_contacts(), self.world.audit.count()
        answer = self.ask(name)
        self.assertEqual((answer.status, answer.reason), (502, "handler_unreachable"), answer)
        record = eventually(lambda: self.world.audit.since(records), what="the record")[-1]
        self.assertTrue(any(detail in record["detail"] for detail in details), record)
        self.assertEqual((len(self.calls()), self.world.origin_contacts()), (calls, contacts))

    def calls(self):
        return [line for program in self.programs for line in program.lines.all() if line["event"] == "call"]


class IdentityWorld(World):
    """Its agent has a certificate for handlers alone."""

    def start_agent(self, connected=True):
        if not hasattr(self, "pki"):
            self.pki = Pki(f"{self.dir}/handler-pki")
            self.pki.issue("clients", "host", "clientAuth", "DNS:test-host")
            self.certificate, self.key = f"{self.dir}/handler.crt", f"{self.dir}/handler.key"
            self.pki.put("host", self.certificate, self.key)
            self.agent_flags += ["--handler-certificate", self.certificate, "--handler-key", self.key]
        super().start_agent(connected)


class IdentityTest(HandlersElsewhere, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(IdentityWorld(NAMES, addresses=[ORIGIN, ELSEWHERE], ports=[80, 443]))
        cls.pki = cls.world.pki
        cls.start_handlers(f"{cls.pki.dir}/clients.crt")
        cls.register_all()
        cls.make_containers()

    def restart_agent(self):
        self.world.agent.stop()
        self.world.start_agent()
        for container in (self.container, self.other):
            container.attach()

    def restart_control_plane(self):
        self.world.control_plane.kill()
        self.world.start_control_plane()
        eventually(lambda: self.world.status().get("controlPlaneConnected"), 20, "the agent is connected again")

    # Mutual TLS.

    def test_each_side_knows_the_other(self):
        self.assert_answers("who")
        self.assert_answers("web")

    def test_a_wrong_ca(self):
        for name, kind in (("who", "grpcs"), ("web", "https")):
            self.assert_answers(name)  # There is a connection that a wrong registration must not use.
            self.register(name, ca="strangers", kind=kind)
            self.assert_refused(name, "the certificate of the handler keys.internal cannot be verified")
        self.register_all()
        self.assert_answers("who")

    def test_a_wrong_name(self):
        self.assert_answers("who")
        self.register("who", server_name="other.internal")
        self.assert_refused("who", "the certificate of the handler other.internal cannot be verified: Hostname mismatch")
        self.register_all()
        self.assert_answers("who")

    def test_the_systems_roots_are_not_tried(self):
        self.world.cli("handler", "register", "who", self.endpoints["grpcs"], "--tls-server-name", "keys.internal", "--client-certificate")
        self.assert_refused("who", "the certificate of the handler keys.internal cannot be verified")
        self.register_all()
        self.assert_answers("who")

    def test_no_client_certificate(self):
        self.addCleanup(self.register_all)
        for name, kind in (("who", "grpcs"), ("web", "https")):
            self.assert_answers(name)
            self.register(name, mutual=False, kind=kind)
            # A server may close instead of saying so.
            self.assert_refused(name, "the peer asks for a client certificate", "closed the connection", "was lost", "close_notify",
                                "the connection was closed before an answer")

    def test_a_certificate_that_the_handler_does_not_trust(self):
        self.pki.issue("strangers", "stranger", "clientAuth", "DNS:test-host")
        self.assert_answers("who")
        self.pki.put("stranger", self.world.certificate, self.world.key)
        self.addCleanup(self.pki.put, "host", self.world.certificate, self.world.key)
        eventually(lambda: self.ask("who").status == 502, what="the new certificate is shown, also in place of an open connection")
        self.assert_refused("who", "the peer refuses our certificate", "closed the connection", "was lost")
        self.pki.put("host", self.world.certificate, self.world.key)
        eventually(lambda: self.ask("who").status == 200, what="the former one is shown again")

    def test_a_host_without_a_certificate(self):
        os.remove(self.world.key)
        self.restart_agent()
        self.assertIn("the certificate for handlers cannot be used", self.world.agent.text())
        self.assert_refused("who", "give sallyport-agent --tls-dir, or --handler-certificate and --handler-key")
        self.pki.put("host", self.world.certificate, self.world.key)
        eventually(lambda: self.ask("who").status == 200, what="the certificate is read")

    # Tokens.

    def test_a_token_says_who_asks(self):
        for container in (self.container, self.other):
            claims = self.assert_answers(container=container)
            self.assertEqual({name: claims[name] for name in ("iss", "sub", "aud", "class", "handler")}, {
                "iss": "test-host", "sub": container.id, "aud": "keys", "class": "agents", "handler": "verify"})
            self.assertEqual((claims["exp"] - claims["iat"], claims["nbf"]), (300, claims["iat"]))

    def test_a_web_server_gets_it_too(self):
        seen = self.assert_answers("web")
        self.assertEqual(len(seen["tokens"]), 1)
        self.assertEqual(self.claims(seen["tokens"][0])["sub"], "web-1")

    def test_audience_and_time_are_as_registered(self):
        claims = self.claims(self.who()["token"])
        self.assertEqual((claims["aud"], claims["exp"] - claims["iat"]), ("for-who", 60))

    def test_a_token_for_somebody_else(self):
        self.assertEqual(self.with_token(self.who()["token"]), (403, "it is for 'for-who', not for 'keys'"))

    def test_a_token_of_another_container(self):
        self.register("who", "--identity-token=keys")
        self.addCleanup(self.register_all)
        stolen = self.who(container=self.other)["token"]
        self.assertEqual(self.with_token(stolen), (403, "it is of web-2, and web-1 asks"))
        self.assertEqual(self.with_token(self.who()["token"])[0], 200)

    def test_a_containers_own_header_does_not_get_through(self):
        forged = [option for name in ("sallyport-identity", "Sallyport-Identity", "sallyport_identity")
                  for option in ("-H", f"{name}: forged")]
        self.assertNotIn("forged", self.ask("who", *forged).body)
        self.assertNotIn("forged", self.ask("web", *forged).body)
        self.assertEqual(len(json.loads(self.ask("web", *forged).body)["tokens"]), 1)
        self.register("web", kind="https")
        self.register("who")
        self.addCleanup(self.register_all)
        self.assertIsNone(json.loads(self.ask("web", *forged).body)["tokens"])
        self.assertEqual(json.loads(self.ask("who", *forged).body)["token"], "")

    def test_no_file_has_a_token(self):
        token = self.who()["token"]
        seen = json.loads(self.ask("web").body)["tokens"][0]
        for path in (self.world.audit.path, self.world.agent.log_path, self.world.control_plane.log_path):
            text = read_text(path)
            for one in (token, seen):
                self.assertNotIn(one.split(".")[2], text, path)

    def test_keys_are_printed(self):
        keys = json.loads(self.world.cli_text("identity", "keys"))["keys"]
        self.assertEqual({key["host"] for key in keys}, {"test-host"})
        self.assertGreaterEqual(len(keys), 2)
        self.assertEqual(self.world.cli("identity", "keys")["keys"], keys)
        header = json.loads(self.decode(self.who()["token"].split(".")[0]))
        self.assertIn(header["kid"], [key["kid"] for key in keys])

    def test_what_is_registered_is_exported(self):
        text = self.world.cli_text("export")
        for line in ("client_certificate: true", "server_name: keys.internal", "audience: keys", "-----BEGIN CERTIFICATE-----"):
            self.assertIn(line, text)
        with open(f"{self.world.dir}/all.yaml", "w", encoding="utf-8") as file:
            file.write(text)
        self.assertEqual(self.world.host_run(binary("sallyport"), "diff", "-f", f"{self.world.dir}/all.yaml").returncode, 0)
        self.assertIn("mutual TLS   identity token for keys", self.world.cli_text("handler", "list"))

    # Restarts.

    def test_tokens_outlive_their_agent_and_the_control_plane(self):
        self.register("who", "--identity-token=keys")
        self.addCleanup(self.register_all)
        before = self.who()["token"]
        self.restart_control_plane()
        self.assertEqual(self.with_token(before)[0], 200)
        self.restart_agent()
        self.assertEqual(self.with_token(before)[0], 200)
        after = self.who()["token"]
        self.assertNotEqual(self.decode(before.split(".")[0]), self.decode(after.split(".")[0]), "another key")
        self.assertEqual(self.with_token(after)[0], 200)
        self.restart_control_plane()
        self.assertEqual([self.with_token(token)[0] for token in (before, after)], [200, 200])

    def test_keys_are_there_before_an_agent_is(self):
        before = self.who()["token"]
        self.world.agent.kill()
        self.world.control_plane.kill()
        self.world.start_control_plane()
        keys = json.loads(self.world.cli_text("identity", "keys"))["keys"]
        self.assertIn(json.loads(self.decode(before.split(".")[0]))["kid"], [key["kid"] for key in keys])
        self.world.start_agent()
        for container in (self.container, self.other):
            container.attach()
        self.assert_answers()

    def test_a_proxy_that_is_started_anew_signs_on(self):
        before = self.who()["token"]
        pid = self.world.proxy_pid()
        os.kill(pid, 9)
        eventually(lambda: self.world.status().get("proxyPid", pid) not in (0, pid), what="a new proxy")
        self.assert_answers()
        self.assertEqual(self.decode(before.split(".")[0]), self.decode(self.who()["token"].split(".")[0]), "the same key")

    def with_token(self, token):
        """Status and body of `verify`, of web-1, for that token."""
        self.world.enforced("set-outbound-by-host", "web-1", "verify.test", "verify", "--params", json.dumps({"token": token}))
        answer = self.ask("verify")
        self.world.enforced("remove-outbound-by-host", "web-1", "verify.test")
        return answer.status, answer.body

    @staticmethod
    def decode(part):
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()

    def claims(self, token):
        return json.loads(self.decode(token.split(".")[1]))


class AgentsCertificateTest(HandlersElsewhere, unittest.TestCase):
    """The certificate that the agent shows the control plane is what handlers are shown, if there is no other."""

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(TlsWorld(NAMES, addresses=[ORIGIN, ELSEWHERE], ports=[80, 443]))
        cls.pki = Pki(f"{cls.world.dir}/handler-pki")
        cls.start_handlers(f"{cls.world.dir}/pki/ca.crt")
        cls.make_containers()

    def test_it_is_shown(self):
        self.register("plain", "--identity-token")
        self.register("who")
        self.assertEqual(json.loads(self.ask("who").body)["container"], "web-1")


if __name__ == "__main__":
    unittest.main()
