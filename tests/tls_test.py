"""Control plane and agent over mutual TLS on an address of the network, with certificates of `sallyport pki`."""

import json
import os
import stat
import subprocess
import threading
import unittest

from harness import World, binary, eventually, run

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10"}


class TlsWorld(World):
    """The agent's host name is test-host (harness.py)."""

    address = None

    def pki(self, *arguments, check=True):
        return run(binary("sallyport"), "pki", *arguments, "--dir", f"{self.dir}/pki", check=check)

    def issue(self, role, name, *flags, out=None):
        out = f"{self.dir}/{out or name}"
        self.pki("issue", role, "--name", name, *flags, "--out", out)
        return out

    def issue_server(self, name):
        return self.issue("server", name, "--ip", self.host_address, out="server")

    def start_control_plane(self):
        if self.address is None:
            self.pki("init")
            self.issue_server("cp-1")
            self.issue("admin", "alice")
            self.issue("agent", "test-host")
        listen = self.address or f"{self.host_address}:0"
        self.control_plane = self.start("sallyportd", [
            binary("sallyportd"), "--state-dir", f"{self.dir}/controlplane", "--listen", listen, "--listen",
            f"unix:{self.dir}/controlplane.sock", "--tls-dir", f"{self.dir}/server"], self.host)
        self.address = self.sync_address = self.control_plane.await_text(r"listening on (\S+:\d+)").group(1)
        self.agent_flags += ["--tls-dir", f"{self.dir}/test-host"]

    def environment(self):
        environment = super().environment()
        environment["SALLYPORT_CONTROL_PLANE"] = self.address or ""
        environment["SALLYPORT_TLS_DIR"] = f"{self.dir}/alice"
        return environment

    def cli_as(self, tls_dir, *arguments):
        command = self.host.command(binary("sallyport"), *arguments, "--tls-dir", tls_dir)
        return run(*command, check=False, env=self.environment())


