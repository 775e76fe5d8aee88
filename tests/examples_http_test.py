"""The examples of handlers that are web servers, against the real programs."""

import subprocess
import unittest

from example_world import ExampleTest


class WebServerCase(ExampleTest):
    def start(self, file, **options):
        program = self.example(file, "--tokens", self.write_json("tokens.json", {"web-1": "s3cret"}), **options)
        program.address = program.address.replace("grpc://", "http://")
        self.rule("my.app", "app", program, {"who": "ä"})
        self.rule("api.test", "app", program, containers=("web-1", "web-2"))

    def check_forwards(self):
        for scheme in ("http", "https"):
            for body in ((), ("-d", "x=1")):
                answer = self.container.curl(f"{scheme}://api.test/x", "-H", "authorization: mine", *body)
                self.assertEqual((answer.status, answer.body), (200, "origin api.test /x"))
                seen = self.world.origin_requests()[-1]
                self.assertEqual([value for name, value in seen["headers"] if name.lower() == "authorization"], ["Bearer s3cret"])
                self.assertEqual((seen["body_length"], seen["tls"]), (3 if body else 0, True))

    def check_refuses(self):
        """Who has no token goes nowhere, whatever it calls itself."""
        contacts = self.world.origin_contacts()
        answer = self.other.curl("http://api.test/x", "-H", "sallyport-container-id: web-1", "-H", "sallyport_container_id: web-1")
        self.assertEqual((answer.status, answer.body), (403, "web-2 has no token\n"))
        self.assertEqual(self.world.origin_contacts(), contacts)


class WsgiTest(WebServerCase):
    def test_it_answers_forwards_and_refuses(self):
        self.start("wsgi/app.py")
        answer = self.container.curl("http://my.app/a?b=c")
        self.assertEqual((answer.status, answer.body), (200, "hello web-1\nyou asked for /a, and the rule says {'who': 'ä'}\n"))
        self.check_forwards()
        self.check_refuses()


class ExpressTest(WebServerCase):
    def test_it_answers_forwards_and_refuses(self):
        modules = subprocess.run(["tools/node_modules.sh", "examples/express"], check=True, capture_output=True, text=True).stdout.strip()
        self.start("express/app.js", command=["env", f"NODE_PATH={modules}/node_modules", "node"])
        self.assertEqual(self.container.curl("http://my.app/hello").body, "hello web-1\n")
        body = "0123456789" * 10_000
        path = f"{self.world.dir}/body"
        with open(path, "w", encoding="ascii") as file:
            file.write(body)
        answer = self.container.curl("http://my.app/echo", "-H", "content-type: text/plain", "--data-binary", f"@{path}")
        self.assertEqual((answer.status, answer.body), (200, body))
        self.check_forwards()
        self.check_refuses()


if __name__ == "__main__":
    unittest.main()
