"""podman and runc with state of their own: images made here, nothing pulled, nothing left.

Root file systems are made from the host's files: a Debian-like one with the host's own programs, an Alpine-like one of busybox
and musl, and a distroless-like one with nothing but a static program.
"""

import json
import os
import shutil
import subprocess

from harness import binary
from netns import run

# Hosts may have lower limits than podman asks for by default.
CONTAINERS_CONF = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
BRIDGE = ["--subnet", "10.89.7.0/24", "--subnet", "fd00:7::/64", "--ipv6"]
HOOK_SECONDS = 10
BUSYBOX = "/bin/busybox"
APPLETS = ("sh", "cat", "env", "ls", "id", "wget", "nslookup", "sleep", "true", "echo", "grep", "kill", "mount", "umount", "touch", "rm")
DEBIAN_FOLDERS = ("bin", "sbin", "lib", "lib64", "usr", "etc/ssl", "etc/alternatives", "etc/ca-certificates", "etc/python3", "etc/python3.11")
STATIC_PROGRAM = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* get ADDRESS HOST PATH: one request over HTTP; then the size of the file with the CA. */
int main(int argc, char** argv) {
  if (argc != 4) return 2;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
  if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) return 2;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr*)&address, sizeof(address)) != 0) return 3;
  char text[8192];
  int length = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", argv[3], argv[2]);
  if (write(fd, text, length) != length) return 3;
  ssize_t count;
  while ((count = read(fd, text, sizeof(text))) > 0) fwrite(text, 1, count, stdout);
  FILE* ca = fopen("/etc/sallyport/certs/bundle.crt", "r");
  printf("\nca %zu\n", ca == NULL ? 0 : fread(text, 1, sizeof(text), ca));
  return 0;
}
"""

# Resolves a name by the C library, dynamically linked.
RESOLVE_PROGRAM = r"""
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

