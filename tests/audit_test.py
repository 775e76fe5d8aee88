"""Where audit records go: a file that is rotated or moved away, standard output, and a reader that does not read."""

import glob
import json
import os
import re
import socket
import subprocess
import unittest

from harness import Lines, World, eventually

NAMES = {"good.test": "203.0.113.10"}
METRICS = "127.0.0.1:9464"


class AuditTest(unittest.TestCase):
    def world(self, *flags):
        world = World(NAMES, agent_flags=["--metrics", METRICS, *flags])
        self.addCleanup(world.close)
        world.apply_class("open")
        return world

    @staticmethod
    def counted(world, name):
        text = world.host_run("curl", "-sS", "-m", "20", f"http://{METRICS}/metrics").stdout
        return sum(int(value) for value in re.findall(rf"(?m)^{name}(?:{{.*}})? (\d+)$", text))

    def records(self, world):
        """Of all files; each line must be one."""
        found = []
        for path in glob.glob(f"{world.audit.path}*"):
            with open(path, encoding="utf-8") as file:
                found += [json.loads(line) for line in file]
        return found

    def test_a_full_file_is_rotated_and_no_record_is_lost_or_cut(self):
        world = self.world("--audit-max-mib", "1", "--audit-keep", "100")
        container = world.container("open", "c-1")
        subprocess.run(container.command("wrk", "-t1", "-c8", "-d3s", "http://203.0.113.10/"), check=True, stdout=subprocess.DEVNULL)
        files = eventually(lambda: sorted(glob.glob(f"{world.audit.path}.*")), what="a first rotated file")
        for path in files:
            self.assertGreaterEqual(os.path.getsize(path), 1 << 20, path)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        decisions = self.counted(world, "sallyport_decisions_total")
        self.assertGreater(decisions, 3000)
        eventually(lambda: len(self.records(world)) == self.counted(world, "sallyport_decisions_total"), what="a record of each decision")
        self.assertEqual(self.counted(world, "sallyport_audit_records_lost_total"), 0)

    def test_a_file_that_was_moved_away_is_made_anew(self):
        world = self.world()
        container = world.container("open", "c-1")
        self.assertEqual(container.curl("http://good.test/before").status, 200)
        moved = f"{world.audit.path}-moved"
        os.rename(world.audit.path, moved)
        eventually(lambda: os.path.exists(world.audit.path), what="a new file")

        def goes_there():
            self.assertEqual(container.curl("http://good.test/after").status, 200)
            return [line for line in Lines(world.audit.path).all() if line["path"] == "/after"]

        eventually(goes_there, what="a record in the new file")
        size = os.path.getsize(moved)
        self.assertEqual(container.curl("http://good.test/after").status, 200)
        self.assertEqual(os.path.getsize(moved), size)
        self.assertEqual(Lines(moved).all()[0]["path"], "/before")
        # The next proxy writes to the new one, too.
        os.kill(world.proxy_pid(), 9)
        eventually(lambda: world.status().get("proxyRestarts"), what="a new proxy")
        self.assertEqual(container.curl("http://good.test/again").status, 200)
        eventually(lambda: Lines(world.audit.path).all()[-1]["path"] == "/again", what="its record")
        self.assertEqual(os.path.getsize(moved), size)

    def with_stdout(self, world, end):
        """The same agent, which records on its standard output."""
        world.agent.stop()
        flags = [flag if flag != world.audit.path else "stdout" for flag in world.agent.process.args]
        agent = subprocess.Popen(flags, stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.DEVNULL, env=world.environment())

        def stop():
            agent.terminate()
            agent.wait()

        self.addCleanup(stop)
        eventually(lambda: world.status().get("proxyPid") and world.status().get("controlPlaneConnected"), what="the agent")

    def test_records_on_standard_output_are_whole_lines(self):
        # As the journal's is: a stream socket.
        world = self.world()
        ours, agents = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(ours.close)
        with agents:
            self.with_stdout(world, agents)
        container = world.container("open", "c-1")
        ours.settimeout(10)
        with ours.makefile("r", encoding="utf-8") as lines:
            for number in range(3):
                self.assertEqual(container.curl(f"http://good.test/{number}").status, 200)
                self.assertEqual(json.loads(lines.readline())["path"], f"/{number}")

    def test_who_does_not_read_stops_nothing(self):
        world = self.world()
        ours, agents = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(ours.close)
        with agents:
            self.with_stdout(world, agents)
        container = world.container("open", "c-1")
        result = subprocess.run(container.command("wrk", "-t1", "-c8", "-d2s", "http://203.0.113.10/"), check=True, capture_output=True, text=True)
        self.assertNotIn("Non-2xx", result.stdout)
        self.assertNotIn("Socket errors", result.stdout)
        decisions = self.counted(world, "sallyport_decisions_total")
        lost = self.counted(world, "sallyport_audit_records_lost_total")
        self.assertGreater(lost, 0)
        # What was taken is there, and what was not is counted: the socket holds the first of them.
        ours.setblocking(False)
        taken = b""
        try:
            while piece := ours.recv(1 << 20):
                taken += piece
        except BlockingIOError:
            pass
        whole = 0
        for line in taken.splitlines():
            try:
                whole += json.loads(line)["containerId"] == "c-1"
            except ValueError:
                # One that the socket took in part.
                pass
        self.assertGreater(whole, 0)
        self.assertEqual(whole + lost, decisions)


if __name__ == "__main__":
    unittest.main(verbosity=2)
