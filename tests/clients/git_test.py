"""git inside a sandbox whose HTTPS is decrypted, with `git http-backend` as the origin."""

import os
import subprocess
import unittest

from clients.sandbox import ClientTest
from clients.web_site import SiteHandler

URLS = ("https://h1.test", "https://h2.test", "http://h1.test")
IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@h1.test", "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@h1.test", "GIT_CONFIG_NOSYSTEM": "1"}


class GitHandler(SiteHandler):
    """CGI (RFC 3875) as far as git uses it; `folder` of the site holds the repositories."""

    def answer(self):
        path, _, query = self.requestline.split()[1].partition("?")
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": self.server.site.folder, "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "a",
            "CONTENT_TYPE": self.headers.get("content-type", ""), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", **IDENTITY}
        for name in ("content-encoding", "git-protocol"):
            if name in self.headers:
                environment["HTTP_" + name.upper().replace("-", "_")] = self.headers[name]
        environment["GIT_PROTOCOL"] = self.headers.get("git-protocol", "")
        body = b"".join(self.pieces())
        environment["CONTENT_LENGTH"] = str(len(body))
        result = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment, check=True)
        head, _, content = result.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        return self.send_content(content, status, **fields)

    do_GET = do_POST = answer


class GitTest(ClientTest):
    handler = GitHandler

    def test_push_and_clone(self):
        self.site.folder = f"{self.dir}/repositories"
        for number, url in enumerate(URLS):
            with self.subTest(url):
                bare = f"{self.site.folder}/{number}.git"
                subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True)
                subprocess.run(["git", "-C", bare, "config", "http.receivepack", "true"], check=True)
                # Of random bytes, so that the push is larger than what git sends with a length (http.postBuffer).
                script = (f"git clone -q {url}/{number}.git push{number}; cd push{number}; git checkout -q -b main; "
                          "head -c 3000000 /dev/urandom > large; git add large; git commit -q -m first; "
                          f"git push -q origin main; cd ..; git clone -q {url}/{number}.git again{number}; "
                          f"cmp push{number}/large again{number}/large; git -C again{number} log --format=%s; "
                          f"git ls-remote -q --heads {url}/{number}.git | cut -f 2")
                self.assertEqual(self.sandboxed("sh", "-e", "-c", script, **IDENTITY), "first\nrefs/heads/main\n")
                if url.startswith("https"):
                    self.assert_decrypted(url.split("/")[2], f"/{number}.git/git-receive-pack")


if __name__ == "__main__":
    unittest.main(verbosity=2)
