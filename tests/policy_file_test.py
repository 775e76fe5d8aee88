"""Policy as files, by the real `sallyport` against a real `sallyportd`: apply, diff, export, explain, watch, suggest."""

import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import binary, run

POLICY = """\
handlers:
  gh: { endpoint: "grpc://127.0.0.1:7070", timeout: 5s, holds_secrets: true }
  kv: { endpoints: ["grpc://127.0.0.1:7071", "grpc://[::1]:7071"], timeout: 250ms, on_failure: egress }
classes:
  agent:
    enable_internet: false
    intercept_https: true
    monitor: true
    allowed_hosts: ["*.pkgs.example", github.com, my.kv, Bücher.example]
    denied_hosts: ["198.51.100.0/24"]
    outbound_by_host:
      - { host: github.com, handler: gh, params: { scope: "repo:read", n: [1, 2.5, null, "7", no] } }
      - { host: "*.kv", handler: kv, params: {} }
    outbound: kv
    outbound_handlers: [gh, kv]
    tls_passthrough_hosts: ["*.bank.example"]
    deny_response: { status: 451, content_type: text/html, body: "<p>no\\n" }
    http_ports: [80, 443, 8080]
  nothing: { allowed_hosts: [] }
containers:
  web-1:
    class: agent
    enable_internet: true
    allowed_hosts: { added: [a.example], removed: [my.kv] }
    denied_hosts: []
    outbound_by_host: [{ host: api.example, handler: gh }]
    outbound: { handler: kv, params: { b: 1, a: true } }
    intercepts: [{ scheme: https, target: "*", handler: kv }, { scheme: http, target: 203.0.113.7, handler: gh }]
  web-2: { class: nothing, allowed_hosts: [x.example] }
"""


