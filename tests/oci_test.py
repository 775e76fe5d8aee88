"""Containers of podman and runc that are attached by the OCI hook before their first process runs."""

import concurrent.futures
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import World, eventually, read_text, run
from netns import Namespace
from oci_engine import Engine, make_busybox_root

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10"}
FETCH = "wget -q -O - http://good.test/x"


class OciCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.apply_class("agent", enable_internet=False, intercept_https=True, allowed_hosts=["good.test"])
        cls.world.apply_class("closed", enable_internet=False)
        cls.engine = Engine(cls.world)
        cls.busybox = cls.engine.busybox_image()

    def shell(self, script, **options):
        return self.engine.run(self.busybox, "sh", "-c", script, **options)

    def assert_refused(self, result, why):
        """The container did not start, and the runtime says why."""
        self.assertNotEqual(result.returncode, 0, result)
        self.assertNotIn("started", result.stdout, result)
        self.assertIn(why, result.stderr, result)
        eventually(lambda: not self.engine.ids(), 1, "nothing stays attached")

    def leftovers(self, container_id):
        """What of a container is on the host: its attachment, its files, its sockets in the proxy."""
        found = [container_id] if container_id in self.engine.ids() else []
        folder = f"{self.world.dir}/run/containers/{container_id}"
        return found + ([folder] if os.path.exists(folder) else [])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.world.proxy_pid()}/fd"))


