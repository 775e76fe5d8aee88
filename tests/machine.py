"""Machines with systemd as their first process, for tests of packages and units as they are on a host.

A Machine sees this one's files, copy on write: what it changes is in memory and goes with it. Its processes, mounts, host name and
cgroups are its own; its network is a namespace that the test gives it.
"""

import os
import shutil
import subprocess
import tempfile

from harness import eventually
from netns import run

CGROUPS = "/sys/fs/cgroup"
# Nothing that this machine's own units would do to the kernel: only the journal and the run-time directories.
KEPT_UNITS = ["systemd-journald.service", "systemd-tmpfiles-setup.service"]
SETUP = r"""
set -eu
directory=$1 name=$2 kept=$3
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$directory"
mkdir "$directory/upper" "$directory/work" "$directory/root"
mount -t overlay -o "lowerdir=/,upperdir=$directory/upper,workdir=$directory/work" machine "$directory/root"
cd "$directory/root"
mount -t proc proc proc
# Read-only, so that no unit takes the hardware for its own.
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
if [ -d "$4/unified" ]; then
  mkdir sys/fs/cgroup/unified sys/fs/cgroup/systemd
  mount -t cgroup2 cgroup sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd,xattr cgroup sys/fs/cgroup/systemd
else
  mount -t cgroup2 cgroup sys/fs/cgroup
fi
mount -t tmpfs -o mode=755 dev dev
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs shm dev/shm
mount -t tmpfs -o mode=755 run run
mount -t tmpfs tmp tmp

: > etc/fstab
echo "$name" > etc/hostname
rm -f usr/sbin/policy-rc.d
ln -sf /dev/null etc/systemd/system/systemd-journald-audit.socket
rm -rf etc/systemd/system/*.wants usr/lib/systemd/system/*.target.wants var/log/journal
mkdir usr/lib/systemd/system/sysinit.target.wants
for unit in $kept; do ln -s "../$unit" usr/lib/systemd/system/sysinit.target.wants/; done

mkdir old
pivot_root . old
umount -l old
rmdir old
# As systemd does where it is no guest: what is mounted later is seen by services, too.
mount --make-rshared /
exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --unit=basic.target --log-target=journal --show-status=false
"""


def hierarchies():
    """The cgroup file systems that systemd keeps its units in."""
    if os.path.isdir(f"{CGROUPS}/unified"):
        return [f"{CGROUPS}/unified", f"{CGROUPS}/systemd"]
    return [CGROUPS]


class Machine:
    def __init__(self, name, namespace):
        self.name = name
        self.directory = tempfile.mkdtemp(prefix="sallyport-machine-", dir="/run")
        self.cgroups = [f"{root}/{os.path.basename(self.directory)}" for root in hierarchies()]
        for cgroup in self.cgroups:
            os.mkdir(cgroup)
        # A cgroup namespace begins where the process is that makes it.
        enter = "".join(f"echo $$ > {cgroup}/cgroup.procs; " for cgroup in self.cgroups)
        unshare = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child=KILL", "--", "sh", "-c",
                   SETUP, "sh", self.directory, name, " ".join(KEPT_UNITS), CGROUPS]
        self.process = subprocess.Popen(namespace.command("sh", "-c", enter + 'exec "$@"', "sh", *unshare), stdin=subprocess.DEVNULL)
        try:
            self.pid = eventually(self.first_process, what="the machine's first process")
            eventually(self.is_up, 30, "systemd is up")
        except BaseException:
            self.close()
            raise

    def first_process(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the machine ended with {self.process.returncode}")
        children = run("pgrep", "--parent", str(self.process.pid), check=False).stdout.split()
        return int(children[0]) if children else None

    def is_up(self):
        self.first_process()
        if not os.path.exists(self.path("/run/systemd/private")):
            return False
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def path(self, path):
        """Where this test finds a file of the machine's. Links of the machine's that begin with / lead elsewhere."""
        return f"/proc/{self.pid}/root{path}"

    def command(self, *command):
        return ["nsenter", f"--target={self.pid}", "--all", "--", *command]

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(path), mode)

    def copy(self, source, path):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        shutil.copy(source, self.path(path))

    def systemctl(self, *arguments):
        return self.run("systemctl", *arguments).stdout

    def unit(self, name, *properties):
        """Values of a unit's properties."""
        return self.systemctl("show", "--value", *(f"--property={property}" for property in properties), name).split("\n")[:len(properties)]

    def main_pid(self, name):
        return int(self.unit(name, "MainPID")[0])

    def journal(self, unit):
        return self.run("journalctl", "--unit", unit, "--output=cat", "--no-pager", check=False).stdout

    def close(self):
        if self.process.poll() is None:
            # Takes the first process with it, and that one all others.
            self.process.kill()
        self.process.wait()
        for cgroup in self.cgroups:
            eventually(lambda path=cgroup: self.remove_cgroup(path), what=f"{cgroup} is empty")
        os.rmdir(self.directory)

    @staticmethod
    def remove_cgroup(path):
        for directory, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                return False
        return True
