"""The examples that hold credentials or ask a person, against the real programs, real git and a store that checks signatures."""

import json
import os
import shutil
import subprocess
import threading
import unittest

from example_world import GIT, S3, S3_PLAIN, ExampleTest
from harness import eventually


class AskPersonTest(ExampleTest):
    def setUp(self):
        self.start(60)

    def start(self, seconds):
        self.program = self.example("ask_person/ask_person.py", "--page", "127.0.0.1:0", "--timeout", seconds)
        self.page = self.program.await_text(r"ask at (\S+)").group(1)
        self.rule("api.test", "ask-person", self.program, containers=("web-1", "web-2"))

    def web(self, path, *options):
        """The page, as a person on the host sees it."""
        return self.world.host_run("curl", "--silent", "--noproxy", "*", *options, self.page + path).stdout

    def ask(self, container=None):
        """A request under way; the number of its question, and a function for its answer."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append((container or self.container).curl("http://api.test/x?<script>")))
        thread.start()
        questions = eventually(lambda: json.loads(self.web("questions")), what="a question")

        def answer():
            thread.join()
            return answers[0]
        return next(iter(questions)), answer

    def test_a_person_decides(self):
        contacts = len(self.world.origin_requests())
        number, answer = self.ask()
        self.assertIn("web-1: GET http://api.test/x?&lt;script&gt;", self.web(""))
        self.assertEqual(len(self.world.origin_requests()), contacts)
        self.web(f"{number}/allow", "-X", "POST")
        self.assertEqual(answer().status, 200)
        number, answer = self.ask()
        self.web(f"{number}/deny", "-X", "POST")
        self.assertEqual((answer().status, answer().body), (403, "a person refused it\n"))
        self.assertEqual(len(self.world.origin_requests()), contacts + 1)
        self.assertIn("nobody waits", self.web(f"{number}/allow", "-X", "POST"))

    def test_nobody_decides(self):
        self.start(0.2)
        answer = self.container.curl("http://api.test/x")
        self.assertEqual((answer.status, answer.body), (403, "nobody allowed it in time\n"))
        self.assertEqual(self.web("questions"), "{}")

    def test_only_who_has_the_key_decides(self):
        number, answer = self.ask()
        real, self.page = self.page, self.page.rsplit("/", 2)[0] + "/guess/"
        self.assertEqual(self.web(""), "not found\n")
        self.assertEqual(self.web(f"{number}/allow", "-X", "POST"), "not found\n")
        self.page = real
        self.web(f"{number}/deny", "-X", "POST")
        self.assertEqual(answer().status, 403)

    def test_who_hangs_up_asks_nothing_any_more(self):
        client = self.world.start("client", self.container.command("curl", "--silent", "--noproxy", "*", "http://api.test/x"))
        eventually(lambda: self.web("questions") != "{}", what="a question")
        client.kill()
        eventually(lambda: self.web("questions") == "{}", what="no question")

    def test_what_is_remembered_is_not_asked_again(self):
        number, answer = self.ask()
        self.web(f"{number}/remember", "-X", "POST")
        self.assertEqual(answer().status, 200)
        self.program.suspend()  # Whoever asks it now waits.
        self.addCleanup(self.program.resume)
        self.assertEqual(self.container.curl("http://api.test/x?again").status, 200)
        self.program.resume()
        number, answer = self.ask(self.other)  # Another container has no lease.
        self.web(f"{number}/deny", "-X", "POST")
        self.assertEqual(answer().status, 403)


class SigV4Test(ExampleTest):
    SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

    def setUp(self):
        self.store = self.origin("s3_origin.py", "--http-port", S3_PLAIN, "--https-port", S3, "--certificate", f"{self.world.dir}/origin.pem",
                                 "--key-id", "AKIDEXAMPLE", "--secret", self.SECRET)
        keys = {"web-1": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": self.SECRET, "session_token": "t0ken"},
                "web-2": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wrong"}}
        program = self.example("sigv4/sign.py", "--keys", self.write_json("keys.json", keys))
        self.rule("s3.test", "sigv4", program, {"region": "us-east-1", "service": "s3"}, containers=("web-1", "web-2"))
        self.file = f"{self.world.dir}/object"
        with open(self.file, "wb") as file:
            file.write(b"0123456789abcdef" * 100_000)

    def seen(self):
        return self.store.lines.last()

    def test_over_https_the_body_is_not_signed_and_does_not_come_here(self):
        url = f"https://s3.test:{S3}/bucket/a%20key+%24%C3%A9"
        answer = self.container.curl(f"{url}?x-id=PutObject&a=b+c", "-T", self.file, "-H", "x-amz-acl: private", "-H", "authorization: mine",
                                     "-H", "x-amz-date: 19700101T000000Z", "-H", "x-amz-security-token: mine")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual((self.seen()["payload"], self.seen()["length"]), ("UNSIGNED-PAYLOAD", 1_600_000))
        answer = self.container.curl(url)
        self.assertEqual((answer.status, len(answer.body)), (200, 1_600_000))

    def test_a_client_that_signs_by_a_made_up_key(self):
        for options in ((), ("-T", self.file)):
            answer = self.container.curl(f"https://s3.test:{S3}/bucket/b", "--aws-sigv4", "aws:amz:eu-west-3:s3", "--user", "made:up", *options)
            self.assertIn(answer.status, (200, 404), answer)

    def test_who_has_another_key_is_refused_by_the_store(self):
        answer = self.other.curl(f"https://s3.test:{S3}/bucket/a")
        self.assertEqual(answer.status, 403)
        self.assertIn("does not match", answer.body)

    def test_chunks_signed_by_a_made_up_key_cannot_be_signed_again(self):
        answer = self.container.curl(f"https://s3.test:{S3}/bucket/a", "-T", self.file, "-H", "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        self.assertEqual(answer.status, 501)

    def test_over_http_the_body_is_signed(self):
        answer = self.container.curl(f"http://s3.test:{S3_PLAIN}/bucket/a", "-T", self.file)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual((len(self.seen()["payload"]), self.seen()["length"]), (64, 1_600_000))
        answer = self.container.curl(f"http://s3.test:{S3_PLAIN}/bucket/a?versionId=1")
        self.assertEqual((answer.status, len(answer.body)), (200, 1_600_000))


class GitTest(ExampleTest):
    CREDENTIAL = "x-access-token:s3cret"

    def setUp(self):
        self.folder = f"{self.world.dir}/git-{next(self.count)}"
        os.makedirs(f"{self.folder}/root/acme")
        self.git("init", "--quiet", "--bare", "--initial-branch=main", "root/acme/tool.git")
        self.git("-C", "root/acme/tool.git", "config", "http.receivepack", "true")
        self.git("init", "--quiet", "--initial-branch=main", "work")
        self.commit("first")
        shutil.copytree(f"{self.folder}/root/acme/tool.git", f"{self.folder}/root/acme/secret.git")
        self.server = self.origin("git_origin.py", "--port", GIT, "--certificate", f"{self.world.dir}/origin.pem", "--root", f"{self.folder}/root",
                                  "--credential", self.CREDENTIAL)
        credentials = self.write_json("credentials.json", {"web-1": {"git.test": self.CREDENTIAL}})
        self.rule("git.test", "git", self.example("git_credentials.py", "--credentials", credentials), {"repositories": ["acme/t*"]},
                  containers=("web-1", "web-2"))

    def git(self, *arguments):
        identity = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        for role in ("AUTHOR", "COMMITTER"):
            identity |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@a.test"}
        return subprocess.run(["git", *arguments], cwd=self.folder, check=True, env={**os.environ, **identity}, capture_output=True, text=True).stdout

    def commit(self, text):
        """A commit of more than fits one packet, pushed to the server by its file system."""
        with open(f"{self.folder}/work/file", "w", encoding="ascii") as file:
            file.write(text + os.urandom(100_000).hex())
        self.git("-C", "work", "add", "file")
        self.git("-C", "work", "commit", "--quiet", "-m", text)
        self.git("-C", "work", "push", "--quiet", "../root/acme/tool.git", "main")

    def inside(self, container, *arguments):
        """Git inside a container. It has the container's CA, and nobody to ask for a password."""
        environment = ["env", "GIT_TERMINAL_PROMPT=0", f"GIT_SSL_CAINFO={container.bundle}", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
                       "http_proxy=", "https_proxy=", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@a", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@a"]
        return container.run(*environment, "git", *arguments)

    def url(self, repository="acme/tool.git"):
        return f"https://git.test:{GIT}/{repository}"

    def asked(self):
        return [(line["method"], line["path"]) for line in self.server.lines.all() if line["event"] == "request"]

    def test_clone_and_fetch_go_through_and_push_does_not(self):
        clone = f"{self.folder}/clone"
        result = self.inside(self.container, "clone", self.url(), clone)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.commit("second")
        result = self.inside(self.container, "-C", clone, "pull", "--quiet")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.git("-C", clone, "log", "--format=%s").split(), ["second", "first"])
        self.assertTrue(all(line["allowed"] for line in self.server.lines.all() if line["event"] == "request"))
        before = self.asked()
        self.inside(self.container, "-C", clone, "commit", "--quiet", "--allow-empty", "-m", "evil")
        result = self.inside(self.container, "-C", clone, "push")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("push is not allowed from here", result.stderr)
        self.assertEqual(self.asked(), before)
        self.assertEqual(self.git("-C", "root/acme/tool.git", "log", "--format=%s", "main").split(), ["second", "first"])
        for file in ("config", "logs/HEAD"):
            with open(f"{clone}/.git/{file}", encoding="utf-8") as text:
                self.assertNotIn("s3cret", text.read())

    def test_a_push_in_disguise_is_not_asked_of_the_server(self):
        get = ("info/refs?service=git-receive-pack", "info/refs?service=git%2Dreceive-pack", "info/refs?service=git-upload-pack&service=git-receive-pack",
               "info/refs?service=git-receive-pack&service=git-upload-pack", "info/refs", "info/refs?x=1&service=git-upload-pack", "HEAD",
               "../tool.git/info/refs?service=git-upload-pack", "./info/refs?service=git-upload-pack", "info%2frefs?service=git-upload-pack")
        post = ("git-receive-pack", "git%2dreceive-pack", "git-upload-pack/../git-receive-pack", "git-upload-pack%2f..%2fgit-receive-pack",
                "git-upload-pack?x=1", "/git-upload-pack", "GIT-RECEIVE-PACK", "info/refs?service=git-upload-pack")
        for path, options in [*((path, ()) for path in get), *((path, ("-d", "0000")) for path in post)]:
            with self.subTest(path):
                answer = self.container.curl(f"{self.url()}/{path}", "--path-as-is", *options)
                self.assertEqual(answer.status, 403, answer)
        self.assertEqual(self.asked(), [])

    def test_other_repositories_and_containers_have_nothing(self):
        for container, repository in ((self.container, "acme/secret.git"), (self.other, "acme/tool.git")):
            result = self.inside(container, "clone", self.url(repository), f"{self.folder}/none")
            self.assertNotEqual(result.returncode, 0)
            self.assertIn("403", result.stderr)
        self.assertEqual(self.asked(), [])


if __name__ == "__main__":
    unittest.main()