class PodmanTest(OciCase):
    def test_allowed_is_reached_and_the_rest_is_refused(self):
        result = self.shell(f"{FETCH} && echo && wget -S -O /dev/null http://evil.test/ 2>&1")
        self.assertIn("origin good.test /x", result.stdout, result)
        self.assertIn("bad address", result.stdout, result)  # No name is resolved that may not be reached.
        result = self.shell("wget -S -O - --header 'Host: evil.test' http://203.0.113.10/ 2>&1")
        self.assertIn("520 Origin Disallowed", result.stdout, result)

    def test_the_first_process_finds_its_policy_in_force(self):
        for _ in range(5):
            result = self.engine.run(self.busybox, "wget", "-q", "-O", "-", "http://good.test/first")
            self.assertEqual(result.stdout, "origin good.test /first", result)

    def test_each_has_its_own_class_and_id(self):
        with open(self.world.audit.path, "ab"):
            before = self.world.audit.count()
        self.shell(FETCH, container_id="named-1")
        self.shell("wget -q -O - --header 'Host: good.test' http://203.0.113.10/", container_id="named-2", class_name="closed")
        for container_id, class_name, decision in (("named-1", "agent", "egress"), ("named-2", "closed", "deny")):
            record = self.world.audit.await_matching(since=before, containerId=container_id, scheme="http")[0]
            self.assertEqual((record["className"], record["decision"]), (class_name, decision), record)

    def test_params_for_its_handlers(self):
        self.world.start_handler("respond")
        self.world.api.call("ApplyClass", **{"class": {"name": "asked", "outbound": {"handler": "respond"}}})
        # podman 4 reads the flag as a line of CSV.
        result = self.shell(FETCH, class_name="asked", annotations=['"sallyport.params={""tenant"": ""acme"", ""seats"": 3}"'])
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(json.loads(result.stdout)["params"], {"tenant": "acme", "seats": 3})

    def test_a_record_with_an_id_of_its_own_stays_and_others_go(self):
        self.shell("true", container_id="kept")
        self.assertEqual(self.world.cli_result("container", "get", "kept").returncode, 0)
        with_made_up = self.engine.podman("create", "--network", "none", "--annotation", "sallyport.class=agent", self.busybox, "true").stdout.strip()
        self.engine.podman("start", "--attach", with_made_up)
        eventually(lambda: self.world.cli_result("container", "get", with_made_up).returncode == 1, 5, "the record is gone")
        self.engine.podman("rm", "--force", with_made_up)

    def test_one_without_annotation_is_left_alone(self):
        result = self.shell("echo started; ls /etc/sallyport; wget -q -O - http://203.0.113.10/", class_name=None)
        self.assertIn("started", result.stdout)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.engine.ids(), [])

    def test_an_unknown_class_does_not_start(self):
        self.assert_refused(self.shell("echo started", class_name="nope"), "nope")

    def test_a_wrong_annotation_does_not_start(self):
        for annotation, why in (("sallyport.clas=agent", "unknown"), ("sallyport.params=acme", "not a JSON object"),
                                ("sallyport.trust=off", "must be"), ("sallyport.id=a b", "container_id")):
            self.assert_refused(self.shell("echo started", annotations=[annotation]), why)
        self.assert_refused(self.shell("echo started", class_name=None, annotations=["sallyport.id=web-1"]), "sallyport.class")

    def test_a_container_with_another_way_out_does_not_start(self):
        self.assert_refused(self.shell("echo started", network="host"), "no way out of its own")

    def test_a_network_that_would_come_later_does_not_start(self):
        # podman connects containers with a user namespace when its hooks have run.
        mapped = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]
        for annotations in ((), ("io.container.manager=another",)):
            result = self.shell("echo started", options=mapped, annotations=annotations)
            self.assert_refused(result, "after it is attached")

    def test_an_id_in_use_does_not_start_and_its_owner_is_unharmed(self):
        owner = self.engine.start(self.busybox, "sh", "-c", "echo up; sleep 100", container_id="busy")
        self.assertEqual(owner.stdout.readline(), "up\n")
        result = self.shell("echo started", container_id="busy")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("attached already", result.stderr)
        # What the refused one's poststop said concerned the owner not.
        self.assertEqual(self.engine.ids(), ["busy"])
        owner.terminate()
        self.engine.podman("kill", "--all", check=False)
        owner.communicate(timeout=30)
        eventually(lambda: not self.engine.ids(), 5, "it is detached")

    def test_an_image_does_not_choose_its_class_or_id(self):
        # podman makes the image's name of it.
        layout = f"/run/{self.world.id}-layout"
        self.addCleanup(shutil.rmtree, layout, ignore_errors=True)
        self.engine.podman("push", self.busybox, f"oci:{layout}:hostile")
        annotate(layout, {"sallyport.class": "agent", "sallyport.id": "victim"})
        hostile = self.engine.podman("pull", f"oci:{layout}").stdout.split()[-1]
        self.addCleanup(self.engine.podman, "rmi", "--force", hostile, check=False)
        self.addCleanup(self.engine.import_image, f"{self.engine.dir}/busybox.root", self.busybox)
        for class_name in ("closed", None):
            result = self.engine.run(hostile, "sh", "-c", "echo started", class_name=class_name)
            self.assert_refused(result, "the image itself has annotations")

    def test_killed_it_is_gone_within_a_second(self):
        for _ in range(3):
            self.shell("; ".join([FETCH] * 8))  # What each worker of the proxy opens once, it has opened.
        before = self.descriptors()
        process = self.engine.start(self.busybox, "sh", "-c", f"{FETCH}; echo; exec sleep 100", container_id="killed")
        self.assertEqual(process.stdout.readline(), "origin good.test /x\n")
        self.assertEqual(len(self.leftovers("killed")), 2)
        attached = self.world.agent_api.call("ListAttached")["containers"][0]
        os.kill(attached["pid"], signal.SIGKILL)
        eventually(lambda: not self.leftovers("killed"), 1, "nothing of it is left in the agent")
        eventually(lambda: self.descriptors() <= before, 1, "nor in the proxy")
        process.communicate(timeout=30)

    def test_the_same_id_again_and_again(self):
        for number in range(5):
            result = self.shell(FETCH, container_id="again")
            self.assertEqual(result.stdout, "origin good.test /x", (number, result))

    def test_a_stopped_one_starts_again(self):
        self.engine.podman("create", "--name", "twice", "--network", "none", "--annotation", "sallyport.class=agent", "--annotation",
                           "sallyport.id=twice", self.busybox, "sh", "-c", FETCH)
        for _ in range(2):
            self.assertEqual(self.engine.podman("start", "--attach", "twice").stdout, "origin good.test /x")
        self.engine.podman("rm", "twice")

    def test_ten_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            results = list(pool.map(lambda number: self.shell(FETCH, container_id=f"many-{number}"), range(10)))
        for result in results:
            self.assertEqual(result.stdout, "origin good.test /x", result)
        eventually(lambda: not self.engine.ids(), 5, "all are detached")


def annotate(layout, annotations):
    """Gives the one image of an OCI layout annotations."""
    with open(f"{layout}/index.json", encoding="utf-8") as file:
        index = json.load(file)
    entry = index["manifests"][0]
    with open(f"{layout}/blobs/sha256/{entry['digest'][7:]}", encoding="utf-8") as file:
        manifest = json.load(file)
    manifest["annotations"] = annotations
    text = json.dumps(manifest)
    digest = run("sha256sum", input=text).stdout.split()[0]
    with open(f"{layout}/blobs/sha256/{digest}", "w", encoding="utf-8") as file:
        file.write(text)
    entry.update(digest=f"sha256:{digest}", size=len(text))
    with open(f"{layout}/index.json", "w", encoding="utf-8") as file:
        json.dump(index, file)


