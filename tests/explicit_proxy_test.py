"""The explicit proxy: programs that are told of it by their environment, and what they may not do with it."""

import base64
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import unittest
from urllib.parse import urlsplit

import harness
from api import ApiError
from fakes.http2_peer import Http2Peer
from harness import Response, World, binary, eventually
from netns import in_namespace
from sockets import HttpPeer, connect_socket, read_all

ORIGIN = "203.0.113.10"
NAMES = {"good.test": ORIGIN, "evil.test": ORIGIN, "api.test": ORIGIN, "git.test": "203.0.113.1", "inside.test": "10.1.2.3",
         "pass.test": ORIGIN, "two.test": ["203.0.113.10", "198.51.100.4"], "nobody.test": "198.51.100.65", "placed.test": ORIGIN}
GIT = 8088
NODE_CLIENT = """
const [host, path] = process.argv.slice(1), proxy = new URL(process.env.HTTPS_PROXY);
const credential = Buffer.from(decodeURIComponent(proxy.username) + ':' + proxy.password).toString('base64');
require('http').request({host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: host + ':443',
                         headers: {host, 'proxy-authorization': 'Basic ' + credential}})
  .on('connect', (answer, socket) => require('https').get(
      {host, port: 443, path, createConnection: () => require('tls').connect({socket, servername: host})},
      (response) => response.pipe(process.stdout))).end();
"""


def http2_client(connection):
    peer = Http2Peer(connection, client=True)
    # The library knows CONNECT for WebSockets only.
    peer.h2.config.validate_outbound_headers = False
    return peer


class Client:
    """A container without a namespace: what its programs are given, run beside the agent."""

    def __init__(self, world, class_name, container_id, **fields):
        self.world, self.id, self.class_name = world, container_id, class_name
        answer = world.agent_api.call("Attach", containerId=container_id, className=class_name, explicitProxy=fields)
        self.url = answer["explicitProxyUrl"]
        parts = urlsplit(self.url)
        self.address, self.port, self.token = parts.hostname, parts.port, parts.password
        self.bundle = os.path.join(world.dir, f"{container_id}-bundle.crt")
        with open(self.bundle, "w", encoding="ascii") as file:
            file.write(answer["caCertificatePem"] + harness.read_text(world.root_certificate))

    def environment(self):
        proxies = {name: self.url for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY")}
        trust = {name: self.bundle for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS",
                                                "REQUESTS_CA_BUNDLE")}
        return {**self.world.environment(), **proxies, **trust, "HOME": self.world.dir}

    def run(self, *command, **environment):
        return harness.run(*self.world.host.command(*command), check=False, env={**self.environment(), **environment},
                           stdin=subprocess.DEVNULL)

    def curl(self, url, *options):
        """What the last head says, which is the proxy's own if it agrees to no tunnel."""
        return Response(self.run("curl", "--silent", "--show-error", "--globoff", "--max-time", "20", "--dump-header", "/dev/stderr",
                                 *options, url))

    def connect(self):
        return in_namespace(f"/run/netns/{self.world.host.name}", connect_socket, self.address, self.port, 10)

    def credential(self, user=None, token=None):
        text = f"{user or self.id}:{token or self.token}"
        return f"Basic {base64.b64encode(text.encode()).decode()}"

    def ask(self, line, *lines, credential=None, behind=b""):
        """A request head over a connection of its own: a peer that is yet to read the answer."""
        peer = HttpPeer(self.connect())
        fields = [line, f"Proxy-Authorization: {credential or self.credential()}", *lines, "", ""]
        peer.send("\r\n".join(fields).encode() + behind)
        return peer

    def status(self, line, *lines, **options):
        peer = self.ask(line, *lines, **options)
        with peer.connection:
            line, headers = peer.read_head()
            return int(line.split()[1]), headers.get("sallyport-reason", "")

    def tunnel(self, authority):
        """The socket of a CONNECT that was agreed to."""
        peer = self.ask(f"CONNECT {authority} HTTP/1.1", f"Host: {authority}")
        line, _ = peer.read_head()
        if " 200 " not in line:
            raise AssertionError(line)
        return peer.connection

    def tls(self, connection, name):
        context = ssl.create_default_context(cafile=self.bundle)
        return context.wrap_socket(connection, server_hostname=name)


class ExplicitProxyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.start_handler("inject")
        cls.world.apply_class("open", intercept_https=True, denied_hosts=["evil.test", "198.51.100.4"],
                              outbound_by_host=[["api.test", "inject"]], tls_passthrough_hosts=["pass.test"])
        cls.world.apply_class("listed", enable_internet=False, intercept_https=True, allowed_hosts=["good.test"],
                              outbound_by_host=[["good.test", "inject"]])
        cls.open = Client(cls.world, "open", "open-1")
        cls.listed = Client(cls.world, "listed", "listed:1")

    def records(self, since, container_id="open-1"):
        return [record for record in self.world.audit.since(since) if record["containerId"] == container_id]

    def test_curl_by_http_and_https(self):
        for url in ("http://good.test/a?b=c", "https://good.test/a?b=c", f"http://{ORIGIN}/a?b=c", f"https://{ORIGIN}/a?b=c"):
            response = self.open.curl(url)
            self.assertEqual((response.status, response.body), (200, f"origin {urlsplit(url).hostname} /a?b=c"), response)

    def test_a_kept_connection_carries_requests_to_several_hosts(self):
        response = self.open.curl("http://pass.test/3", "http://good.test/1", "http://evil.test/2")
        self.assertEqual(response.body, "origin good.test /1Origin is disallowedorigin pass.test /3", response)

    def test_python_urllib(self):
        for url in ("http://good.test/p", "https://good.test/p"):
            result = self.open.run("/usr/bin/python3", "-c", f"import urllib.request as u; print(u.urlopen('{url}').read().decode(), end='')")
            self.assertEqual(result.stdout, "origin good.test /p", result.stderr)

    def test_node(self):
        """What agents of Node do: CONNECT by `http`, and TLS over its socket."""
        result = self.open.run("node", "-e", NODE_CLIENT, "good.test", "/n")
        self.assertEqual(result.stdout, "origin good.test /n", result.stderr)

    def test_npm(self):
        """Node's own package manager: its client takes the proxy from the environment."""
        since = self.world.audit.count()
        # Some hosts configure npm with a file of roots of their own.
        self.open.run("npm", "view", "left-pad", "--registry=https://good.test/npm/", "--fetch-retries=0", npm_config_cafile=self.open.bundle)
        self.world.audit.await_matching(since=since, containerId="open-1", decision="egress", scheme="https", host="good.test", path="/npm/left-pad")

    def test_git(self):
        root = os.path.join(self.world.dir, "git-root")
        work = os.path.join(self.world.dir, "git-work")
        identity = ["-c", "user.name=t", "-c", "user.email=t@good.test"]
        harness.run("git", "init", "--quiet", "--initial-branch=main", work)
        harness.run("git", "-C", work, *identity, "commit", "--quiet", "--allow-empty", "-m", "first")
        harness.run("git", "clone", "--quiet", "--bare", work, f"{root}/tool.git")
        harness.run("git", "-C", f"{root}/tool.git", "update-server-info")
        self.world.start("git", [sys.executable, "-m", "http.server", "--bind", NAMES["git.test"], str(GIT), "--directory", root],
                         self.world.internet)
        clone = os.path.join(self.world.dir, "git-clone")
        eventually(lambda: self.open.run("git", "clone", "--quiet", f"http://git.test:{GIT}/tool.git", clone).returncode == 0,
                   what="a clone")
        self.assertEqual(harness.run("git", "-C", clone, "log", "--format=%s").stdout, "first\n")

    def test_without_the_credential_nothing_is_done(self):
        origin, since = self.world.origin_contacts(), self.world.audit.count()
        other = self.listed
        wrong = [other.credential(), self.open.credential(user="listed:1"), self.open.credential(token="0" * 64), "Basic",
                 f"Bearer {self.open.token}", self.open.credential() + "x", self.open.credential().lower()]
        for line in ("GET http://good.test/ HTTP/1.1", "CONNECT good.test:443 HTTP/1.1", "CONNECT good.test:22 HTTP/1.1"):
            for credential in wrong:
                peer = self.open.ask(line, "Host: good.test", credential=credential)
                with peer.connection:
                    status, headers = peer.read_head()
                    self.assertIn(" 407 ", status, credential)
                    self.assertEqual(headers["proxy-authenticate"], 'Basic realm="sallyport", charset="UTF-8"')
                    self.assertEqual(headers["connection"], "close")
        peer = HttpPeer(self.open.connect())
        peer.send(b"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test\r\n\r\n")
        with peer.connection:
            self.assertIn(" 407 ", peer.read_head()[0])
        self.assertEqual(self.world.origin_contacts(), origin)
        # Each is written behind its answer, by one worker or another.
        eventually(lambda: len(self.records(since)) > 3 * len(wrong), what="a record of each request")
        records = self.records(since)
        self.assertEqual(len(records), 3 * len(wrong) + 1)
        self.assertEqual({(r["decision"], r["reason"], r["status"]) for r in records}, {("reject", "proxy_authentication", 407)})
        self.assertEqual({r["detail"] for r in records}, {"no credential", "a wrong credential"})

    def test_the_credential_goes_nowhere(self):
        before = len(self.world.origin_requests())
        self.open.curl("http://good.test/")
        self.open.curl("https://good.test/")
        self.open.curl("http://api.test/")
        peer = self.open.ask("GET http://good.test/x HTTP/1.1", "Host: good.test", "Connection: Proxy-Authorization, x", "x: y")
        with peer.connection:
            self.assertIn(" 200 ", peer.read_head()[0])
        for request in self.world.origin_requests()[before:]:
            self.assertNotIn("proxy-authorization", [name.lower() for name, _ in request["headers"]])
        encoded = self.open.credential().split()[1]
        for name in sorted(os.listdir(self.world.dir)):
            path = os.path.join(self.world.dir, name)
            if os.path.isfile(path) and name.endswith((".log", ".jsonl")):
                text = harness.read_text(path)
                self.assertNotIn(self.open.token, text, path)
                self.assertNotIn(encoded, text, path)
        listed = self.world.agent_api.call("ListAttached")["containers"]
        mine = next(one for one in listed if one["containerId"] == "open-1")
        self.assertEqual(mine["explicitProxy"], f"127.0.0.1:{self.open.port}")
        self.assertNotIn(self.open.token, json.dumps(listed))

    def test_policy_is_the_same(self):
        since = self.world.audit.count()
        for url in ("http://evil.test/", "https://evil.test/", "http://two.test:443/../"):
            response = self.open.curl(url)
            self.assertIn(520 if "evil" in url else 200, (response.status,), response)
        self.assertEqual(self.open.curl("http://evil.test/").reason, "denied_host")
        self.assertEqual(self.open.curl("https://evil.test/").reason, "denied_host")
        for url, reason in (("http://198.51.100.4/", "denied_host"), ("http://10.1.2.3/", "forbidden_address"),
                            ("http://inside.test/", "forbidden_address"), ("http://127.0.0.1/", "forbidden_address"),
                            ("http://169.254.169.254/latest/meta-data/", "forbidden_address"),
                            (f"http://{harness.HOST_ADDRESS}/", "forbidden_address")):
            response = self.open.curl(url)
            self.assertEqual((response.status, response.reason), (520, reason), (url, response))
        self.assertEqual(self.listed.curl("http://other.test/").reason, "not_allowed")
        self.assertEqual(self.listed.curl("https://other.test/").reason, "not_allowed")
        self.assertEqual({r["decision"] for r in self.records(since)} - {"egress"}, {"deny"})

    def test_handlers_answer_inside_and_outside_of_tunnels(self):
        for url in ("http://api.test/headers", "https://api.test/headers", "http://good.test/headers", "https://good.test/headers"):
            client = self.open if "api" in url else self.listed
            response = client.curl(url)
            self.assertIn("Bearer of-the-handler", response.body, response)

    def test_a_name_that_is_refused_is_never_looked_up(self):
        asked = self.world.dns.text().count("listed-out.test")
        self.assertEqual(self.listed.curl("https://listed-out.test/").reason, "not_allowed")
        self.assertEqual(self.world.dns.text().count("listed-out.test"), asked)

    def test_undecrypted_tls_is_relayed(self):
        since = self.world.audit.count()
        response = self.open.curl("https://pass.test/p", "--verbose")
        self.assertEqual(response.body, "origin pass.test /p", response)
        self.assertRegex(response.error, "issuer: CN=Test origins' root")
        record = eventually(lambda: [r for r in self.records(since) if r["host"] == "pass.test"], what="its record")[0]
        self.assertEqual((record["decision"], record["scheme"], record["port"]), ("relay", "tls", 443))

    def test_what_is_said_in_a_tunnel_is_for_what_was_asked(self):
        since = self.world.audit.count()
        with self.assertRaises(ssl.SSLError):
            self.open.tls(self.open.tunnel("good.test:443"), "pass.test")
        with self.open.tls(self.open.tunnel("good.test:443"), "good.test") as inside:
            peer = HttpPeer(inside)
            peer.send(b"GET / HTTP/1.1\r\nHost: pass.test\r\n\r\n")
            self.assertIn(" 421 ", peer.read_head()[0])
        with self.open.tunnel("good.test:80") as plain:
            peer = HttpPeer(plain)
            peer.send(b"GET / HTTP/1.1\r\nHost: pass.test\r\n\r\n")
            self.assertIn(" 421 ", peer.read_head()[0])
        with self.open.tunnel("good.test:80") as plain:
            peer = HttpPeer(plain)
            peer.send(b"GET /in HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n")
            self.assertIn(b"origin good.test /in", peer.read_rest())
        rejected = self.world.audit.await_matching(3, since, containerId="open-1", decision="reject")
        self.assertEqual([r["reason"] for r in rejected], ["misdirected"] * 3)

    def test_an_address_is_as_it_is_without_a_proxy(self):
        with self.open.tls(self.open.tunnel(f"{ORIGIN}:443"), "good.test") as inside:
            peer = HttpPeer(inside)
            peer.send(b"GET /by-address HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n")
            self.assertIn(b"origin good.test /by-address", peer.read_rest())

    def test_other_ports(self):
        since = self.world.audit.count()
        for authority in ("good.test:22", f"{ORIGIN}:22", "two.test:5432", "[2001:db8::1]:22"):
            with self.open.tunnel(authority) as connection:
                connection.sendall(b"echo this")
                self.assertEqual(connection.recv(100), b"echo this", authority)
        for authority, answer in (("evil.test:22", (520, "denied_host")), ("198.51.100.4:22", (520, "denied_host")),
                                  ("inside.test:22", (520, "forbidden_address")), ("127.0.0.1:22", (520, "forbidden_address")),
                                  (f"127.0.0.1:{self.open.port}", (520, "forbidden_address")),
                                  ("good.test:23", (502, "origin_unreachable")), ("no-such.test:22", (502, "origin_unreachable")),
                                  ("good.test:53", (400, "bad_request"))):
            self.assertEqual(self.open.status(f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"), answer, authority)
        for url in ("CONNECT good.test:22", "GET http://good.test:8080/"):
            self.assertEqual(self.listed.status(f"{url} HTTP/1.1", f"Host: {url.split()[1].removeprefix('http://').rstrip('/')}"),
                             (520, "no_internet"))
        relays = eventually(lambda: len(found := [r for r in self.records(since) if r["decision"] == "relay"]) == 4 and found, what="records")
        self.assertEqual({(r["scheme"], r["method"]) for r in relays}, {("tcp", "CONNECT")})

    def test_what_is_sent_ahead_of_the_answer(self):
        peer = self.open.ask("CONNECT good.test:22 HTTP/1.1", "Host: good.test:22", behind=b"echo ahead")
        with peer.connection:
            self.assertIn(" 200 ", peer.read_head()[0])
            self.assertEqual(peer.take(10), b"echo ahead")
        request = b"GET /ahead HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n"
        peer = self.open.ask("CONNECT good.test:80 HTTP/1.1", "Host: good.test:80", behind=request)
        with peer.connection:
            self.assertIn(" 200 ", peer.read_head()[0])
            self.assertIn(b"origin good.test /ahead", peer.read_rest())
        origin = self.world.origin_contacts()
        peer = self.open.ask("CONNECT evil.test:443 HTTP/1.1", "Host: evil.test:443", behind=b"GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n")
        with peer.connection:
            answers = peer.read_rest()
        self.assertEqual(answers.count(b"HTTP/1.1"), 1, answers)
        self.assertEqual(self.world.origin_contacts(), origin)

    def test_framing_and_forms(self):
        origin = self.world.origin_contacts()
        for line, *lines in (("CONNECT good.test:443 HTTP/1.1", "Host: good.test:443", "Content-Length: 5"),
                             ("CONNECT good.test:443 HTTP/1.1", "Host: good.test:443", "Transfer-Encoding: chunked"),
                             ("CONNECT good.test:443 HTTP/1.1", "Host: evil.test:443"),
                             ("CONNECT good.test:443 HTTP/1.1",),
                             ("CONNECT good.test HTTP/1.1", "Host: good.test"),
                             ("CONNECT http://good.test:443/ HTTP/1.1", "Host: good.test"),
                             ("CONNECT 2130706433:443 HTTP/1.1", "Host: 2130706433"),
                             ("GET http://good.test/ HTTP/1.1", "Host: evil.test"),
                             ("GET http://good.test/ HTTP/1.1", "Host: good.test", "Content-Length: 1", "Transfer-Encoding: chunked"),
                             ("GET http://user@good.test/ HTTP/1.1", "Host: good.test"),
                             ("GET https://good.test/ HTTP/1.1", "Host: good.test"),
                             ("GET ftp://good.test/ HTTP/1.1", "Host: good.test"),
                             ("GET http://good.test:53/ HTTP/1.1", "Host: good.test:53"),
                             ("GET / HTTP/1.1", "Host: good.test"),
                             ("OPTIONS * HTTP/1.1", "Host: good.test")):
            self.assertEqual(self.open.status(line, *lines)[0], 400, (line, lines))
        self.assertEqual(self.open.status("TRACE http://good.test/ HTTP/1.1", "Host: good.test")[0], 405)
        self.assertEqual(self.world.origin_contacts(), origin)

    def test_http2_by_prior_knowledge(self):
        authority = ("proxy-authorization", self.open.credential())
        connection = self.open.connect()
        with connection:
            peer = http2_client(connection)
            peer.send_head((":method", "GET"), (":scheme", "http"), (":authority", "good.test"), (":path", "/h2"), authority, end=True)
            self.assertEqual(peer.read_status(), 200)
            while not peer.ended:
                peer.fill()
            self.assertEqual(peer.body, b"origin good.test /h2")
            for answer, *fields in ((407, (":method", "CONNECT"), (":authority", "good.test:443")),
                                    (520, (":method", "CONNECT"), (":authority", "evil.test:443"), authority),
                                    (400, (":method", "CONNECT"), (":authority", "good.test"), authority),
                                    (400, (":method", "GET"), (":scheme", "https"), (":authority", "good.test"), (":path", "/"), authority)):
                peer.stream += 2
                peer.send_head(*fields, end=answer == 400 and fields[0][1] == "GET")
                self.assertEqual(peer.read_status(), answer, fields)

    def test_tunnels_in_http2(self):
        with self.open.connect() as connection:
            peer = http2_client(connection)
            peer.send_head((":method", "CONNECT"), (":authority", "good.test:443"), ("proxy-authorization", self.open.credential()))
            self.assertEqual(peer.read_status(), 200)
            # TLS in the tunnel, by hand: the peer's DATA is its transport.
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = ssl.create_default_context(cafile=self.open.bundle).wrap_bio(incoming, outgoing, server_hostname="good.test")

            def until_done(operation):
                while True:
                    try:
                        return operation()
                    except ssl.SSLWantReadError:
                        if data := outgoing.read():
                            peer.h2.send_data(peer.stream, data)
                            peer.flush()
                        while not peer.body:
                            peer.fill()
                        incoming.write(peer.body)
                        peer.body = b""

            until_done(tls.do_handshake)
            tls.write(b"GET /tunnelled HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n")
            answer = b""
            while b"origin good.test /tunnelled" not in answer:
                answer += until_done(lambda: tls.read(4096))
            self.assertIn(b"200 OK", answer)
        with self.open.connect() as connection:
            peer = http2_client(connection)
            peer.send_head((":method", "CONNECT"), (":authority", "good.test:22"), ("proxy-authorization", self.open.credential()))
            self.assertEqual(peer.read_status(), 200)
            peer.h2.send_data(peer.stream, b"echo in h2")
            peer.flush()
            while len(peer.body) < 10:
                peer.fill()
            self.assertEqual(peer.body, b"echo in h2")

    def test_tls_to_the_proxy(self):
        url = self.open.url.replace("http://", "https://")
        for target in ("http://good.test/t", "https://good.test/t"):
            response = self.open.curl(target, "--proxy", url, "--proxy-cacert", self.open.bundle)
            self.assertEqual(response.body, "origin good.test /t", response)
        context = ssl.create_default_context(cafile=self.open.bundle)
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(self.open.connect(), server_hostname="127.0.0.1") as connection:
            self.assertEqual(connection.selected_alpn_protocol(), "h2")
            peer = http2_client(connection)
            peer.send_head((":method", "GET"), (":scheme", "http"), (":authority", "good.test"), (":path", "/"),
                           ("proxy-authorization", self.open.credential()), end=True)
            self.assertEqual(peer.read_status(), 200)

    def test_a_change_of_policy_closes_tunnels(self):
        self.world.apply_class("changing", denied_hosts=[])
        client = Client(self.world, "changing", "changing-1")
        with client.tunnel("good.test:22") as connection:
            connection.sendall(b"echo x")
            self.assertEqual(connection.recv(10), b"echo x")
            self.world.enforced("deny-host", "changing-1", "good.test")
            with self.assertRaises(ConnectionResetError):
                connection.recv(10)
        self.assertEqual(client.curl("http://good.test/").reason, "denied_host")
        self.assertEqual(client.curl("https://good.test/").reason, "denied_host")

    def test_it_outlives_its_proxy_and_ends_with_its_process(self):
        holder = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        self.addCleanup(holder.stdin.close)
        answer = self.world.agent_api.call("Attach", containerId="held-1", className="open", pid=holder.pid, ephemeral=True, explicitProxy={})
        url = answer["explicitProxyUrl"]
        held = Client.__new__(Client)
        held.__dict__.update(self.open.__dict__, id="held-1", url=url, port=urlsplit(url).port, token=urlsplit(url).password)
        self.assertEqual(held.curl("http://good.test/").status, 200)
        os.kill(self.world.proxy_pid(), 9)
        self.assertEqual(held.curl("http://good.test/").status, 200)
        self.world.agent_api.call("RestartProxy")
        self.assertEqual(held.curl("http://good.test/").status, 200)
        with held.tunnel("good.test:22") as connection:
            connection.sendall(b"echo x")
            self.assertEqual(connection.recv(10), b"echo x")
            holder.kill()
            holder.wait()
            with self.assertRaises(ConnectionResetError):
                connection.recv(10)
        eventually(lambda: held.curl("http://good.test/").exit == 7, what="the port is closed")

    def test_connections_count(self):
        """What does not say who it is cannot keep a place for longer than a head may take."""
        self.assertEqual(self.open.curl("http://good.test/").status, 200)
        usage = self.world.agent_api.call("Usage")
        self.assertIn("open-1", [one["containerId"] for one in usage["containers"]])

    def test_where_it_listens(self):
        with self.assertRaises(ApiError) as refused:
            Client(self.world, "open", "taken-1", listen=f"127.0.0.1:{self.open.port}")
        self.assertEqual(refused.exception.code, "FAILED_PRECONDITION")
        for listen in ("0.0.0.0:0", "good.test:0", "3128"):
            with self.assertRaises(ApiError) as refused:
                Client(self.world, "open", "nowhere-1", listen=listen)
            self.assertEqual(refused.exception.code, "INVALID_ARGUMENT")
        client = Client(self.world, "open", "here-1", listen=f"{harness.HOST_ADDRESS}:3128")
        self.assertEqual(client.url.split("@")[1], f"{harness.HOST_ADDRESS}:3128")
        self.assertEqual(client.curl("https://good.test/").status, 200)

    def test_the_command_line(self):
        text = self.world.cli_text("container", "attach", "--explicit-proxy", "--id", "cli-1", "--class", "open")
        self.assertRegex(text, r"(?m)^http://cli-1:[0-9a-f]{64}@127\.0\.0\.1:[0-9]+$")
        result = self.world.cli_result("container", "attach", "--id", "cli-2", "--class", "open", "--listen", "127.0.0.1:1")
        self.assertEqual(result.returncode, 2)
        self.assertIn("--explicit-proxy", result.stderr)


class RunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.apply_class("open", intercept_https=True, denied_hosts=["evil.test"])
        cls.flags = ["--origin-roots", cls.world.root_certificate]

    def run_command(self, *arguments, **options):
        return harness.run(*self.world.host.command(binary("sallyport"), "run", "--explicit-proxy", *self.flags, *arguments),
                           check=False, env=self.world.environment(), **options)

    def test_clients_unchanged(self):
        for client in ("curl -sS {url}", "/usr/bin/python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\").read().decode(), end=\"\")'",
                       "wget -qO- --ca-certificate=$SSL_CERT_FILE {url}"):
            for url in ("http://good.test/x", "https://good.test/x"):
                result = self.run_command("--class", "open", "--", "sh", "-c", client.format(url=url))
                self.assertEqual(result.stdout, "origin good.test /x", (client, result.stderr))
                self.assertIn("nothing keeps a process from going around it", result.stderr)

    def test_environment_and_statuses(self):
        result = self.run_command("--class", "open", "--env", "A=b", "--", "env")
        environment = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
        self.assertEqual(environment["A"], "b")
        url = environment["HTTP_PROXY"]
        self.assertTrue(re.match(r"http://run-\d+:[0-9a-f]{64}@127\.0\.0\.1:\d+$", url), url)
        for name in ("http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            self.assertEqual(environment[name], url)
        self.assertEqual(environment["NO_PROXY"], "localhost,127.0.0.1,::1")
        folder = os.path.dirname(environment["SSL_CERT_FILE"])
        self.assertFalse(os.path.exists(folder), "it goes with the command")
        for script, status in (("exit 7", 7), ("kill -TERM $$", 143)):
            self.assertEqual(self.run_command("--class", "open", "--", "sh", "-c", script).returncode, status)
        self.assertEqual(self.run_command("--", "/no/such/program").returncode, 127)
        self.assertEqual(self.run_command("--class", "none", "--", "true").returncode, 125)
        self.assertEqual(self.world.agent_api.call("ListAttached"), {})

    def test_verbose_says_what_was_decided(self):
        result = self.run_command("--class", "open", "--verbose", "--", "sh", "-c", "curl -s http://good.test/a; curl -s https://evil.test/b")
        self.assertRegex(result.stderr, r"egress  GET  http://good\.test/a +200")
        self.assertRegex(result.stderr, r"deny +CONNECT .*evil\.test.* 520 +denied_host")


if __name__ == "__main__":
    unittest.main()
