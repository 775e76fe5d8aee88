"""A world whose rules send requests to fakes/script_handler.py, and origins that the test itself plays."""

import json
import sys

from fakes.raw_origin import RawOrigin
from harness import World, binary, eventually, source

NAMES = {"api.test": "203.0.113.10", "raw.test": "203.0.113.30", "other.test": "198.51.100.4", "private.test": "10.1.2.3",
         "denied.test": "203.0.113.10"}
INSPECT = {"forward": {"inspectResponse": True}}
TRANSFORM = {"forward": {"transformRequest": True}}
BOTH = {"forward": {"inspectResponse": True, "transformRequest": True}}
PASS = {"passResponse": {}}


class ScriptWorld(World):
    def __init__(self, **options):
        super().__init__(names=NAMES, **options)
        self.handler = self.start("script_handler", [sys.executable, source("fakes/script_handler.py"), "--descriptors",
                                                     binary("api")], self.host)
        address = self.handler.await_text(r"listening on (\S+)").group(1)
        for name in ("script", "upper", "copy"):
            self.cli("handler", "register", name, f"grpc://{address}", "--timeout", "30s")
        self.handler.url = f"grpc://{address}"
        # With a list there is something to decide inside, for every name.
        self.apply_class("c", intercept_https=True, denied_hosts=["denied.test"])
        self.client = self.container("c")

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
