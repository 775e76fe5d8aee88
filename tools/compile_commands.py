#!/usr/bin/env python3
"""Prints compile_commands.json for our own C++ sources, from Bazel's action graph.

With --known FILE..., prints those of the files instead that compile_commands.json has.
"""

import json
import os
import subprocess
import sys


def bazel(*args):
    """Bazel's answer, even if it is not complete: a package may be broken just now."""
    result = subprocess.run(["bazel", *args], check=False, capture_output=True, text=True)
    if not result.stdout:
        sys.exit(result.stderr)
    return result.stdout


def from_root(argument, places):
    for relative, absolute in places.items():
        if argument.startswith(relative):
            return absolute + argument[len(relative) :]
    return argument


def compile_commands():
    # Paths that Bazel means from its execution root, which has no sources between builds.
    places = {
        "bazel-out/": bazel("info", "output_path").strip() + "/",
        "external/": bazel("info", "output_base").strip() + "/external/",
    }
    graph = json.loads(
        bazel("aquery", 'mnemonic("CppCompile", //...)', "--output=jsonproto", "--keep_going")
    )
    commands = {}
    for action in graph.get("actions", []):
        arguments = action["arguments"]
        source = arguments[arguments.index("-c") + 1]
        if source.endswith(".cc") and not source.startswith(("external/", "bazel-out/")):
            commands[source] = {
                "directory": os.getcwd(),
                "file": source,
                "arguments": [from_root(argument, places) for argument in arguments],
            }
    return [commands[source] for source in sorted(commands)]


def known(files):
    with open("compile_commands.json", encoding="utf-8") as commands:
        in_database = {command["file"] for command in json.load(commands)}
    return [file for file in files if file in in_database]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--known"]:
        print("\n".join(known(sys.argv[2:])))
    else:
        json.dump(compile_commands(), sys.stdout, indent=1)
