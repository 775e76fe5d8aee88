"""Units of systemd as docs/containers.md has them: their programs reach what their policy allows, and nothing else."""

import json
import os
import re
import unittest

from harness import eventually, read_text, source
from packaged_world import AGENT, PackagedWorld

ORIGIN = "203.0.113.10"
NAMES = {"good.test": ORIGIN, "evil.test": ORIGIN}
WORKER = "worker.service"
# No name, no connection, no time left.
CURL_WITHOUT_NETWORK = (6, 7, 28)
# The unit's program: tries at once what may work and what may not, says what came of it, and runs until it is ended.
PROGRAM = r"""#!/usr/bin/python3
import json, os, signal, socket, urllib.error, urllib.request

def http(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.headers["sallyport-reason"]
    except urllib.error.URLError as error:
        return type(error.reason).__name__

def echo(kind, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, kind) as connection:
            connection.settimeout(20)
            connection.connect((address, port))
            connection.send(b"ping")
            return connection.recv(4).decode()
    except OSError as error:
        return type(error).__name__

found = {
    "links": [name for _, name in socket.if_nameindex()],
    "good": http("http://good.test/unit"),
    "evil": http("http://evil.test/unit"),
    "evil by address": http("http://203.0.113.10/unit", Host="evil.test"),
    "private": http("http://10.1.2.3/unit"),
    "relay": echo(socket.SOCK_STREAM, "203.0.113.10", 5432),
    "relay6": echo(socket.SOCK_STREAM, "2001:db8::1", 5432),
    "datagram": echo(socket.SOCK_DGRAM, "203.0.113.10", 5432),
}
with open("/tmp/worker.new", "w") as file:
    json.dump({"pid": os.getpid(), "found": found}, file)
os.rename("/tmp/worker.new", "/tmp/worker.json")
signal.pause()
"""
FOUND = {"links": ["lo"], "good": "origin good.test /unit", "evil": "gaierror", "evil by address": "not_allowed", "private": "not_allowed",
         "relay": "ConnectionResetError", "relay6": "ConnectionResetError", "datagram": "ConnectionRefusedError"}


def recipes():
    """What the document has: for each recipe, by the setting that joins the namespace, its units by their names."""
    found = {}
    section = read_text(source("../docs/containers.md")).partition("\n### systemd units\n")[2].partition("\n## ")[0]
    for block in re.findall(r"(?ms)^```ini\n(.*?)^```$", section):
        parts = re.split(r"(?m)^# (\S+\.service).*\n", block)
        units = dict(zip(parts[1::2], parts[2::2]))
        found[re.search(r"(?m)^(PrivateNetwork|NetworkNamespacePath)=", units[WORKER]).group(1)] = units
    return found