class TrustTest(OciCase):
    URL = "https://good.test/x"

    def test_busybox_and_musl(self):
        image = self.engine.alpine_image(self.world.root_certificate)
        roots = read_text(self.world.root_certificate)
        result = self.engine.run(image, "sh", "-c", "cat /etc/ssl/cert.pem; echo =====; env; /resolve good.test; cat /etc/resolv.conf; wget -q -O - https://good.test/x")
        bundle, _, rest = result.stdout.partition("=====\n")
        self.assertTrue(bundle.startswith(roots) and bundle.count("BEGIN CERTIFICATE") == 2, result)
        self.assertIn("SSL_CERT_FILE=/etc/sallyport/certs/bundle.crt", rest)
        self.assertRegex(rest, r"(?m)^198\.1[89]\.")  # By musl's resolver: a placeholder.
        self.assertIn("origin good.test /x", rest, result)

    def test_the_programs_of_debian(self):
        root, options = self.engine.debian_root()
        clients = (
            f"curl -sS {self.URL}",
            f"env -u SSL_CERT_FILE -u CURL_CA_BUNDLE curl -sS {self.URL}",
            f"wget -q -O - {self.URL}",
            f"/usr/bin/python3 -c 'import urllib.request as u; print(u.urlopen(\"{self.URL}\").read().decode(), end=\"\")'",
            f"/usr/bin/python3 -c 'import requests; print(requests.get(\"{self.URL}\").text, end=\"\")'",
            "openssl s_client -verify_return_error -connect good.test:443 < /dev/null > /dev/null 2>&1 && printf 'origin good.test /x'",
        )
        for client in clients:
            result = self.engine.run("--rootfs", root, "sh", "-c", client, options=options)
            self.assertEqual(result.stdout, "origin good.test /x", (client, result))

    def test_a_static_program_alone(self):
        image = self.engine.distroless_image()
        result = self.engine.run(image, "/get", "203.0.113.10", "good.test", "/x")
        self.assertIn("origin good.test /x", result.stdout, result)
        self.assertRegex(result.stdout, r"\nca [1-9]")

    def test_it_can_be_left_out(self):
        result = self.shell("ls /etc/sallyport; env | grep -c sallyport; wget -q -O - http://good.test/x", annotations=["sallyport.trust=none"])
        self.assertEqual(result.stdout, "0\norigin good.test /x", result)

    def test_what_the_user_sets_holds(self):
        result = self.shell("echo $SSL_CERT_FILE $PIP_CERT", options=["--env", "SSL_CERT_FILE=/mine"])
        self.assertEqual(result.stdout, "/mine /etc/sallyport/certs/bundle.crt\n", result)

    def test_root_inside_cannot_change_it(self):
        script = "for f in sallyport-ca.crt bundle.crt; do (echo x > /etc/sallyport/certs/$f) 2>/dev/null && echo written; done; rm -f /etc/sallyport/certs/bundle.crt 2>/dev/null && echo removed; echo done"
        self.assertEqual(self.shell(script).stdout, "done\n")

    def test_a_read_only_container(self):
        result = self.shell("cat /etc/sallyport/certs/sallyport-ca.crt; touch /x || echo read-only", options=["--read-only"])
        self.assertIn("BEGIN CERTIFICATE", result.stdout, result)
        self.assertIn("read-only", result.stdout, result)

    def test_another_user_can_read_it(self):
        result = self.shell("cat /etc/sallyport/certs/bundle.crt", options=["--user", "1234:1234"])
        self.assertIn("BEGIN CERTIFICATE", result.stdout, result)

    def test_a_hostile_image_gets_nothing_of_the_host(self):
        secret = f"{self.world.dir}/host-secret"
        with open(secret, "w", encoding="ascii") as file:
            file.write("secret-of-the-host")
        for number, (place, target) in enumerate((
                ("etc/ssl/certs/ca-certificates.crt", secret), ("etc/ssl/certs/ca-certificates.crt", "../" * 40 + secret),
                ("etc/ssl/certs/ca-certificates.crt", f"/proc/1/root{secret}"), ("etc/ssl/certs/ca-certificates.crt", "/proc/kcore"),
                ("etc/sallyport", "/proc"), ("etc/sallyport/certs", f"{self.world.dir}"), ("etc/resolv.conf", secret))):
            root = f"{self.engine.dir}/hostile-{number}"
            make_busybox_root(root)
            os.makedirs(os.path.dirname(f"{root}/{place}"), exist_ok=True)
            os.symlink(target, f"{root}/{place}")
            result = self.engine.run("--rootfs", root, "sh", "-c", "cat /etc/ssl/certs/* /etc/sallyport/certs/* /etc/resolv.conf")
            self.assertNotIn("secret-of-the-host", result.stdout + result.stderr, (place, target, result))
        self.assertEqual(read_text(secret), "secret-of-the-host")
        self.assertNotIn("hostile", read_text("/proc/self/mounts"))

    def test_a_link_in_the_way_is_said(self):
        root = f"{self.engine.dir}/linked"
        make_busybox_root(root)
        os.makedirs(f"{root}/etc")
        os.symlink("/tmp", f"{root}/etc/sallyport")
        result = self.engine.run("--rootfs", root, "sh", "-c", "echo started")
        self.assert_refused(result, "has a link or a file in its way")
        self.assertIn("sallyport.trust=none", result.stderr)


