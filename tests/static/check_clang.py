"""What clang warns of, in every file of a compile database; warnings are errors. No code is made: it would never run.

usage: check_clang.py BUILD      ./dev test runs it
"""

import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from project import finish


def check(entry):
    arguments = shlex.split(entry["command"])
    output = arguments.index("-o")
    del arguments[output:output + 2]
    arguments.remove("-c")
    result = subprocess.run([*arguments, "-fsyntax-only", "-Werror"], cwd=entry["directory"], check=False,
                            capture_output=True, text=True)
    return None if result.returncode == 0 else result.stderr


def main(build):
    entries = json.loads((Path(build) / "compile_commands.json").read_text(encoding="utf-8"))
    with ThreadPoolExecutor(int(os.environ.get("JOBS", os.cpu_count()))) as pool:
        offences = [text for text in pool.map(check, entries) if text]
    finish(offences, f"{len(entries)} files")


main(sys.argv[1])
