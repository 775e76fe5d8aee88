"""The control plane's disk fills up, fails or goes away: what was answered is kept and enforced, and nothing else is answered."""

import ctypes
import os
import subprocess
import threading
import unittest

import harness
from harness import World, binary, run

harness.BINARIES["disk_faults"] = "tests/fakes/libdisk_faults.so"
NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10"}
CLONE_NEWNS = 0x00020000
DISK_BYTES = 4 << 20
# Enough for one class to need more of the database than is there.
LARGE = [f"--allowed-host=a-rather-long-name-of-a-host-{host}.example.com" for host in range(1500)]


def setUpModule():
    # What is mounted here is seen by this test and by what it starts, and goes with them.
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


class SmallDiskWorld(World):
    """A World whose control plane stores on a file system of its own."""

    def start_control_plane(self):
        self.state = f"{self.dir}/controlplane"
        self.fault = f"{self.dir}/disk-fault"
        if not os.path.ismount(self.state):
            os.makedirs(self.state, mode=0o700, exist_ok=True)
            run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "sallyport-test", self.state)
            self.closers.callback(lambda: run("umount", "--lazy", self.state, check=False))
        self.control_plane = self.start("sallyportd", [
            "env", f"LD_PRELOAD={binary('disk_faults')}", f"SALLYPORT_DISK_FAULT={self.fault}", binary("sallyportd"),
            "--state-dir", self.state, "--listen", f"unix:{self.dir}/controlplane.sock"], self.host)
        self.control_plane.await_text("listening on")

    def restart_control_plane(self):
        self.control_plane.kill()
        os.unlink(self.control_plane.log_path)
        self.start_control_plane()
        harness.eventually(lambda: self.status().get("controlPlaneConnected"), 20, "the agent reconnects")

    def set_fault(self, what):
        with open(f"{self.fault}.new", "w", encoding="ascii") as file:
            file.write(what)
        os.rename(f"{self.fault}.new", self.fault)


