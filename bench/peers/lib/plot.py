"""Draws what report.py prints as tables: an SVG for each workload, with the medians and from minimum to maximum.

Usage: plot.py DIRECTORY RAW.TSV…
"""
import collections
import os
import statistics
import sys

import matplotlib

matplotlib.use("svg")
# The same run gives the same file; and text stays text.
matplotlib.rcParams.update({"svg.hashsalt": "sallyport", "svg.fonttype": "none", "font.size": 9})
from matplotlib import pyplot  # pylint: disable=wrong-import-position

from report import TITLES, read  # pylint: disable=wrong-import-position

OURS, OTHERS = "#1f6feb", "#9aa4b2"
PERCENTILES = ("p50", "p75", "p90", "p99")
# By workload: the metrics that are drawn beside each other, and what they are called.
RATE = {"rate": "requests / s", "cpu_per": "proxy CPU µs / request", "pss_mib": "memory (PSS), MiB"}
CONNECTIONS = {"rate": "connections / s", "cpu_per": "proxy CPU ms / connection", "pss_mib": "memory (PSS), MiB"}
BULK = {"rate": "MB / s", "cpu_per": "proxy CPU s / GB"}
DRAWN = {"P1": RATE, "P2": RATE, "P2h2": RATE, "P5": RATE, "P3warm": CONNECTIONS, "P4conn": CONNECTIONS,
         "P3cold": {"hs_rate": "new names / s", "cpu_per": "proxy CPU ms / name"}, "P4bulk": BULK, "P9": BULK, "P9tls": BULK,
         "P6": {"kib_per_conn": "KiB / connection"}, "P6tls": {"kib_per_conn": "KiB / connection"}}


def draw_bars(axes, peers, metric, label):
    names = [name for name, metrics in peers.items() if metrics[metric]]
    names.sort(key=lambda name: statistics.median(peers[name][metric]), reverse=True)
    medians = [statistics.median(peers[name][metric]) for name in names]
    spread = [[median - min(peers[name][metric]) for name, median in zip(names, medians)],
              [max(peers[name][metric]) - median for name, median in zip(names, medians)]]
    axes.barh(names, medians, xerr=spread, color=[OURS if name.startswith("sallyport") else OTHERS for name in names],
              error_kw={"linewidth": 0.8})
    axes.set_xlabel(label)


def draw_latencies(axes, peers):
    drawn = 0
    for name, metrics in peers.items():
        points = [(percentile, statistics.median(metrics[percentile])) for percentile in PERCENTILES if metrics[percentile]]
        if len(points) == len(PERCENTILES):
            ours = name.startswith("sallyport")
            axes.plot(*zip(*points), marker="o", markersize=3, label=name, linewidth=2 if ours else 1, zorder=3 if ours else 2)
            drawn += 1
    if drawn == 0:
        return False
    axes.set_yscale("log")
    axes.set_ylabel("latency at full load, µs")
    axes.legend(fontsize=7, frameon=False)
    return True


def draw(workload, pinned, peers, directory):
    metrics = {metric: label for metric, label in DRAWN[workload].items() if any(values[metric] for values in peers.values())}
    has_latencies = any(values["p75"] for values in peers.values())
    count = len(metrics) + has_latencies
    figure, grid = pyplot.subplots(1, count, figsize=(4.2 * count, 0.9 + 0.3 * len(peers)), squeeze=False, layout="constrained")
    for axes, (metric, label) in zip(grid[0], metrics.items()):
        draw_bars(axes, peers, metric, label)
    if has_latencies:
        draw_latencies(grid[0][-1], peers)
    for axes in grid[0]:
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(TITLES[workload])
    figure.savefig(os.path.join(directory, f"{workload}{'' if pinned else '-unpinned'}.svg"), metadata={"Date": None})
    pyplot.close(figure)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    directory, *paths = sys.argv[1:]
    os.makedirs(directory, exist_ok=True)
    data, _ = read(paths)
    for (workload, pin), peers in data.items():
        if workload in DRAWN and peers:
            draw(workload, pin == "1", collections.OrderedDict(peers), directory)


if __name__ == "__main__":
    main()
