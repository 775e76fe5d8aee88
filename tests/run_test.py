"""`sallyport run`: sandboxes, exit statuses, signals, and that nothing is left behind."""

import glob
import json
import os
import signal
import subprocess
import tempfile
import threading
import unittest

import harness
from harness import World, binary, eventually

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10", "api.test": "203.0.113.10"}


class RunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.start_handler("inject")
        cls.world.apply_class("agent", enable_internet=False, intercept_https=True,
                              allowed_hosts=["good.test", "api.test"], outbound_by_host=[["api.test", "inject"]])

    def command(self, *arguments):
        return self.world.host.command(binary("sallyport"), "run", *arguments)

    def run_command(self, *arguments, **options):
        return harness.run(*self.command(*arguments), check=False, env=self.world.environment(), **options)

    def shell(self, script, *flags):
        return self.run_command("--class", "agent", *flags, "--", "sh", "-c", script)

    def test_exit_statuses(self):
        for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)):
            self.assertEqual(self.shell(script).returncode, status, script)
        self.assertEqual(self.run_command("--", "/no/such/program").returncode, 127)
        self.assertEqual(self.run_command("--", "/etc/passwd").returncode, 126)
        self.assertEqual(self.run_command("--class", "none", "--", "true").returncode, 125)
        self.assertEqual(self.run_command("--no-such-flag", "--", "true").returncode, 125)
        self.assertEqual(self.run_command().returncode, 125)

    def with_fresh_etc(self, script):
        """A script where /etc is as on a host that has never had a sandbox."""
        directory = tempfile.mkdtemp(dir=self.world.dir)
        fresh = (f"mkdir {directory}/upper {directory}/work; cd {directory}; "
                 f"mount -t overlay -o lowerdir=/etc,upperdir={directory}/upper,workdir={directory}/work overlay /etc; rm -rf /etc/sallyport; "
                 f"sandbox() {{ {binary('sallyport')} run --class agent -- sh -ec \"$1\"; }}; ")
        return harness.run(*self.world.host.command("unshare", "--mount", "--propagation", "private", "--", "sh", "-ec", fresh + script),
                           check=False, env=self.world.environment())

    def test_the_folder_of_certificates_does_not_stay_on_the_host(self):
        result = self.with_fresh_etc("sandbox 'test -s /etc/sallyport/certs/bundle.crt'; test ! -e /etc/sallyport")
        self.assertEqual(result.returncode, 0, result)
        result = self.with_fresh_etc("mkdir /etc/sallyport; sandbox true; ls /etc/sallyport | wc -l")
        self.assertEqual((result.returncode, result.stdout), (0, "0\n"), result)

    def test_a_sandbox_that_ends_takes_no_certificates_from_another(self):
        result = self.with_fresh_etc(
            "mkfifo up go; sandbox 'echo > up; read _ < go; test -s /etc/sallyport/certs/bundle.crt' & read _ < up; "
            "sandbox true; test -d /etc/sallyport/certs; echo > go; wait $!; test ! -e /etc/sallyport/certs")
        self.assertEqual(result.returncode, 0, result)

    def test_output_and_input_pass_through(self):
        result = self.run_command("--", "sh", "-c", "cat; echo err >&2", input="hello")
        self.assertEqual((result.stdout, result.stderr), ("hello", "err\n"))

    def test_clients_trust_the_interception(self):
        url = "https://good.test/x"
        for client in (f"curl -sS {url}",
                       f"/usr/bin/python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\").read().decode(), end=\"\")'",
                       f"node -e 'require(\"https\").get(\"{url}\", r => r.on(\"data\", d => process.stdout.write(d)))'"):
            result = self.shell(client)
            self.assertEqual(result.stdout, "origin good.test /x", (client, result.stderr))

    def test_flags_make_a_policy(self):
        script = "curl -s -o /dev/null -w '%{http_code} ' http://good.test/; curl -s -o /dev/null -w %{http_code} http://evil.test/ --resolve evil.test:80:203.0.113.10"
        result = self.run_command("--allow", "good.test", "--", "sh", "-c", script)
        self.assertEqual(result.stdout, "200 520", result)
        result = self.run_command("--deny", "evil.test", "--", "sh", "-c", script)
        self.assertEqual(result.stdout, "200 520", result)
        self.assertNotIn("run-", json.dumps(self.world.cli("class", "list")))

    def test_a_class_called_like_the_id_stays_as_it_is(self):
        self.world.apply_class("ci", allowed_hosts=["good.test"])
        before = self.world.cli("class", "get", "ci")
        script = "curl -s -o /dev/null -w %{http_code} http://evil.test/ --resolve evil.test:80:203.0.113.10"
        for flags, status in (((), "200"), (("--deny", "evil.test"), "520")):
            result = self.run_command("--id", "ci", *flags, "--", "sh", "-c", script)
            self.assertEqual((result.returncode, result.stdout), (0, status), result)
            self.assertEqual(self.world.cli("class", "get", "ci"), before)
        self.assertNotIn("run-", json.dumps(self.world.cli("class", "list")))

    def test_a_container_that_runs_keeps_its_policy_when_its_id_is_taken_for_another(self):
        first = subprocess.Popen(self.command("--id", "twice", "--allow", "good.test", "--", "sh", "-c", "echo ready; cat"),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.world.environment())
        try:
            self.assertEqual(first.stdout.readline(), "ready\n")
            before = self.world.cli("class", "list")
            second = self.run_command("--id", "twice", "--", "true")
            self.assertEqual(second.returncode, 125, second)
            self.assertEqual(self.world.cli("class", "list"), before)
        finally:
            first.communicate()

    def test_a_record_that_the_id_is_of_stays(self):
        self.world.cli("container", "create", "web-1", "--class", "agent")
        self.world.api.call("AllowHost", containerId="web-1", host="more.test")
        before = self.world.cli("container", "get", "web-1")
        result = self.run_command("--id", "web-1", "--", "true")
        self.assertEqual(result.returncode, 125, result)
        self.assertIn("container web-1 is of class agent", result.stderr)
        self.assertEqual(self.world.cli("container", "get", "web-1"), before)

    def test_policy_file(self):
        path = os.path.join(self.world.dir, "policy.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("classes:\n  from-file:\n    enable_internet: false\n    allowed_hosts: [good.test]\n")
        result = self.run_command("--policy", path, "--", "curl", "-sS", "http://good.test/f")
        self.assertEqual(result.stdout, "origin good.test /f", result)

    def test_verbose_and_audit(self):
        path = os.path.join(self.world.dir, "run-audit.jsonl")
        script = "curl -s http://good.test/a >/dev/null; curl -s http://evil.test/b --resolve evil.test:80:203.0.113.10 >/dev/null"
        result = self.shell(script, "--verbose", "--audit", path)
        self.assertRegex(result.stderr, r"egress  GET  http://good\.test/a +200")
        self.assertRegex(result.stderr, r"deny    GET  http://evil\.test/b +520 +not_allowed")
        with open(path, encoding="utf-8") as file:
            hosts = [json.loads(line)["host"] for line in file]
        self.assertEqual([host for host in hosts if host in ("good.test", "evil.test")], ["good.test", "evil.test"])

    def test_the_sandbox_is_tight(self):
        result = self.shell("ls -A /run; ls /proc | grep -c '^[0-9]'; cat /etc/resolv.conf; ip -o link | wc -l; cat /proc/self/status | grep CapBnd")
        lines = result.stdout.splitlines()
        self.assertNotIn("sallyport", result.stdout.split("nameserver")[0].replace("by Sallyport", ""))
        self.assertIn("nameserver 192.0.2.2", lines)
        self.assertIn("1", lines)  # Links: lo.
        capabilities = int(lines[-1].split()[1], 16)
        for name, number in (("SYS_ADMIN", 21), ("SYS_PTRACE", 19), ("SYS_MODULE", 16), ("MKNOD", 27), ("DAC_READ_SEARCH", 2)):
            self.assertFalse(capabilities >> number & 1, name)
        self.assertEqual(self.shell("nsenter --net=/proc/1/ns/net true; mount -t tmpfs x /mnt").returncode != 0, True)
        self.assertEqual(self.shell(f"curl -s --unix-socket {self.world.dir}/agent.sock http://x/").returncode != 0, True)

    def test_the_secret_is_nowhere_in_the_sandbox(self):
        script = ("curl -s https://api.test/headers | grep -c 'Bearer of-the-handler'; env | grep -c of-the-handler; "
                  "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -v grep | grep -c 'of-the-[h]andler'")
        result = self.shell(script)
        self.assertEqual(result.stdout.split()[:2], ["1", "0"], result)

    def leftovers(self):
        processes = harness.run("pgrep", "-f", "leftover-marker", check=False).stdout.split()
        return processes, glob.glob("/run/sallyport-run-*")

    def test_signals_reach_the_command_and_nothing_is_left(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            script = "trap 'echo caught; exit 9' TERM HUP INT; echo ready; while :; do sleep 0.05; done # leftover-marker"
            process = subprocess.Popen(self.command("--class", "agent", "--", "sh", "-c", script), stdout=subprocess.PIPE, text=True,
                                       env=self.world.environment())
            self.assertEqual(process.stdout.readline(), "ready\n")
            process.send_signal(number)
            self.assertEqual(process.stdout.read(), "caught\n")
            self.assertEqual(process.wait(20), 9)
            process.stdout.close()
        self.assertEqual(self.leftovers(), ([], []))

    def test_killed_run_leaves_nothing(self):
        process = subprocess.Popen(self.command("--class", "agent", "--id", "killed", "--", "sh", "-c", "echo ready; while :; do sleep 0.05; done # leftover-marker"),
                                   stdout=subprocess.PIPE, text=True, env=self.world.environment())
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.kill()
        process.wait()
        process.stdout.close()
        eventually(lambda: self.leftovers() == ([], []), 10, "the sandbox ends with `run`")
        eventually(lambda: self.world.cli_result("container", "get", "killed").returncode == 1, 10, "its record is gone")

    def test_background_processes_end_with_the_command(self):
        self.shell("(while :; do sleep 0.05; done # leftover-marker\n) & exit 0")
        self.assertEqual(self.leftovers(), ([], []))


class LocalServicesTest(unittest.TestCase):
    """Nothing runs yet: control plane and agent are started for the command."""

    def setUp(self):
        self.world = World(NAMES)
        self.addCleanup(self.world.close)
        self.world.agent.stop()
        self.world.control_plane.stop()
        self.flags = ["--control-plane", f"unix:{self.world.dir}/none.sock", "--agent", f"unix:{self.world.dir}/no-agent.sock",
                      "--resolver", harness.RESOLVER, "--origin-roots", self.world.root_certificate]

    def command(self, *arguments):
        return self.world.host.command(binary("sallyport"), "run", *self.flags, *arguments)

    def test_run_brings_its_own(self):
        result = harness.run(*self.command("--allow", "good.test", "--intercept-https", "--", "curl", "-sS", "https://good.test/"), check=False)
        self.assertEqual(result.stdout, "origin good.test /", result)
        self.assertEqual(glob.glob("/run/sallyport-run-*"), [])

    def test_interrupted_while_it_starts(self):
        process = subprocess.Popen(self.command("--", "sleep", "100"), start_new_session=True)
        timer = threading.Timer(0.3, lambda: os.killpg(process.pid, signal.SIGINT))
        timer.start()
        self.assertIn(process.wait(30), (130, 125))
        timer.join()
        self.assertEqual(glob.glob("/run/sallyport-run-*"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
