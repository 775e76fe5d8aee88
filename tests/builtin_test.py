"""Built-in handlers: what the proxy does by itself, and secrets that arrive at the origin and are nowhere else."""

import base64
import json
import os
import signal
import stat
import unittest

from harness import World, binary, eventually, run

NAMES = {"a.test": "203.0.113.10", "b.test": "203.0.113.10", "in.test": "198.51.100.4"}
ORIGIN = "203.0.113.10"
# Each is looked for in all that is written.
FILE_TOKEN, ENV_TOKEN, SEALED_TOKEN = "file-5ecret-3d1c", "env-5ecret-77ab", "sealed-5ecret-e09f"
TOKENS = (FILE_TOKEN, ENV_TOKEN, SEALED_TOKEN)

TRICKS = ["/v1/../admin", "/v1/./x", "/v1/..", "/v1//admin", "//v1/x", "/v1/%2e%2e/admin", "/v1/.%2E/admin", "/v1/%2fadmin",
          "/v1/..%2fadmin", "/v1/%5c..%5cadmin", "/v1\\..\\admin", "/v1/..;/admin", "/v1/..;x=1/admin", "/v1/%252e%252e/admin",
          "/v1/%c0%ae%c0%ae/admin", "/v1/%00", "/v1/a%0d%0ax", "/v1/%", "/v1/%zz", "/v1x", "/admin", "/admin?/v1/x", "/"]


class BuiltinWorld(World):
    def environment(self):
        return super().environment() | {"BUILTIN_TOKEN": ENV_TOKEN}

    def make_certificates(self):
        super().make_certificates()
        self.secrets = f"{self.dir}/secrets"
        os.mkdir(self.secrets, 0o700)
        self.write_secret("token", FILE_TOKEN + "\n")
        self.agent_flags += ["--secrets-dir", self.secrets]

    def write_secret(self, name, text):
        """By a rename, as whoever rotates secrets does it."""
        beside = f"{self.secrets}/.{name}"
        with open(beside, "w", encoding="ascii") as file:
            file.write(text)
        os.rename(beside, f"{self.secrets}/{name}")

    def register(self, name, **builtin):
        return self.api.enforced("RegisterHandler", handler={"name": name, "builtin": builtin})

    def rule(self, container, host, handler):
        return self.api.enforced("SetOutboundByHost", containerId=container.id, host=host, handler=handler)

    def set_secret(self, name, value):
        return self.api.call("SetSecret", name=name, value=base64.b64encode(value.encode()).decode())

    def written(self):
        """All that agent, proxy and control plane have written, by file."""
        paths = [f"{self.dir}/{name}" for name in ("audit.jsonl", "agent.log", "sallyportd.log")]
        for folder in ("agent", "controlplane", "run"):
            for root, _, files in os.walk(f"{self.dir}/{folder}"):
                paths += [os.path.join(root, name) for name in files]
        contents = {}
        for path in paths:
            if stat.S_ISREG(os.stat(path).st_mode):
                with open(path, "rb") as file:
                    contents[path] = file.read()
        return contents


class BuiltinCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = BuiltinWorld(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.api.call("ApplyClass", **{"class": {"name": "open", "interceptHttps": True}})
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.container = self.world.container("open", f"c-{self.number}")
        self.addCleanup(self.container.close)
        self.handler = f"h-{self.number}"

    def use(self, host="a.test", **builtin):
        """A handler of these fields stands in the way to the host."""
        # Unattached handlers are enforced nowhere.
        self.world.api.call("RegisterHandler", handler={"name": self.handler, "builtin": builtin})
        self.world.rule(self.container, host, self.handler)

    def get(self, path="/", *options, host="a.test", scheme="http", container=None):
        return (container or self.container).curl(f"{scheme}://{host}{path}", "--path-as-is", *options, address=ORIGIN)

    def await_record(self, detail="", **fields):
        """Until the container's last record is such a one: it is written after the answer."""
        def matches():
            records = [line for line in self.world.audit.all() if line["containerId"] == self.container.id]
            return records and detail in records[-1].get("detail", "") and fields.items() <= records[-1].items()

        eventually(matches, what=f"a record with {fields} and {detail!r}")

    def sent(self, action):
        """What the origins got by it."""
        before = len(self.world.origin_requests())
        response = action()
        return response, self.world.origin_requests()[before:]

    def headers_sent(self, *arguments, **options):
        response, requests = self.sent(lambda: self.get(*arguments, **options))
        self.assertEqual(response.status, 200, response)
        self.assertEqual(len(requests), 1)
        return {name.lower(): value for name, value in requests[0]["headers"]}

    def assert_refused(self, response, requests, status, reason):
        self.assertEqual((response.status, response.reason), (status, reason), response)
        self.assertEqual(requests, [])
        self.await_record(decision="handler", handler=self.handler, reason=reason, status=status)


class WhatItDoesTest(BuiltinCase):
    def test_methods(self):
        self.use(allowMethods=["GET", "HEAD"])
        for scheme in ("http", "https"):
            self.assertEqual(self.get("/x", scheme=scheme).body, "origin a.test /x")
            self.assertEqual(self.get("/x", "--head", scheme=scheme).status, 200)
            for method in ("POST", "DELETE", "get", "PROPFIND"):
                response, requests = self.sent(lambda: self.get("/x", "-X", method, scheme=scheme))
                self.assert_refused(response, requests, 405, "method_not_allowed")
                self.assertEqual(response.headers["allow"], "GET, HEAD")
        self.assertEqual(self.get("/permitted").status, 200)
        self.await_record(decision="handler", handler=self.handler, path="/permitted", status=200)

    def test_a_refused_upload_leaves_the_connection_in_order(self):
        self.use(allowMethods=["GET"])
        with self.container.connect(ORIGIN, 80) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello"
                               b"GET /after HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
            received = b""
            while data := connection.recv(65536):
                received += data
        self.assertTrue(received.startswith(b"HTTP/1.1 405 "), received)
        self.assertTrue(received.endswith(b"origin a.test /after"), received)

    def test_paths_and_their_tricks(self):
        self.use(allowPaths=["/v1/**", "/health"])
        for path in ("/v1/a/b?x=../y", "/v1", "/v1/%61", "/health"):
            response, requests = self.sent(lambda: self.get(path))
            self.assertEqual((response.status, [request["path"] for request in requests]), (200, [path]))
        for trick in TRICKS:
            with self.subTest(trick):
                # Raw, since a client may tidy it up.
                answer, requests = self.sent(lambda: self.container.raw(
                    ORIGIN, 80, f"GET {trick} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n".encode()))
                self.assertRegex(answer, rb"^HTTP/1.1 (403|400) ")
                self.assertEqual(requests, [])
                if trick.isascii() and "\\" not in trick:
                    over_h2, requests = self.sent(lambda: self.get(trick, "--http2", scheme="https"))
                    self.assertIn(over_h2.status, (400, 403), over_h2)
                    self.assertEqual(requests, [])

    def test_headers(self):
        self.use(setHeaders=[{"name": "X-Team", "value": "core"}], removeHeaders=["cookie", "x-debug"])
        headers = self.headers_sent("/", "-H", "x-team: evil", "-H", "X_Team: evil", "-H", "Cookie: a=b", "-H", "x-debug: 1", "-H", "x-keep: yes")
        self.assertEqual((headers["x-team"], headers["x-keep"]), ("core", "yes"))
        self.assertFalse({"cookie", "x-debug", "x_team"} & set(headers))

    def test_another_host_over_tls_and_another_path(self):
        self.use("virtual.test", authority="in.test:8443", scheme="https", stripPathPrefix="/api", addPathPrefix="/v2")
        response, requests = self.sent(lambda: self.get("/api/x?y", host="virtual.test"))
        self.assertEqual(response.body, "origin in.test:8443 /v2/x?y")
        self.assertEqual([(r["tls"], r["local"], r["host"]) for r in requests], [(True, "198.51.100.4", "in.test:8443")])
        response, requests = self.sent(lambda: self.get("/other", host="virtual.test"))
        self.assert_refused(response, requests, 403, "path_not_allowed")

    def test_what_it_forwards_is_policed(self):
        self.use(authority="in.test")
        self.world.api.enforced("DenyHost", containerId=self.container.id, host="in.test")
        response, requests = self.sent(self.get)
        self.assertEqual((response.reason, requests), ("handler_failed", []))
        self.use(authority="169.254.169.254")
        self.assertEqual(self.get().reason, "handler_failed")

    def test_fixed_answers(self):
        self.use(respond={"status": 418, "headers": [{"name": "x-a", "value": "b"}], "body": "short and stout"})
        response, requests = self.sent(lambda: self.get("/", "-d", "body"))
        self.assertEqual((response.status, response.headers["x-a"], response.headers["content-type"], response.body, requests),
                         (418, "b", "text/plain", "short and stout", []))
        self.assertEqual(self.get("/", "--head").headers["content-length"], "15")
        self.await_record(decision="handler", handler=self.handler, status=418)
        self.use(respond={"status": 204})
        self.assertEqual(self.get().status, 204)

    def test_redirects(self):
        self.use(redirect={"location": "https://{host}{path}{query}", "status": 308})
        response, requests = self.sent(lambda: self.get("/a?b=c"))
        self.assertEqual((response.status, response.headers["location"], requests), (308, "https://a.test/a?b=c", []))

    def test_the_rate_is_each_containers_own(self):
        self.use(rateLimit={"requestsPerSecond": 0.01, "burst": 3})
        other = self.world.container("open", f"{self.container.id}-other")
        self.addCleanup(other.close)
        self.world.rule(other, "a.test", self.handler)
        # Over connections of their own, so that both workers have some.
        self.assertEqual([self.get().status for _ in range(3)], [200] * 3)
        response, requests = self.sent(self.get)
        self.assert_refused(response, requests, 429, "rate_limited")
        self.assertTrue(90 <= int(response.headers["retry-after"]) <= 100, response.headers)
        self.assertEqual(self.get(container=other).status, 200)
        self.assertEqual(self.get(host="b.test").status, 200)

    def test_explain_says_what_it_would_do(self):
        self.use(allowMethods=["GET"], authority="in.test", setHeaders=[{"name": "x-key", "secret": {"env": "BUILTIN_TOKEN"}}])
        text = self.world.cli_text("explain", self.container.id, "http://a.test/x")
        self.assertIn("built in: the proxy forwards to http://in.test/x, with x-key from env BUILTIN_TOKEN", text)
        self.assertNotIn(ENV_TOKEN, text)
        text = self.world.cli_text("explain", self.container.id, "http://a.test/x", "--method", "POST")
        self.assertIn("answers 405 method_not_allowed: only GET is allowed", text)

    def test_the_cli_and_policy_files_have_it(self):
        self.world.cli("handler", "register", "from-cli", "--builtin", '{"allow_methods": ["GET"], "set_headers": {"x-a": {"env": "BUILTIN_TOKEN"}}}')
        text = self.world.cli_text("handler", "get", "from-cli")
        self.assertIn("from-cli   builtin: allow_methods, set_headers", text)
        exported = self.world.cli_text("export")
        self.assertNotIn(ENV_TOKEN, text + exported)
        path = f"{self.world.dir}/policy.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(exported)
        self.assertEqual(self.world.host_run(binary("sallyport"), "diff", "-f", path).returncode, 0)
        wrong = self.world.cli_result("handler", "register", "wrong", "--builtin", "{allow_method: [GET]}")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("did you mean `allow_methods`?", wrong.stderr)
        wrong = self.world.cli_result("handler", "register", "wrong", "--builtin", "{allow_methods: [get]}")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("handler.builtin.allow_methods[0]: \"get\" is matched as it is; write GET", wrong.stderr)


class SecretsTest(BuiltinCase):
    def bearer(self, **reference):
        return {"setHeaders": [{"name": "Authorization", "prefix": "Bearer ", "secret": reference}]}

    def assert_failed(self, detail):
        response, requests = self.sent(self.get)
        self.assertEqual((response.status, response.reason, requests), (502, "handler_failed", []), response)
        self.await_record(detail, decision="error", handler=self.handler)

    def test_it_arrives_and_is_nowhere_else(self):
        self.assertIn(self.world.set_secret("github", SEALED_TOKEN)["enforcement"], ("ENFORCED", "NOT_ATTACHED"))
        for token, reference in ((FILE_TOKEN, {"file": "token"}), (FILE_TOKEN, {"file": f"{self.world.secrets}/token"}),
                                 (ENV_TOKEN, {"env": "BUILTIN_TOKEN"}), (SEALED_TOKEN, {"secret": "github"})):
            with self.subTest(reference):
                self.use(**self.bearer(**reference))
                headers = self.headers_sent("/", "-H", "Authorization: Bearer mine", scheme="https")
                self.assertEqual(headers["authorization"], f"Bearer {token}")
                # Its answer would be the token.
                response, requests = self.sent(lambda: self.get("/", "-X", "TRACE"))
                self.assertEqual((response.status, requests), (405, []))
        self.use(setHeaders=[{"name": "authorization", "basicUser": "me", "secret": {"secret": "github"}}])
        basic = base64.b64encode(f"me:{SEALED_TOKEN}".encode()).decode()
        self.assertEqual(self.headers_sent()["authorization"], f"Basic {basic}")

        said = json.dumps([self.world.api.call(method) for method in ("ListHandlers", "ListSecrets", "ListClasses")])
        said += self.world.cli_text("export") + self.world.cli_text("handler", "get", self.handler) + self.world.cli_text("secret", "list")
        said += self.world.cli_text("explain", self.container.id, "http://a.test/")
        said += self.container.run("env").stdout + self.container.run("cat", "/proc/self/environ").stdout
        contents = self.world.written() | {"what was said": said.encode()}
        self.assertTrue(any("controlplane.db" in path for path in contents))
        for token in TOKENS:
            for form in (token, basic, base64.b64encode(token.encode()).decode().rstrip("=")):
                self.assertEqual([path for path, content in contents.items() if form.encode() in content], [], form)

    def test_a_secret_that_is_not_there_lets_nothing_out(self):
        self.use(**self.bearer(file="none"))
        self.assert_failed("file none cannot be read: No such file or directory")
        self.use(**self.bearer(file="../agent.log"))
        self.assert_failed("file ../agent.log leads out of ")
        self.use(**self.bearer(file="/etc/hostname"))
        self.assert_failed("file /etc/hostname is not below ")
        self.use(**self.bearer(env="BUILTIN_NONE"))
        self.assert_failed("env BUILTIN_NONE is not in the agent's environment")
        self.use(**self.bearer(secret="none"))
        self.assert_failed("secret none is not in the control plane's store")
        # Enforced when it is answered.
        self.assertEqual(self.world.set_secret("none", "at-last")["enforcement"], "ENFORCED")
        self.assertEqual(self.headers_sent()["authorization"], "Bearer at-last")
        self.world.set_secret("none", "anew")
        self.assertEqual(self.headers_sent()["authorization"], "Bearer anew")
        self.assertEqual(self.world.api.call("DeleteSecret", name="none")["enforcement"], "ENFORCED")
        self.assert_failed("secret none is not in the control plane's store")

    def test_a_file_that_changes(self):
        self.world.write_secret("rotated", "one")
        self.use(**self.bearer(file="rotated"))
        self.assertEqual(self.headers_sent()["authorization"], "Bearer one")
        self.world.write_secret("rotated", "two")
        eventually(lambda: self.headers_sent()["authorization"] == "Bearer two", what="the new token")
        os.unlink(f"{self.world.secrets}/rotated")
        eventually(lambda: self.get().status == 502, what="no token")
        self.assert_failed("file rotated cannot be read")

    def test_the_cli_takes_it_from_stdin_and_never_gives_it_back(self):
        command = self.world.host.command(binary("sallyport"), "secret", "set", "from-cli")
        result = run("sh", "-c", 'printf "%s\\n" "$1" | { shift; "$@"; }', "sh", "typed-5ecret", *command, env=self.world.environment())
        self.assertIn("secret from-cli", result.stdout)
        self.use(**self.bearer(secret="from-cli"))
        self.assertEqual(self.headers_sent()["authorization"], "Bearer typed-5ecret")
        self.assertIn("from-cli   revision", self.world.cli_text("secret", "list"))
        wrong = run("sh", "-c", 'printf "a\\nb" | "$@"', "sh", *command, check=False, env=self.world.environment())
        self.assertEqual(wrong.returncode, 2)
        self.world.cli("secret", "delete", "from-cli")
        self.assert_failed("secret from-cli")


class RestartTest(BuiltinCase):
    def test_restarts(self):
        world = self.world
        world.set_secret("github", SEALED_TOKEN)
        world.api.call("RegisterHandler", handler={"name": "sealed", "builtin": {
            "setHeaders": [{"name": "x-sealed", "secret": {"secret": "github"}}]}})
        world.api.call("RegisterHandler", handler={"name": "file", "builtin": {
            "setHeaders": [{"name": "x-file", "secret": {"file": "token"}}]}})
        world.rule(self.container, "a.test", "sealed")
        world.rule(self.container, "b.test", "file")
        self.check_both()

        pid = world.proxy_pid()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: world.status().get("proxyPid", pid) not in (0, pid), what="a new proxy")
        self.check_both()

        key = f"{world.dir}/controlplane/secrets.key"
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        world.control_plane.kill()
        self.check_both()

        # The agent has it in memory only.
        world.agent.kill()
        world.start_agent(connected=False)
        self.container.attach()
        response = self.get()
        self.assertEqual((response.status, response.reason), (502, "handler_failed"), response)
        self.await_record("secret github is not in the control plane's store, or the control plane has not been heard", handler="sealed")
        self.assertEqual(self.headers_sent(host="b.test")["x-file"], FILE_TOKEN)

        world.start_control_plane()
        eventually(lambda: world.status().get("controlPlaneConnected"), 20, "the agent is connected again")
        eventually(lambda: self.get().status == 200, what="the secret is back")
        self.check_both()

        # Without its key the store is of no use to whoever has it, and the handler lets nothing out.
        world.control_plane.stop()
        os.rename(key, f"{world.dir}/moved.key")
        world.start_control_plane()
        eventually(lambda: world.status().get("controlPlaneConnected"), 20, "the agent is connected again")
        world.agent.kill()
        world.start_agent()
        self.container.attach()
        self.assertEqual(self.get().reason, "handler_failed")
        self.await_record("secret github cannot be decrypted: the control plane's secrets.key is missing", handler="sealed")
        refused = world.cli_result("secret", "set", "other", "--from-file", f"{world.secrets}/token")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("secrets.key", refused.stderr)
        for path, content in world.written().items():
            for token in TOKENS:
                self.assertNotIn(token.encode(), content, path)

    def check_both(self):
        self.assertEqual(self.headers_sent()["x-sealed"], SEALED_TOKEN)
        self.assertEqual(self.headers_sent(host="b.test")["x-file"], FILE_TOKEN)


if __name__ == "__main__":
    unittest.main()