class Units:
    """The tests of one recipe. Each leaves the unit stopped."""

    @classmethod
    def setUpClass(cls):
        cls.world = PackagedWorld(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.machine = cls.world.machine
        cls.machine.write("/etc/resolv.conf", f"nameserver {cls.world.resolver}\n")
        cls.machine.write("/usr/bin/worker", PROGRAM, 0o755)
        for name, text in recipes()[cls.SETTING].items():
            cls.machine.write(f"/etc/systemd/system/{name}", text)
        cls.machine.systemctl("daemon-reload")
        cls.apply_class()

    @classmethod
    def apply_class(cls):
        cls.world.apply_class("untrusted-agent", enable_internet=False, allowed_hosts=["good.test"])

    def setUp(self):
        self.addCleanup(self.assert_nothing_left)
        self.addCleanup(self.machine.systemctl, "stop", WORKER)

    def attached(self):
        return [one["containerId"] for one in self.world.agent_api.call("ListAttached").get("containers", [])]

    def assert_nothing_left(self):
        eventually(lambda: self.attached() == [], what="the unit's namespace is detached")
        eventually(lambda: self.machine.run("ip", "netns", "list").stdout == "", what="and gone")

    def assert_held(self):
        """Of a unit that was just started."""
        def found():
            text = self.machine.run("cat", "/tmp/worker.json", check=False).stdout
            answer = json.loads(text) if text else {}
            return answer.get("pid") == self.machine.main_pid(WORKER) and answer["found"]

        self.assertEqual(eventually(found, 40, f"the unit says what it has found; {self.machine.journal(WORKER)}"), FOUND)
        self.assertEqual(self.attached(), ["worker"])

    def start(self):
        self.machine.run("rm", "-f", "/tmp/worker.json")
        self.machine.systemctl("start", WORKER)
        self.assert_held()

    def test_it_reaches_what_its_policy_allows_and_nothing_else_each_time_that_it_is_started(self):
        for _ in range(2):
            contacts, requests, records = self.world.origin_contacts(), len(self.world.origin_requests()), self.world.audit.count()
            self.start()
            self.assertEqual([one["host"] for one in self.world.origin_requests()[requests:]], ["good.test"])
            self.assertEqual(self.world.origin_contacts(), contacts + 1)
            self.world.audit.await_matching(since=records, containerId="worker", host="good.test", decision="egress")
            self.machine.systemctl("stop", WORKER)
            self.assert_nothing_left()

    def test_one_that_is_another_users(self):
        self.world.drop_in(WORKER, "[Service]\nUser=nobody\n")
        self.addCleanup(self.world.drop_in, WORKER, "")
        self.start()
        self.assertEqual(self.machine.run("stat", "--format=%U", "/tmp/worker.json").stdout, "nobody\n")

    def test_it_does_not_start_unless_it_is_attached(self):
        self.machine.run("rm", "-f", "/tmp/worker.json")
        self.world.cli_result("container", "delete", "worker")
        self.world.cli("class", "delete", "untrusted-agent")
        self.addCleanup(self.apply_class)
        self.assertNotEqual(self.machine.run("systemctl", "start", WORKER, check=False).returncode, 0)
        self.assertEqual(self.machine.main_pid(WORKER), 0)
        self.assertFalse(os.path.exists(self.machine.path("/tmp/worker.json")))
        self.assert_nothing_left()
        self.apply_class()
        self.start()

    def ask(self, *options):
        """A request from where the unit's process is."""
        command = ["nsenter", f"--net=/proc/{self.machine.main_pid(WORKER)}/ns/net", "--", "curl", "-sS", "-m", "20", *options, "http://good.test/ask"]
        return self.machine.run(*command, check=False)

    def test_the_next_agent_has_it(self):
        self.start()
        worker = self.machine.main_pid(WORKER)
        for end in (["reload"], ["kill", "--signal=KILL", "--kill-who=main"]):
            agent = self.machine.main_pid(AGENT)
            self.machine.systemctl(*end, AGENT)
            eventually(lambda agent=agent: self.machine.main_pid(AGENT) not in (0, agent), what="the next agent")
            self.world.await_agent()
            self.assertEqual(self.machine.main_pid(WORKER), worker)
            asked = self.ask()
            self.assertEqual(asked.stdout, "origin good.test /ask", (end, asked))

    def test_an_agent_that_forgets_it_leaves_it_no_way_out(self):
        self.start()
        worker = self.machine.main_pid(WORKER)
        self.machine.systemctl("restart", AGENT)
        self.world.await_agent()
        self.assertEqual(self.machine.main_pid(WORKER), worker)
        contacts = self.world.origin_contacts()
        for options in ((), ("--resolve", f"good.test:80:{ORIGIN}")):
            asked = self.ask("-m", "1", *options)
            self.assertEqual((asked.returncode in CURL_WITHOUT_NETWORK, asked.stdout), (True, ""), asked)
        self.assertEqual(self.world.origin_contacts(), contacts)
        self.machine.systemctl("restart", self.ATTACHES)
        self.assert_held()


class PrivateNetworkTest(Units, unittest.TestCase):
    SETTING = "PrivateNetwork"
    ATTACHES = WORKER


class NetworkNamespacePathTest(Units, unittest.TestCase):
    SETTING = "NetworkNamespacePath"
    ATTACHES = "sallyport-net@worker.service"


class DocumentTest(unittest.TestCase):
    def test_each_recipe_is_tested(self):
        self.assertEqual(list(recipes()), [PrivateNetworkTest.SETTING, NetworkNamespacePathTest.SETTING])


if __name__ == "__main__":
    unittest.main()
