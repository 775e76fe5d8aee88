"""Programs that a test runs, and the files that they write."""

import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import time

SANITIZER_REPORT = re.compile(r"(?:ERROR|WARNING): \w+Sanitizer: |: runtime error: ")
START_SECONDS = 20


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def eventually(condition, seconds=10, what="condition"):
    """Polls until `condition()` is truthy; the only wait for something that announces itself nowhere."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Lines:
    """A growing file of JSON lines. Other lines are passed over."""

    def __init__(self, path):
        self.path = path
        self.read_bytes = 0
        self.lines = []

    def all(self):
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            file.seek(self.read_bytes)
            new = file.read()
            new = new[:new.rfind(b"\n") + 1]
            self.read_bytes += len(new)
            self.lines += [json.loads(line) for line in new.splitlines() if line.startswith(b"{")]
        return self.lines

    def count(self):
        return len(self.all())

    def since(self, count):
        return self.all()[count:]

    def last(self):
        return self.all()[-1]

    def await_last(self, count):
        """The newest, as soon as there are more than `count`: a record is written behind its answer."""
        return eventually(lambda: self.since(count), what=f"more than {count} lines in {self.path}")[-1]

    def matching(self, since=0, **fields):
        return [line for line in self.since(since) if all(line.get(key) == value for key, value in fields.items())]

    def await_matching(self, count=1, since=0, **fields):
        """Those with these fields, as soon as there are so many."""
        def found():
            lines = self.matching(since, **fields)
            return lines if len(lines) >= count else None
        return eventually(found, what=f"{count} lines with {fields} in {self.path}")


class Program:
    """A program that runs until it is stopped; its output goes to a file."""

    def __init__(self, world, name, command, stdin=subprocess.DEVNULL):
        self.log_path = os.path.join(world.dir, f"{name}.log")
        self.lines = Lines(self.log_path)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=log, stderr=log, env=world.environment())

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        return read_text(self.log_path)

    def await_text(self, pattern):
        def found():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.log_path}: ended with {self.process.returncode}:\n{self.text()}")
            return re.search(pattern, self.text())

        return eventually(found, START_SECONDS, f"{pattern!r} in {self.log_path}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def suspend(self):
        """It keeps what it holds, and does nothing, until `resume`."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


def check_for_reports(folder):
    """Of the programs whose logs are there: a sanitizer's report need not end one, and nobody looks at the status of one that is told to."""
    for path in glob.glob(f"{folder}/*.log"):
        text = read_text(path)
        report = SANITIZER_REPORT.search(text)
        if report:
            raise AssertionError(f"{path}: {text[report.start():][:20000]}")
