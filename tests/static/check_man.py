"""The man pages and --help name the same options, and mandoc finds nothing to say.

src/man/volley-CMD.1 documents an option where a list item (.It) names it. The commands of volley
bench share volley-bench.1, where each has a subsection (.Ss) of its own. Runs $VOLLEY_BIN.
"""

import os
import re
import subprocess

from project import ROOT, finish, name, skip

BIN = os.environ.get("VOLLEY_BIN", "")
MAN = ROOT / "src" / "man"
HELP_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
MAN_OPTION = re.compile(r"\bFl (?:Fl |\\?-)([a-z][a-z0-9-]*)")


def volley(*args):
    return subprocess.run([BIN, *args], check=True, capture_output=True, text=True).stdout


def man_options(lines):
    items = (line for line in lines if line.startswith(".It "))
    return {option for line in items for option in MAN_OPTION.findall(line)}


def subsection(lines, command):
    """The lines below the .Ss that names the command, to the next heading."""
    inside = False
    for line in lines:
        if line.startswith((".Ss ", ".Sh ")):
            inside = line.startswith(".Ss ") and re.search(rf"\b{re.escape(command)}(,|$)", line) is not None
        elif inside:
            yield line


def differences(where, shown, written):
    yield from (f"{where}: --{option} of --help is not described" for option in sorted(shown - written))
    yield from (f"{where}: --{option} is not in --help" for option in sorted(written - shown))


def check_bench(page):
    """The commands of volley bench; --help stands once, before them."""
    lines = page.read_text().splitlines()
    commands = volley("bench", "help", "--commands").split()
    if not commands:
        yield "volley bench help --commands lists nothing"
    for command in commands:
        shown = set(HELP_OPTION.findall(volley("bench", command, "--help"))) - {"help"}
        written = man_options(subsection(lines, f"volley bench {command}"))
        yield from differences(f"{name(page)}: {command}", shown, written)


def check_command(command, overview):
    page = MAN / f"volley-{command}.1"
    if not re.search(rf"\b{command}\b", overview):
        yield f"volley.1 does not mention {command}"
    if not page.exists():
        yield f"{name(page)} is missing"
    elif command == "bench":
        yield from check_bench(page)
    else:
        shown = set(HELP_OPTION.findall(volley(command, "--help")))
        yield from differences(name(page), shown, man_options(page.read_text().splitlines()))


def main():
    if not os.access(BIN, os.X_OK) or not MAN.is_dir():
        skip("no program or no man pages yet")
    commands = volley("help", "--commands").split()
    overview = (MAN / "volley.1").read_text()
    offences = [] if commands else ["volley help --commands lists nothing"]
    for command in commands:
        offences += check_command(command, overview)
    for page in sorted(MAN.glob("*.1")):
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", name(page)],
                              cwd=ROOT, capture_output=True, text=True)
        offences += lint.stdout.splitlines()
    finish(offences, f"{len(commands)} commands")


main()