class StoreFaultsTest(unittest.TestCase):
    def setUp(self):
        self.world = SmallDiskWorld(NAMES)
        self.addCleanup(self.world.close)
        self.world.apply_class("listed", enable_internet=False, allowed_hosts=["good.test", "evil.test"])
        self.container = self.world.container("listed")
        self.world.enforced("deny-host", self.container.id, "evil.test")

    def assert_enforced(self):
        self.assertTrue(self.world.status().get("controlPlaneConnected"))
        self.assertEqual(self.container.curl("http://good.test/", address="203.0.113.10").status, 200)
        self.assertEqual(self.container.curl("http://evil.test/", address="203.0.113.10").reason, "denied_host")
        status = self.world.cli("container", "get", self.container.id)["container"]
        self.assertGreaterEqual(int(status["enforcedRevision"]), int(status["storedRevision"]))

    def classes(self):
        return {one["name"] for one in self.world.cli("class", "list").get("classes", [])}

    def assert_refused(self, result, words):
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("UNAVAILABLE", result.stderr)
        self.assertIn(words, result.stderr)

    def test_disk_full(self):
        filler = f"{self.world.state}/filler"
        with open(filler, "wb") as file:
            file.write(b"x" * (DISK_BYTES - 500_000))
        # Several at once, until one finds the disk full.
        answered = {"listed"}
        refusals = []

        def write(writer):
            for change in range(20):
                name = f"large-{writer}-{change}"
                result = self.world.cli_result("class", "apply", name, *LARGE)
                if result.returncode == 0:
                    answered.add(name)
                else:
                    refusals.append((name, result))
                    return

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(refusals), 3)
        for _, result in refusals:
            self.assert_refused(result, "disk is full; nothing was changed; free some space")
        # It is full now, and everything but large changes goes on.
        self.assertEqual(self.classes(), answered)
        self.assert_enforced()
        backup = f"{self.world.dir}/backup"
        run(binary("sallyportd"), "backup", "--control-plane", f"unix:{self.world.dir}/controlplane.sock", backup)
        # Space comes back: so do changes, with no restart.
        os.unlink(filler)
        name = refusals[0][0]
        self.world.cli("class", "apply", name, *LARGE)
        answered.add(name)
        self.world.enforced("deny-host", self.container.id, "good.test")
        self.world.enforced("remove-denied-host", self.container.id, "good.test")
        self.world.restart_control_plane()
        self.assertEqual(self.classes(), answered)
        self.assert_enforced()

    def test_disk_does_not_sync(self):
        self.world.set_fault("sync")
        self.assert_refused(self.world.cli_result("class", "apply", "unsure"), "did not confirm the change")
        os.unlink(self.world.fault)
        # A sync that works again proves nothing about what was to be written before.
        self.assert_refused(self.world.cli_result("class", "apply", "later"), "takes no more changes")
        self.assertIn("takes no more changes", self.world.control_plane.text())
        self.assertEqual(self.classes(), {"listed"})
        self.assert_enforced()
        self.world.restart_control_plane()
        self.assertLessEqual({"listed"}, self.classes())
        self.assertNotIn("later", self.classes())
        self.world.apply_class("later")
        self.assert_enforced()

    def test_a_restore_waits_for_the_mark_of_the_former_epoch_to_be_off_the_disk(self):
        there = ["--control-plane", f"unix:{self.world.dir}/controlplane.sock", f"{self.world.dir}/backup"]
        run(binary("sallyportd"), "backup", *there)
        self.world.set_fault("sync-mark")
        self.world.apply_class("later")
        result = run(binary("sallyportd"), "restore", *there, check=False)
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("the mark beside the database cannot be cleared", result.stderr)
        self.assertEqual(self.classes(), {"listed", "later"})
        self.assert_enforced()
        os.unlink(self.world.fault)
        run(binary("sallyportd"), "restore", *there)
        self.assertEqual(self.classes(), {"listed"})
        self.world.restart_control_plane()
        self.assertEqual(self.classes(), {"listed"})

    def test_disk_is_read_only(self):
        self.world.set_fault("write")
        self.assert_refused(self.world.cli_result("class", "apply", "new"), "takes no more changes")
        self.assertEqual(self.classes(), {"listed"})
        self.assert_enforced()
        os.unlink(self.world.fault)
        self.world.restart_control_plane()
        self.assertEqual(self.classes(), {"listed"})
        self.world.apply_class("new")

    def test_database_moved_and_replaced(self):
        database = f"{self.world.state}/controlplane.db"
        os.rename(database, f"{database}.away")
        # Also when nobody changes anything.
        self.world.control_plane.await_text("was moved or deleted while in use")
        self.assert_refused(self.world.cli_result("class", "apply", "new"), "was moved or deleted while in use")
        with open(database, "wb") as file:
            file.write(b"another")
        self.assert_refused(self.world.cli_result("class", "apply", "new"), "was moved or deleted while in use")
        self.assert_enforced()
        os.rename(f"{database}.away", database)
        self.world.apply_class("new")
        self.world.restart_control_plane()
        self.assertEqual(self.classes(), {"listed", "new"})

    def test_log_deleted(self):
        os.unlink(f"{self.world.state}/controlplane.db-wal")
        self.assert_refused(self.world.cli_result("class", "apply", "new"), "is safe in the database")
        self.assert_enforced()
        self.world.restart_control_plane()
        self.assertEqual(self.classes(), {"listed"})
        self.world.apply_class("new")

    def test_corrupt_database_is_not_served(self):
        self.world.apply_class("filler", allowed_hosts=["a.test"])
        self.world.control_plane.stop()
        with open(f"{self.world.state}/controlplane.db", "r+b") as file:
            content = file.read()
            at = content.index(b"evil.test")
            file.seek(at)
            file.write(b"good.test")
        result = subprocess.run([binary("sallyportd"), "--state-dir", self.world.state, "--listen",
                                 f"unix:{self.world.dir}/controlplane.sock"], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("is damaged", result.stderr)
        self.assertIn("sallyportd restore --state-dir", result.stderr)
        # Its agent enforces what it last had.
        self.assertEqual(self.container.curl("http://good.test/", address="203.0.113.10").status, 200)
        self.assertEqual(self.container.curl("http://evil.test/", address="203.0.113.10").reason, "denied_host")


if __name__ == "__main__":
    unittest.main(verbosity=2)
