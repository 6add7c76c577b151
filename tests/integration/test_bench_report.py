"""volley bench report: the page as a browser shows it, the CSV, the pictures, and what is refused.

The results are made up (tests/support/bench_results.py). Everything about the page is asked of a
headless Chromium; without it or without gnuplot there is nothing to look at.
"""

import copy
import csv
import json
import os
import struct
import subprocess
import sys
import unittest
from pathlib import Path

import volley_it as it

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import bench_results  # noqa: E402
import chromium  # noqa: E402

BENCH = os.environ.get("VOLLEY_BENCH_BIN", "")
HOSTILE = "<script>alert(1)</script>&amp;'\"`id`$(id)\\n%s %d @x {}_^~"

# Of each chart: its name, whether its box has a size, and how many shapes it draws.
CHARTS = """[...document.querySelectorAll('figure svg')].map(svg => ({
  name: svg.getAttribute('aria-label'),
  caption: svg.closest('figure').querySelector('figcaption').textContent,
  width: svg.getBoundingClientRect().width, height: svg.getBoundingClientRect().height,
  shapes: svg.querySelectorAll('path, polygon, rect').length,
  texts: [...svg.querySelectorAll('text')].map(t => t.textContent),
  cut: [...svg.querySelectorAll('text')].filter(t => {
    const a = t.getBoundingClientRect(), b = svg.getBoundingClientRect();
    return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
  }).map(t => t.textContent)}))"""
DOUBLE_IDS = """(() => { const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  return ids.filter((id, i) => ids.indexOf(id) !== i); })()"""
DEAD_LINKS = """[...document.querySelectorAll('use')].map(e => e.getAttribute('href'))
  .filter(href => !document.getElementById(href.slice(1)))"""
HEADINGS = "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])"


