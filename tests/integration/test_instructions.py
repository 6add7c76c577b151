#!/usr/bin/env python3
"""What the engine itself costs a packet, in instructions, against what is recorded.

`volley-micro --count` moves batches of 44 datagrams of 1472 bytes through two ends in memory, without protection and
with the same randomness each time; callgrind counts. The count is exact, so it does not depend on what else this
machine does, but it does on the compiler: another one than the recorded one skips, with a word.

    test_instructions.py             compares with instructions.json
    test_instructions.py --record    prints the counts, and records them (./dev instructions)
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
DEADLINE_S = 120
TOLERANCE = 0.10
SMALL = 3  # instructions a packet that no step need account for
BATCHES = 100
STEPS = {
    "write": "the application fills the send buffer",
    "send": "a batch is built",
    "receive": "it is taken in, and its data handed on",
    "acknowledge": "an ACK for it is built",
    "settle": "the ACK is taken in",
}
RECORD = Path(__file__).with_name("instructions.json")
PROGRAM = Path(os.environ.get("VOLLEY_BIN", "")).with_name("volley-micro")


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=DEADLINE_S)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def count():
    """Instructions a packet of each step, and who compiled them."""
    with tempfile.TemporaryDirectory(prefix="volley-it-") as folder:
        counts = Path(folder) / "counts"
        said = json.loads(run("valgrind", "--tool=callgrind", f"--callgrind-out-file={counts}",
                              "--toggle-collect=micro_engine_run", PROGRAM, "--count", BATCHES))
        table = run("callgrind_annotate", "--inclusive=yes", "--threshold=100", "--auto=no", counts)
    # A function into which others are inlined has a line for each of their files: its own has all.
    found = {}
    for number, name in re.findall(r"^ *([\d,]+) \([ \d.]+%\)  \S*:micro_engine_(\w+)", table, re.MULTILINE):
        found[name] = max(found.get(name, 0), int(number.replace(",", "")))
    if not STEPS.keys() <= found.keys():
        sys.exit(f"callgrind did not see all steps, but {sorted(found)}:\n{table}")
    return {"built_by": said["built_by"],
            "instructions_a_packet": {step: round(found[step] / said["packets"], 1) for step in STEPS}}


def differs(step, now, recorded):
    """Says so when it does."""
    if abs(now - recorded) <= TOLERANCE * recorded + SMALL:
        return False
    print(f"{step}: {now} instructions a packet, recorded are {recorded}: {now / recorded - 1:+.0%}")
    return True


def main():
    recording = sys.argv[1:] == ["--record"]
    if not os.environ.get("VOLLEY_BIN") or not PROGRAM.exists():
        skip("VOLLEY_BIN has no volley-micro beside it")
    if shutil.which("valgrind") is None or shutil.which("callgrind_annotate") is None:
        skip("valgrind is not installed")
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else None
    built_by = json.loads(run(PROGRAM, "--count", 1))["built_by"]
    if not recording and built_by != recorded["built_by"]:
        skip(f"the recorded counts are those of {recorded['built_by']}, not of {built_by}")
    now = count()
    for step, what in STEPS.items():
        print(f"{now['instructions_a_packet'][step]:8}  {step:12} {what}")
    if recording:
        RECORD.write_text(json.dumps(now, indent=2) + "\n")
        print(f"recorded in {RECORD}")
        return
    # Every step is compared before the end.
    differing = [step for step in STEPS
                 if differs(step, now["instructions_a_packet"][step], recorded["instructions_a_packet"][step])]
    if differing:
        sys.exit(f"{', '.join(differing)}: more than {TOLERANCE:.0%} from what is recorded; when that is meant, "
                 "./dev instructions records the new counts")


if __name__ == "__main__":
    main()
