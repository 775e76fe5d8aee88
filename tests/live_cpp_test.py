"""The cases of live_test.py, with services by the SDK for C++."""

import unittest

import live_test
from harness import BINARIES, binary

BINARIES["live_service"] = "tests/fakes/live_service"


class Cpp:
    def program(self):
        return [binary("live_service")]


class RegistrationTest(Cpp, live_test.RegistrationTest):
    pass


class HealthTest(Cpp, live_test.HealthTest):
    nobody_there = "service name unknown"
    # Asks no service.
    test_web_servers_and_builtins_are_not_checked = None


if __name__ == "__main__":
    unittest.main()
