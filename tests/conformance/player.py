#!/usr/bin/python3
"""Plays conformance cases against the real control plane, agent, proxy, containers and origins. See the program `run`."""

import argparse
import concurrent.futures
import contextlib
import json
import os
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import case_file
from api import ApiError
from harness import World, eventually
from netns import UnnamedNamespace
from sockets import read_all

DEFAULT_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json")
# Cases are made ready side by side; requests are made one after the other, so that what origins see is of one case.
PREPARED_AT_ONCE = 4
RAW_BYTES = b"\x00\x01raw\n"
# How the issuers of certificates are called.
ISSUERS = {"interception": "Sallyport", "origin": "Test origins"}


class Sandbox:
    """A container without processes."""

    def __init__(self, world, container_id, class_name):
        self.world = world
        self.id = container_id
        self.namespace = UnnamedNamespace()
        try:
            answer = world.agent_api.call("Attach", containerId=container_id, className=class_name,
                                          netnsPath=self.namespace.path)
        except BaseException:
            self.namespace.close()
            raise
        self.authority = answer["caCertificatePem"]

    def connect(self, address, port):
        return self.namespace.connect(address, port, timeout=10)

    def close(self):
        self.world.agent_api.call("Detach", containerId=self.id)
        self.namespace.close()


class Player:
    """Plays the cases of one setting in one World."""

    def __init__(self, setting):
        self.setting = setting
        self.world = World(setting.names, addresses=sorted(setting.addresses), ports=sorted(setting.ports))
        self.requests = threading.Lock()
        self.contacts = 0
        try:
            with open(self.world.root_certificate, encoding="ascii") as file:
                self.origin_root = file.read()
            self.handler = self.world.start_handler(*case_file.handlers(setting.cases))
        except BaseException:
            self.world.close()
            raise

    def close(self):
        self.world.close()

    def play(self):
        """For each case, what differs from what it expects: lines. And what differs for all of them together."""
        with concurrent.futures.ThreadPoolExecutor(PREPARED_AT_ONCE) as pool:
            differences = list(pool.map(self.play_one, range(len(self.setting.cases))))
        # What a request leaves behind late, too.
        seen = self.world.origin_contacts()
        stray = [] if seen == self.contacts else [f"origins had {seen} connections, where the cases make {self.contacts}"]
        return differences, stray

    def play_one(self, number):
        case = self.setting.cases[number]
        expect = case["expect"]
        name = f"case-{number}"
        applied = self.attempt("ApplyClass", "class", **{"class": case_file.class_message(name, case["class"])})
        if applied or expect["outcome"] == "class_rejected":
            return compare(expect, applied or {"outcome": "the class is accepted"})
        sandbox = Sandbox(self.world, name, name)
        try:
            for index, (rpc, *arguments) in enumerate(case["steps"]):
                fields = case_file.step_fields(rpc, arguments)
                if rpc == "ApplyClass":
                    fields = {"class": case_file.class_message(name, fields["class"])}
                else:
                    fields["containerId"] = name
                rejected = self.attempt(rpc, "rpc", **fields)
                if rejected:
                    return compare(expect, {**rejected, "step": index})
            if expect["outcome"] == "rpc_rejected":
                return compare(expect, {"outcome": "every step is accepted"})
            with self.requests:
                return compare(expect, self.observe(sandbox, case["request"]))
        finally:
            sandbox.close()

    def attempt(self, rpc, what, **fields):
        """None if it is accepted."""
        try:
            answer = self.world.api.call(rpc, **fields)
        except ApiError as error:
            return {"outcome": f"{what}_rejected", "code": error.code, "message": error.details}
        result = answer.get("result", answer)
        # A class is applied before its container is attached.
        if result["enforcement"] not in ("ENFORCED", "NOT_ATTACHED"):
            return {"outcome": f"{rpc} is answered {result}"}
        return None

    def observe(self, sandbox, request):
        """Makes the request, and says what came of it in the words of a case."""
        before = self.world.origin_contacts()
        lines = self.world.origin.lines.count()
        calls = self.handler.lines.count()
        try:
            answer, issuer = self.exchange(sandbox, request)
        except (ConnectionResetError, BrokenPipeError):
            answer, issuer = None, None
        except OSError as error:
            return {"outcome": f"an error of the client: {error!r}"}
        seen = {"outcome": "nothing"}
        if issuer is not None:
            seen["certificate"] = next((who for who, name in ISSUERS.items() if name in issuer), issuer)
        arrived = [line for line in self.world.origin.lines.since(lines) if line["event"] in ("request", "raw")]
        called = [call for call in self.handler.lines.since(calls) if call["container"] == sandbox.id]
        status, reason = head_of(answer)
        if called:
            seen |= {"outcome": "handler", "handler": called[-1]["handler"], "params": called[-1]["params"]}
        elif arrived:
            self.contacts += 1
            seen["outcome"] = self.way_out(sandbox)
            complete = answer == RAW_BYTES if arrived[-1]["event"] == "raw" else status == 200
            if not complete:
                seen["outcome"] += f", but the answer is {answer!r}"
        elif answer is None:
            seen["outcome"] = "reset"
        elif status:
            names = {400: "bad_request", 421: "misdirected"}
            seen |= {"outcome": names.get(status, "deny"), "status": status, "reason": reason}
        if (called or not arrived) and self.world.origin_contacts() != before:
            self.contacts = self.world.origin_contacts()
            seen["outcome"] += ", and an origin was reached"
        return seen

    def way_out(self, sandbox):
        """"egress" or "relay", as recorded: an origin does not see which."""
        records = eventually(lambda: [record for record in self.world.audit.all() if record["containerId"] == sandbox.id],
                             what="an audit record")
        return records[-1]["decision"]

    def exchange(self, sandbox, request):
        """What came back (until the end of the connection), and the issuer of the certificate."""
        host = request.get("host")
        with contextlib.ExitStack() as opened:
            connection = opened.enter_context(sandbox.connect(request["dst"], request["port"]))
            issuer = None
            if request["scheme"] == "tcp":
                connection.sendall(RAW_BYTES)
                return connection.recv(4096), None
            if request["scheme"] == "https":
                name = request.get("sni", case_file.host_part(host))
                context = ssl.create_default_context(cadata=sandbox.authority + self.origin_root)
                # Who issued it is what counts; the origin's certificate is not for every name that a case may have.
                context.check_hostname = False
                connection = opened.enter_context(context.wrap_socket(connection, server_hostname=name or None))
                issuer = json.dumps(connection.getpeercert()["issuer"])
            head = f"{request.get('method', 'GET')} {request.get('target', '/')} HTTP/1.1\r\n"
            head += f"Host: {host}\r\n" if host is not None else ""
            connection.sendall((head + "Connection: close\r\n\r\n").encode())
            return read_all(connection), issuer


