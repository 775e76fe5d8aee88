"""What is left to whoever takes the proxy over: no calls, no files, no way to be looked into, and no key outside of locked memory."""

import ctypes
import os
import pwd
import re
import ssl
import threading
import unittest

from harness import SANITIZED, World, eventually

NAMES = {"good.test": "203.0.113.10"}
PROXY_USER = "sallyport-proxy"
PTRACE_ATTACH = 16
CLONE_NEWNS = 0x20000


def in_thread(function):
    """What the function returns, in a thread that may change what threads have of their own and then ends."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


class PrivilegesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.apply_class("decrypted", enable_internet=False, intercept_https=True, allowed_hosts=["good.test"])
        cls.pid = cls.world.proxy_pid()

    def read(self, name):
        with open(f"/proc/{self.pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()

    def status(self):
        return dict(line.split(":\t", 1) for line in self.read("status").splitlines() if ":\t" in line)

    @unittest.skipIf(SANITIZED, "a sanitizer's run time is not held to the proxy's calls")
    def test_system_calls_are_filtered_in_every_thread(self):
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            self.assertIn("Seccomp:\t2\n", self.read(f"task/{thread}/status"))
            self.assertIn("NoNewPrivs:\t1\n", self.read(f"task/{thread}/status"))

    def test_its_mounts_are_an_empty_root_that_nobody_can_write_to(self):
        mounts = [line.split() for line in self.read("mountinfo").splitlines()]
        self.assertEqual([(mount[4], mount[mount.index("-") + 1]) for mount in mounts], [("/", "tmpfs")], mounts)
        self.assertLessEqual({"ro", "nosuid", "nodev", "noexec"}, set(mounts[0][5].split(",")), mounts)

    def test_its_mount_namespace_leads_nowhere_else(self):
        """Not by way of a root above its own, either, which a process that only has changed its root (chroot) leaves there."""
        with open(f"/proc/{self.pid}/ns/mnt", "rb") as namespace:
            def look():
                libc = ctypes.CDLL(None, use_errno=True)
                # Threads share a working directory and root, and so may not enter a mount namespace, until they do not.
                if libc.unshare(0x200) != 0 or libc.setns(namespace.fileno(), CLONE_NEWNS) != 0:
                    return os.strerror(ctypes.get_errno())
                return os.listdir("/")

            self.assertEqual(in_thread(look), [])

    def test_it_leaves_no_core(self):
        limit = re.search(r"Max core file size +(\S+) +(\S+)", self.read("limits"))
        self.assertEqual(limit.groups(), ("0", "0"))

    def test_its_own_user_can_neither_trace_nor_read_it(self):
        user = pwd.getpwnam(PROXY_USER)

        def attempt():
            libc = ctypes.CDLL(None, use_errno=True)
            # By system calls: of this thread alone.
            for number, arguments in ((116, (0, None)), (119, (user.pw_gid,) * 3), (117, (user.pw_uid,) * 3)):
                if libc.syscall(number, *arguments) != 0:
                    return "the user cannot be changed"
            results = []
            if libc.ptrace(PTRACE_ATTACH, self.pid, None, None) == 0:
                return "traced"
            results.append(os.strerror(ctypes.get_errno()))
            for name in ("mem", "environ", "maps"):
                try:
                    with open(f"/proc/{self.pid}/{name}", "rb"):
                        return f"{name} opened"
                except OSError as error:
                    results.append(error.strerror)
            return set(results)

        self.assertEqual(in_thread(attempt), {"Operation not permitted", "Permission denied"})

    def regions(self, pid):
        """Each readable mapping of a process: whether it is locked and kept out of dumps, and its bytes."""
        with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as smaps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for block in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps.read())[1:]:
                begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", block).groups()
                flags = re.search(r"VmFlags: (.*)", block).group(1).split()
                if not rights.startswith("rw"):
                    continue
                memory.seek(int(begin, 16))
                try:
                    yield {"lo", "dd"} <= set(flags), memory.read(int(end, 16) - int(begin, 16))
                except OSError:
                    continue

    def private_key(self, container_id):
        """The CA's, from the agent's memory, where it is as in RFC 5915, the public key at its end."""
        with open(f"{self.world.dir}/run/containers/{container_id}/ca.crt", encoding="ascii") as file:
            certificate = ssl.PEM_cert_to_DER_cert(file.read())
        return next(key for _, data in self.regions(self.world.agent.process.pid)
                    for key, public in re.findall(rb"\x30\x77\x02\x01\x01\x04\x20(.{32})\xa0.{11}\xa1\x44\x03\x42\x00(\x04.{64})", data, re.DOTALL)
                    if public in certificate)

    def places_of(self, key):
        """Whether each place that the key is in is locked. BoringSSL keeps numbers with the least word first."""
        return [locked for locked, data in self.regions(self.pid) for form in (key, key[::-1]) for _ in range(data.count(form))]

    @unittest.skipIf(SANITIZED, "a sanitizer keeps what was freed, and has more memory mapped than can be read")
    def test_a_containers_key_is_in_locked_memory_until_it_ends(self):
        container = self.world.container("decrypted", "keys")
        key = self.private_key("keys")
        # It signs.
        self.assertEqual(container.curl("https://good.test/", address="203.0.113.10").status, 200)
        self.assertEqual(set(self.places_of(key)), {True})
        self.assertGreater(int(self.status()["VmLck"].split()[0]), 0)
        # No file has it.
        self.assertEqual(os.listdir(f"{self.world.dir}/run/containers/keys"), ["ca.crt"])
        container.close()
        eventually(lambda: not os.path.exists(f"{self.world.dir}/run/containers/keys"), what="the container is gone")
        eventually(lambda: not self.places_of(key), what="no copy of the key is left")


if __name__ == "__main__":
    unittest.main()
