"""`sallyport doctor`: of a host and its services, and of the programs in a sandbox whose HTTPS is decrypted."""

import json
import unittest

from harness import World, binary, eventually

NAMES = {"good.test": "203.0.113.10"}
URL = "https://good.test/x"
# They look for roots by variables that `sallyport run` sets, or in the file that it replaces.
TRUSTING = {"curl", "wget", "git", "openssl", "python3", "node"}


class DoctorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.apply_class("decrypted", enable_internet=False, intercept_https=True, allowed_hosts=["good.test"])

    def doctor(self, *command):
        """Exit status, and the findings by their subject."""
        result = self.world.host_run(*command, "--json")
        self.assertIn(result.returncode, (0, 1), result)
        return result.returncode, {finding["subject"]: finding for finding in json.loads(result.stdout)["findings"]}

    def host(self):
        return self.doctor(binary("sallyport"), "doctor")

    def inside(self, *prefix):
        return self.doctor(binary("sallyport"), "run", "--class", "decrypted", "--", *prefix, binary("sallyport"), "doctor", "--inside", "--url", URL)

    def problems(self, findings):
        return {subject for subject, finding in findings.items() if not finding["good"]}

    def test_a_host_that_is_well(self):
        status, findings = self.host()
        self.assertEqual((status, self.problems(findings)), (0, set()), findings)
        self.assertLessEqual({"kernel", "namespaces", "proxy's user", "roots", "agent", "proxy", "its link"}, set(findings))

    def test_a_control_plane_that_is_away(self):
        self.world.control_plane.kill()
        try:
            status, findings = eventually(lambda: self.host() if self.host()[0] else None, what="the doctor sees it")
            self.assertEqual((status, self.problems(findings)), (1, {"its link"}), findings)
            self.assertIn("sallyportd", findings["its link"]["advice"])
        finally:
            self.world.start_control_plane()
            eventually(lambda: self.world.status().get("controlPlaneConnected"), what="the agent is back")

    def test_no_agent(self):
        status, findings = self.doctor(binary("sallyport"), "doctor", "--agent", "unix:/run/nobody.sock")
        self.assertEqual((status, self.problems(findings)), (1, {"agent"}), findings)

    def test_programs_that_trust_the_sandbox(self):
        status, findings = self.inside()
        self.assertEqual(set(findings), TRUSTING | {"java"})
        # Java keeps roots of its own: the doctor says how to add to them.
        self.assertEqual((status, self.problems(findings)), (1, {"java"}), findings)
        self.assertIn("keytool", findings["java"]["advice"])

    def test_a_variable_that_is_missing(self):
        _, findings = self.inside("env", "-u", "NODE_EXTRA_CA_CERTS")
        self.assertEqual(self.problems(findings), {"java", "node"}, findings)
        self.assertIn("NODE_EXTRA_CA_CERTS", findings["node"]["advice"])

    def test_wrong_usage(self):
        result = self.world.host_run(binary("sallyport"), "doctor", "--url", URL)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--inside and --url go together", result.stderr)


if __name__ == "__main__":
    unittest.main()
