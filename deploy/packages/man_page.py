#!/usr/bin/python3
"""Prints the manual page of a program, made of what its --help says.

  man_page.py PROGRAM SECTION [COMMAND...]

COMMANDs are those that --help does not list by itself. What --help cannot say (files, other pages) is added from NAME.SECTION.roff beside
this script, if there is one.
"""

import os
import re
import subprocess
import sys
import time


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def output(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout.rstrip("\n")


class Help:
    """The parts of a help text: `usage`, then blocks by their heading; "" is what has none."""

    def __init__(self, text):
        first, _, rest = text.partition("\n")
        self.usage = first.removeprefix("Usage: ")
        self.blocks = {}
        heading = ""
        for line in rest.splitlines():
            if re.fullmatch(r"(Flags|Example|.* Commands|Commands):", line):
                # "Controls what leaves a container. Commands:"
                summary, _, heading = line[:-1].rpartition(". ")
                if summary:
                    self.blocks[""] = [*self.blocks.get("", []), summary + "."]
            else:
                self.blocks.setdefault(heading, []).append(line)

    def text(self, heading=""):
        return "\n".join(self.blocks.get(heading, [])).strip("\n")

    def entries(self, heading):
        """Pairs of what is described and its description."""
        lines = self.blocks.get(heading, [])
        for index, line in enumerate(lines):
            if match := re.fullmatch(r"  (\S.*?)(?:  +(\S.*))?", line):
                left, right = match.groups()
                if right is None and index + 1 < len(lines):
                    right = lines[index + 1].strip()
                # One blank separates a long name from its description.
                yield left, right or ""


def paragraphs(text):
    """Lines that are indented are shown as they are."""
    roff = []
    for block in re.split(r"\n\n+", text):
        if not block:
            continue
        if all(line.startswith("  ") for line in block.splitlines()):
            roff += [".PP", ".nf", ".RS 4", escape(re.sub(r"(?m)^  ", "", block)), ".RE", ".fi"]
        else:
            roff += [".PP", escape(block)]
    return roff


def flags(help_text):
    roff = []
    for left, right in help_text.entries("Flags"):
        name, _, value = left.partition(" ")
        roff += [".TP", f"\\fB{escape(name)}\\fR" + (f" \\fI{escape(value)}\\fR" if value else ""), escape(right)]
    return roff


def example(help_text):
    text = help_text.text("Example")
    return [".nf", ".RS 4", escape(re.sub(r"(?m)^  ", "", text)), ".RE", ".fi"] if text else []


def command_section(program, name, command):
    help_text = Help(output(program, *command.split(), "--help"))
    roff = [f".SS {escape(name + ' ' + command)}", f"\\fB{escape(help_text.usage)}\\fR", *paragraphs(help_text.text()), *flags(help_text)]
    shown = example(help_text)
    return roff + ([".PP", "Example:", *shown] if shown else [])


def page(program, section, commands):
    name = os.path.basename(program)
    help_text = Help(output(program, "--help"))
    version = output(program, "--version").removeprefix(name + " ")
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    description = help_text.text()
    summary = re.split(r"(?<=[a-z])[.:;](?:\s|$)", description.partition("\n")[0])[0]
    roff = [f".TH {name.upper()} {section} {date} \"Sallyport {version}\" Sallyport",
            ".SH NAME", f"{escape(name)} \\- {escape(summary[0].lower() + summary[1:])}",
            ".SH SYNOPSIS", f"\\fB{escape(help_text.usage)}\\fR", ".SH DESCRIPTION", *paragraphs(description)[1:]]
    if own := flags(help_text):
        roff += [".SH OPTIONS", *own]
    listed = [left for left, _ in help_text.entries("Commands")]
    if listed or commands:
        roff.append(".SH COMMANDS")
        for command in [*listed, *commands]:
            roff += command_section(program, name, command)
    if shown := example(help_text):
        roff += [".SH EXAMPLE", *shown]
    extra = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.{section}.roff")
    if os.path.exists(extra):
        with open(extra, encoding="utf-8") as file:
            roff.append(file.read().rstrip("\n"))
    return "\n".join(roff) + "\n"


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.stdout.write(page(sys.argv[1], sys.argv[2], sys.argv[3:]))
