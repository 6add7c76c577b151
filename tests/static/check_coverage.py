"""The coverage gate: lines and branches of proto/ that the tests reached, by file.

usage: check_coverage.py SUMMARY.JSON      what gcovr --json-summary wrote; ./dev coverage runs it
"""

import json
import sys

from project import finish

LEAST = {"line": 92.0, "branch": 80.0}  # percent, over all of proto/


def percent(entry, kind):
    total = entry[f"{kind}_total"]
    return 100.0 * entry[f"{kind}_covered"] / total if total else 100.0


def row(entry, title):
    return f"{title:32}{percent(entry, 'line'):8.1f}{percent(entry, 'branch'):12.1f}"


def main(path):
    with open(path, encoding="utf-8") as file:
        summary = json.load(file)
    print(f"{'file':32}{'lines %':>8}{'branches %':>12}")
    for entry in summary["files"]:
        print(row(entry, entry["filename"]))
    print(row(summary, "proto/"))
    finish(
        [f"{kind} coverage is {percent(summary, kind):.1f} %, at least {least} % is asked"
         for kind, least in LEAST.items() if percent(summary, kind) < least],
        f"{len(summary['files'])} files",
    )


main(sys.argv[1])