class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = TlsWorld(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.apply_class("listed", enable_internet=False, allowed_hosts=["good.test"])
        cls.container = cls.world.container("listed")

    def assert_enforced(self):
        self.assertEqual(self.container.curl("http://good.test/", address="203.0.113.10").status, 200)
        self.assertEqual(self.container.curl("http://evil.test/", address="203.0.113.10").reason, "not_allowed")

    def test_a_change_is_enforced(self):
        self.world.enforced("allow-host", self.container.id, "evil.test")
        self.assertEqual(self.container.curl("http://evil.test/", address="203.0.113.10").status, 200)
        self.world.enforced("remove-allowed-host", self.container.id, "evil.test")
        self.assert_enforced()

    def test_roles(self):
        world = self.world
        viewer = world.issue("viewer", "bob")
        self.assertEqual(world.cli_as(viewer, "class", "list").returncode, 0)
        denied = world.cli_as(viewer, "allow-host", self.container.id, "evil.test")
        self.assertEqual(denied.returncode, 1, denied)
        self.assertIn("PERMISSION_DENIED: denied to viewer bob: /sallyport.v1.OutboundPolicy/AllowHost", denied.stderr)
        handler = world.issue("handler", "kv", "--name", "read-only", out="handler")
        endpoint = "grpc://127.0.0.1:7070"
        for name, code in (("kv", 0), ("read-only", 0), ("kv2", 1)):
            result = world.cli_as(handler, "handler", "register", name, endpoint)
            self.assertEqual(result.returncode, code, result)
        agent = world.cli_as(f"{world.dir}/test-host", "class", "list")
        self.assertEqual(agent.returncode, 1, agent)
        self.assertIn("denied to agent test-host", world.control_plane.text())
        self.assert_enforced()

    def test_run_speaks_tls_by_its_flag_alone(self):
        policy = f"{self.world.dir}/run.json"
        with open(policy, "w", encoding="ascii") as file:
            json.dump({"classes": {"from-file": {"enable_internet": False}}}, file)
        for flags in (["--deny", "evil.test"], ["--policy", policy]):
            command = self.world.host.command(binary("sallyport"), "run", "--tls-dir", f"{self.world.dir}/alice", *flags, "--", "true")
            result = run(*command, check=False, env={**self.world.environment(), "SALLYPORT_TLS_DIR": ""})
            self.assertEqual((result.returncode, result.stderr), (0, ""), flags)
        self.assertNotIn("run-", json.dumps(self.world.cli("class", "list")))

    def test_without_a_certificate(self):
        result = run(*self.world.host.command(binary("sallyport"), "class", "list"), check=False,
                     env={**self.world.environment(), "SALLYPORT_TLS_DIR": ""})
        self.assertEqual(result.returncode, 3, result)
        openssl = run(*self.world.host.command("openssl", "s_client", "-connect", self.world.address, "-CAfile",
                                               f"{self.world.dir}/pki/ca.crt"), check=False, stdin=subprocess.DEVNULL)
        self.assertIn("Verify return code: 0 (ok)", openssl.stdout)
        for version in ("-tls1", "-tls1_1"):
            old = run(*self.world.host.command("openssl", "s_client", "-connect", self.world.address, version,
                                               "-cipher", "ALL:@SECLEVEL=0"), check=False, stdin=subprocess.DEVNULL)
            self.assertIn("(NONE)", old.stdout, version)

    def test_an_impostor_is_not_believed(self):
        """Of our CA, but no control plane; and the right one by a name that it was not issued for."""
        self.world.pki("issue", "server", "--name", "cp-2", "--dns", "other.test", "--out", f"{self.world.dir}/other")
        impostor = self.world.start("impostor", [
            binary("sallyportd"), "--state-dir", f"{self.world.dir}/impostor", "--listen", f"{self.world.host_address}:0",
            "--tls-dir", f"{self.world.dir}/other"], self.world.host)
        address = impostor.await_text(r"listening on (\S+)").group(1)
        result = self.world.cli_as(f"{self.world.dir}/alice", "class", "list", "--control-plane", address)
        self.assertEqual(result.returncode, 3, result)
        self.assertIn(f'certificate is not for "{self.world.host_address}"', result.stderr)

    def test_revoked(self):
        mallory = self.world.issue("admin", "mallory")
        self.assertEqual(self.world.cli_as(mallory, "class", "list").returncode, 0)
        self.world.pki("revoke", f"{mallory}/tls.crt", "--out", f"{self.world.dir}/server")

        def refused():
            result = self.world.cli_as(mallory, "class", "list")
            return result.returncode == 1 and "UNAUTHENTICATED: the caller's certificate is revoked" in result.stderr

        eventually(refused, 5, "the revoked certificate is refused")
        self.world.cli("class", "list")

    def test_certificates_are_rotated_while_requests_run(self):
        failures, done, stop = [], [], threading.Event()

        def requests():
            while not stop.is_set():
                response = self.container.curl("http://good.test/", address="203.0.113.10")
                answer = self.world.cli_result("deny-host", self.container.id, f"r{len(done)}.test")
                if response.status != 200 or answer.returncode != 0 or "ENFORCED" not in answer.stdout:
                    failures.append((response, answer))
                done.append(response.status)

        thread = threading.Thread(target=requests)
        thread.start()
        try:
            for round_number in range(2, 6):
                before = len(done)
                self.world.issue_server(f"cp-{round_number}")
                self.world.issue("agent", "test-host")
                self.world.issue("admin", "alice")
                eventually(lambda: f"read anew: server cp-{round_number}" in self.world.control_plane.text(), 10,
                           "the control plane takes the certificate in")
                eventually(lambda: len(done) > before + 3, 60, "requests go on")
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        self.assertNotIn("not used", self.world.control_plane.text())

    def test_an_agent_with_anothers_name_is_refused(self):
        self.world.issue("agent", "host-8")
        agent = self.world.start("agent-8", [
            binary("sallyport-agent"), "--host-name", "test-host", "--control-plane", self.world.address, "--tls-dir",
            f"{self.world.dir}/host-8", "--state-dir", f"{self.world.dir}/agent8", "--run-dir", f"{self.world.dir}/run8",
            "--socket", f"unix:{self.world.dir}/agent8.sock", "--proxy-binary", binary("sallyport-proxy"),
            "--audit", f"{self.world.dir}/audit8.jsonl"], self.world.host)
        agent.await_text("denied to agent host-8.*test-host")
        agent.stop()
        run("umount", "--lazy", f"{self.world.dir}/run8/containers", check=False)
        self.assertIn("denied to agent host-8", self.world.control_plane.text())
        # The host whose name it is has noticed nothing.
        self.assert_enforced()
        self.world.enforced("deny-host", self.container.id, "x.test")


class PkiTest(unittest.TestCase):
    def setUp(self):
        self.dir = f"/run/sallyport-pki-{os.getpid()}"
        self.addCleanup(run, "rm", "-rf", self.dir)

    def pki(self, *arguments):
        return run(binary("sallyport"), "pki", *arguments, check=False)

    def mode(self, name):
        return stat.S_IMODE(os.stat(f"{self.dir}/{name}").st_mode)

    def test_files(self):
        made = self.pki("init", "--dir", f"{self.dir}/ca")
        self.assertEqual(made.returncode, 0, made)
        self.assertIn("sallyport pki issue server", made.stdout)
        self.assertEqual(self.mode("ca/ca.key"), 0o600)
        self.assertEqual(self.mode("ca"), 0o700)
        again = self.pki("init", "--dir", f"{self.dir}/ca")
        self.assertEqual(again.returncode, 1)
        self.assertIn("is there already", again.stderr)
        issued = self.pki("issue", "handler", "--name", "kv", "--name", "read-only", "--dir", f"{self.dir}/ca", "--out",
                          f"{self.dir}/kv", "--json")
        self.assertEqual(issued.returncode, 0, issued)
        answer = json.loads(issued.stdout)
        self.assertEqual((answer["role"], answer["names"]), ("handler", ["kv", "read-only"]))
        self.assertEqual(self.mode("kv/tls.key"), 0o600)
        self.assertEqual(sorted(os.listdir(f"{self.dir}/kv")), ["ca.crt", "tls.crt", "tls.key"])
        run("openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", f"{self.dir}/ca/ca.crt",
            f"{self.dir}/kv/tls.crt")
        text = run("openssl", "x509", "-in", f"{self.dir}/kv/tls.crt", "-noout", "-text").stdout
        self.assertIn("URI:sallyport://handler/kv, URI:sallyport://handler/read-only", text)
        shown = self.pki("show", f"{self.dir}/kv/tls.crt")
        self.assertIn("handler kv, read-only", shown.stdout)

    def test_wrong_usage(self):
        self.pki("init", "--dir", f"{self.dir}/ca")
        for arguments, why in (
                (["issue", "root", "--name", "x", "--out", self.dir], "is no role"),
                (["issue", "agent", "--out", self.dir], "--name is missing"),
                (["issue", "agent", "--name", "x"], "--out is missing"),
                (["issue", "agent", "--name", "a", "--name", "b", "--out", self.dir], "at most 1 name"),
                (["issue", "agent", "--name", "a/b", "--out", self.dir], "is no name"),
                (["issue", "server", "--name", "cp", "--dir", f"{self.dir}/ca", "--out", self.dir], "--dns"),
                (["issue", "server", "--name", "cp", "--ip", "x", "--dir", f"{self.dir}/ca", "--out", self.dir], "no address")):
            result = self.pki(*arguments)
            self.assertEqual(result.returncode, 2, result)
            self.assertIn(why, result.stderr)
        missing = self.pki("issue", "agent", "--name", "x", "--dir", f"{self.dir}/none", "--out", self.dir)
        self.assertEqual(missing.returncode, 1)
        self.assertIn("sallyport pki init", missing.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
