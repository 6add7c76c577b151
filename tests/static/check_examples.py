"""The worked examples of proto/SPEC.md are the known answers of tests/vectors, bytes and words."""

import re

from project import ROOT, finish, skip

SECTIONS = {  # vectors file: heading of its examples
    "packets.txt": "### 2.11 Worked examples",
    "frames.txt": "### 4.5 Worked examples",
}
HEADING = re.compile(r"^(\w+): (.*)$")
BYTES = re.compile(r"^    ((?:[0-9a-f]{2}(?:\*\d+)? ?)+)(?:  |$)")


def expand(hexes):
    """Bytes of "01 02 00*3"."""
    out = bytearray()
    for token in hexes.split():
        byte, _, times = token.partition("*")
        out += bytes.fromhex(byte) * int(times or 1)
    return bytes(out)


def read_vectors(text):
    """{name: (words, bytes)} of lines "# words" and "name: hex"."""
    vectors, words = {}, None
    for line in text.splitlines():
        if line.startswith("# "):
            words = line[2:]
        elif line:
            name, hexes = line.split(":")
            vectors[name] = (words, expand(hexes))
    return vectors


def read_examples(spec, heading):
    """The same of the first fenced block below `heading`; bytes that do not parse raise."""
    block = re.search(re.escape(heading) + r".*?```\n(.*?)```", spec, re.DOTALL)
    examples, name = {}, None
    for line in block[1].splitlines() if block else ():
        if match := HEADING.match(line):
            name = match[1]
            examples[name] = (match[2], b"")
        elif match := BYTES.match(line + "  "):
            words, data = examples[name]
            examples[name] = (words, data + expand(match[1]))
        elif line:
            raise ValueError(f"SPEC.md: neither a name nor bytes: {line}")
    return examples


def compare(file, vectors, examples):
    """Yields what is wrong, either way."""
    for name in vectors.keys() | examples.keys():
        if name not in examples or name not in vectors:
            yield f"{name}: only in {file if name in vectors else 'SPEC.md'}"
        elif examples[name] != vectors[name]:
            what = "bytes" if examples[name][1] != vectors[name][1] else "words"
            yield f"{name}: its {what} differ between SPEC.md and {file}"
    if not vectors:
        yield f"{file}: no vectors"


def main():
    spec = ROOT / "proto" / "SPEC.md"
    if not spec.exists():
        skip("no proto/SPEC.md")
    offences, checked = [], 0
    for file, heading in SECTIONS.items():
        vectors = read_vectors((ROOT / "tests" / "vectors" / file).read_text())
        offences += compare(file, vectors, read_examples(spec.read_text(), heading))
        checked += len(vectors)
    finish(sorted(offences), f"{checked} examples")


main()
