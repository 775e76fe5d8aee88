"""`sallyport test` as users call it: what it prints, and how it exits."""

import json
import os
import subprocess
import tempfile
import unittest

SALLYPORT = os.path.abspath("cli/sallyport")
CASES = ["tests/conformance/cases.json", "tests/conformance/more_cases.json", "examples/policy_cases.json"]
GOOD = {"id": "good", "class": {}, "steps": [], "request": {"scheme": "http", "host": "a.test", "dst": "203.0.113.10"},
        "expect": {"outcome": "egress"}}
BAD = {**GOOD, "id": "bad", "class": {"denied_hosts": ["*.test"]}}


class TestCommandTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "cases.json")

    def play(self, *arguments):
        return subprocess.run([SALLYPORT, "test", *arguments], capture_output=True, text=True, timeout=300)

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def test_all_cases_pass(self):
        result = self.play(*CASES)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertRegex(result.stdout, r"^(\d+) of \1 cases pass, in 3 files\n$")

    def test_a_case_that_fails(self):
        self.write(f"[\n{json.dumps(GOOD)},\n{json.dumps(BAD)}\n]\n")
        result = self.play(self.path)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout.splitlines(), [
            f"{self.path}:3:1: case bad",
            "    expected outcome egress, got deny",
            "    step 1 (denied_hosts) decided: denies, by class denied_hosts *.test",
            "1 of 2 cases pass, in 1 file",
        ])

    def test_as_json(self):
        self.write(json.dumps(GOOD) + "\n" + json.dumps(BAD))
        result = self.play(self.path, "--json")
        self.assertEqual(result.returncode, 1)
        answer = json.loads(result.stdout)
        self.assertEqual((answer["cases"], answer["failed"]), (2, 1))
        failure = answer["failures"][0]
        self.assertEqual((failure["file"], failure["line"], failure["column"], failure["id"]), (self.path, 2, 1, "bad"))
        self.assertEqual((failure["expected"], failure["got"]), ("egress", "deny"))
        self.assertEqual(failure["differences"], ["expected outcome egress, got deny"])

    def test_files_that_cannot_be_read(self):
        self.write("[\n" + json.dumps(GOOD).replace('"host"', '"hots"') + "]")
        result = self.play(self.path)
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"{self.path}:2:", result.stderr)
        self.assertIn('unknown field "hots"', result.stderr)
        self.write("[\n" + json.dumps(GOOD) + "\n")
        self.assertEqual(self.play(self.path).returncode, 2)
        result = self.play(self.path + "-absent")
        self.assertEqual((result.returncode, "cannot be read" in result.stderr), (2, True))
        self.assertEqual(self.play().returncode, 2)

    def test_a_hundred_thousand_cases(self):
        with open(CASES[0], encoding="utf-8") as file:
            cases = json.load(file)
        with open(self.path, "w", encoding="utf-8") as file:
            for i in range(100_000):
                file.write(json.dumps({**cases[i % len(cases)], "id": f"case-{i}"}) + "\n")
        result = self.play(self.path)
        self.assertEqual((result.returncode, result.stdout), (0, "100000 of 100000 cases pass, in 1 file\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
