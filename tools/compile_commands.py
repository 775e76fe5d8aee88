#!/usr/bin/env python3
"""Prints compile_commands.json for our own C++ sources, from Bazel's action graph.

With --known FILE..., prints those of the files instead that compile_commands.json has.
"""

import json
import subprocess
import sys


def bazel(*args):
    result = subprocess.run(["bazel", *args], check=True, capture_output=True, text=True)
    return result.stdout


def compile_commands():
    directory = bazel("info", "execution_root").strip()
    graph = json.loads(
        bazel("aquery", 'mnemonic("CppCompile", //...)', "--output=jsonproto", "--keep_going")
    )
    commands = {}
    for action in graph.get("actions", []):
        arguments = action["arguments"]
        source = arguments[arguments.index("-c") + 1]
        if source.endswith(".cc") and not source.startswith(("external/", "bazel-out/")):
            commands[source] = {"directory": directory, "file": source, "arguments": arguments}
    return [commands[source] for source in sorted(commands)]


def known(files):
    with open("compile_commands.json", encoding="utf-8") as commands:
        in_database = {command["file"]: command["directory"] for command in json.load(commands)}
    return [f"{in_database[file]}/{file}" for file in files if file in in_database]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--known"]:
        print("\n".join(known(sys.argv[2:])))
    else:
        json.dump(compile_commands(), sys.stdout, indent=1)
