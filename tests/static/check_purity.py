"""The engine is pure: libvolley_proto.a needs nothing but memory, strings, asserts and math.

usage: check_purity.py LIBVOLLEY_PROTO.A
"""

import re
import subprocess
import sys

from project import finish

ALLOWED = re.compile(
    r"""mem(chr|cmp|cpy|move|set)
    | str(chr|cmp|len|ncmp|nlen|rchr)
    | abort | __assert_fail
    | cbrt | ceil | exp | fabs | floor | fmax | fmin | llround | log | pow | round | sqrt
    | __u?(div|mod|divmod)ti[34] | __popcount[ds]i2 | __stack_chk_fail   # compiler support
    | __(asan|gcov|llvm|sanitizer|tsan|ubsan)_\w+                        # instrumented builds
    """,
    re.VERBOSE,
)


def symbols(archive):
    """Yields (member, symbol, type) for every symbol of the archive."""
    listing = subprocess.run(
        ["nm", "--print-file-name", "--format=posix", archive],
        check=True, capture_output=True, text=True,
    ).stdout
    for line in listing.splitlines():
        member, symbol, kind = line.split()[:3]
        yield member[member.find("[") + 1:member.rfind("]")], symbol, kind


def main(archive):
    rows = list(symbols(archive))
    defined = {symbol for _, symbol, kind in rows if kind not in "Uwv"}
    needed = {(member, symbol) for member, symbol, kind in rows if kind in "Uwv"}
    finish(
        [f"{member}: {symbol}" for member, symbol in sorted(needed)
         if symbol not in defined and not ALLOWED.fullmatch(symbol)],
        f"{len(rows)} symbols of the engine",
    )


main(sys.argv[1])