class ControlPlane:
    """A sallyportd with an empty store, and the CLI to talk to it."""

    def __init__(self, test):
        folder = tempfile.TemporaryDirectory(prefix="sallyport-test-")
        test.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.address = f"unix:{self.dir}/cp.sock"
        self.process = subprocess.Popen(
            [binary("sallyportd"), "--state-dir", f"{self.dir}/state", "--listen", self.address],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        test.addCleanup(self.stop)
        line = self.process.stdout.readline()
        if "listening on" not in line:
            raise RuntimeError(line + self.process.stdout.read())

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def command(self, *arguments):
        return [binary("sallyport"), *arguments, "--control-plane", self.address]

    def cli(self, *arguments, exit=0, stdin=None):
        result = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, input=stdin)
        if result.returncode != exit:
            raise AssertionError(f"{arguments}: exit {result.returncode}, not {exit}\n{result.stdout}{result.stderr}")
        return result

    def json(self, *arguments, **options):
        return json.loads(self.cli(*arguments, "--json", **options).stdout)

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class PolicyFileTest(unittest.TestCase):
    def setUp(self):
        self.plane = ControlPlane(self)
        self.policy = self.plane.file("policy.yaml", POLICY)

    def apply(self, *arguments, **options):
        return self.plane.cli("apply", "--wait", "stored", *arguments, **options)

    def test_apply_says_what_it_did_and_twice_changes_nothing(self):
        out = self.apply("-f", self.policy).stdout
        self.assertRegex(out, r"(?m)^handler gh +created$")
        self.assertRegex(out, r"(?m)^class agent +created$")
        self.assertRegex(out, r"(?m)^container web-1 +created$")
        self.assertRegex(out, r"6 changed, 0 unchanged   revision \d+")
        before = self.plane.json("apply", "-f", self.policy)
        self.assertEqual({change["kind"] for change in before["changes"]}, {"UNCHANGED"})
        out = self.apply("-f", self.policy).stdout
        self.assertEqual(out, f"nothing changed, 6 unchanged   revision {before['result']['revision']}\n")

    def test_stdin_and_several_files(self):
        other = self.plane.file("other.yaml", "classes: { other: {} }")
        out = self.apply("-f", "-", "-f", other, stdin="classes: { piped: {} }").stdout
        self.assertIn("class piped  created\nclass other  created\n", out)
        again = self.apply("-f", other, "-f", other, exit=2)
        self.assertIn(f"{other}:1:12: the class other is in {other}:1:12 already", again.stderr)

    def test_all_or_nothing(self):
        bad = self.plane.file("bad.yaml", "classes:\n  good: {}\n  bad:\n    outbound_by_host:\n"
                              "      - { host: a.example, handler: h }\ncontainers:\n"
                              "  c: { class: good, outbound: { handler: nowhere } }\n")
        result = self.apply("-f", bad, exit=1)
        self.assertIn("NOT_FOUND", result.stderr)
        self.assertIn(f"{bad}:7:", result.stderr)
        self.assertEqual(self.plane.json("class", "list")["classes"], [])

    def test_a_bad_file_is_refused_with_places_before_anything_is_sent(self):
        bad = self.plane.file("bad.yaml", "classes:\n  a:\n    allowed_hosts: [https://x.com]\n    enable_internet: on\n")
        result = self.apply("-f", bad, exit=2)
        self.assertRegex(result.stderr, rf"{bad}:3:21: allowed_hosts\[0\]: .*\n{bad}:4:22: expected true or false")
        self.assertEqual(self.plane.cli("diff", "-f", bad, exit=2).stderr, result.stderr)
        self.assertEqual(self.plane.json("class", "list")["classes"], [])

    def test_diff_shows_what_apply_would_change_and_changes_nothing(self):
        self.assertIn("+++ class agent", self.plane.cli("diff", "-f", self.policy, exit=1).stdout)
        self.assertEqual(self.plane.json("class", "list")["classes"], [])
        self.apply("-f", self.policy)
        self.assertEqual(self.plane.cli("diff", "-f", self.policy, exit=0).stdout, "")
        changed = self.plane.file("changed.yaml", POLICY.replace("[x.example]", "[x.example, y.example]"))
        out = self.plane.cli("diff", "-f", changed, exit=1).stdout
        self.assertRegex(out, r"^--- container web-2, revision \d+\n\+\+\+ container web-2, as in the file\n@@ ")
        self.assertIn("\n   - x.example\n+  - y.example\n", out)
        self.assertNotIn("web-1", out)
        self.plane.json("diff", "-f", changed, exit=1)
        moved = self.plane.file("moved.yaml", "containers: { web-1: { class: nothing } }")
        self.assertIn("FAILED_PRECONDITION", self.plane.cli("diff", "-f", moved, exit=2).stderr)

    def test_the_export_makes_the_same_policy(self):
        self.apply("-f", self.policy)
        exported = self.plane.cli("export").stdout
        self.assertIn("xn--bcher-kva.example", exported)
        copy = ControlPlane(self)
        copy.cli("apply", "--wait", "stored", "-f", "-", stdin=exported)
        self.assertEqual(copy.cli("export").stdout, exported)
        self.assertEqual(copy.json("export"), self.plane.json("export"))
        self.assertEqual(self.plane.cli("diff", "-f", "-", stdin=exported).stdout, "")

    def test_an_empty_store_exports_a_policy_file(self):
        exported = self.plane.cli("export").stdout
        self.assertEqual(exported, "classes: {}\n")
        self.apply("-f", "-", stdin=exported)

    def test_export_of_a_part_stands_alone(self):
        self.apply("-f", self.policy)
        part = self.plane.json("export", "--class", "nothing")
        self.assertEqual([c["containerId"] for c in part["containers"]], ["web-2"])
        self.assertEqual(part["handlers"], [])
        for arguments in (("--class", "agent"), ("--container", "web-1")):
            copy = ControlPlane(self)
            copy.cli("apply", "--wait", "stored", "-f", "-", stdin=self.plane.cli("export", *arguments).stdout)
            self.assertEqual(copy.json("export"), self.plane.json("export", *arguments))
        self.assertIn("NOT_FOUND", self.plane.cli("export", "--class", "none", exit=1).stderr)

    def test_export_pages_through_many_containers(self):
        text = "classes: { c: {} }\ncontainers:\n" + "".join(f"  c-{i}: {{ class: c }}\n" for i in range(2500))
        self.apply("-f", "-", stdin=text)
        containers = self.plane.json("export")["containers"]
        self.assertEqual([c["containerId"] for c in containers], sorted(f"c-{i}" for i in range(2500)))

    def test_usage_and_reach(self):
        for command in ("apply", "diff", "export", "explain", "watch", "container watch", "suggest", "audit tail"):
            words = command.split()
            result = run(binary("sallyport"), *words, "--help")
            self.assertIn(f"sallyport {command}", result.stdout)
            self.assertIn("xample", result.stdout)
            self.assertEqual(run(binary("sallyport"), *words, "--no-such-flag", check=False).returncode, 2, command)
        nowhere = ("--control-plane", f"unix:{self.plane.dir}/nobody.sock")
        for words in (("apply", "-f", self.policy), ("diff", "-f", self.policy), ("export",), ("watch",),
                      ("explain", "web-1", "http://a.example/")):
            self.assertEqual(run(binary("sallyport"), *words, *nowhere, check=False).returncode, 3, words)

    def test_a_control_plane_that_says_nothing(self):
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(f"{self.plane.dir}/silent.sock")
            silent.listen()
            address = f"unix:{self.plane.dir}/silent.sock"
            commands = [subprocess.Popen([binary("sallyport"), *words, "--control-plane", address], stderr=subprocess.PIPE, text=True)
                        for words in (("class", "list"), ("explain", "web-1", "http://a.example/"))]
            for command in commands:
                _, error = command.communicate(timeout=60)
                self.assertEqual(command.returncode, 3, error)
                self.assertIn(f"cannot reach the control plane at {address}", error)


