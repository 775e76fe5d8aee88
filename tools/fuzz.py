#!/usr/bin/python3
"""Fuzzes the targets that are tagged "fuzz", by turns, several at once.

New inputs go to ~/.cache/sallyport/corpus, and seed the next run; one that crashes goes to ~/.cache/sallyport/crashes: copy it into the
target's testdata, where it stays a test, and mend the crash. `--keep` puts what reaches more than the inputs in the target's testdata
into testdata/TARGET.tar.gz beside them, from where tests replay it and later runs begin.
"""

import argparse
import collections
import contextlib
import glob
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

TURN_SECONDS = 300
CACHE = os.path.expanduser("~/.cache/sallyport")
SPENT = os.path.join(CACHE, "fuzz_seconds.json")
FLAGS = ["-rss_limit_mb=2048", "-print_final_stats=1"]
# For one input, in seconds of the clock.
INPUT_TIMEOUT = "-timeout=10"
STARVED_INPUT_TIMEOUT = "-timeout=1200"


def bazel(*arguments):
    return subprocess.run(["bazel", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def folder(kind, path):
    made = os.path.join(CACHE, kind, path)
    os.makedirs(made, exist_ok=True)
    return made


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.sha1(file.read()).hexdigest()


class Target:
    def __init__(self, label, bin_dir):
        self.label = label
        self.path = label.removeprefix("//").replace(":", "/")
        self.program = os.path.join(bin_dir, self.path)
        self.corpus = folder("corpus", self.path)
        self.crashes = folder("crashes", self.path)
        self.archive = os.path.join(os.path.dirname(self.path), "testdata", f"{os.path.basename(self.path)}.tar.gz")
        for seed in [*self.written(), *self.runfiles(f"{self.path}_found/**")]:
            shutil.copyfile(seed, os.path.join(self.corpus, digest_of(seed)))

    def written(self):
        """The inputs that people wrote."""
        return self.runfiles("**/testdata/**")

    def runfiles(self, pattern):
        """Bazel lays them beside the program."""
        found = glob.glob(f"{self.program}.runfiles/sallyport/{pattern}", recursive=True)
        return [path for path in found if os.path.isfile(path)]


def yield_to_others(pid):
    """It runs when nobody else wants to."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    # Where each session is a group (sched(7)), that counts only within its own.
    with contextlib.suppress(OSError), open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as file:
        file.write("19")


class Spent:
    """CPU seconds by target, over all runs."""

    def __init__(self):
        try:
            with open(SPENT, encoding="ascii") as file:
                self.seconds = collections.Counter(json.load(file))
        except FileNotFoundError:
            self.seconds = collections.Counter()

    def add(self, target, seconds):
        self.seconds[target.label] += seconds
        with open(SPENT + ".new", "w", encoding="ascii") as file:
            json.dump(self.seconds, file, indent=1, sort_keys=True)
        os.replace(SPENT + ".new", SPENT)


class Turn:
    """One program, until it has had its CPU time or crashes."""

    def __init__(self, target, seconds, idle):
        self.target = target
        self.seconds = seconds
        self.log = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")
        self.used = 0.0
        self.ending = None
        timeout = STARVED_INPUT_TIMEOUT if idle else INPUT_TIMEOUT
        self.process = subprocess.Popen(
            [target.program, *FLAGS, timeout, f"-artifact_prefix={target.crashes}/", target.corpus], stdout=self.log,
            stderr=subprocess.STDOUT, start_new_session=True)
        if idle:
            yield_to_others(self.process.pid)

    def measure(self):
        # There is a file until poll() has seen the end.
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        self.used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        """It prints its last figures, and exits."""
        if self.ending is None:
            self.ending = time.monotonic()
            self.process.send_signal(signal.SIGINT)
        elif time.monotonic() > self.ending + 30:
            self.process.kill()

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def figures(self):
        text = self.output()
        runs = re.findall(r"number_of_executed_units: (\d+)", text)
        reached = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text)
        if not runs or not reached:
            return "no figures"
        return f"{int(runs[-1]):,} runs, {reached[-1][0]} edges, {reached[-1][1]} features, {reached[-1][2]} inputs"


def ended_well(turn):
    # 72: libFuzzer was interrupted.
    return turn.process.returncode in (0, 72) or (turn.ending is not None and turn.process.returncode < 0)


class Run:
    def __init__(self, targets, seconds, jobs, with_earlier, idle):
        self.spent = Spent()
        self.goal = {target.label: seconds + (0 if with_earlier else self.spent.seconds[target.label]) for target in targets}
        self.waiting = collections.deque(targets)
        self.jobs = jobs
        self.idle = idle
        self.turns = []
        self.failed = False
        self.stopping = False

    def left(self, target):
        return self.goal[target.label] - self.spent.seconds[target.label]

    def start(self):
        while self.waiting and len(self.turns) < self.jobs and not self.stopping:
            target = self.waiting.popleft()
            if self.left(target) >= 1:
                self.turns.append(Turn(target, min(TURN_SECONDS, self.left(target)), self.idle))

    def look(self, turn):
        turn.measure()
        if self.stopping or turn.used >= turn.seconds:
            turn.end()
        if turn.process.poll() is None:
            return
        self.turns.remove(turn)
        self.spent.add(turn.target, turn.used)
        print(f"fuzz.py: {turn.target.label} {turn.used:.0f} s, {self.spent.seconds[turn.target.label]:.0f} s in all: {turn.figures()}",
              flush=True)
        if ended_well(turn):
            self.waiting.append(turn.target)
            return
        self.failed = True
        print(f"{turn.output()[-6000:]}\nfuzz.py: {turn.target.label} fails; the input is in {turn.target.crashes}", flush=True)

    def stop(self, *_):
        self.stopping = True

    def run(self):
        signal.signal(signal.SIGINT, self.stop)
        signal.signal(signal.SIGTERM, self.stop)
        self.start()
        while self.turns:
            time.sleep(0.5)
            for turn in list(self.turns):
                self.look(turn)
            self.start()
        return 1 if self.failed or self.stopping else 0


def pack(folder_path, archive):
    """The same files make the same archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(os.listdir(folder_path)):
            with open(os.path.join(folder_path, name), "rb") as file:
                content = file.read()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    os.makedirs(os.path.dirname(archive), exist_ok=True)
    with open(archive, "wb") as file:
        file.write(gzip.compress(packed.getvalue(), mtime=0))


def keep(target):
    """What was found, into the source tree."""
    # The first folder's inputs stay; of the other, those come that reach more.
    with tempfile.TemporaryDirectory() as merged:
        for path in target.written():
            shutil.copyfile(path, os.path.join(merged, digest_of(path)))
        written = os.listdir(merged)
        subprocess.run([target.program, "-merge=1", *FLAGS, INPUT_TIMEOUT, merged, target.corpus], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        for name in written:
            os.unlink(os.path.join(merged, name))
        pack(merged, target.archive)
        count = len(os.listdir(merged))
    print(f"fuzz.py: {target.label}: {count} inputs are in {target.archive}, {os.path.getsize(target.archive)} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=int, help="CPU time for each target; with --keep, 0 is of use")
    parser.add_argument("targets", nargs="*", help="default: all")
    parser.add_argument("--total", action="store_true", help="earlier runs count")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at once; default: as many as there are CPUs")
    parser.add_argument("--idle", action="store_true", help="take only CPU time that nobody else wants")
    parser.add_argument("--keep", action="store_true", help="put what was found into the source tree")
    options = parser.parse_intermixed_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    labels = options.targets or bazel("query", r'attr(tags, "\bfuzz\b", tests(//...))').split()
    bazel("build", "--config=fuzz", *labels)
    bin_dir = bazel("info", "--config=fuzz", "bazel-bin").strip()
    targets = [Target(label, bin_dir) for label in labels]
    status = Run(targets, options.seconds, options.jobs, options.total, options.idle).run()
    if options.keep:
        for target in targets:
            keep(target)
    return status


if __name__ == "__main__":
    sys.exit(main())
