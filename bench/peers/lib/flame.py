"""Draws a flame graph: which share of the samples has which function on its stack, callers below, as SVG on stdout.

Usage: perf script -F ip,sym,dso | flame.py TITLE
"""
import re
import sys
from xml.sax.saxutils import escape, quoteattr

WIDTH, ROW, HEAD, LETTER = 1200, 15, 36, 6.4
LEAST_WIDTH = 4.0  # Of a frame that is drawn.
OURS, KERNEL, OTHERS = "#8ab4f8", "#c6ccd4", "#f5c58a"
FRAME = re.compile(r"\s+[0-9a-f]+ (?P<function>.*) \((?P<file>[^()]*(?:\([^()]*\))?[^()]*)\)$")


class Node:
    def __init__(self, color):
        self.color, self.count, self.callees = color, 0, {}


def color_of(file):
    if "kernel" in file or file.startswith("["):
        return KERNEL
    return OURS if "sallyport" in file else OTHERS


def short(function):
    """Without arguments, namespaces of ours and template arguments that say little."""
    function = re.sub(r"\+0x[0-9a-f]+$", "", function)
    function = function.replace("sallyport::proxy::", "").replace("sallyport::", "").replace("(anonymous namespace)::", "")
    return re.sub(r"\(.*\)( const)?( \[.*\])?$", "", function) or function


def read(lines):
    """The tree of all samples. perf gives each sample's frames from the innermost, and an empty line behind them."""
    root, stack = Node(KERNEL), []
    for line in [*lines, ""]:
        frame = FRAME.match(line.rstrip("\n"))
        if frame:
            stack.append((short(frame["function"]), color_of(frame["file"])))
        elif stack and not line.strip():
            root.count += 1
            node = root
            for function, color in reversed(stack):
                node = node.callees.setdefault(function, Node(color))
                node.count += 1
            stack = []
    return root


def depth(node, total):
    return 1 + max((depth(callee, total) for callee in node.callees.values() if callee.count / total * WIDTH >= LEAST_WIDTH), default=0)


def draw(node, name, left, bottom, total, out):
    width = node.count / total * WIDTH
    if width < LEAST_WIDTH:
        return
    shown = escape(name[:int(width / LETTER)]) if width > 4 * LETTER else ""
    out.append(f'<g><title>{escape(name)} {100 * node.count / total:.1f} %</title>'
               f'<rect x="{left:.1f}" y="{bottom - ROW}" width="{width:.1f}" height="{ROW - 1}" fill="{node.color}"/>'
               + (f'<text x="{left + 2:.1f}" y="{bottom - 4}">{shown}</text>' if shown else "") + "</g>")
    for function, callee in sorted(node.callees.items()):
        draw(callee, function, left, bottom - ROW, total, out)
        left += callee.count / total * WIDTH


def main():
    root = read(sys.stdin)
    if root.count == 0:
        sys.exit("flame.py: no samples")
    height = HEAD + ROW * depth(root, root.count)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace" font-size="11">',
           f'<rect width="100%" height="100%" fill="white"/><text x="8" y="20" font-size="14" aria-label={quoteattr(sys.argv[1])}>'
           f"{escape(sys.argv[1])}, {root.count} samples</text>"]
    draw(root, "all", 0.0, height, root.count, out)
    print("\n".join([*out, "</svg>"]))


if __name__ == "__main__":
    main()