class ExplainTest(unittest.TestCase):
    def setUp(self):
        self.plane = ControlPlane(self)
        self.plane.cli("apply", "--wait", "stored", "-f", "-", stdin=POLICY.replace("monitor: true", "monitor: false"))

    def test_names_the_step_that_decides(self):
        out = self.plane.cli("explain", "--class", "agent", "https://github.com/x").stdout
        self.assertIn('-> handler gh {"', out)
        self.assertIn("decided by step 4", out)
        self.assertRegex(out, r"(?m)^ *> +4 ")
        answer = self.plane.json("explain", "web-2", "http://y.example/", "--method", "POST")
        self.assertEqual((answer["decision"], answer["reason"]), ("deny", "not_allowed"))
        self.assertEqual([step["number"] for step in answer["steps"] if step["decides"]], [2])

    def test_addresses(self):
        answer = self.plane.json("explain", "--class", "agent", "https://a.pkgs.example/", "--dialled", "198.51.100.4")
        self.assertEqual(answer["reason"], "denied_host")
        answer = self.plane.json("explain", "web-2", "http://x.example/", "--resolved", "10.0.0.1")
        self.assertEqual(answer["reason"], "forbidden_address")

    def test_wrong_questions(self):
        self.plane.cli("explain", "web-1", exit=2)
        self.assertIn("NOT_FOUND", self.plane.cli("explain", "none", "http://a.example/", exit=1).stderr)
        self.assertIn("INVALID_ARGUMENT", self.plane.cli("explain", "web-1", "ftp://a.example/", exit=1).stderr)


class WatchTest(unittest.TestCase):
    def setUp(self):
        self.plane = ControlPlane(self)

    def watch(self, *arguments):
        process = subprocess.Popen(self.plane.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close()))
        return process

    def read_to(self, process, part, seconds=20):
        text = ""
        while part not in text:
            if not select.select([process.stdout], [], [], seconds)[0]:
                raise TimeoutError(f"{part!r} not in {text!r}")
            piece = os.read(process.stdout.fileno(), 65536).decode()
            if not piece:
                raise EOFError(text)
            text += piece
        return text

    def test_prints_what_there_is_and_each_change_until_ctrl_c(self):
        self.plane.cli("class", "apply", "c")
        process = self.watch("watch")
        self.assertIn("class c ", self.read_to(process, "changes follow"))
        self.plane.cli("container", "create", "web-1", "--class", "c")
        self.read_to(process, "container web-1 ")
        self.plane.cli("allow-host", "web-1", "a.example", "--wait", "stored")
        self.read_to(process, "allowed hosts of its own")
        self.plane.cli("container", "delete", "web-1")
        self.read_to(process, "container web-1   deleted")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20), 0)

    def test_one_container_as_json(self):
        self.plane.cli("apply", "--wait", "stored", "-f", "-", stdin=POLICY)
        process = self.watch("container", "watch", "web-2", "--json")
        lines = [json.loads(line) for line in self.read_to(process, '"inSync"').splitlines()]
        names = [line["updated"].get("container", {}).get("containerId") for line in lines if "updated" in line]
        self.assertIn("web-2", names)
        self.assertNotIn("web-1", names)

    def test_the_end_of_the_control_plane_is_an_error(self):
        process = self.watch("watch")
        self.read_to(process, "changes follow")
        self.plane.process.kill()
        self.assertIn(process.wait(20), (1, 3))


