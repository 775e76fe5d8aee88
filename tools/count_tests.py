#!/usr/bin/env python3
"""Counts test cases in the event files that `bazel test --build_event_json_file` writes.

Prints one line, `N passed, N failed`, for all files together; with skipped cases in front if there
are any. A target that does not build, does not run or dies without naming a case is one failure.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree
from collections import Counter


def cases_in(xml_path):
    """Counts the cases of one test.xml: GoogleTest's own, or the one that Bazel makes up."""
    counts = Counter()
    for case in ElementTree.parse(xml_path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif case.get("result") == "skipped" or case.get("status") == "notrun":
            counts["skipped"] += 1
        else:
            counts["passed"] += 1
    return counts


def count_test_result(result):
    """Counts one run of one test (a shard, if it has several)."""
    counts = Counter()
    for output in result.get("testActionOutput", []):
        if output["name"] == "test.xml":
            try:
                counts = cases_in(urllib.parse.urlparse(output["uri"]).path)
            except (ElementTree.ParseError, OSError):
                pass  # Cut off: the test died. Its status tells.
    if result.get("status") not in ("PASSED", "FLAKY"):
        counts["failed"] = max(counts["failed"], 1)
    return counts


def count_events(lines):
    counts = Counter()
    for line in lines:
        event = json.loads(line)
        kind = event["id"]
        if "testResult" in kind and "testResult" in event:
            counts += count_test_result(event["testResult"])
        elif "targetCompleted" in kind and not event.get("completed", {}).get("success"):
            print("does not build:", kind["targetCompleted"]["label"], file=sys.stderr)
            counts["failed"] += 1
    return counts


def main(paths):
    total = Counter()
    for path in paths:
        try:
            with open(path, encoding="utf-8") as events:
                total += count_events(events)
        except OSError:
            total["failed"] += 1  # Bazel did not come as far as that.
    if total["skipped"]:
        print(f"{total['skipped']} skipped")
    print(f"{total['passed']} passed, {total['failed']} failed")
    return 0 if total["passed"] and not total["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
