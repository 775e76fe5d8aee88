"""Draws what report.py prints as tables, with gnuplot: an SVG for each workload, with the medians and from minimum to maximum.

Usage: plot.py DIRECTORY RAW.TSV…
"""
import math
import os
import statistics
import subprocess
import sys

from report import TITLES, read

OURS, OTHERS = "0x1f6feb", "0x9aa4b2"
PERCENTILES = ("p50", "p75", "p90", "p99")
# By workload: the metrics that are drawn beside each other, and what they are called.
RATE = {"rate": "requests / s", "cpu_per": "proxy CPU µs / request", "pss_mib": "memory (PSS), MiB"}
CONNECTIONS = {"rate": "connections / s", "cpu_per": "proxy CPU ms / connection", "pss_mib": "memory (PSS), MiB"}
BULK = {"rate": "MB / s", "cpu_per": "proxy CPU s / GB"}
DRAWN = {"P1": RATE, "P2": RATE, "P2h2": RATE, "P5": RATE, "P3warm": CONNECTIONS, "P4conn": CONNECTIONS,
         "P3cold": {"hs_rate": "new names / s", "cpu_per": "proxy CPU ms / name"}, "P4bulk": BULK, "P9": BULK, "P9tls": BULK,
         "P6": {"kib_per_conn": "KiB / connection"}, "P6tls": {"kib_per_conn": "KiB / connection"}}
PANEL_WIDTH, HEAD_HEIGHT, PEER_HEIGHT, LEAST_HEIGHT = 420, 110, 26, 300


def is_ours(name):
    return name.startswith("sallyport")


def tick_step(longest):
    """So that a handful of ticks covers it: 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(longest or 1))
    return next(step * power / 10 for step in (2, 5, 10, 20) if longest <= 5 * step * power / 10)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def bars(peers, metric, label):
    """gnuplot's commands for one panel: a bar for each peer, the longest at the bottom."""
    shown = sorted(((statistics.median(metrics[metric]), name) for name, metrics in peers.items() if metrics[metric]), reverse=True)
    rows = [f"{median} {place} {min(peers[name][metric])} {max(peers[name][metric])} {OURS if is_ours(name) else OTHERS}"
            for place, (median, name) in enumerate(shown)]
    names = ", ".join(f"{quoted(name)} {place}" for place, (_, name) in enumerate(shown))
    longest = max(max(peers[name][metric]) for _, name in shown)
    return ["$bars << EOD", *rows, "EOD", "unset logscale", "unset key", f"set xlabel {quoted(label)}", "unset ylabel",
            f"set ytics ({names}) scale 0", f"set xtics 0,{tick_step(longest)} format '%g'", "set xrange [0:*]", f"set yrange [-0.6:{len(shown) - 0.4}]",
            "plot $bars using 1:2:(0):1:($2-0.35):($2+0.35):5 with boxxyerror fill solid noborder linecolor rgb variable, "
            "$bars using 1:2:3:4 with xerrorbars pointtype -1 linecolor rgb 'black' linewidth 0.8"]


def latencies(peers):
    """gnuplot's commands for one panel: a line for each peer that has all percentiles; none if no peer has."""
    lines, plots = [], []
    for name, metrics in peers.items():
        points = [statistics.median(metrics[percentile]) for percentile in PERCENTILES if metrics[percentile]]
        if len(points) < len(PERCENTILES):
            continue
        data = f"$line{len(plots)}"
        lines += [f"{data} << EOD", *(f"{place} {point}" for place, point in enumerate(points)), "EOD"]
        plots.append(f"{data} using 1:2 with linespoints pointtype 7 pointsize 0.4 linewidth {2 if is_ours(name) else 1} title {quoted(name)}")
    if not plots:
        return []
    ticks = ", ".join(f"{quoted(percentile)} {place}" for place, percentile in enumerate(PERCENTILES))
    return [*lines, "set key left top Left reverse samplen 1.5 font ',9'", "unset xlabel", "set ylabel 'latency at full load, µs'", f"set xtics ({ticks})",
            "set ytics auto autofreq scale 1", f"set xrange [-0.2:{len(PERCENTILES) - 0.8}]", "set yrange [*:*]", "set logscale y",
            "plot " + ", ".join(plots)]


def script(workload, peers, path):
    panels = [bars(peers, metric, label) for metric, label in DRAWN[workload].items() if any(values[metric] for values in peers.values())]
    panels += [panel for panel in [latencies(peers)] if panel]
    height = max(LEAST_HEIGHT, HEAD_HEIGHT + PEER_HEIGHT * len(peers))
    yield from ("set encoding utf8", f"set terminal svg size {PANEL_WIDTH * len(panels)},{height} font 'sans-serif,11' background 'white' noenhanced",
                f"set output {quoted(path)}", "set border 3", "set tics nomirror",
                f"set multiplot layout 1,{len(panels)} title {quoted(TITLES[workload])}")
    for panel in panels:
        yield from panel
    yield "unset multiplot"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    directory, *paths = sys.argv[1:]
    os.makedirs(directory, exist_ok=True)
    data, _ = read(paths)
    for (workload, pin), peers in data.items():
        if workload in DRAWN and peers:
            path = os.path.join(directory, f"{workload}{'' if pin == '1' else '-unpinned'}.svg")
            subprocess.run(["gnuplot"], input="\n".join(script(workload, peers, path)) + "\n", text=True, check=True)


if __name__ == "__main__":
    main()