class SuggestTest(unittest.TestCase):
    def setUp(self):
        self.plane = ControlPlane(self)
        lines = [self.record(f"{name}.pkgs.example") for name in ("a", "b", "c")]
        lines += [self.record("github.com", wouldDeny="not_allowed", containerId="web-2"),
                  self.record("no.example", decision="deny", reason="not_allowed"),
                  self.record("bad.example", decision="deny", reason="denied_host"), self.record("x.example", className="other"),
                  "no record"]
        self.audit = self.plane.file("audit.jsonl", "\n".join(lines) + '\n{"className":"agent","host":"torn.exa')

    @staticmethod
    def record(host, decision="egress", **fields):
        return json.dumps({"containerId": "web-1", "className": "agent", "host": host, "decision": decision, **fields})

    def suggest(self, *arguments, **options):
        return self.plane.cli("suggest", "--class", "agent", "--audit", self.audit, *arguments, **options)

    def test_keeps_the_class_and_covers_what_was_seen(self):
        self.plane.cli("apply", "--wait", "stored", "-f", "-", stdin=POLICY)
        result = self.suggest()
        self.assertIn("1 lines are no audit records", result.stderr)
        self.assertIn("1 records were cut off", result.stderr)
        self.assertIn("--denied puts them in: no.example", result.stderr)
        diff = self.plane.cli("diff", "-f", "-", stdin=result.stdout, exit=1).stdout
        self.assertIn("\n-  - \"*.pkgs.example\"\n", diff)
        changed = [line for line in diff.splitlines() if line[0] in "+-" and not line.startswith(("+++", "---"))]
        self.assertTrue(all("  - " in line for line in changed), changed)
        self.plane.cli("apply", "--wait", "stored", "-f", "-", stdin=result.stdout)
        stored = self.plane.json("class", "get", "agent")["class"]
        self.assertEqual(stored["allowedHosts"]["hosts"],
                         ["github.com", "a.pkgs.example", "b.pkgs.example", "c.pkgs.example"])

    def test_offline_generalised(self):
        out = self.suggest("--offline", "--generalise").stdout
        self.assertEqual(out, "# 4 hosts in 6 records\nclasses:\n  agent:\n    allowed_hosts:\n      - github.com\n"
                         '      - "*.pkgs.example"  # 3 seen: a.pkgs.example, b.pkgs.example, c.pkgs.example\n')

    def test_filters(self):
        hosts = self.plane.json("suggest", "--class", "agent", "--audit", self.audit, "--offline", "--container", "web-2")
        self.assertEqual(hosts["classes"][0]["allowedHosts"]["hosts"], ["github.com"])
        self.assertIn("no.example", self.suggest("--offline", "--denied").stdout)
        self.assertNotIn("bad.example", self.suggest("--offline", "--denied").stdout)

    def test_nothing_seen_is_no_list(self):
        result = self.plane.cli("suggest", "--class", "none", "--audit", self.audit, "--offline", exit=1)
        self.assertEqual(result.stdout, "")
        self.plane.cli("suggest", "--class", "agent", "--audit", "/none.jsonl", exit=2)

    def test_without_a_control_plane(self):
        self.plane.process.kill()
        self.plane.process.wait()
        self.assertIn("--offline", self.suggest(exit=3).stderr)
        with open(self.audit, encoding="utf-8") as file:
            piped = self.plane.cli("suggest", "--class", "agent", "--audit", "-", "--offline", stdin=file.read())
        self.assertIn("github.com", piped.stdout)


class AuditTailTest(unittest.TestCase):
    def test_follows_through_rotation(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "audit.jsonl")

            def write(host, decision="egress"):
                with open(path, "a", encoding="utf-8") as file:
                    file.write(SuggestTest.record(host, decision, time="2025-11-28T12:01:07.113Z", scheme="http", port=80,
                                                  method="GET", path="/x") + "\n")

            write("one.example")
            write("two.example", "deny")
            once = run(binary("sallyport"), "audit", "tail", "--audit", path, "--follow=false")
            self.assertRegex(once.stdout, r"egress +GET +http://one.example/x.* web-1\n.*deny +GET +http://two.example/x")
            process = subprocess.Popen([binary("sallyport"), "audit", "tail", "--audit", path, "--denied", "--json"],
                                       stdout=subprocess.PIPE, text=True)
            try:
                self.assertEqual(json.loads(process.stdout.readline())["host"], "two.example")
                os.rename(path, path + ".1")
                write("three.example")
                write("four.example", "deny")
                self.assertEqual(json.loads(process.stdout.readline())["host"], "four.example")
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(20), 0)
            finally:
                process.kill()
                process.wait()
                process.stdout.close()


if __name__ == "__main__":
    unittest.main()
