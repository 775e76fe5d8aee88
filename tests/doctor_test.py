"""`sallyport doctor`: of a host and its services, and of the programs in a sandbox whose HTTPS is decrypted."""

import json
import os
import re
import tempfile
import unittest

from harness import World, binary, eventually
from netns import run
from oci_engine import Engine, make_busybox_root

NAMES = {"good.test": "203.0.113.10"}
URL = "https://good.test/x"
# They look for roots by variables that `sallyport run` sets, or in the file that it replaces.
TRUSTING = {"curl", "wget", "busybox", "git", "openssl", "python3", "node", "go"}
# What each is advised where nothing was put in place for it.
ADVICE = {"curl": "CURL_CA_BUNDLE", "wget": "ca_certificate", "busybox": "SSL_CERT_FILE", "git": "GIT_SSL_CAINFO", "openssl": "SSL_CERT_FILE",
          "python3": "SSL_CERT_FILE", "node": "NODE_EXTRA_CA_CERTS", "go": "SSL_CERT_FILE", "java": "keytool"}
# As an image without the variables, whose roots are its own. What follows it is run there.
UNPREPARED = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
              'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && shift && exec env -i "PATH=$PATH" HOME=/tmp "$@"', "sh")
# A program of an image that says what it may do, and fails.
NOSY = """#!/bin/sh
echo "CapBnd $(grep CapBnd /proc/self/status | tr -d '\\t'), $(id -u), $(ls -l /proc/$PPID/exe 2>&1 | grep -c denied), $(echo $SALLYPORT_SEEN)"
exit 1
"""


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

    def inside(self, *prefix, class_name="decrypted", flags=()):
        return self.doctor(binary("sallyport"), "run", "--class", class_name, "--", *prefix, binary("sallyport"), "doctor", "--inside", *flags)

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

    def test_programs_that_do_not(self):
        with tempfile.NamedTemporaryFile() as roots:
            with open(self.world.root_certificate, "rb") as certificate:
                roots.write(certificate.read())
            roots.flush()
            _, findings = self.inside(*UNPREPARED, roots.name)
        self.assertEqual(self.problems(findings), set(ADVICE), findings)
        for name, advice in ADVICE.items():
            with self.subTest(name):
                self.assertIn(advice, findings[name]["advice"])
                # It was refused for the certificate, and not for want of an answer; two say nothing of why.
                if name not in ("wget", "busybox"):
                    self.assertRegex(findings[name]["detail"], "certifica")

    def java_runtime(self):
        """A folder with a Java of its own, without a compiler, whose store can be written."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        run("jlink", "--add-modules", "java.base,jdk.crypto.ec", "--output", f"{folder.name}/java")
        return f"{folder.name}/java"

    def java_alone(self, runtime, *steps, flags=()):
        """The finding of a container that has no program but this Java, after the steps."""
        # PATH leads to the runtime's programs first, and then to no others.
        script = f'PATH={runtime}/bin:$PATH; {"".join(f"{step} >&2 && " for step in steps)} PATH={runtime}/bin exec "$@"'
        _, findings = self.inside("sh", "-c", script, "sh", flags=flags)
        self.assertEqual(set(findings), {"java"})
        return findings["java"]

    def test_a_java_without_compiler_that_does_as_it_is_advised(self):
        runtime = self.java_runtime()
        store, copy = f"{runtime}/lib/security/cacerts", f"{runtime}/copy"
        before = self.java_alone(runtime)
        self.assertFalse(before["good"])
        self.assertIn("unable to find valid certification path", before["detail"])
        add, elsewhere, here, options = re.findall("`(.*?)`", before["advice"])
        variable, _, value = options.replace("FILE", copy).partition("=")
        steps = [f"cp {store} {copy}", add.replace(here, elsewhere.replace("FILE", copy)), f"export {variable}='{value}'"]
        self.assertEqual(self.java_alone(runtime, *steps), {"subject": "java", "good": True, "detail": "is answered", "advice": ""})
        self.assertFalse(self.java_alone(runtime)["good"])
        self.assertTrue(self.java_alone(runtime, add)["good"])
        self.assertTrue(self.java_alone(runtime, f"keytool -delete -cacerts -storepass changeit -alias sallyport && {add}", flags=("--url", URL))["good"])

    def test_another_url(self):
        requests = len(self.world.origin_requests())
        status, findings = self.inside(flags=("--url", URL))
        self.assertEqual((status, self.problems(findings)), (1, {"java"}), findings)
        self.assertGreater(len(self.world.origin_requests()), requests)

    def test_nothing_leaves_for_the_own_url_whatever_the_class_allows(self):
        self.world.apply_class("open", intercept_https=True)
        contacts = self.world.origin_contacts()
        status, findings = self.inside(class_name="open")
        self.assertEqual((status, self.problems(findings)), (1, {"java"}), findings)
        self.assertEqual(self.world.origin_contacts(), contacts)

    def test_https_that_is_not_decrypted(self):
        self.world.apply_class("relayed", enable_internet=False, allowed_hosts=["good.test"])
        _, findings = self.inside(class_name="relayed")
        for name in ("curl", "python3", "node", "go", "java"):
            self.assertIn("not decrypted", findings[name]["advice"], findings)

    def test_a_variable_that_is_missing(self):
        _, findings = self.inside("env", "-u", "NODE_EXTRA_CA_CERTS")
        self.assertEqual(self.problems(findings), {"java", "node"}, findings)
        self.assertIn("NODE_EXTRA_CA_CERTS", findings["node"]["advice"])

    def test_wrong_usage(self):
        result = self.world.host_run(binary("sallyport"), "doctor", "--url", URL)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--url and --pid go with --inside or --container", result.stderr)


class ContainerTest(unittest.TestCase):
    """From the host, in containers of podman."""

    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.apply_class("agent", enable_internet=False, intercept_https=True, allowed_hosts=["good.test"])
        cls.engine = Engine(cls.world)

    def start(self, image, container_id, *options):
        container = self.engine.start(image, "sh", "-c", "echo up; sleep 1000", container_id=container_id, options=options)
        self.addCleanup(container.communicate)
        self.addCleanup(self.engine.podman, "kill", "--all", check=False)
        self.assertEqual(container.stdout.readline(), "up\n")

    def doctor(self, container_id):
        result = self.world.host_run(binary("sallyport"), "doctor", "--container", container_id, "--json")
        self.assertIn('"findings"', result.stdout, result)
        return result.returncode, {finding["subject"]: finding for finding in json.loads(result.stdout)["findings"]}

    def test_it_finds_the_containers_programs_and_not_the_hosts(self):
        self.start(self.engine.busybox_image(), "seen")
        status, findings = self.doctor("seen")
        self.assertEqual(set(findings), {"wget", "busybox"}, findings)
        self.assertEqual(status, 0, findings)

    def test_an_image_gets_nothing_by_being_looked_at(self):
        root = f"{self.engine.dir}/nosy.root"
        make_busybox_root(root)
        for applet in ("tr", "readlink"):
            os.symlink("busybox", f"{root}/bin/{applet}")
        os.unlink(f"{root}/bin/wget")
        with open(f"{root}/bin/wget", "w", encoding="ascii") as file:
            file.write(NOSY)
        os.chmod(f"{root}/bin/wget", 0o755)
        # What would be the host's program, and may then be written to.
        os.symlink("/proc/self/exe", f"{root}/bin/curl")
        self.engine.import_image(root, "nosy")
        self.start("nosy", "nosy", "--user", "1234", "--env", "SALLYPORT_SEEN=yes")
        _, findings = self.doctor("nosy")
        bounding = self.engine.podman("exec", "--latest", "grep", "CapBnd", "/proc/1/status").stdout.replace("\t", "").strip()
        self.assertIn(f"CapBnd {bounding}, 1234, 1, yes", findings["wget"]["detail"], findings)
        self.assertFalse(findings["curl"]["good"], findings)

    def test_one_that_is_not_there(self):
        result = self.world.host_run(binary("sallyport"), "doctor", "--container", "nobody")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no container nobody is attached on this host", result.stderr)


if __name__ == "__main__":
    unittest.main()
