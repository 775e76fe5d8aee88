"""The OCI images: what is in them, and that podman runs control plane, agent and command line from them."""

import json
import os
import subprocess
import unittest

import harness
from harness import Lines, World, eventually, run, source
from oci_engine import Engine
from packaged_world import PROGRAMS

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10"}
IMAGES = ("sallyport", "sallyport-agent", "sallyport-controlplane")
CONTROL_PLANE = "unix:/run/sallyportd/controlplane.sock"
# docs/containers.md says what each is for.
AGENT_CAPABILITIES = ("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "DAC_OVERRIDE", "KILL", "SETUID", "SETGID", "SETPCAP")


class ImagesWorld(World):
    """A World whose control plane and agent are podman's containers on its host."""

    def start_control_plane(self):
        self.engine = Engine(self)
        self.images = {}
        for name in IMAGES:
            # The script's way as an operator goes it, from the packages of the programs under test.
            subprocess.run([source("../deploy/build_images.sh"), "--packages", f"{PROGRAMS}/deploy", "--image", name, self.dir], check=True,
                           stdout=subprocess.DEVNULL)
            self.images[name] = self.engine.podman("load", "--quiet", "--input", f"{self.dir}/{name}.tar").stdout.split()[-1]
        for folder, owner in (("controlplane", 900), ("sallyportd", 900), ("run", 0), ("state", 0)):
            os.mkdir(f"{self.dir}/{folder}")
            os.chown(f"{self.dir}/{folder}", owner, owner)
        self.controlplane_id = self.detached(
            "sallyport-controlplane", ["--network", "none", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges",
                                       "--volume", f"{self.dir}/controlplane:/var/lib/sallyport", "--volume", f"{self.dir}/sallyportd:/run/sallyportd"],
            "--state-dir", "/var/lib/sallyport", "--listen", CONTROL_PLANE)
        os.symlink(f"{self.dir}/sallyportd/controlplane.sock", f"{self.dir}/controlplane.sock")
        self.api.await_ready()

    def start_agent(self, connected=True):
        self.audit = Lines(f"{self.dir}/state/audit.jsonl")
        self.agent_id = self.detached(
            "sallyport-agent", ["--network", f"ns:/run/netns/{self.host.name}", "--pid", "host", "--read-only", "--cap-drop", "all",
                                *(f"--cap-add={name}" for name in AGENT_CAPABILITIES), "--security-opt", "unmask=/proc/sys",
                                "--volume", f"{self.dir}/run:/run/sallyport", "--volume", f"{self.dir}/sallyportd:/run/sallyportd",
                                "--volume", f"{self.dir}/state:/var/lib/sallyport-agent",
                                "--volume", f"{self.root_certificate}:/etc/sallyport/origins.crt:ro"],
            "--host-name", "test-host", "--control-plane", CONTROL_PLANE, "--resolver", self.resolver,
            "--origin-roots", "/etc/sallyport/origins.crt", *self.agent_flags)
        os.symlink(f"{self.dir}/run/agent.sock", f"{self.dir}/agent.sock")
        eventually(lambda: self.status().get("proxyPid") and self.status().get("controlPlaneConnected"), harness.START_SECONDS, "the agent is up")

    def detached(self, image, options, *flags):
        return self.engine.podman("run", "--detach", "--rm", *options, self.images[image], *flags).stdout.strip()

    def logs(self, container):
        return self.engine.podman("logs", container, check=False)

    def command_line(self, *arguments):
        """The command line from its image, with the host's sockets."""
        return run(*self.engine.command("run", "--rm", "--network", "none", "--cap-drop", "all", "--cap-add", "DAC_OVERRIDE", "--read-only",
                                        "--volume", f"{self.dir}/run:/run/sallyport", "--volume", f"{self.dir}/sallyportd:/run/sallyportd",
                                        "--env", f"SALLYPORT_CONTROL_PLANE={CONTROL_PLANE}", self.images["sallyport"], *arguments),
                   check=False, env=self.engine.environment())


class ImagesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = ImagesWorld(NAMES)
        cls.addClassCleanup(cls.world.close)

    def test_the_command_line_sets_a_class_and_the_agent_enforces_it(self):
        applied = self.world.command_line("class", "apply", "listed", "--enable-internet=false", "--intercept-https=true", "--allowed-host=good.test")
        self.assertEqual(applied.returncode, 0, applied)
        container = self.world.container("listed")
        self.assertEqual(container.curl("https://good.test/x", address="203.0.113.10").body, "origin good.test /x")
        self.assertEqual(container.curl("http://evil.test/", address="203.0.113.10").reason, "not_allowed")
        listed = self.world.command_line("container", "list", "--json")
        self.assertIn('"c1"', listed.stdout, listed)
        self.assertTrue(json.loads(self.world.command_line("status", "--json").stdout)["agent"]["controlPlaneConnected"])

    def test_nobody_has_more_than_is_said(self):
        pid = self.world.proxy_pid()
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            proxy = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual(int(proxy["CapBnd"], 16), 0)
        self.assertEqual(proxy["Uid"].split()[0], "901")
        agent = json.loads(self.world.engine.podman("inspect", self.world.agent_id).stdout)[0]
        self.assertEqual({name.removeprefix("CAP_") for name in agent["EffectiveCaps"]}, set(AGENT_CAPABILITIES))
        control_plane = json.loads(self.world.engine.podman("inspect", self.world.controlplane_id).stdout)[0]
        self.assertFalse(control_plane["EffectiveCaps"])

    def test_an_image_has_no_shell(self):
        for image in self.world.images.values():
            result = run(*self.world.engine.command("run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", image, "-c", "true"),
                         check=False, env=self.world.engine.environment())
            self.assertEqual(result.returncode, 127, result)


if __name__ == "__main__":
    unittest.main()