def head_of(answer):
    """Status and reason of an answer that is HTTP; 0 if it is not."""
    if not answer or not answer.startswith(b"HTTP/1.1 "):
        return 0, ""
    head = answer.split(b"\r\n\r\n")[0].decode("latin-1")
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    return int(head.split()[1]), headers.get("sallyport-reason", "")


def compare(expect, seen):
    """Each field that differs, then everything that was seen."""
    differences = [f"{what:<12}expected {value!r}, seen {seen.get(what, 'nothing')!r}"
                   for what, value in expect.items() if seen.get(what) != value]
    return differences + [f"seen        {json.dumps(seen)}"] if differences else []


def play_file(path, out=sys.stdout):
    """Plays a file; prints each case that differs. Numbers passed and failed."""
    passed = failed = 0
    for setting in case_file.settings(case_file.load(path)):
        player = Player(setting)
        try:
            all_differences, stray = player.play()
        finally:
            player.close()
        for case, differences in zip(setting.cases, all_differences):
            if not differences:
                passed += 1
                continue
            failed += 1
            report(path, case, differences, out)
        if stray:
            failed += 1
            report(path, {"id": "(all)"}, stray, out)
    return passed, failed


def report(path, case, differences, out):
    print(f"FAILED {os.path.basename(path)} case {case['id']}", file=out)
    for part in ("class", "steps", "request"):
        if case.get(part):
            print(f"  {part:<12}{json.dumps(case[part])}", file=out)
    for line in differences:
        print(f"  {line}", file=out)


def main():
    parser = argparse.ArgumentParser(prog="tests/conformance/run", description=__doc__)
    parser.add_argument("files", nargs="*", default=[DEFAULT_FILE], metavar="FILE",
                        help="cases in the format of tests/conformance/cases.json, which is the default")
    options = parser.parse_args()
    begin = time.monotonic()
    passed = failed = 0
    try:
        for path in options.files:
            counts = play_file(path)
            passed, failed = passed + counts[0], failed + counts[1]
    except case_file.BadFile as error:
        sys.exit(f"run: {error}")
    print(f"{passed} passed, {failed} failed, in {time.monotonic() - begin:.1f} s")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
