"""What the static checks share: where the sources are, and how a check ends."""

import os
import sys
from pathlib import Path

ROOT = Path(os.environ.get("VOLLEY_SRC", Path(__file__).parents[2])).resolve()
CODE_FOLDERS = ("include", "proto", "src", "bench", "tests")
SKIPPED = 77


def sources(*suffixes, folders=CODE_FOLDERS):
    """All files of the folders with one of the suffixes, sorted."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and path.is_file()
    )


def name(path):
    return str(path.relative_to(ROOT))


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def finish(offences, checked):
    """Ends the check: prints what is wrong, or how much is right."""
    for offence in offences:
        print(offence)
    print(f"{len(offences)} offences in {checked}")
    sys.exit(1 if offences else 0)
