"""Every rule of proto/SPEC.md that applies now is tagged `RULE n` in code and in a test.

usage: check_rules.py [--list]     --list also shows where each tag stands

The rules are the rows `| RULE n | text | v1 |` of SPEC.md; `later` in the last column's place marks
a rule that no code has to follow yet.
"""

import re
import sys
from collections import defaultdict

from project import ROOT, finish, name, skip, sources

RULES = 41
TAG = re.compile(r"\bRULE (\d+)\b")
ROW = re.compile(r"^\| RULE (\d+) \|(.*)\|\s*$", re.MULTILINE)


def read_rules(text):
    """{n: (text, applies now)} from the table, and what is wrong with the table."""
    rules, offences = {}, []
    for number, rest in ROW.findall(text):
        cells = [cell.strip(" `") for cell in rest.split("|")]
        when = [cell for cell in cells if cell in ("v1", "later")]
        if len(when) != 1:
            offences.append(f"SPEC.md: RULE {number} says neither v1 nor later")
        if int(number) in rules:
            offences.append(f"SPEC.md: RULE {number} stands twice")
        rules[int(number)] = (cells[0], when == ["v1"])
    missing = [n for n in range(1, RULES + 1) if n not in rules]
    offences += [f"SPEC.md: no row for RULE {n}" for n in missing]
    return rules, offences


def find_tags(files):
    """{n: [file:line, ...]}"""
    tags = defaultdict(list)
    for file in files:
        for line, text in enumerate(file.read_text(errors="replace").splitlines(), 1):
            for number in TAG.findall(text):
                tags[int(number)].append(f"{name(file)}:{line}")
    return tags


def main(verbose):
    spec = ROOT / "proto" / "SPEC.md"
    if not spec.exists():
        skip("no proto/SPEC.md")
    rules, offences = read_rules(spec.read_text())
    own = ROOT / "tests" / "static"
    places = {
        "code": find_tags(sources(".c", ".h", ".def", folders=("proto", "src"))),
        "test": find_tags(f for f in sources(".c", ".h", ".py", ".sh", folders=("tests",))
                          if own not in f.parents),
    }
    for number, (text, now) in sorted(rules.items()):
        absent = [kind for kind, tags in places.items() if number not in tags]
        if absent:
            print(f"RULE {number} ({'v1' if now else 'later'}) without {' and '.join(absent)}: {text}")
        if absent and now:
            offences.append(f"RULE {number} applies now and has no {' and no '.join(absent)} tag")
        for kind, tags in places.items() if verbose else ():
            print(f"RULE {number} {kind}: {' '.join(tags[number]) or '-'}")
    for kind, tags in places.items():
        offences += [f"{tags[n][0]}: RULE {n} is not in SPEC.md" for n in tags if n not in rules]
    finish(offences, f"{len(rules)} rules, {sum(now for _, now in rules.values())} of them v1")


main("--list" in sys.argv[1:])
