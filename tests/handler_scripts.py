"""A world whose rules send requests to fakes/script_handler.py, and origins that the test itself plays."""

import base64
import json
import sys
import unittest

from fakes.raw_origin import RawOrigin
from harness import World, binary, eventually, source
from sockets import HttpPeer

NAMES = {"api.test": "203.0.113.10", "raw.test": "203.0.113.30", "other.test": "198.51.100.4", "private.test": "10.1.2.3",
         "denied.test": "203.0.113.10"}
INSPECT = {"forward": {"inspectResponse": True}}
TRANSFORM = {"forward": {"transformRequest": True}}
BOTH = {"forward": {"inspectResponse": True, "transformRequest": True}}
PASS = {"passResponse": {}}
READ = {"readResponseBody": {}}
SECRET = "canary"


def body(text):
    return {"body": base64.b64encode(text.encode()).decode()}


def request_body(text):
    return {"requestBody": base64.b64encode(text.encode()).decode()}


def header(name, value):
    return {"name": name, "value": base64.b64encode(value.encode("latin-1")).decode()}


def respond(status=200, *headers, **fields):
    return {"respond": {"status": status, "headers": [header(*pair) for pair in headers], **fields}}


class ScriptWorld(World):
    def __init__(self, **options):
        super().__init__(names=NAMES, **options)
        self.handler = self.start_handler("script_handler")
        for name in ("script", "upper", "copy"):
            self.register(name, self.handler)
        # With a list there is something to decide inside, for every name.
        self.apply_class("c", intercept_https=True, denied_hosts=["denied.test"])
        self.client = self.container("c")

    def start_handler(self, name):
        handler = self.start(name, [sys.executable, source("fakes/script_handler.py"), "--descriptors", binary("api")], self.host)
        handler.url = "grpc://" + handler.await_text(r"listening on (\S+)").group(1)
        return handler

    def register(self, name, handler, timeout="30s"):
        self.cli("handler", "register", name, handler.url, "--timeout", timeout)

    def raw_origin(self):
        """For one test, at raw.test:80; the ordinary origins leave it alone."""
        return RawOrigin(self, NAMES["raw.test"], 80)

    def script(self, *steps, host="api.test", container=None):
        """What the handler does for requests to `host` from now on."""
        self.rule("script", host, {"steps": steps}, container)

    def rule(self, handler, host="api.test", params=None, container=None):
        self.enforced("set-outbound-by-host", (container or self.client).id, host, handler, "--params", json.dumps(params or {}))

    def events(self, kind, since=0):
        return [line for line in self.handler.lines.all()[since:] if line["event"] == kind]

    def await_event(self, kind, since=0):
        return eventually(lambda: self.events(kind, since), what=f"the handler's {kind}")[-1]

    def await_over(self, since):
        """The end of the newest call; those before it may end later."""
        request = self.await_event("call", since)["start"]["context"]["requestId"]
        return eventually(lambda: [over for over in self.events("over", since) if over["request"] == request], what="the call's end")[-1]


class ScriptTest(unittest.TestCase):
    """Requests of one container to api.test, an ordinary origin, and to raw.test, which the test plays."""

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(ScriptWorld(ports=[443], addresses=list(dict.fromkeys(NAMES.values()))))
        cls.client = cls.world.client
        cls.raw = cls.world.raw_origin()
        cls.addClassCleanup(cls.raw.close)

    def setUp(self):
        self.seen = self.world.handler.lines.count()
        self.records = self.world.audit.count()
        self.asked = len(self.world.origin_requests())

    def origin_saw(self):
        return self.world.origin_requests()[self.asked:]

    def record(self):
        return eventually(lambda: self.world.audit.since(self.records), what="a record")[-1]

    def get(self, *options, path="/headers", host="api.test"):
        return self.client.curl(f"https://{host}{path}", *options)

    def ask(self, head, *fields):
        """A request to raw.test, as a socket, and the origin that got it."""
        client = HttpPeer(self.client.connect(NAMES["raw.test"], 80, 30))
        self.addCleanup(client.connection.close)
        client.send("\r\n".join([f"{head} HTTP/1.1", "Host: raw.test", *fields, "", ""]).encode())
        return client

    def late(self, milliseconds):
        self.world.register("script", self.world.handler, f"{milliseconds}ms")
        self.addCleanup(self.world.register, "script", self.world.handler)

    def failed(self, detail, *steps, options=(), path="/headers"):
        """The answer is handler_failed, and the record says what it was."""
        self.world.script(*steps)
        self.records = self.world.audit.count()
        answer = self.get(*options, path=path)
        self.assertEqual((answer.status, answer.reason), (502, "handler_failed"), (steps, answer))
        record = self.record()
        self.assertEqual((record["decision"], record["reason"]), ("error", "handler_failed"), record)
        self.assertIn(detail, record["detail"])
        self.assertNotIn(SECRET, answer.body + answer.error + record["detail"])
