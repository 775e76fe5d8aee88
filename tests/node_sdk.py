"""Programs by the Node SDK, as users have it: a folder with node_modules."""

import glob
import itertools
import os
import shutil
import subprocess

from harness import source

ROOT = source("..")


def installed(package):
    """The folder of node_modules of a package of the repository; installed by its lock file, once."""
    command = [f"{ROOT}/tools/node_modules.sh", f"{ROOT}/{package}"]
    return os.path.join(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip(), "node_modules")


def copy_package(target):
    """What `npm pack` puts into the package."""
    os.makedirs(f"{target}/proto/sallyport/v1")
    for file in glob.glob(f"{ROOT}/proto/sallyport/v1/*.proto"):
        shutil.copy(file, f"{target}/proto/sallyport/v1")
    shutil.copytree(f"{ROOT}/sdk/node/src", f"{target}/src")
    shutil.copy(f"{ROOT}/sdk/node/package.json", target)


class NodePrograms:
    """Programs of a world's host."""

    def __init__(self, world):
        self.world = world
        self.count = itertools.count()
        self.folder = f"{world.dir}/node"
        os.makedirs(f"{self.folder}/node_modules/@sallyport")
        modules = installed("sdk/node")
        for name in os.listdir(modules):
            if not name.startswith("."):
                os.symlink(os.path.join(modules, name), f"{self.folder}/node_modules/{name}")
        copy_package(f"{self.folder}/node_modules/@sallyport/handler")

    def start(self, file, *arguments, **options):
        """`file`: of the repository; what is beside it comes along. The program's `address` is where it listens."""
        folder = os.path.join(self.folder, os.path.dirname(file))
        os.makedirs(folder, exist_ok=True)
        for module in glob.glob(f"{ROOT}/{os.path.dirname(file)}/*.mjs"):
            shutil.copy(module, folder)
        command = ["node", os.path.join(self.folder, file), *arguments]
        # A log of its own, for what it says of its address.
        program = self.world.start(f"{os.path.basename(file)}-{next(self.count)}", command, self.world.host, **options)
        program.address = program.await_text(r"listening on (\S+)").group(1)
        return program
