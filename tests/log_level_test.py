"""How much programs log, changed while they run: SIGUSR1 is a level more, SIGUSR2 a level less."""

import os
import signal
import unittest

from harness import World, eventually


class LogLevelTest(unittest.TestCase):
    def world(self, *agent_flags):
        world = World(agent_flags=agent_flags)
        self.addCleanup(world.close)
        world.apply_class("open")
        world.container("open")
        return world

    def change(self, program, number, level):
        program.process.send_signal(number)
        program.await_text(f"what is logged from here on: {level}")

    def test_the_agent(self):
        world = self.world()
        agent = world.agent
        self.assertNotIn(" debug ", agent.text())
        self.change(agent, signal.SIGUSR1, "debug")
        world.enforced("allow-host", "c1", "a.test")
        agent.await_text(" debug sallyport-agent: revision ")
        self.change(agent, signal.SIGUSR2, "info")
        self.change(agent, signal.SIGUSR2, "warning")
        before = agent.text()
        world.enforced("allow-host", "c1", "b.test")
        self.assertNotRegex(agent.text()[len(before):], " (debug|info) sallyport-agent: ")
        # It ends as it did before.
        agent.stop()
        self.assertEqual(agent.process.returncode, 0)

    def test_a_keeper_hands_it_on(self):
        world = self.world("--keeper")
        proxy = world.proxy_pid()
        self.change(world.agent, signal.SIGUSR1, "debug")
        world.enforced("allow-host", "c1", "a.test")
        world.agent.await_text(" debug sallyport-agent: revision ")
        self.assertEqual(world.agent.text().count("what is logged from here on"), 1)
        self.assertEqual(world.proxy_pid(), proxy)

    def test_proxies_log_as_much_as_their_agent(self):
        world = self.world()
        agent = world.agent
        self.assertNotIn(" debug ", agent.text())
        self.change(agent, signal.SIGUSR1, "debug")
        world.enforced("allow-host", "c1", "a.test")
        agent.await_text(" debug sallyport-proxy: command ")
        # One that is started later too.
        world.cli("restart-proxy")
        logged = agent.text().count("debug sallyport-proxy: command")
        world.enforced("allow-host", "c1", "b.test")
        eventually(lambda: agent.text().count("debug sallyport-proxy: command") > logged, what="a line of the new proxy")
        self.change(agent, signal.SIGUSR2, "info")
        self.change(agent, signal.SIGUSR2, "warning")
        before = agent.text()
        world.enforced("allow-host", "c1", "c.test")
        world.cli("restart-proxy")
        self.assertNotRegex(agent.text()[len(before):], " (debug|info) ")

    def test_a_proxy_does_not_end_of_a_signal_to_all(self):
        world = self.world()
        pid = world.proxy_pid()
        for one in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(pid, one)
        world.enforced("allow-host", "c1", "a.test")
        self.assertEqual(world.proxy_pid(), pid)

    def test_the_control_plane(self):
        world = self.world()
        plane = world.control_plane
        self.change(plane, signal.SIGUSR1, "debug")
        world.enforced("allow-host", "c1", "a.test")
        plane.await_text(" debug sallyportd: host test-host is sent revision ")
        self.change(plane, signal.SIGUSR2, "info")
        before = plane.text()
        world.enforced("allow-host", "c1", "b.test")
        self.assertNotIn(" debug ", plane.text()[len(before):])
        plane.stop()
        self.assertEqual(plane.process.returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
