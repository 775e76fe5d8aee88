"""The conformance cases against the whole system, and that a case that fails is seen to."""

import io
import json
import os
import tempfile
import unittest

import case_file
import player

HERE = os.path.dirname(os.path.abspath(__file__))


class ConformanceTest(unittest.TestCase):
    def play(self, path):
        out = io.StringIO()
        return *player.play_file(path, out), out.getvalue()

    def play_cases(self, *cases):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(cases, file)
            file.flush()
            return self.play(file.name)

    def test_cases(self):
        passed, failed, text = self.play(os.path.join(HERE, "cases.json"))
        self.assertEqual((passed >= 100, failed), (True, 0), text)

    def test_more_cases(self):
        passed, failed, text = self.play(os.path.join(HERE, "more_cases.json"))
        self.assertEqual((passed >= 60, failed), (True, 0), text)

    def test_class_changes(self):
        passed, failed, text = self.play(os.path.join(HERE, "class_change_cases.json"))
        self.assertEqual((passed >= 10, failed), (True, 0), text)

    def test_a_case_that_differs_fails_and_says_how(self):
        request = {"scheme": "http", "dst": "192.0.2.65", "host": "shop.example"}
        right = {"id": "right", "class": {"denied_hosts": ["shop.example"]}, "request": request,
                 "expect": {"outcome": "deny", "status": 520, "reason": "denied_host"}}
        wrong = {"id": "wrong", "class": {}, "request": request, "expect": {"outcome": "deny", "reason": "denied_host"}}
        # The same name at another address: an internet of its own.
        elsewhere = {"id": "elsewhere", "class": {}, "request": {**request, "dst": "2001:db8:ffff::1"}, "expect": {"outcome": "egress"}}
        passed, failed, text = self.play_cases(right, wrong, elsewhere)
        self.assertEqual((passed, failed), (2, 1), text)
        self.assertIn("case wrong", text)
        self.assertIn("expected 'deny', seen 'egress'", text)

    def test_a_file_that_says_more_than_is_read_is_not_played(self):
        case = {"id": "x", "class": {"allowed": []}, "request": {"scheme": "http", "dst": "192.0.2.1"}, "expect": {"outcome": "egress"}}
        with self.assertRaisesRegex(case_file.BadFile, "case x: unknown field 'allowed' of class"):
            self.play_cases(case)


if __name__ == "__main__":
    unittest.main(verbosity=2)
