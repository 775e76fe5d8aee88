"""What the tests of clients share: a site, and `sallyport run` with interception on."""

import os
import shutil
import subprocess
import tempfile
import unittest

import harness
from clients.web_site import Site, SiteHandler
from fakes.raw_origin import server_context
from harness import World, binary

NAMES = {"h1.test": "203.0.113.40", "h2.test": "203.0.113.41", "v6.test": "2001:db8::40"}
V6 = NAMES["v6.test"]
# Speaks HTTP/2, and passes requests on as they come to the site behind it.
NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log;
events {{ worker_connections 256; }}
http {{ access_log off; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen {address}:443 ssl http2; ssl_certificate {dir}/origin.pem; ssl_certificate_key {dir}/origin.pem;
    client_max_body_size 0;
    location / {{ proxy_pass http://127.0.0.1:8080; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
      proxy_set_header Host $host; }} }} }}
"""
RUN_SECONDS = 120


class ClientTest(unittest.TestCase):
    """https://h1.test, http://h1.test, v6.test and its address, and https://h2.test, whose HTTP/2 is nginx's."""

    handler = SiteHandler

    @classmethod
    def setUpClass(cls):
        cls.world = world = World(NAMES, addresses=list(NAMES.values()), ports=[22])
        cls.addClassCleanup(world.close)
        cls.site = Site(world, cls.handler)
        tls = server_context(world, "http/1.1")
        for address in (NAMES["h1.test"], V6):
            cls.site.listen(address, 80)
            cls.site.listen(address, 443, tls)
        cls.site.listen("127.0.0.1", 8080)
        config = f"{world.dir}/nginx.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX.format(dir=world.dir, address=NAMES["h2.test"]))
        world.start("nginx", ["nginx", "-c", config], world.internet)
        harness.eventually(lambda: os.path.exists(f"{world.dir}/nginx.pid"), what="nginx is up")
        world.apply_class("client", enable_internet=False, intercept_https=True, allowed_hosts=[*NAMES, V6])
        # Seen from inside a sandbox as well, which /run is not.
        cls.dir = tempfile.mkdtemp(prefix="sallyport-clients-")
        os.chmod(cls.dir, 0o755)
        cls.addClassCleanup(shutil.rmtree, cls.dir)

    def command(self, *command):
        return self.world.host.command(binary("sallyport"), "run", "--class", "client", "--", *command)

    def environment(self, **more):
        return {**self.world.environment(), "HOME": self.dir, "TMPDIR": self.dir, **more}

    def sandboxed(self, *command, **more):
        """What a command prints inside a sandbox; it must succeed. `more`: environment."""
        result = subprocess.run(self.command(*command), capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
                                stdin=subprocess.DEVNULL, env=self.environment(**more), cwd=self.dir)
        self.assertEqual(result.returncode, 0, f"{command}: {result.stdout}{result.stderr}")
        return result.stdout

    def assert_reads_events(self, *command):
        """The command prints each event of /events before the next is sent."""
        with subprocess.Popen(self.command(*command), stdout=subprocess.PIPE, text=True, env=self.environment(),
                              stdin=subprocess.DEVNULL, cwd=self.dir) as process:
            for number in range(20):
                self.site.events.put(f"event {number}")
                line = process.stdout.readline()
                while line == "\n":
                    line = process.stdout.readline()
                self.assertEqual(line, f"data: event {number}\n")
            self.site.events.put(None)
            self.assertEqual(process.stdout.read().strip(), "")
            self.assertEqual(process.wait(RUN_SECONDS), 0)

    def assert_decrypted(self, host, path):
        """The proxy saw the path of a request over HTTPS."""
        harness.eventually(lambda: any((line["decision"], line["scheme"], line.get("host"), line.get("path")) ==
                                       ("egress", "https", host, path) for line in self.world.audit.all()),
                           what=f"a decrypted request for {host}{path}")

    def make_file(self, name, size):
        """A sparse file's path."""
        path = os.path.join(self.dir, name)
        with open(path, "wb") as file:
            file.truncate(size)
        return path
