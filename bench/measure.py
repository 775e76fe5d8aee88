"""What the benchmarks share."""

import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
import harness  # pylint: disable=wrong-import-position

# Answers with `body`; never a limit.
NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2;
  fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen {address}:{port}; location / {{ default_type text/plain; return 200 "{body}"; }} }} }}
"""


def cpu_seconds(pid):
    """User and system, of all its threads."""
    fields = harness.read_text(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family_cpu_seconds(pid):
    """Of a process and all that it started, those included that have ended and were waited for."""
    parents, used = {}, {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fields = harness.read_text(f"/proc/{name}/stat").rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(name)] = int(fields[1])
        used[int(name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def belongs(process):
        while process not in (pid, 0):
            process = parents.get(process, 0)
        return process == pid

    return sum(seconds for process, seconds in used.items() if belongs(process))


PROXY_CORE = 0


def leave_core_to_proxy():
    """For this process, and for what it starts from here on. False: there is no other core."""
    others = os.sched_getaffinity(0) - {PROXY_CORE}
    if others:
        os.sched_setaffinity(0, others)
    return bool(others)


def give_core_to_proxy(pid):
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {PROXY_CORE})


def busy_seconds():
    """Of all cores, whoever used them."""
    user, nice, system, _, _, irq, softirq, steal = map(int, harness.read_text("/proc/stat").split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


def wrk(command, url, seconds, connections):
    """p50 and p99 in microseconds, and requests a second, of one wrk run."""
    result = subprocess.run([*command, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url],
                            capture_output=True, text=True, timeout=seconds + 30, check=True)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", result.stdout)
    if errors:
        raise RuntimeError(f"not measured, requests failed: {errors.group(0)}")
    percentile = {}
    for name, number, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)", result.stdout, re.M):
        percentile[name] = float(number) * UNITS[unit]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", result.stdout).group(1))
    return percentile["50"], percentile["99"], rate


def percentiles(milliseconds):
    """In the form of bench/fleet/latencies.h."""
    ordered = sorted(milliseconds)
    def at(share):
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    return {"count": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": ordered[-1]}


def fsync(directory, count):
    """One fsync after each 4 KiB appended to a file."""
    path = os.path.join(directory, "fsync")
    samples = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(count):
            file.write(b"x" * 4096)
            begin = time.monotonic()
            os.fsync(file.fileno())
            samples.append((time.monotonic() - begin) * 1e3)
    os.unlink(path)
    return percentiles(samples)


def machine():
    return f"{os.cpu_count()} cores, load {' '.join(f'{load:.1f}' for load in os.getloadavg())}"


def table(title, rows):
    """`rows`: name, percentiles."""
    print(f"\n{title} ({machine()})\n{'':34}{'count':>9}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}")
    for name, row in rows:
        print(f"{name:34}{row['count']:>9}{row['p50']:>10.2f}{row['p99']:>10.2f}{row['max']:>10.2f}", flush=True)
