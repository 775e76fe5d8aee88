"""apt inside a sandbox: from a repository over HTTPS that is decrypted, and over HTTP, into a root of its own.

apt asks for what it downloads without waiting for the answers (pipelining), and trusts what the system trusts.
"""

import hashlib
import lzma
import os
import subprocess
import unittest

from clients.sandbox import ClientTest

PACKAGES = [f"sallyport-sample-{number}" for number in range(12)]


class AptTest(ClientTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        index = "".join(cls.publish(name) for name in PACKAGES).encode()
        compressed = lzma.compress(index)
        cls.site.files["/flat/Packages.xz"] = compressed
        sums = "".join(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n"
                       for name, content in (("Packages", index), ("Packages.xz", compressed)))
        cls.site.files["/flat/Release"] = f"Suite: test\nArchitectures: all amd64\nSHA256:\n{sums}".encode()

    @classmethod
    def publish(cls, name):
        """Its entry in the index."""
        folder = f"{cls.dir}/build/{name}"
        os.makedirs(f"{folder}/DEBIAN")
        os.makedirs(f"{folder}/usr/share/{name}")
        control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@h1.test>\nDescription: sample\n"
        with open(f"{folder}/DEBIAN/control", "w", encoding="ascii") as file:
            file.write(control)
        with open(f"{folder}/usr/share/{name}/content", "w", encoding="ascii") as file:
            file.write(f"content of {name}\n")
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder, f"{folder}.deb"], check=True,
                       stdout=subprocess.DEVNULL)
        with open(f"{folder}.deb", "rb") as file:
            content = file.read()
        cls.site.files[f"/flat/{name}.deb"] = content
        return f"{control}Filename: flat/{name}.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"

    def apt(self, url, command, *arguments):
        root = f"{self.dir}/{url.replace('://', '-')}"
        for folder in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d",
                       "root/var/lib/dpkg/updates", "root/var/lib/dpkg/info", "root/etc"):
            os.makedirs(f"{root}/{folder}", exist_ok=True)
        for path, content in (("etc/sources.list", f"deb [trusted=yes] {url} flat/\n"), ("root/var/lib/dpkg/status", "")):
            if not os.path.exists(f"{root}/{path}"):
                with open(f"{root}/{path}", "w", encoding="ascii") as file:
                    file.write(content)
        settings = {"Dir::State": f"{root}/state", "Dir::State::status": f"{root}/root/var/lib/dpkg/status",
                    "Dir::Cache": f"{root}/cache", "Dir::Etc": f"{root}/etc", "Dir::Log": f"{root}/state",
                    "Dir::Etc::Trusted": "/dev/null", "APT::Sandbox::User": "root",
                    "DPkg::Options::": f"--root={root}/root", "Acquire::Retries": "0", "APT::Update::Error-Mode": "any"}
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        self.sandboxed("apt-get", "-q", "-y", *options, command, *arguments, DEBIAN_FRONTEND="noninteractive")
        return f"{root}/root"

    def test_update_and_install(self):
        for url in ("https://h1.test", "https://h2.test", "http://h1.test"):
            with self.subTest(url):
                self.apt(url, "update")
                root = self.apt(url, "install", *PACKAGES)
                for name in PACKAGES:
                    with open(f"{root}/usr/share/{name}/content", encoding="ascii") as file:
                        self.assertEqual(file.read(), f"content of {name}\n")
                if url.startswith("https"):
                    self.assert_decrypted(url.split("/")[2], f"/flat/{PACKAGES[-1]}.deb")


if __name__ == "__main__":
    unittest.main(verbosity=2)
