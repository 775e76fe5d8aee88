"""Every row of the abuse list is a test, or a line of docs/threat-model.md that says why it is not.

rows.txt has a row a line, and below it, indented, the tests of the row whose names do not begin with its id:

    NB26  a connection to the agent's own port
      agent/attach/redirect_test.cc  TheListenerIsNotForCalling

A test counts for a row by its name if the id stands there: `TEST(…, H113…)`, `{"H113_…"`, `("H113-…"`, `"6.5 H113 …"`, `def test_H113_…`, or as a test's
docstring: `\"\"\"CP09, CP11: …`. In docs/threat-model.md it is the first column of a table: `| NB26 |`, `| ST12, ST13 |`.
"""

import collections
import os
import re
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
THREAT_MODEL = "docs/threat-model.md"
ID = r"(?:NB|ID|HC|IP|DN|H1|H2|TU|TL|UT|HS|RX|CP|ST|AG|TM|PX)[0-9]{2}(?![0-9])"
TEST_FILE = re.compile(r"_tests?\.(cc|py)$")
# A name begins: of a gtest, of a method, or a string, as tables have them.
NAMED = re.compile(rf"(?:(?:TEST(?:_[FP])?\(\w+,\s*|[\"'](?:[0-9.-]+ )?)(?={ID})|def test_(?=(?i:{ID})))([\w, :-]*)", re.ASCII)
# Ids may stand before the name.
DEFINES = rf"(?:TEST(?:_[FP])?\(\w+,\s*(?:{ID}_?)*%s\)|def %s\()"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def test_files():
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith((".", "bazel-"))]
        for name in files:
            if TEST_FILE.search(name):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


def ids_in_names():
    """Id -> files with a test of its name."""
    found = collections.defaultdict(set)
    for path in test_files():
        for match in NAMED.finditer(read(path)):
            for row in re.findall(ID, match.group(1).upper()):
                found[row].add(path)
    return found


def read_rows():
    """Id -> [(file, test)], in order."""
    rows = {}
    for number, line in enumerate(read("tests/abuse/rows.txt").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        words = line.split()
        if line.startswith("  "):
            if len(words) != 2:
                raise ValueError(f"rows.txt:{number}: write FILE TEST")
            list(rows.values())[-1].append(tuple(words))
        elif re.fullmatch(ID, words[0]) and len(words) > 1:
            if words[0] in rows:
                raise ValueError(f"rows.txt:{number}: {words[0]} is there already")
            rows[words[0]] = []
        else:
            raise ValueError(f"rows.txt:{number}: write an id and what it is about")
    return rows


def explained_rows():
    explained = set()
    for line in read(THREAT_MODEL).splitlines():
        cells = line.split("|")
        if line.startswith("| ") and len(cells) >= 4 and cells[2].strip():
            explained.update(re.findall(rf"\b{ID}\b", cells[1]))
    return explained


class CoverageTest(unittest.TestCase):
    def test_every_row_is_tested_or_explained(self):
        named, explained = ids_in_names(), explained_rows()
        missing = [row for row, tests in read_rows().items() if not tests and row not in named and row not in explained]
        self.assertEqual(missing, [], f"neither a test by that id nor a line of {THREAT_MODEL}")

    def test_tests_that_rows_name_exist(self):
        absent = []
        for row, tests in read_rows().items():
            for path, name in tests:
                if not os.path.exists(os.path.join(ROOT, path)) or not re.search(DEFINES % (name, name), read(path)):
                    absent.append(f"{row}: {path} {name}")
        self.assertEqual(absent, [])

    def test_what_is_explained_is_a_row(self):
        self.assertEqual(sorted(explained_rows() - set(read_rows())), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
