"""npm inside a sandbox, from a registry that speaks HTTPS and holds one package that needs another.

npm comes with Node or as Debian's package (deploy/install.sh); the test fails without it.
"""

import base64
import hashlib
import io
import json
import tarfile
import unittest

from clients.sandbox import ClientTest

REGISTRY = "https://h1.test"


def package(name, **more):
    """The manifest and the tarball of version 1.0.0."""
    manifest = {"name": name, "version": "1.0.0", "main": "index.js", **more}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, text in (("package.json", json.dumps(manifest)), ("index.js", f"module.exports = 'this is {name}';\n")):
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return manifest, content.getvalue()


class NpmTest(ClientTest):
    def publish(self, name, **more):
        manifest, tarball = package(name, **more)
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        url = f"{REGISTRY}/{name}/-/{name}-1.0.0.tgz"
        version = {**manifest, "dist": {"tarball": url, "integrity": integrity}}
        self.site.files[f"/{name}"] = json.dumps(
            {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode()
        self.site.files[f"/{name}/-/{name}-1.0.0.tgz"] = tarball

    def test_install(self):
        self.publish("leaf")
        self.publish("tree", dependencies={"leaf": "^1.0.0"})
        self.sandboxed("npm", "install", "--registry", REGISTRY, "--no-audit", "--no-fund", "--no-update-notifier",
                       "--fetch-retries", "0", "--cache", f"{self.dir}/cache", "--prefix", self.dir, "tree")
        output = self.sandboxed("node", "-e", "console.log(require('tree'), require('leaf'))")
        self.assertEqual(output, "this is tree this is leaf\n")
        for path in ("/tree", "/leaf", "/leaf/-/leaf-1.0.0.tgz"):
            self.assert_decrypted("h1.test", path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
