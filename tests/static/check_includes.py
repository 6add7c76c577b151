"""Dependencies go one way: include < proto < src < bench; tests sees all.

include/ and proto/ use only the system headers of the language itself: no clock, no socket, no libuv.
"""

import re

from project import CODE_FOLDERS, ROOT, finish, name, sources

SEES = {
    "include": {"include"},
    "proto": {"include", "proto"},
    "src": {"include", "proto", "src"},
    "bench": {"include", "proto", "src", "bench"},
    "tests": set(CODE_FOLDERS),
}
PURE = ("include", "proto")
LANGUAGE_HEADERS = {
    "assert.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdalign.h", "stdarg.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdnoreturn.h", "string.h",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def folder_of(file, target):
    """The top folder that `target`, included by `file`, lies in; None when it is not ours."""
    for base in (file.parent, ROOT, ROOT / "include", ROOT / "src", ROOT / "tests"):
        path = (base / target).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            return name(path).split("/")[0]
    return None


def offence(file, quote, target):
    own = name(file).split("/")[0]
    folder = folder_of(file, target)
    if folder is not None:
        return None if folder in SEES[own] else f"{own}/ must not see {folder}/"
    if quote == '"':
        return "no such file in the project"
    if own in PURE and target not in LANGUAGE_HEADERS:
        return f"{own}/ uses only the language's own headers"
    return None


def main():
    files = sources(".c", ".h", ".def")
    offences = []
    for file in files:
        for quote, target in INCLUDE.findall(file.read_text()):
            reason = offence(file, quote, target)
            if reason:
                offences.append(f"{name(file)}: {target}: {reason}")
    finish(offences, f"{len(files)} files")


main()
