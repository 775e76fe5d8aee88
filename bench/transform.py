"""What it costs to have a body go by way of a handler: one long body up, and one down, over plain HTTP/1.1.

Two ways in turn in one run, so that their ratios hold whatever else the machine does:

  proxy      plain egress
  transform  a C++ handler on loopback is given the body in pieces and gives them back

Prints GB/s, the proxy's CPU seconds per GB, and by how much the proxy's memory grew at most. Usage: bench/run.sh transform
[--mebibytes N]
"""

import argparse
import subprocess
import time

import measure
from measure import harness
from harness import World, binary
from streams import Peak

ADDRESS = "203.0.113.10"
URL = "http://bulk.test"


def upload(size):
    return f"head -c {size} /dev/zero | curl -sS --max-time 900 -T - -H 'content-type: x/x' -X POST {URL}/digest"


def download(size):
    return f"curl -sS --max-time 900 {URL}/bytes/{size} | wc -c"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mebibytes", type=int, default=1024)
    options = parser.parse_args()
    size = options.mebibytes << 20
    harness.BINARIES["handler"] = "bench/handler/handler"
    with World({"bulk.test": ADDRESS}, ports=[80]) as world:
        handler = world.start("handler", [binary("handler"), "--listen", "127.0.0.1:0", "--threads", "8"], world.host)
        address = handler.await_text(r"listening on (\S+)").group(1)
        world.cli("handler", "register", "transform", f"grpc://{address}")
        world.apply_class("proxy")
        world.apply_class("transform", outbound="transform")
        ways = {way: world.container(way, f"b-{way}").command("sh", "-c") for way in ("proxy", "transform")}
        print(f"{options.mebibytes} MiB ({measure.machine()})\n{'':18}{'GB/s':>8}{'proxy CPU s/GB':>18}{'grew by KiB':>14}", flush=True)
        for direction, command in (("up", upload), ("down", download)):
            for way, enter in ways.items():
                pid = world.proxy_pid()
                subprocess.run([*enter, command(1 << 20)], check=True, capture_output=True)
                busy, begin = measure.cpu_seconds(pid), time.monotonic()
                with Peak(pid) as peak:
                    result = subprocess.run([*enter, command(size)], check=True, capture_output=True, text=True)
                seconds = time.monotonic() - begin
                if result.stdout.split()[0] != str(size):
                    raise RuntimeError(f"not measured, {way} {direction} broke off: {result.stdout} {result.stderr}")
                per_gb = (measure.cpu_seconds(pid) - busy) / (size / 1e9)
                print(f"{direction:5}{way:13}{size / 1e9 / seconds:>8.2f}{per_gb:>18.2f}{peak.growth():>14}", flush=True)


if __name__ == "__main__":
    main()