class Report(it.Case):
    @classmethod
    def setUpClass(cls):
        cls.browser = chromium.Chromium()
        cls.addClassCleanup(cls.browser.close)

    def result(self, result, name="result.json"):
        text = result if isinstance(result, str) else json.dumps(result)
        return self.file(name, content=text.encode())

    def report(self, *args, **popen):
        return subprocess.run([BENCH, "report", *map(str, args)], capture_output=True, text=True,
                              timeout=it.DEADLINE_S, check=False, **popen)

    def page(self, result):
        """Makes the page and shows it; returns its charts."""
        path = self.dir / "report.html"
        done = self.report(self.result(result), "-o", path)
        self.assertEqual((done.returncode, done.stderr), (it.OK, ""))
        self.browser.view(1280)
        self.browser.open(path)
        self.assertEqual(self.browser.requests, [f"file://{path}"])
        self.assertEqual(self.browser.complaints, [])
        return self.browser.value(CHARTS)

    def fails(self, code, *args):
        done = self.report(*args)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assert_one_line(done.stderr.splitlines(), "bench report")
        return done.stderr

    def assert_fits(self):
        """At no width, in no scheme, the page scrolls sideways; tables and texts are all there."""
        for width in (1280, 420):
            self.browser.view(width)
            self.assertLessEqual(self.browser.value("document.scrollingElement.scrollWidth"), width)

    def assert_sound(self, charts):
        for chart in charts:
            self.assertGreater(chart["width"], 200, chart)
            self.assertGreater(chart["height"], 80, chart)
            self.assertGreater(chart["shapes"], 3, chart)
            self.assertEqual(chart["cut"], [], chart["name"])
            self.assertGreater(len(chart["caption"]), 40, chart)
        self.assertEqual(self.browser.value(DOUBLE_IDS), [])
        self.assertEqual(self.browser.value(DEAD_LINKS), [])
        headings = self.browser.value(HEADINGS)
        self.assertEqual(headings[0], 1)
        self.assertTrue(all(b <= a + 1 for a, b in zip(headings, headings[1:])), headings)

    # ---- whole reports ----

    def test_local_comparison(self):
        result = bench_results.local()
        charts = self.page(result)
        self.assert_sound(charts)
        names = [chart["name"] for chart in charts]
        self.assertEqual(sorted(names), sorted(
            f"{what}, {link}, {kind}" for link in ("lo", "veth") for what, kind in (
                ("Goodput", "memory to memory"), ("Spread of goodput", "memory to memory"),
                ("Goodput", "file to file"), ("Completion times", "file to file"))))
        self.assertEqual(self.browser.value("document.querySelector('h1 + p').textContent"),
                         result["sentence"])
        # All rows of all groups, and the ones that failed say why.
        self.assertEqual(self.browser.value("document.querySelectorAll('section > .scroll tbody tr').length"),
                         len(result["rows"]))
        failed = self.browser.value("[...document.querySelectorAll('tr.failed')].map(e => e.textContent)")
        self.assertEqual(len(failed), 2)
        self.assertIn("iperf3 gave no answer within 20 s", failed[0])
        text = self.browser.value("document.body.textContent")
        self.assertIn("2 of 22 rows failed", text)
        again = sum(s["taken_again"] for row in result["rows"] for s in row["samples"])
        self.assertRegex(text, rf"The host took \d\.\d % of the processor time during the runs, at most \d\.\d % during "
                               rf"one of them; {again} runs were taken again since it took over 2 %[.,]")
        sender, receiver = (max(s[f"rss_{side}_bytes"] for s in result["rows"][0]["samples"]) / (1 << 20)
                            for side in ("sender", "receiver"))
        self.assertIn(f"{sender:.1f}, {receiver:.1f}", self.browser.value(
            "document.querySelector('section > .scroll tbody tr').textContent"))
        # Volley has one colour everywhere.
        self.assertEqual(self.browser.value(
            "[...new Set([...document.querySelectorAll('section > .scroll tbody th')].filter(e => e.textContent === 'volley')"
            ".map(e => e.firstChild.className))]"), ["key c0"])
        self.assert_fits()

    def test_course(self):
        result = bench_results.course()
        charts = self.page(result)
        self.assert_sound(charts)
        kinds = {}
        for chart in charts:
            kinds.setdefault(chart["name"].split(",")[0], []).append(chart)
        self.assertEqual({kind: len(list_) for kind, list_ in kinds.items()},
                         {"Goodput over loss": 4, "Goodput over round-trip time": 6, "Goodput": 12,
                          "Goodput over time": 12, "Spread of goodput": 12})
        for chart in kinds["Goodput over loss"]:
            self.assertIn("theory, Reno", chart["texts"])
            self.assertIn("Mathis et al. 1997", chart["caption"])
        for chart in kinds["Goodput over round-trip time"]:
            self.assertIn("64 KiB window", chart["texts"])
        for chart in charts:
            self.assertTrue({"tcp cubic", "tcp bbr", "volley"} <= {t.strip() for t in chart["texts"]}, chart)
        self.assert_fits()

    def test_dark_and_print(self):
        self.page(bench_results.local())
        ink = "getComputedStyle(document.querySelector('figure svg text').parentNode).fill"
        paper = "getComputedStyle(document.body).backgroundColor"
        bar = "getComputedStyle(document.querySelector('figure svg [fill=\"#0072b2\"]')).fill"
        seen = []
        for dark, media in ((False, ""), (True, ""), (True, "print")):
            self.browser.view(1280, dark, media)
            seen.append(tuple(self.browser.value(script) for script in (ink, paper, bar)))
        self.assertEqual(seen[0], ("rgb(27, 31, 36)", "rgb(255, 255, 255)", "rgb(0, 114, 178)"))
        self.assertEqual(seen[1], ("rgb(228, 232, 236)", "rgb(20, 24, 29)", "rgb(79, 176, 236)"))
        self.assertEqual(seen[2], ("rgb(0, 0, 0)", "rgb(255, 255, 255)", "rgb(0, 114, 178)"))

    def test_names_are_only_names(self):
        """What a file calls things is text: in the page, in the charts, in the CSV."""
        result = bench_results.local()
        result["name"] = result["sentence"] = result["links"][0]["name"] = HOSTILE
        result["environment"]["cpu"] = result["config"] = HOSTILE
        for row in result["rows"]:
            if row["link"] == "lo":
                row["link"] = HOSTILE
                if row["protocol"] == "tcp" and row["cc"] == "":
                    row["cc"] = HOSTILE[:30]
                if row["protocol"] == "volley":  # a label as long as they come
                    row.update(io="\u00e9" * 40, parallel=123456, mss_bytes=1448, rate_bits_per_s=10**9)
        charts = self.page(result)
        self.assert_sound(charts)
        self.assertEqual(self.browser.value("document.querySelector('h1').textContent"), HOSTILE)
        self.assertEqual(self.browser.value("document.querySelectorAll('script').length"), 0)
        self.assertIn(HOSTILE, charts[0]["name"])
        self.assertIn(f"tcp {HOSTILE[:30]}", charts[0]["texts"])
        table = self.dir / "out.csv"
        self.report(self.dir / "result.json", "--csv", table)
        with open(table, newline="", encoding="utf-8") as file:
            self.assertEqual(next(csv.DictReader(file))["name"], HOSTILE)
        self.assert_fits()

    def test_unfinished(self):
        result = bench_results.local()
        result.update(finished=False, sentence="")
        result["rows"][0]["samples"] = []
        result["rows"][0]["summary"].update({key: None for key in result["rows"][0]["summary"]}, samples=0)
        path = self.dir / "report.html"
        done = self.report(self.result(result), "-o", path)
        self.assertEqual(done.returncode, it.OK)
        self.assertIn("unfinished", done.stderr)
        self.browser.open(path)
        self.assertIn("Unfinished.", self.browser.value("document.querySelector('.notice.bad').textContent"))

    # ---- odd values ----

    def test_odd_values(self):
        """Nothing at all, nulls everywhere, one sample, zeros, huge numbers: a page each."""
        empty = bench_results.course()
        empty.update(links=[], rows=[])
        nulls = bench_results.course()
        zeros = bench_results.course()
        huge = bench_results.course()
        for r in nulls["rows"]:
            r["summary"].update({key: None for key in r["summary"]}, samples=0)
            for s in r["samples"]:
                s.update({name: None for name in bench_results.FIGURES})
        for link in nulls["links"]:
            link["forward"].update(rate_bits_per_s=None, delay_ns=None, queue_bytes=None, jitter_ns=None)
        for r, big in ((r, big) for results, big in ((zeros, 0), (huge, 2**62)) for r in results["rows"]):
            for key in ("goodput_bits_per_s", "ratio", "cpu_s_per_gb"):
                r["summary"][key] = {"median": 1e300 if big else 0, "low": 0, "high": 1e300 if big else 0}
            for s in r["samples"]:
                s.update({name: big for name in bench_results.FIGURES})
                for i in s["intervals"]:
                    i.update(begin_ns=0, end_ns=big, bytes=big)
        single = bench_results.course()
        single.update(links=single["links"][:1], rows=single["rows"][:1])
        single["rows"][0]["samples"] = single["rows"][0]["samples"][:1]
        for result in (empty, nulls, zeros, huge, single):
            self.page(result)
            self.assert_fits()

    # ---- what is refused ----

    def test_bad_input(self):
        good = bench_results.local()
        out = self.dir / "out.html"
        self.assertIn("is not JSON", self.fails(it.FAILED, self.result("{"), "-o", out))
        self.assertIn("is not JSON", self.fails(it.FAILED, self.result("\0\1\2"), "-o", out))
        self.assertIn("has no text \"schema\"", self.fails(it.FAILED, self.result("[]"), "-o", out))
        self.assertIn("volley-bench-result/1",
                      self.fails(it.FAILED, self.result(dict(good, schema="volley-bench-result/2")), "-o", out))
        for spoil, line in (
                (lambda r: r.pop("rows"), "rows is missing"),
                (lambda r: r["rows"][1].pop("summary"), "rows[1].summary is missing"),
                (lambda r: r["rows"][1]["samples"][2].pop("bytes"), "rows[1].samples[2].bytes is missing"),
                (lambda r: r["rows"][0].update(link="nowhere"), "rows[0].link is none of the links"),
                (lambda r: r["rows"].insert(0, 5), "rows[0].error is missing"),
                (lambda r: r["links"][0].update(mtu_bytes="1500"), "links[0].mtu_bytes is not a whole number"),
                (lambda r: r.update(finished=1), "finished is neither true nor false"),
                (lambda r: r["environment"].update(sysctls=None), "environment.sysctls is not an object")):
            bad = copy.deepcopy(good)
            spoil(bad)
            self.assertIn(line, self.fails(it.FAILED, self.result(bad), "-o", out))
        self.assertFalse(out.exists())

    def test_bad_command(self):
        path = self.result(bench_results.local())
        self.assertIn("nothing to write", self.fails(it.USAGE, path))
        self.fails(it.USAGE, "-o", self.dir / "x.html")
        self.fails(it.USAGE, path, path, "-o", self.dir / "x.html")
        self.fails(it.USAGE, path, "--nonsense")
        self.fails(it.NOT_FOUND, self.dir / "nothing.json", "-o", self.dir / "x.html")
        self.fails(it.NOT_FOUND, path, "-o", self.dir / "no" / "such" / "x.html")
        self.fails(it.REFUSED, self.dir, "-o", self.dir / "x.html")
        self.fails(it.REFUSED, path, "--csv", self.dir)
        if Path("/dev/full").exists():
            self.fails(it.NO_SPACE, path, "-o", "/dev/full")

    # ---- the other outputs ----

    def test_csv(self):
        result = bench_results.local()
        path = self.dir / "out.csv"
        self.assertEqual(self.report(self.result(result), "--csv", path).returncode, it.OK)
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file, strict=True))
        samples = [(r, s) for r in result["rows"] for s in r["samples"]]
        self.assertEqual(len(lines), len(samples))
        for line, (row, sample) in zip(lines, samples):
            self.assertNotIn(None, line)  # as many fields as the header has
            self.assertNotIn(None, line.values())
            self.assertEqual((line["id"], line["round"]), (row["id"], str(sample["round"])))
            self.assertEqual(line["bytes"], "" if sample["bytes"] is None else str(sample["bytes"]))
            self.assertEqual((line["taken_again"], line["cpu_steal_ns"]), tuple(
                "" if value is None else str(value) for value in (sample["taken_again"], sample["cpu_steal_ns"])))
            self.assertEqual((line["error"], line["message"]),
                             (sample["error"]["code"], sample["error"]["message"]))

    def test_older_result(self):
        """Made before there was anything about steal and memory."""
        result = bench_results.local()
        del result["max_steal"], result["steal_retries"]
        for sample in (s for r in result["rows"] for s in r["samples"]):
            for name in ("taken_again", "cpu_steal_ns", "cpu_all_ns", "rss_sender_bytes", "rss_receiver_bytes"):
                del sample[name]
        self.assert_sound(self.page(result))
        self.assertNotIn("The host took", self.browser.value("document.body.textContent"))

    def test_png(self):
        directory = self.dir / "png"
        done = self.report(self.result(bench_results.local()), "--png", directory)
        self.assertEqual((done.returncode, done.stderr), (it.OK, ""))
        names = sorted(path.name for path in directory.iterdir())
        self.assertEqual(len(names), 8)
        self.assertIn("goodput-lo-memory.png", names)
        for path in directory.iterdir():
            head = path.read_bytes()[:24]
            self.assertEqual(head[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual(struct.unpack(">I", head[16:20])[0], 1600)

    def test_without_gnuplot(self):
        """The page goes without charts and says so; pictures alone fail."""
        path = self.result(bench_results.local())
        page = self.dir / "report.html"
        nowhere = dict(os.environ, PATH=str(self.root))
        done = self.report(path, "-o", page, env=nowhere)
        self.assertEqual(done.returncode, it.OK)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn("gnuplot-nox", done.stderr)
        self.browser.open(page)
        self.assertIn("No charts.", self.browser.value("document.body.textContent"))
        self.assertEqual(self.browser.value("document.querySelectorAll('svg').length"), 0)
        done = self.report(path, "--png", self.dir / "png", env=nowhere)
        self.assertEqual(done.returncode, it.NOT_FOUND)
        self.assertIn("gnuplot-nox", done.stderr)

    def test_leaves_nothing_in_tmp(self):
        temp = self.dir / "tmp"
        temp.mkdir()
        path = self.result(bench_results.local())
        environ = dict(os.environ, TMPDIR=str(temp))
        self.assertEqual(self.report(path, "--png", self.dir / "png", env=environ).returncode, it.OK)
        self.assert_nothing_in(temp)


def main():
    if not os.access(BENCH, os.X_OK):
        print("skipped: VOLLEY_BENCH_BIN names no program")
    elif chromium.PROGRAM is None:
        print("skipped: chromium is not installed")
    elif subprocess.run(["sh", "-c", "command -v gnuplot"], stdout=subprocess.DEVNULL, check=False).returncode:
        print("skipped: gnuplot is not installed")
    else:
        unittest.main(verbosity=2)
    sys.exit(it.SKIPPED)


main()
