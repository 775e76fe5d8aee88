"""A world whose handlers are the examples in Python."""

import itertools
import json
import os
import sys
import unittest

from harness import World, binary, source

ORIGIN = "203.0.113.10"
NAMES = {"api.test": ORIGIN, "other.test": "198.51.100.4", "git.test": "198.51.100.65", "s3.test": "203.0.113.1"}
VIRTUAL = ["my.kv", "my.bucket", "counts.internal", "my.app"]
# Those of origins that a test starts itself.
GIT, S3, S3_PLAIN, PIECES = 9443, 9444, 9080, 9081


class ExampleTest(unittest.TestCase):
    """Has containers web-1 and web-2 of class `c`, which may reach every name of the world."""

    count = itertools.count()

    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World(names=NAMES))
        cls.world.api.call("ApplyClass", **{"class": {
            "name": "c", "interceptHttps": True, "allowedHosts": {"hosts": [*NAMES, *VIRTUAL]},
            "httpPorts": [80, 443, GIT, S3, S3_PLAIN, PIECES]}})
        cls.container = cls.world.container("c", "web-1")
        cls.other = cls.world.container("c", "web-2")

    def example(self, file, *flags, command=()):
        """Runs examples/FILE in the host's namespace; `address` is where it listens. command: what runs it, by default Python with the SDK."""
        command = command or ["env", f"PYTHONPATH={binary('python_sdk')}", sys.executable]
        # A log of its own, for what it says of its address.
        program = self.world.start(
            f"{os.path.basename(file)}-{next(self.count)}",
            [*command, f"{os.getcwd()}/examples/{file}", "--listen", "127.0.0.1:0", *map(str, flags)], self.world.host)
        self.addCleanup(program.stop)
        program.address = "grpc://" + program.await_text(r"listening on (\S+)").group(1)
        return program

    def rule(self, host, name, program, params=None, containers=("web-1",), flags=()):
        self.world.cli("handler", "register", name, program.address, *flags)
        for container in containers:
            self.world.api.enforced("SetOutboundByHost", containerId=container, host=host, handler=name, params=params or {})

    def origin(self, file, *flags):
        """Runs a fake origin in the internet's namespace."""
        program = self.world.start(f"{file}-{next(self.count)}", [sys.executable, source(f"fakes/{file}"), *map(str, flags)],
                                   self.world.internet)
        self.addCleanup(program.stop)
        program.await_text('"ready"')
        return program

    def write_json(self, name, value):
        path = f"{self.world.dir}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)
        return path
