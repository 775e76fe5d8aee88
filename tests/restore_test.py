"""A restore under a real agent: it takes everything anew, and what the backup does not know reaches nothing."""

import os
import unittest

from harness import World, binary, eventually, run

NAMES = {"good.test": "203.0.113.10", "later.test": "203.0.113.10"}


class RestoreTest(unittest.TestCase):
    def setUp(self):
        self.world = World(NAMES)
        self.addCleanup(self.world.close)
        self.world.apply_class("listed", enable_internet=False, allowed_hosts=["good.test", "later.test"])
        self.container = self.world.container("listed")
        self.world.enforced("deny-host", self.container.id, "later.test")
        self.backup = f"{self.world.dir}/backup"
        self.sallyportd("backup")

    def sallyportd(self, command, *flags):
        run(binary("sallyportd"), command, *(flags or ["--control-plane", f"unix:{self.world.dir}/controlplane.sock"]), self.backup)

    def reason(self, container, name):
        response = container.curl(f"http://{name}/", address="203.0.113.10")
        return response.status if response.status == 200 else response.reason

    def synced(self, container_id):
        """Whether the host enforces all that the restored store has for the container."""
        status = self.world.cli("container", "get", container_id)["container"]
        return int(status.get("enforcedRevision", 0)) >= int(status["storedRevision"])

    def test_rules_are_those_of_the_backup(self):
        self.world.enforced("remove-denied-host", self.container.id, "later.test")
        self.world.enforced("deny-host", self.container.id, "good.test")
        self.assertEqual(self.reason(self.container, "later.test"), 200)
        self.sallyportd("restore")
        eventually(lambda: self.synced(self.container.id), 10, "the agent has taken everything anew")
        self.assertEqual(self.reason(self.container, "later.test"), "denied_host")
        self.assertEqual(self.reason(self.container, "good.test"), 200)
        # Changes go on from there.
        self.world.enforced("deny-host", self.container.id, "good.test")
        self.assertEqual(self.reason(self.container, "good.test"), "denied_host")

    def test_container_that_the_backup_does_not_know(self):
        later = self.world.container("listed", "later")
        self.assertEqual(self.reason(later, "good.test"), 200)
        self.sallyportd("restore")
        eventually(lambda: self.synced(self.container.id), 10, "the agent has taken everything anew")
        before = self.world.origin_contacts()
        self.assertNotEqual(self.reason(later, "good.test"), 200)
        # Neither a control plane nor a stream that starts again gives it back its access.
        self.world.control_plane.kill()
        os.unlink(self.world.control_plane.log_path)
        self.world.start_control_plane()
        eventually(lambda: self.world.status().get("controlPlaneConnected") and self.synced(self.container.id), 20)
        self.assertNotEqual(self.reason(later, "good.test"), 200)
        self.assertEqual(self.world.origin_contacts(), before)
        self.assertEqual(self.reason(self.container, "good.test"), 200)
        self.world.cli("container", "detach", "later")
        anew = self.world.container("listed", "later")
        self.assertEqual(self.reason(anew, "good.test"), 200)

    def test_restored_while_the_control_plane_was_away(self):
        self.world.enforced("remove-denied-host", self.container.id, "later.test")
        self.world.control_plane.kill()
        os.unlink(self.world.control_plane.log_path)
        self.sallyportd("restore", "--state-dir", f"{self.world.dir}/controlplane")
        self.world.start_control_plane()
        eventually(lambda: self.world.status().get("controlPlaneConnected") and self.synced(self.container.id), 20)
        self.assertEqual(self.reason(self.container, "later.test"), "denied_host")


if __name__ == "__main__":
    unittest.main(verbosity=2)
