"""No file over 700 lines, no function over 80."""

import subprocess

from project import ROOT, finish, name, sources

FILE_LINES = 700
FUNCTION_LINES = 80


def functions(files):
    """Yields (file, function, lines) of every function, by universal-ctags."""
    listing = subprocess.run(
        ["ctags", "-x", "--languages=C", "--langmap=C:.c.h", "--kinds-C=f",
         "--_xformat=%n %{end} %F %N", *map(name, files)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    for line in listing.splitlines():
        begin, end, file, function = line.split()
        yield file, function, int(end) - int(begin) + 1


def main():
    files = sources(".c", ".h")
    offences = []
    for file in files:
        lines = file.read_bytes().count(b"\n")
        if lines > FILE_LINES:
            offences.append(f"{name(file)}: {lines} lines, at most {FILE_LINES}")
    count = 0
    for file, function, lines in functions(files) if files else ():
        count += 1
        if lines > FUNCTION_LINES:
            offences.append(f"{file}: {function}() has {lines} lines, at most {FUNCTION_LINES}")
    finish(offences, f"{count} functions of {len(files)} files")


main()