int main(int argc, char** argv) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
  if (argc != 2 || getaddrinfo(argv[1], "80", &hints, &found) != 0) return 1;
  puts(inet_ntoa(((struct sockaddr_in*)found->ai_addr)->sin_addr));
  return 0;
}
"""


def make_busybox_root(path):
    os.makedirs(f"{path}/bin")
    os.makedirs(f"{path}/tmp")
    shutil.copy(BUSYBOX, f"{path}/bin/busybox")
    for applet in APPLETS:
        os.symlink("busybox", f"{path}/bin/{applet}")


class Engine:
    """podman and runc whose hooks call the agent of a World."""

    def __init__(self, world):
        self.world = world
        self.dir = os.path.join(world.dir, "podman")
        os.makedirs(f"{self.dir}/hooks")
        with open(f"{self.dir}/containers.conf", "w", encoding="ascii") as file:
            file.write(CONTAINERS_CONF)
        self.hook = [binary("sallyport-oci-hook"), "--agent", f"unix:{world.dir}/agent.sock"]
        self.write_hooks()
        world.closers.callback(self.close)

    def write_hooks(self, stages=("precreate", "createRuntime", "poststop")):
        """As deploy/oci/sallyport.json, with this world's program and socket."""
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "deploy", "oci", "sallyport.json"), encoding="utf-8") as file:
            hooks = json.load(file)
        hooks["hook"] = {"path": self.hook[0], "args": self.hook, "timeout": HOOK_SECONDS}
        hooks["stages"] = list(stages)
        with open(f"{self.dir}/hooks/sallyport.json", "w", encoding="utf-8") as file:
            json.dump(hooks, file)

    def environment(self):
        return {**self.world.environment(), "CONTAINERS_CONF": f"{self.dir}/containers.conf"}

    def command(self, *arguments):
        return ["podman", "--root", f"{self.dir}/root", "--runroot", f"{self.dir}/runroot", "--tmpdir", f"{self.dir}/tmp",
                "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "file",
                "--hooks-dir", f"{self.dir}/hooks", *arguments]

    def podman(self, *arguments, check=True):
        return run(*self.command(*arguments), check=check, env=self.environment())

    def run(self, image, *command, **options):
        """The result of one container's run."""
        return run(*self.run_command(image, *command, **options), check=False, env=self.environment())

    def run_command(self, image, *command, class_name="agent", container_id=None, network="none", options=(), annotations=()):
        words = [f"sallyport.class={class_name}"] if class_name is not None else []
        words += [f"sallyport.id={container_id}"] if container_id else []
        words += annotations
        return self.command("run", "--rm", "--network", network, *(f"--annotation={word}" for word in words), *options, image, *command)

    def start(self, image, *command, **options):
        """A container that runs until it is ended."""
        return subprocess.Popen(self.run_command(image, *command, **options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.environment())

    def import_image(self, root, name):
        run("tar", "-C", root, "-cf", f"{self.dir}/{name}.tar", ".")
        self.podman("import", f"{self.dir}/{name}.tar", name)

    def busybox_image(self, name="busybox"):
        make_busybox_root(f"{self.dir}/{name}.root")
        self.import_image(f"{self.dir}/{name}.root", name)
        return name

    def alpine_image(self, roots, name="alpine"):
        """busybox, musl, and roots where Alpine has them, with the link that it has beside them."""
        root = f"{self.dir}/{name}.root"
        make_busybox_root(root)
        os.makedirs(f"{root}/lib")
        shutil.copy("/lib/ld-musl-x86_64.so.1", f"{root}/lib/ld-musl-x86_64.so.1")
        os.makedirs(f"{root}/etc/ssl/certs")
        shutil.copy(roots, f"{root}/etc/ssl/certs/ca-certificates.crt")
        os.symlink("certs/ca-certificates.crt", f"{root}/etc/ssl/cert.pem")
        with open(f"{root}/etc/alpine-release", "w", encoding="ascii") as file:
            file.write("like 3.18\n")
        self.compile(root, "resolve", RESOLVE_PROGRAM, "musl-gcc")
        self.import_image(root, name)
        return name

    def distroless_image(self, name="distroless"):
        root = f"{self.dir}/{name}.root"
        os.makedirs(root)
        self.compile(root, "get", STATIC_PROGRAM, "musl-gcc", "-static")
        self.import_image(root, name)
        return name

    def compile(self, root, name, text, *compiler):
        with open(f"{self.dir}/{name}.c", "w", encoding="ascii") as file:
            file.write(text)
        run(*compiler, "-o", f"{root}/{name}", f"{self.dir}/{name}.c")

    def debian_root(self, name="debian"):
        """The host's own programs, mounted read-only into a root file system of its own."""
        root = f"{self.dir}/{name}.root"
        os.makedirs(f"{root}/tmp")
        os.makedirs(f"{root}/etc")
        options = []
        for folder in DEBIAN_FOLDERS:
            if os.path.islink(f"/{folder}"):
                os.symlink(os.readlink(f"/{folder}"), f"{root}/{folder}")
            elif os.path.isdir(f"/{folder}"):
                os.makedirs(f"{root}/{folder}")
                options += ["--volume", f"/{folder}:/{folder}:ro"]
        for file in ("ld.so.cache", "nsswitch.conf", "passwd", "group"):
            shutil.copy(f"/etc/{file}", f"{root}/etc/{file}")
        return root, options

    def bundle(self, name, root, *command, annotations=None, hooks=("createRuntime", "poststop"), network=True):
        """A bundle for runc alone: its folder."""
        folder = f"{self.dir}/bundles/{name}"
        os.makedirs(folder)
        run("runc", "spec", "--bundle", folder)
        with open(f"{folder}/config.json", encoding="utf-8") as file:
            config = json.load(file)
        config["root"] = {"path": root, "readonly": False}
        config["process"].update(args=list(command), terminal=False)
        config["process"].pop("rlimits", None)
        config["annotations"] = annotations or {"sallyport.class": "agent"}
        config["hooks"] = {stage: [{"path": self.hook[0], "args": self.hook, "timeout": HOOK_SECONDS}] for stage in hooks}
        if not network:
            config["linux"]["namespaces"] = [one for one in config["linux"]["namespaces"] if one["type"] != "network"]
        with open(f"{folder}/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)
        return folder

    def runc(self, *arguments, check=False):
        return run("runc", "--root", f"{self.dir}/runc", *arguments, check=check, env=self.environment())

    def ids(self):
        """Of the containers that are attached."""
        return [one["containerId"] for one in self.world.agent_api.call("ListAttached").get("containers", [])]

    def close(self):
        self.podman("rm", "--all", "--force", "--time", "0", check=False)
        for state in os.listdir(f"{self.dir}/runc") if os.path.isdir(f"{self.dir}/runc") else []:
            self.runc("delete", "--force", state)
        # Storage is made of mounts that podman may leave.
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            for point in sorted((line.split()[1] for line in mounts if line.split()[1].startswith(self.dir)), reverse=True):
                run("umount", "--lazy", point, check=False)


class BridgeEngine(Engine):
    """podman in the namespace of the world's host, with a bridge of its own, the network net7."""

    def __init__(self, world):
        super().__init__(world)
        with open(f"{self.dir}/containers.conf", "a", encoding="ascii") as file:
            file.write(f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{self.dir}/networks"\n')
        self.podman("network", "create", *BRIDGE, "net7")

    def command(self, *arguments):
        return self.world.host.command(*super().command(*arguments))
