"""The conformance cases against the whole system: real control plane, real agent, a container, real TLS."""

import json
import os
import socket
import ssl
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness
from harness import World

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json")
HANDLERS = ["by-host-1", "by-host-2", "catch-all", "h", "h1", "h2"]
COMMANDS = {
    "SetOutboundByHost": "set-outbound-by-host", "SetOutboundByHosts": "set-outbound-by-hosts",
    "RemoveOutboundByHost": "remove-outbound-by-host", "SetOutboundHandler": "set-outbound-handler",
    "ClearOutboundHandler": "clear-outbound-handler", "SetAllowedHosts": "set-allowed-hosts",
    "SetDeniedHosts": "set-denied-hosts", "ClearAllowedHosts": "clear-allowed-hosts",
    "ClearDeniedHosts": "clear-denied-hosts", "AllowHost": "allow-host", "DenyHost": "deny-host",
    "RemoveAllowedHost": "remove-allowed-host", "RemoveDeniedHost": "remove-denied-host",
}


def load_cases():
    with open(CASES, encoding="utf-8") as file:
        return json.load(file)


def names_of(cases):
    """Names resolve to the address that their case dials."""
    names = {}
    for case in cases:
        host = case["request"].get("host", "").split(":")[0].rstrip(".").lower()
        if host and all(c.isalnum() or c in "-._" for c in host) and not host[-1].isdigit():
            names.setdefault(host, case["request"]["dst"])
    return names


class ConformanceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cases = load_cases()
        cls.world = World(names_of(cls.cases))
        cls.addClassCleanup(cls.world.close)
        cls.handler = cls.world.start_handler(*HANDLERS)

    def run_case(self, case):
        world, name = self.world, f"case-{case['id'].lower()}"
        expect = case["expect"]
        if expect["outcome"] == "class_rejected":
            result = world.cli_result("class", "apply", name, *harness.class_flags(case["class"]))
            self.assertEqual(result.returncode, 1, result)
            self.assertIn(expect["code"], result.stderr)
            return
        world.apply_class(name, **case["class"])
        container = world.container(name, name)
        try:
            for step, (rpc, *arguments) in enumerate(case["steps"]):
                self.run_step(container, case, step, rpc, arguments)
            if expect["outcome"] != "rpc_rejected":
                self.check(container, case)
        finally:
            container.close()

    def run_step(self, container, case, step, rpc, arguments):
        expect = case["expect"]
        flat = []
        for argument in arguments:
            if isinstance(argument, dict):
                flat += ["--params", json.dumps(argument)]
            elif rpc == "SetOutboundByHosts":
                flat += [f"{rule[0]}={rule[1]}" for rule in argument]
                # One map, one set of params in the cases.
                flat += [flag for rule in argument for flag in (["--params", json.dumps(rule[2])] if len(rule) > 2 else [])]
            elif isinstance(argument, list):
                flat += argument
            else:
                flat.append(argument)
        result = self.world.cli_result(COMMANDS[rpc], container.id, *flat)
        if expect["outcome"] == "rpc_rejected" and expect["step"] == step:
            self.assertEqual(result.returncode, 1, result)
            self.assertIn(expect["code"], result.stderr)
        else:
            self.assertEqual(result.returncode, 0, result)
            self.assertEqual(json.loads(result.stdout)["enforcement"], "ENFORCED")

    def check(self, container, case):
        request, expect = case["request"], case["expect"]
        scheme = request["scheme"]
        port = request.get("port", {"http": 80, "https": 443}.get(scheme))
        before = len(self.world.origin_requests())
        contacts = self.world.origin_contacts()
        calls = self.handler.lines.count()
        try:
            answer, issuer = self.exchange(container, request, scheme, port)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ConnectionAbortedError):
            answer, issuer = None, None
        outcome = expect["outcome"]
        if outcome == "reset":
            self.assertIn(answer, (None, b""))
            self.assertEqual(self.world.origin_contacts(), contacts)
        elif outcome == "relay" and scheme == "tcp":
            self.assertTrue(answer, answer)
        elif outcome in ("egress", "relay"):
            self.assertTrue(answer and answer.startswith(b"HTTP/1.1 200"), answer)
            self.assertEqual(len(self.world.origin_requests()), before + 1)
        elif outcome == "handler":
            self.assertTrue(answer and answer.startswith(b"HTTP/1.1 200"), answer)
            call = self.handler.lines.since(calls)[-1]
            self.assertEqual(call["handler"], expect["handler"])
            if "params" in expect:
                self.assertEqual(call["params"], expect["params"])
        else:
            status = {"bad_request": 400, "misdirected": 421}.get(outcome, expect.get("status", 520))
            self.assertTrue(answer and answer.startswith(b"HTTP/1.1 %d" % status), answer)
            if "reason" in expect:
                self.assertIn(b"sallyport-reason: " + expect["reason"].encode(), answer.lower())
            self.assertEqual(self.world.origin_contacts(), contacts)
        if "certificate" in expect and issuer is not None:
            self.assertIn({"interception": "Sallyport", "origin": "Test origins"}[expect["certificate"]], issuer)

    def exchange(self, container, request, scheme, port):
        host = request.get("host")
        with container.connect(request["dst"], port, timeout=10) as connection:
            issuer = None
            if scheme == "https":
                name = request.get("sni", (host or "").split(":")[0])
                context = ssl.create_default_context(cafile=container.bundle)
                # The origin's certificate has no name for all cases; who issued it is what counts.
                context.check_hostname = False
                connection = context.wrap_socket(connection, server_hostname=name or None)
                issuer = json.dumps(connection.getpeercert()["issuer"])
            if scheme == "tcp":
                connection.sendall(b"\x00\x01raw\n")
            else:
                target = request.get("target", "/")
                head = f"{request.get('method', 'GET')} {target} HTTP/1.1\r\n"
                head += f"Host: {host}\r\n" if host is not None else ""
                connection.sendall((head + "Connection: close\r\n\r\n").encode())
            if scheme == "tcp":
                return connection.recv(4096), issuer
            return harness.read_all(connection), issuer


def add_cases():
    for case in load_cases():
        def test(self, case=case):
            self.run_case(case)
        setattr(ConformanceTest, f"test_{case['id']}", test)


add_cases()

if __name__ == "__main__":
    unittest.main(verbosity=1)