class RuncTest(OciCase):
    """runc alone, as its configuration says."""

    def setUp(self):
        self.root = f"{self.engine.dir}/runc-root-{self.id().rsplit('.', 1)[1]}"
        make_busybox_root(self.root)

    def test_a_bundle_with_hooks(self):
        folder = self.engine.bundle("plain", self.root, "sh", "-c", f"{FETCH}; echo; ls /etc/sallyport/certs; cat /etc/resolv.conf")
        result = self.engine.runc("run", "--bundle", folder, "plain-1")
        self.assertIn("origin good.test /x\n", result.stdout, result)
        self.assertIn("bundle.crt\nsallyport-ca.crt\n", result.stdout, result)
        self.assertIn("nameserver 192.0.2.53", result.stdout, result)
        self.assertEqual(self.engine.ids(), [])

    def test_the_hook_is_a_filter_of_configurations(self):
        folder = self.engine.bundle("filtered", self.root, "sh", "-c", "echo $NODE_EXTRA_CA_CERTS")
        config = read_text(f"{folder}/config.json")
        changed = run(*self.engine.hook, input=config).stdout
        with open(f"{folder}/config.json", "w", encoding="utf-8") as file:
            file.write(changed)
        self.assertEqual(self.engine.runc("run", "--bundle", folder, "filtered-1").stdout, "/etc/sallyport/certs/bundle.crt\n")

    def test_an_unknown_class_does_not_start(self):
        folder = self.engine.bundle("unknown", self.root, "sh", "-c", "echo started", annotations={"sallyport.class": "nope"})
        self.assert_refused(self.engine.runc("run", "--bundle", folder, "unknown-1"), "nope")

    def test_the_hosts_network_does_not_start(self):
        folder = self.engine.bundle("wired", self.root, "sh", "-c", "echo started", network=False)
        self.assert_refused(self.engine.runc("run", "--bundle", folder, "wired-1"), "no way out of its own")


class NamedNamespaceTest(OciCase):
    def test_what_joins_a_named_namespace_is_in_it(self):
        """As units of systemd do by NetworkNamespacePath."""
        namespace = Namespace(f"{self.world.id}-unit")
        self.addCleanup(namespace.close)
        self.world.cli("container", "attach", "--netns", f"/run/netns/{namespace.name}", "--id", "unit", "--class", "agent")
        fetch = namespace.command("curl", "-sS", "--max-time", "5", "--noproxy", "*", "--connect-to", "::203.0.113.10:", "http://good.test/x")
        self.assertEqual(run(*fetch).stdout, "origin good.test /x")
        self.world.cli("container", "detach", "unit")
        self.assertNotEqual(run(*fetch, check=False).returncode, 0)
        self.assertEqual(self.engine.ids(), [])


class AgentDownTest(OciCase):
    def test_without_an_agent_nothing_starts(self):
        self.world.agent.stop()
        result = self.shell("echo started")
        self.assertNotEqual(result.returncode, 0)
        self.assertNotIn("started", result.stdout)
        self.assertIn("is sallyport-agent running?", result.stderr)
        self.world.start_agent()
        self.assertEqual(self.shell(FETCH).stdout, "origin good.test /x")

    def test_an_agent_that_hangs_delays_for_as_long_as_is_said(self):
        self.world.agent.suspend()
        self.addCleanup(self.world.agent.resume)
        began = time.monotonic()
        result = self.shell("echo started")
        self.assertLess(time.monotonic() - began, 15)
        self.assertNotEqual(result.returncode, 0)
        self.assertNotIn("started", result.stdout)
        self.assertIn("does not answer in time", result.stderr)

    def test_a_control_plane_that_is_away(self):
        self.world.control_plane.stop()
        result = self.shell("echo started")
        self.assertNotEqual(result.returncode, 0)
        self.assertNotIn("started", result.stdout)
        self.assertIn("its policy is not in force", result.stderr)
        self.world.start_control_plane()
        eventually(lambda: self.world.status().get("controlPlaneConnected"), 20, "it is connected again")
        self.assertEqual(self.shell(FETCH).stdout, "origin good.test /x")


if __name__ == "__main__":
    unittest.main(verbosity=2)
