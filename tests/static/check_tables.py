"""The tables of proto/SPEC.md and the X-macro lists they describe hold the same names and values.

A table stands between `<!-- TABLE:begin -->` and `<!-- TABLE:end -->`; each of its rows has one
cell with the name and one with the value, in any order, with or without backticks.
"""

import re

from project import ROOT, finish, skip

LISTS = {  # table: (file, macro of a row)
    "frames": ("proto/frame.def", "VLY_FRAME"),
    "closecodes": ("proto/closecode.def", "VLY_CLOSE_CODE"),
    "errors": ("include/volley/base.h", "X"),
    "records": ("src/net/tcp_frame.h", "X"),
    "trace": ("proto/trace.def", "VLY_TRACE"),
}


def value_of(text):
    """A number when it is one, so that 0x02 equals 2; else the text itself."""
    try:
        return int(text, 0)
    except ValueError:
        return text


def read_list(path, macro):
    """{name: value} of the rows `macro(NAME, value, ...)`; the value is None when there is none."""
    row = re.compile(rf"^\s*{macro}\(\s*(\w+)\s*(?:,\s*([-+\w]+)\s*)?[,)]", re.MULTILINE)
    return {name: value_of(value) if value else None for name, value in row.findall(path.read_text())}


def read_table(spec, table):
    """The rows below the ruled line, each a list of cells; None when there is no such table."""
    found = re.search(rf"<!-- {table}:begin -->(.*?)<!-- {table}:end -->", spec, re.DOTALL)
    if found is None:
        return None
    rows = [[cell.strip(" `") for cell in line.strip().strip("|").split("|")]
            for line in found[1].splitlines() if line.lstrip().startswith("|")]
    return rows[2:]


def compare(table, entries, rows):
    """Yields what is wrong, either way."""
    left = dict(entries)
    for cells in rows:
        names = [name for name in entries if name in cells]
        if not names:
            yield f"{table}: the row {cells[:2]} has no entry in the list"
        for name in names:
            value = left.pop(name, entries[name])
            if value is not None and value not in map(value_of, cells):
                yield f"{table}: {name} is {value} in the list, not in {cells}"
    yield from (f"{table}: {name} has no row in SPEC.md" for name in left)


STATE = re.compile(r"[A-Z_]+|none")
TRANSITION = re.compile(r"^VLY_TRANSITION\((\w+), (\w+), (\w+), (\w+), (\w+)\)$", re.MULTILINE)


def compare_states(text, rows):
    """The same for the transitions of SPEC 3, with their end, states and next state."""
    code = {name: (end, {state, other} - ({"none"} if state != "none" else set()), after)
            for name, after, end, state, other in TRANSITION.findall(text)}
    written = {cells[0]: (cells[1],
                          {part for part in cells[2].split(", ") if STATE.fullmatch(part)}, cells[5])
               for cells in rows}
    for name in code.keys() | written.keys():
        if name not in code or name not in written:
            yield f"states: {name} stands in one of code and SPEC.md only"
        elif code[name] != written[name]:
            yield f"states: {name} is {code[name]} in the code, {written[name]} in SPEC.md"


def main():
    spec = ROOT / "proto" / "SPEC.md"
    if not spec.exists():
        skip("no proto/SPEC.md")
    offences, checked = [], 0
    for table, (file, macro) in LISTS.items():
        if not (ROOT / file).exists():
            print(f"{table}: no {file} yet")
            continue
        entries = read_list(ROOT / file, macro)
        rows = read_table(spec.read_text(), table)
        checked += len(entries)
        if not entries:
            offences.append(f"{file}: no {macro}(...) rows")
        if rows is None:
            offences.append(f"SPEC.md: no table between <!-- {table}:begin --> and <!-- {table}:end -->")
        else:
            offences += compare(table, entries, rows)
    states = (ROOT / "proto" / "handshake_states.def").read_text()
    offences += compare_states(states, read_table(spec.read_text(), "states") or [])
    checked += len(TRANSITION.findall(states))
    finish(offences, f"{checked} entries")


main()
