"""Results of volley bench are what bench/schema/result.schema.json says, real and synthetic ones."""

import copy
import json
import subprocess
import sys
from pathlib import Path

from bench_it import BENCH_BIN, SRC, BenchCase, load
from volley_it import FAILED, NOT_FOUND, OK, SKIPPED, USAGE, main

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(SKIPPED)

SCHEMA = load(SRC / "bench/schema/result.schema.json")
SHORT = ("--quick", "--links", "lo", "--seconds", "0.1", "--size", "100KB")


def whole_numbers(value, path=""):
    """The paths of all figures that are floats though they count something."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from whole_numbers(member, f"{path}.{key}")
    elif isinstance(value, list):
        for member in value:
            yield from whole_numbers(member, path)
    elif isinstance(value, float) and path.endswith(("bytes", "_ns", "round", "seed", "rate_bits_per_s")):
        if not path.endswith("goodput_bits_per_s"):
            yield path


class Schema(BenchCase):
    def errors(self, doc):
        return [f"{e.json_path}: {e.message}" for e in jsonschema.Draft202012Validator(SCHEMA).iter_errors(doc)]

    def check(self, doc):
        self.assertEqual(self.errors(doc), [])
        self.assertEqual(list(whole_numbers(doc)), [])

    def test_schema_is_one(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_local_comparison(self):
        path = self.dir / "local.json"
        doc = self.bench_json(*SHORT, "-q", "-o", path)
        self.check(doc)
        self.assertEqual(doc, load(path))
        self.assertTrue(doc["finished"])
        self.assertEqual([p.name for p in self.dir.glob("*.json*")], ["local.json"])
        controls = [[r["cc"] for r in doc["rows"] if (r["kind"], r["protocol"]) == (kind, "tcp")]
                    for kind in ("memory", "file")]
        only = doc["environment"]["tcp_congestion_control_default"] == "cubic"
        self.assertEqual(controls, [["cubic"] if only else ["", "cubic"]] * 2)
        for row in doc["rows"]:
            self.assertEqual(row["error"], {"code": "OK", "message": ""}, row["id"])
            self.assertEqual(len(row["samples"]), 2)
            for sample in row["samples"]:
                self.assertGreater(sample["bytes"], 0)
        self.assertEqual({(r["kind"], r["protocol"]) for r in doc["rows"]},
                         {("memory", p) for p in ("tcp", "tls", "udp-raw", "volley", "volley-plain")} |
                         {("file", p) for p in ("tcp", "volley", "volley-plain")})
        for row in doc["rows"]:
            if row["protocol"].startswith("volley"):
                plain = row["protocol"] == "volley-plain"
                self.assertEqual({s["suite"] == "plain" for s in row["samples"]}, {plain}, row["id"])
        self.assertRegex(doc["sentence"], r"^On this machine Volley, encrypted, moved [0-9.]+ [GM]bit/s from memory to "
                                          r"memory over lo and was .* TLS 1\.3 .* times its rate; without encryption "
                                          r"it moved .* times its rate\.$")

    def test_table(self):
        lines = self.bench(*SHORT, "--no-files", "--max-steal", "100%").out.decode().splitlines()
        self.assertIn("lo, memory to memory", lines)
        self.assertTrue(any(line.startswith("  volley ") for line in lines), lines)
        self.assertTrue(any("1 (reference)" in line for line in lines), lines)
        self.assertTrue(lines[-1].startswith("On this machine Volley, encrypted, moved "), lines[-1])
        self.assertTrue(any(line.endswith("; 0 runs were taken again since it took over 100 %.") for line in lines), lines)
        self.assertFalse(any("file to file" in line for line in lines))

    def test_synthetic(self):
        """Emulated links, failed samples, rows that are not there: what the unit test makes up."""
        path = self.dir / "synthetic.json"
        unit = Path(BENCH_BIN).parent.parent / "tests" / "unit_matrix_run"
        subprocess.run([unit], env={**self.env, "VLY_RESULT_OUT": str(path)}, check=True, capture_output=True)
        doc = load(path)
        self.check(doc)
        self.assertEqual({link["kind"] for link in doc["links"]}, {"lo", "veth", "emulated", "netem"})
        self.assertEqual({row["error"]["code"] for row in doc["rows"]}, {"OK", "NOT_FOUND"})
        self.assertTrue(any(s["error"]["code"] == "LOST" for row in doc["rows"] for s in row["samples"]))
        self.refuses(doc)
        self.compare(doc, path)

    def refuses(self, doc):
        """The schema would see what must not be."""
        for breakage in (lambda d: d.pop("finished"), lambda d: d.update(more=1),
                         lambda d: d["rows"][0]["samples"][0].update(bytes=1.5),
                         lambda d: d["rows"][0]["samples"][0].pop("error"),
                         lambda d: d["links"][0].update(kind="wire")):
            broken = copy.deepcopy(doc)
            breakage(broken)
            self.assertNotEqual(self.errors(broken), [])

    def compare(self, doc, path):
        slower = copy.deepcopy(doc)
        for row in slower["rows"]:
            for sample in row["samples"]:
                for _ in range(2):
                    row["samples"] = row["samples"] + [sample]
                if sample["goodput_bits_per_s"] is not None:
                    sample["goodput_bits_per_s"] /= 2
        other = self.dir / "slower.json"
        other.write_text(json.dumps(slower))
        comparison = self.bench_json("compare", path, path, "--fail-if-slower")
        self.assertEqual((comparison["slower"], comparison["faster"], comparison["environment"]), (0, 0, []))
        comparison = self.bench_json("compare", path, other)
        self.assertGreater(comparison["slower"], 0)
        self.assertEqual(self.bench_json("compare", other, path)["faster"], comparison["slower"])
        self.bench("compare", path, other, "--fail-if-slower", code=FAILED)

    def test_compare_mistakes(self):
        nonsense = self.file("nonsense.json", content=b"{}")
        for code, args in ((USAGE, ()), (USAGE, (nonsense,)), (NOT_FOUND, (nonsense.with_name("none"), nonsense)),
                           (FAILED, (nonsense, nonsense)), (USAGE, (nonsense, nonsense, "--frob"))):
            self.assert_one_line(self.bench("compare", *args, code=code).error_lines, "bench compare")

    def test_local_mistakes(self):
        for args in (("--links", "wire"), ("operand",), ("--seconds", "1ns"), ("--size", "0")):
            self.assert_one_line(self.bench("local", *args, code=USAGE).error_lines, "bench local")
        self.assertNotEqual(self.bench(*SHORT, "-q", "--no-files", "-o", self.dir / "no/r.json", code=FAILED).err, "")


main()
