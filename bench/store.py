"""What durability costs: syncs of the disk alone, commits of the store, and changes of a sallyportd that nobody waits to enforce.

Usage: bench/run.sh store [--directory DIR] [--rate N] [--seconds N]
"""

import argparse
import subprocess

import measure
from measure import harness

from fleet import ControlPlane


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", default="/var/tmp", help="where the syncs are measured")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    harness.BINARIES["fsync_cost"] = "bench/store/fsync_cost"
    harness.BINARIES["change_rate"] = "bench/store/change_rate"
    print(f"\ndurability ({measure.machine()})", flush=True)
    subprocess.run([harness.binary("fsync_cost"), options.directory], check=True)
    control_plane = ControlPlane()
    try:
        subprocess.run([harness.binary("change_rate"), "--control-plane", control_plane.address, "--rate", str(options.rate),
                        "--seconds", str(options.seconds)], check=True)
    finally:
        control_plane.close()


if __name__ == "__main__":
    main()
