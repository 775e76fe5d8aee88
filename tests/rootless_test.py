"""`sallyport run` by an ordinary user: the same walls, without a right on the host."""

import glob
import json
import os
import subprocess
import tempfile
import unittest

import harness
from harness import World, binary, eventually

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10", "api.test": "203.0.113.10"}
USER = 65534  # nobody: no shell, no home, no subordinate ids.


class RootlessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        # Nothing of root's is there to help.
        cls.world.agent.stop()
        cls.world.control_plane.stop()
        folder = tempfile.TemporaryDirectory(prefix="sallyport-rootless-")
        cls.addClassCleanup(folder.cleanup)
        cls.home = folder.name
        os.chown(cls.home, USER, USER)
        cls.programs = cls.world.closers.enter_context(tempfile.TemporaryDirectory(prefix="sallyport-programs-", dir="/run"))
        os.chmod(cls.programs, 0o755)
        # Where the build's folder is root's alone.
        for name in ("sallyport", "sallyportd", "sallyport-agent", "sallyport-proxy"):
            harness.run("install", "-m", "0755", binary(name), cls.programs)

    def command(self, *arguments):
        user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        flags = ["--resolver", harness.RESOLVER, "--origin-roots", self.world.root_certificate]
        return self.world.host.command(*user, f"{self.programs}/sallyport", "run", *flags, *arguments)

    def environment(self):
        environment = {key: value for key, value in self.world.environment().items() if not key.startswith("SALLYPORT_")}
        return {**environment, "HOME": self.home, "XDG_RUNTIME_DIR": self.home}

    def run_command(self, *arguments, **options):
        return harness.run(*self.command(*arguments), check=False, env=self.environment(), cwd=self.home, **options)

    def shell(self, script, *flags):
        return self.run_command(*flags, "--", "sh", "-c", script)

    def test_http_https_and_what_is_denied(self):
        script = ("curl -sS http://good.test/a; curl -sS https://good.test/b; "
                  "curl -s -o /dev/null -w ' %{http_code}' http://evil.test/ --resolve evil.test:80:203.0.113.10; "
                  "curl -s -o /dev/null -w ' %{http_code}' https://evil.test/ --resolve evil.test:443:203.0.113.10")
        result = self.shell(script, "--allow", "good.test", "--intercept-https")
        self.assertEqual(result.stdout, "origin good.test /aorigin good.test /b 520 520", result)
        self.assertEqual(result.stderr, "")

    def test_dns(self):
        result = self.shell("getent ahostsv4 good.test | head -1 | cut -d' ' -f1; getent ahostsv4 evil.test || echo refused",
                            "--deny", "evil.test")
        self.assertEqual(result.stdout, "203.0.113.10\nrefused\n", result)

    def test_the_user_stays_who_they_are(self):
        result = self.shell("id -u; id -g; touch file; grep -c . /proc/self/uid_map; grep CapEff /proc/self/status")
        self.assertEqual(result.stdout.split(), [str(USER), str(USER), "1", "CapEff:", "0000000000000000"], result)
        self.assertEqual(os.stat(f"{self.home}/file").st_uid, USER)

    def test_exit_statuses(self):
        for script, status in (("exit 7", 7), ("kill -TERM $$", 143)):
            self.assertEqual(self.shell(script).returncode, status)
        self.assertEqual(self.run_command("--", "/no/such/program").returncode, 127)

    def test_there_is_no_way_around(self):
        """Each of these would be a way out of the network, or to the agent."""
        tries = {
            "another network": "ip link add a type veth peer name b",
            "rules": "nft flush ruleset",
            "raw sockets": "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'",
            "UDP": "/usr/bin/python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); "
                   "s.sendto(b\"x\", (\"203.0.113.10\", 443)); s.recv(1)'",
            "the network of init": "nsenter --net=/proc/1/ns/net true",
            "mounts": "umount /run || umount /etc/resolv.conf",
            "its own user namespace": "unshare --user --map-root-user --mount sh -c 'umount /run'",
            "the network from a user namespace of its own": "unshare --user --map-root-user nft flush ruleset",
            "the agent's process": "pgrep sallyport-agent",
            "the agent's files": f"find {self.home} /run /tmp -name agent.sock -o -name ca.key -o -name controlplane.sock 2>/dev/null | grep .",
            "tracing init": "/usr/bin/python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0 and 0 or 1)'",
        }
        for what, script in tries.items():
            result = self.shell(script + " && echo a-way-out", "--allow", "good.test")
            self.assertNotIn("a-way-out", result.stdout, what)
            self.assertNotEqual(result.returncode, 125, (what, result.stderr))
        result = self.shell("nft flush ruleset 2>/dev/null; kill -9 1 2>/dev/null; curl -s http://good.test/still", "--allow", "good.test")
        self.assertEqual(result.stdout, "origin good.test /still", result)
        result = self.shell("ls -A /run; ls /proc | grep -c '^[0-9]'; ip -o link | wc -l")
        self.assertEqual(result.stdout.split()[-1], "1", "links: lo")

    def test_the_proxy_has_no_rights(self):
        process = subprocess.Popen(self.command("--allow", "good.test", "--", "sh", "-c", "echo ready; cat"), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, env=self.environment(), cwd=self.home)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        proxies = [pid for pid in harness.run("pgrep", "-x", "sallyport-proxy").stdout.split()
                   if f"Uid:\t{USER}\t{USER}" in harness.read_text(f"/proc/{pid}/status")]
        self.assertEqual(len(proxies), 1)
        status = harness.read_text(f"/proc/{proxies[0]}/status")
        for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
            self.assertIn(line, status)
        self.assertEqual(os.listdir(f"/proc/{proxies[0]}/root"), [])
        process.stdin.close()
        self.assertEqual(process.wait(20), 0)

    def test_nothing_is_left(self):
        self.shell("true", "--allow", "good.test")
        self.assertEqual(glob.glob(f"{self.home}/sallyport-run-*"), [])
        process = subprocess.Popen(self.command("--", "sh", "-c", "echo ready; while :; do sleep 0.05; done # rootless-marker"),
                                   stdout=subprocess.PIPE, text=True, env=self.environment(), cwd=self.home)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.kill()
        process.wait()
        eventually(lambda: not harness.run("pgrep", "-u", str(USER), "-f", "rootless-marker|sallyport-(agent|proxy)", check=False).stdout,
                   10, "everything ends with `run`")
        self.shell("true")
        self.assertEqual(glob.glob(f"{self.home}/sallyport-run-*"), [], "the next one removes what a killed one left")

    def test_audit(self):
        result = self.shell("curl -s http://good.test/a", "--allow", "good.test", "--verbose", "--audit", f"{self.home}/audit.jsonl")
        self.assertRegex(result.stderr, r"egress  GET  http://good\.test/a +200")
        self.assertEqual(json.loads(harness.read_text(f"{self.home}/audit.jsonl").splitlines()[-1])["host"], "good.test")

    def test_a_kernel_that_forbids_it_is_named(self):
        # In a user namespace around, where the number of those below is that one's own to set.
        script = ("import os, sys\n"
                  "ready, go = os.pipe(), os.pipe()\n"
                  "child = os.fork()\n"
                  "if child == 0:\n"
                  "    os.system('true')\n"
                  "    import ctypes\n"
                  "    assert ctypes.CDLL(None).unshare(0x10000000) == 0\n"
                  "    os.write(ready[1], b'x'); os.read(go[0], 1)\n"
                  "    open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
                  f"    os.setgroups([]); os.setresgid({USER}, {USER}, {USER}); os.setresuid({USER}, {USER}, {USER})\n"
                  "    os.execv(sys.argv[1], sys.argv[1:])\n"
                  "os.read(ready[0], 1)\n"
                  "for name in ('uid_map', 'gid_map'):\n"
                  f"    open(f'/proc/{{child}}/{{name}}', 'w').write('0 0 1\\n{USER} {USER} 1\\n')\n"
                  "os.write(go[1], b'x')\n"
                  "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n")
        result = harness.run("/usr/bin/python3", "-c", script, f"{self.programs}/sallyport", "run", "--", "true", check=False,
                             env=self.environment())
        self.assertEqual(result.returncode, 125, result)
        self.assertIn("sysctl user.max_user_namespaces is 0", result.stderr)


if __name__ == "__main__":
    unittest.main()
