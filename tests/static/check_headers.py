"""Every header compiles alone, and twice: self-contained and guarded.

usage: check_headers.py CC
"""

import subprocess
import sys

from project import ROOT, finish, name, sources

FLAGS = {
    "include": ["-Iinclude"],
    "proto": ["-Iinclude", "-Iproto"],
    "src": ["-Iinclude", "-I.", "-Isrc", "-D_GNU_SOURCE"],
}


def compile_alone(compiler, header):
    path = name(header)
    return subprocess.run(
        [compiler, "-std=c17", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
         *FLAGS[path.split("/")[0]], "-x", "c", "-"],
        input=f'#include "{header}"\n' * 2, cwd=ROOT, capture_output=True, text=True,
    )


def main(compiler):
    headers = sources(".h", folders=FLAGS)
    offences = []
    for header in headers:
        result = compile_alone(compiler, header)
        if result.returncode != 0:
            offences.append(f"{name(header)} does not compile alone:\n{result.stderr}")
    finish(offences, f"{len(headers)} headers")


main(sys.argv[1])
