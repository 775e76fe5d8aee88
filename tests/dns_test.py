"""DNS as real clients ask it inside a container: dig, the C libraries' getaddrinfo, Go's resolver."""

import ipaddress
import os
import re
import shutil
import struct
import time
import unittest

from dns_client import ask_dns, dns_query, response_code
from harness import World, binary, eventually
from netns import in_namespace, run
from sockets import connect_socket

NAMES = {
    "v4.test": "203.0.113.10",
    "both.test": ["198.51.100.4", "2001:db8::1"],
    "denied.test": "203.0.113.10",
    "mixed.test": ["10.1.2.3", "203.0.113.10"],
    "inside.test": "10.1.2.3",
    # More than fit into a datagram, with EDNS or without.
    "many.test": [f"198.51.100.{number}" for number in range(1, 101)],
}
ZONE = """
* SOA 30
alias.test CNAME other.test
other.test CNAME v4.test
text.test TXT hello
text.test MX 10 mail.test
10.113.0.203.in-addr.arpa PTR v4.test
*.fresh.test A 203.0.113.10
*.exfil.test A 203.0.113.10
"""
SECOND_RESOLVER = "203.0.113.1"

C_CLIENT = r"""
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char** argv) {
  struct addrinfo hints, *found, *at;
  memset(&hints, 0, sizeof(hints));
  hints.ai_socktype = SOCK_STREAM;
  int error = getaddrinfo(argv[argc - 1], "80", &hints, &found);
  if (error != 0) return printf("%s\n", error == EAI_NONAME ? "no such name" : gai_strerror(error)) < 0;
  for (at = found; at != NULL; at = at->ai_next) {
    char text[INET6_ADDRSTRLEN];
    const void* address = at->ai_family == AF_INET ? (void*)&((struct sockaddr_in*)at->ai_addr)->sin_addr
                                                   : (void*)&((struct sockaddr_in6*)at->ai_addr)->sin6_addr;
    puts(inet_ntop(at->ai_family, address, text, sizeof(text)));
  }
  return 0;
}
"""

GO_CLIENT = r"""
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	addresses, err := net.LookupHost(os.Args[1])
	if dns, ok := err.(*net.DNSError); ok && dns.IsNotFound {
		fmt.Println("no such name")
	} else if err != nil {
		fmt.Println(err)
	}
	for _, address := range addresses {
		fmt.Println(address)
	}
}
"""

PYTHON_CLIENT = """
import socket, sys
try:
    print("\\n".join(found[4][0] for found in socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)))
except socket.gaierror as error:
    print("no such name" if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else error)
"""


def dig(container, *arguments):
    return container.run("dig", "@192.0.2.53", "+time=10", "+tries=1", *arguments).stdout


def milliseconds(dig_answer):
    return int(re.search(r"Query time: (\d+) msec", dig_answer).group(1))


class DnsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES, zone=ZONE)
        cls.addClassCleanup(cls.world.close)
        api = cls.world.api
        api.call("ApplyClass", **{"class": {"name": "open", "deniedHosts": {"hosts": ["denied.test"]}}})
        api.call("ApplyClass", **{"class": {"name": "closed", "enableInternet": False, "allowedHosts": {"hosts": ["v4.test"]}}})
        cls.open = cls.world.container("open", "open-1")
        cls.closed = cls.world.container("closed", "closed-1")
        cls.resolv_conf = f"{cls.world.dir}/resolv.conf"
        with open(cls.resolv_conf, "w", encoding="ascii") as file:
            # Whatever server is asked, the agent answers. A busy machine may take its time.
            file.write("nameserver 192.0.2.53\noptions timeout:10\n")

    def upstream(self, name):
        """The types that the operator's resolver was asked for, in order."""
        return re.findall(rf"(?m)^query {re.escape(name)} (\S+)", self.world.dns.text())

    def dig(self, *arguments, container=None):
        return dig(container or self.open, *arguments)

    def lookup(self, container, *client):
        """What a client prints, with a resolv.conf of its own: addresses, or why there are none."""
        mount = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        result = container.run("unshare", "--mount", "sh", "-c", mount, self.resolv_conf, *client)
        lines = [line.split()[0] if re.match(r"[0-9a-f.:]+\s", line + " ") else line for line in result.stdout.splitlines()]
        return sorted(set(lines)) or [f"exit {result.returncode} {result.stderr}"]

    def expect(self, client, none=("no such name",), most=100):
        """A client that is called with a name."""
        found = {
            "v4.test": ["203.0.113.10"],
            "both.test": ["198.51.100.4", "2001:db8::1"],
            "alias.test": ["203.0.113.10"],
            "mixed.test": ["203.0.113.10"],
            "localhost": None,
        }
        for name, addresses in found.items():
            with self.subTest(name):
                answer = self.lookup(self.open, *client, name)
                if addresses is None:
                    self.assertTrue(set(answer) <= {"127.0.0.1", "::1"}, answer)
                else:
                    self.assertEqual(answer, sorted(addresses))
        for name in ("none.test", "denied.test", "inside.test", "text.test"):
            with self.subTest(name):
                self.assertIn(self.lookup(self.open, *client, name), [[text] for text in none] + [["exit 2 "]])
        with self.subTest("truncated"):
            answer = self.lookup(self.open, *client, "many.test")
            self.assertTrue(set(answer) <= set(NAMES["many.test"]), answer)
            self.assertGreaterEqual(len(answer), most)
        with self.subTest("placeholder"):
            (answer,) = self.lookup(self.closed, *client, "v4.test")
            self.assertIn(ipaddress.ip_address(answer), ipaddress.ip_network("198.18.0.0/15"))
            self.assertIn(self.lookup(self.closed, *client, "both.test"), [[text] for text in none] + [["exit 2 "]])

    def test_getent(self):
        self.expect(("getent", "ahosts"))

    def test_python(self):
        self.expect(("python3", "-c", PYTHON_CLIENT))

    def test_musl(self):
        source, client = (f"{self.world.dir}/{name}" for name in ("client.c", "musl-client"))
        with open(source, "w", encoding="ascii") as file:
            file.write(C_CLIENT)
        run("musl-gcc", "-static", "-o", client, source)
        # It uses what fits into the datagram, 48 addresses at most; later versions ask again over TCP.
        self.expect((client,), none=("no such name", "Name has no usable address"), most=20)

    def test_go(self):
        folder = f"{self.world.dir}/go"
        os.makedirs(folder)
        self.addCleanup(shutil.rmtree, folder)
        with open(f"{folder}/main.go", "w", encoding="ascii") as file:
            file.write(GO_CLIENT)
        environment = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": "-p=2", "HOME": folder}
        client = f"{self.world.dir}/go-client"
        run("go", "build", "-o", client, f"{folder}/main.go", env=environment)
        self.expect((client,))

    def test_dig(self):
        for options in ((), ("+tcp",), ("+noedns",), ("+bufsize=512",), ("+bufsize=4096",), ("+nocookie",), ("+dnssec",),
                        ("+ednsopt=65001:00ff",), ("+norecurse",)):
            for name, address in (("v4.test", "203.0.113.10"), ("alias.test", "203.0.113.10"), ("mixed.test", "203.0.113.10")):
                with self.subTest(options=options, name=name):
                    self.assertEqual(self.dig("+short", *options, name).split(), [address])
            for name in ("none.test", "denied.test", "inside.test"):
                with self.subTest(options=options, name=name):
                    self.assertIn("status: NXDOMAIN", self.dig(*options, name))
            with self.subTest(options=options, name="many.test"):
                self.assertEqual(len(self.dig("+short", *options, "many.test").split()), 100)

    def test_dig_edns(self):
        self.assertIn("EDNS: version: 0, flags:; udp: 1232", self.dig("v4.test"))
        self.assertIn("EDNS: version: 0, flags: do; udp: 1232", self.dig("+dnssec", "v4.test"))
        self.assertNotIn("OPT PSEUDOSECTION", self.dig("+noedns", "v4.test"))
        self.assertIn("status: BADVERS", self.dig("+edns=1", "+noednsneg", "v4.test"))

    def test_dig_truncation(self):
        for options, limit in ((("+noedns",), 512), (("+bufsize=512",), 512), (("+bufsize=900",), 900), (("+bufsize=4096",), 1232)):
            with self.subTest(options):
                answer = self.dig("+ignore", *options, "many.test")
                self.assertRegex(answer, r"flags:[^;]* tc[ ;]")
                self.assertLessEqual(int(re.search(r"MSG SIZE +rcvd: (\d+)", answer).group(1)), limit)
                self.assertRegex(self.dig(*options, "many.test"), r"ANSWER: 100\b")

    def test_dig_other_types(self):
        self.assertEqual(self.dig("+short", "TXT", "text.test").strip(), '"hello"')
        self.assertEqual(self.dig("+short", "MX", "text.test").strip(), "10 mail.test.")
        self.assertEqual(self.dig("+short", "-x", "203.0.113.10").strip(), "v4.test.")
        before = len(self.world.dns.text())
        for record_type in ("HTTPS", "SVCB", "NULL", "TYPE65399"):
            with self.subTest(record_type):
                answer = self.dig("-t", record_type, "v4.test")
                self.assertRegex(answer, r"status: NOERROR[\s\S]*ANSWER: 0, AUTHORITY: 1,[\s\S]*\tSOA\t")
        for arguments, status in ((("ANY", "v4.test"), "NOTIMP"), (("+opcode=status", "v4.test"), "NOTIMP"),
                                  (("+opcode=update", "v4.test"), "NOTIMP"), (("-c", "CH", "TXT", "version.bind"), "REFUSED")):
            with self.subTest(arguments):
                self.assertIn(f"status: {status}", self.dig("+notcp", *arguments))
        self.assertNotIn("v4.test", self.world.dns.text()[before:])

    def test_the_question_keeps_its_spelling(self):
        self.assertRegex(self.dig("Spelled.fresh.tEsT"), r"(?m)^;Spelled\.fresh\.tEsT\.")
        self.assertEqual(self.dig("+short", "spelled.fresh.TEST").strip(), "203.0.113.10")
        self.assertEqual(self.upstream("spelled.fresh.test"), ["A"])

    def test_answers_are_kept_by_each_container_for_itself(self):
        other = self.world.container("open", "open-2")

        def lifetime(name, container):
            return int(re.search(rf"(?m)^{re.escape(name)}\.\s+(\d+)", self.dig(name, container=container)).group(1))

        self.assertEqual(lifetime("kept.fresh.test", self.open), 60)
        eventually(lambda: lifetime("kept.fresh.test", self.open) < 60, what="a lifetime that is counted down")
        self.assertEqual(self.upstream("kept.fresh.test"), ["A"])
        self.assertEqual(lifetime("kept.fresh.test", other), 60)
        self.assertEqual(self.upstream("kept.fresh.test"), ["A", "A"])

    def test_names_that_do_not_exist_are_kept_as_long_as_their_zone_says(self):
        for _ in range(2):
            self.assertRegex(self.dig("never.test"), r"status: NXDOMAIN[\s\S]*AUTHORITY: 1,")
        self.assertIn("status: NXDOMAIN", self.dig("TXT", "never.test"))
        self.assertEqual(self.upstream("never.test"), ["A"])
        # The policy may change at any moment.
        self.assertRegex(self.dig("denied.test"), r"status: NXDOMAIN[\s\S]*AUTHORITY: 0,")

    def test_egress_uses_what_was_looked_up(self):
        self.dig("egress.fresh.test")
        for _ in range(5):
            self.assertEqual(self.open.curl("http://egress.fresh.test/", address="203.0.113.10").status, 200)
        self.assertEqual(sorted(self.upstream("egress.fresh.test")), ["A", "AAAA"])

    def test_policy_holds_for_what_is_kept(self):
        name = "policy.fresh.test"
        self.assertEqual(self.dig("+short", name).strip(), "203.0.113.10")
        self.world.api.enforced("DenyHost", containerId="open-1", host=name)
        self.assertIn("status: NXDOMAIN", self.dig(name))
        self.world.api.enforced("RemoveDeniedHost", containerId="open-1", host=name)
        self.assertEqual(self.dig("+short", name).strip(), "203.0.113.10")
        self.world.api.enforced("DenyHost", containerId="open-1", host="203.0.113.0/24")
        self.assertIn("status: NXDOMAIN", self.dig(name))
        self.world.api.enforced("RemoveDeniedHost", containerId="open-1", host="203.0.113.0/24")
        self.assertEqual(self.upstream(name), ["A"])

    def test_many_equal_queries_are_one_upstream(self):
        answers = ask_dns(self.open, *(dns_query("burst.fresh.test", number) for number in range(100)))
        self.assertEqual({response_code(answer) for answer in answers}, {0})
        self.assertEqual(len({answer[:2] for answer in answers}), 100)
        self.assertEqual(self.upstream("burst.fresh.test"), ["A"])

    def test_DN04_data_in_names_is_refused_and_recorded(self):
        container = self.world.container("open", "tunnel-1")
        before = self.world.audit.count()
        begin = time.monotonic()
        codes = []
        for number in range(400):
            (answer,) = ask_dns(container, dns_query(f"{number:063d}.exfil.test", number))
            codes.append(response_code(answer))
        self.assertEqual(set(codes), {0, 5})
        # 64 bytes each.
        self.assertEqual(codes[:128], [0] * 128)
        self.assertLessEqual(codes.count(0), 128 + (time.monotonic() - begin) * 8192 / 60 / 64 + 1)
        self.assertEqual(len(re.findall(r"(?m)^query \d+\.exfil\.test", self.world.dns.text())), codes.count(0))
        records = self.world.audit.await_matching(since=before, reason="dns_tunnel")
        self.assertTrue(records[0]["host"].endswith(".exfil.test"), records[0])
        self.assertEqual(records[0]["containerId"], "tunnel-1")
        # Egress does not carry it either, other names are not concerned, nor are other containers.
        response = container.curl(f"http://{'x' * 63}.exfil.test/", address="203.0.113.10")
        self.assertEqual((response.status, response.reason), (502, "dns_tunnel"), response)
        (record,) = self.world.audit.await_matching(since=before, containerId="tunnel-1", scheme="http")
        self.assertEqual((record["decision"], record["reason"], record["status"]), ("error", "dns_tunnel", 502), record)
        self.assertEqual(self.dig("+short", "v4.test", container=container).strip(), "203.0.113.10")
        self.assertEqual(self.dig("+short", f"{'y' * 63}.exfil.test").strip(), "203.0.113.10")

    def test_RX09_a_flood_of_refused_queries_does_not_flood_the_audit(self):
        container = self.world.container("closed", "flood-1")
        before = self.world.audit.count()
        begin = time.monotonic()
        for number in range(0, 5000, 50):
            answers = ask_dns(container, *(dns_query(f"n{number + i}.test", i) for i in range(50)))
            self.assertEqual({response_code(answer) for answer in answers}, {3})
        # 1,000 at once and 20 a second.
        records = self.world.audit.await_matching(1000, before, containerId="flood-1")
        self.assertLessEqual(len(records), 1000 + 20 * (time.monotonic() - begin) + 1)

    def test_tcp_takes_queries_one_after_the_other(self):
        with in_namespace(f"/proc/{self.open.holder.pid}/ns/net", connect_socket, "192.0.2.53", 53, 10) as connection:
            queries = [dns_query(name, number) for number, name in enumerate(("v4.test", "denied.test", "v4.test"))]
            connection.sendall(b"".join(struct.pack("!H", len(query)) + query for query in queries))
            file = connection.makefile("rb")
            answers = [file.read(struct.unpack("!H", file.read(2))[0]) for _ in queries]
        self.assertEqual([response_code(answer) for answer in answers], [0, 3, 0])


class FailoverTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES, zone=ZONE, agent_flags=["--resolver", SECOND_RESOLVER])
        cls.addClassCleanup(cls.world.close)
        cls.second = cls.world.start("second-dns", [binary("dns_server"), "--listen", f"{SECOND_RESOLVER}:53", "--zone",
                                                    f"{cls.world.dir}/zone"], cls.world.internet)
        cls.second.await_text("listening")
        cls.world.api.call("ApplyClass", **{"class": {"name": "open"}})
        cls.open = cls.world.container("open", "open-1")

    def test_DN16_the_next_resolver_answers_for_a_silent_one(self):
        # Kept to their order.
        self.assertEqual(dig(self.open, "+short", "first.fresh.test").strip(), "203.0.113.10")
        self.assertIn("query first.fresh.test", self.world.dns.text())
        self.assertNotIn("query first.fresh.test", self.second.text())

        self.world.dns.suspend()
        self.addCleanup(self.world.dns.resume)
        for number in range(3):
            self.assertEqual(dig(self.open, "+short", f"failover{number}.fresh.test").strip(), "203.0.113.10")
        # The silent one is skipped: this costs none of its time.
        answer = dig(self.open, "quick.fresh.test")
        self.assertIn("status: NOERROR", answer)
        self.assertLess(milliseconds(answer), 700)

        self.second.suspend()
        self.addCleanup(self.second.resume)
        answer = dig(self.open, "nobody.fresh.test")
        self.assertIn("status: SERVFAIL", answer)
        self.assertLessEqual(milliseconds(answer), 5000)
        # What is known goes on.
        self.assertEqual(dig(self.open, "+short", "quick.fresh.test").strip(), "203.0.113.10")


if __name__ == "__main__":
    unittest.main(verbosity=2)
