"""A World whose control plane and agent come from the packages and are started by systemd, on a machine of their own."""

import glob
import os
import subprocess

import harness
from harness import SANITIZED, Container, Lines, World, eventually, source
from machine import Machine

CONTROL_PLANE_SOCKET = "/run/sallyportd/controlplane.sock"
AGENT_SOCKET = "/run/sallyport/agent.sock"
PROGRAMS = os.environ.get("SALLYPORT_BIN", os.getcwd())
PACKAGES = ["sallyport", "sallyport-agent", "sallyport-controlplane"]
AGENT = "sallyport-agent.service"
CONTROL_PLANE = "sallyportd.service"
# A sanitizer's run time wants what no program of ours may do.
SANITIZER_DROP_IN = "[Service]\nLockPersonality=no\nMemoryDenyWriteExecute=no\nSystemCallFilter=\n"


def packages():
    """The packages by name: //deploy:packages, of the programs under test."""
    paths = [f"{PROGRAMS}/deploy/{name}.deb" for name in PACKAGES]
    for path in paths:
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path}: build //deploy:packages")
    return dict(zip(PACKAGES, paths))


def rebuild(package, out, epoch):
    """The same by the script alone, as if of this time."""
    subprocess.run([source("../deploy/build_packages.sh"), "--programs", PROGRAMS, "--package", package, out], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)})
    return glob.glob(f"{out}/{package}_*.deb")[0]


def install(machine, *packages):
    """As an operator does by hand; what a package asks for beside is on this machine."""
    if SANITIZED:
        for unit in (AGENT, CONTROL_PLANE):
            machine.write(f"/etc/systemd/system/{unit}.d/sanitizer.conf", SANITIZER_DROP_IN)
    for package in packages:
        machine.copy(package, f"/tmp/{os.path.basename(package)}")
    paths = [f"/tmp/{os.path.basename(package)}" for package in packages]
    return machine.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--install", *paths)


class MachineContainer(Container):
    """A network namespace with a name on the machine, as other programs make them, attached by its path."""

    def __init__(self, world, container_id, class_name, wait="5s"):
        self.world = world
        self.id = container_id
        self.class_name = class_name
        self.ca = os.path.join(world.dir, f"{container_id}.crt")
        self.bundle = os.path.join(world.dir, f"{container_id}-bundle.crt")
        world.machine.run("ip", "netns", "add", container_id)
        self.trust(world.agent_api.call("Attach", netnsPath=f"/run/netns/{container_id}", containerId=container_id,
                                        className=class_name, wait=wait))

    def trust(self, answer):
        harness_root = harness.read_text(self.world.root_certificate)
        for path, text in ((self.ca, answer["caCertificatePem"]), (self.bundle, answer["caCertificatePem"] + harness_root)):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)

    def command(self, *command):
        return ["nsenter", "--net=" + self.world.machine.path(f"/run/netns/{self.id}"), "--", *command]

    def close(self):
        self.world.machine.run("ip", "netns", "del", self.id, check=False)


class PackagedWorld(World):
    def start_control_plane(self):
        self.packages = packages()
        self.machine = Machine("test-host", self.host)
        self.closers.callback(self.machine.close)
        install(self.machine, *self.packages.values())
        for name, path in (("controlplane", CONTROL_PLANE_SOCKET), ("agent", AGENT_SOCKET)):
            os.symlink(self.machine.path(path), f"{self.dir}/{name}.sock")
        self.api.await_ready()

    def start_agent(self, connected=True):
        self.machine.copy(self.root_certificate, "/etc/sallyport/origins.crt")
        self.write_flags()
        self.audit = Lines(self.machine.path("/var/lib/sallyport-agent/audit.jsonl"))
        self.machine.systemctl("restart", AGENT)
        self.await_agent(connected)

    def write_flags(self, *more):
        """Of the agent that is started next."""
        self.machine.write("/etc/default/sallyport-agent", 'SALLYPORT_AGENT_FLAGS="--resolver {} --origin-roots /etc/sallyport/origins.crt {}"\n'
                           .format(self.resolver, " ".join([*self.agent_flags, *more])))

    def await_agent(self, connected=True):
        eventually(lambda: self.status().get("proxyPid") and (self.status().get("controlPlaneConnected") or not connected),
                   harness.START_SECONDS, "the agent is up")

    def container(self, class_name, container_id="c1", **options):
        container = MachineContainer(self, container_id, class_name, **options)
        self.closers.callback(container.close)
        return container

    def drop_in(self, unit, text):
        self.machine.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.machine.systemctl("daemon-reload")

    def agent_says(self):
        """What the agent that was started last has written."""
        invocation = self.machine.unit(AGENT, "InvocationID")[0]
        return self.machine.run("journalctl", f"_SYSTEMD_INVOCATION_ID={invocation}", "--output=cat", "--no-pager", check=False).stdout
