"""volley bench matrix: interruption and continuation, peers that die, and nothing left behind."""

import json
import os
import pty
import signal
import subprocess

from bench_it import BenchCase, load, wait_until
from volley_it import BIN, DEADLINE_S, NOT_FOUND, OK, REFUSED, USAGE, Process, main

INTERRUPTED = 128 + signal.SIGINT


class Matrix(BenchCase):
    def setUp(self):
        super().setUp()
        self.files = self.dir / "files"
        self.files.mkdir()
        self.result = self.dir / "out" / "r.json"
        self.result.parent.mkdir()

    def conf(self, rows, links="link lo", repeats="2..2", time="100ms"):
        return self.file("m.conf", content=(f"name m\nrepeats {repeats}\ntime {time}\ninterval 20ms\nsize 64KiB\n"
                                            f"timeout 30s\ndirectory {self.files}\n{links}\n{rows}\n").encode())

    def begin(self, conf, *args):
        process = Process("bench", "matrix", conf, "-o", self.result, *args, env=self.env)
        self.addCleanup(process.close)
        return process

    def assert_only_result(self):
        self.assertEqual([p.name for p in self.result.parent.iterdir()], ["r.json"])
        self.assertEqual(list(self.files.iterdir()), [])

    def veth(self):
        """A second link where namespaces can be made."""
        probe = subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False)
        return "link lo\nlink veth\n" if probe.returncode == 0 or os.geteuid() == 0 else "link lo"

    def test_interrupt_and_continue(self):
        conf = self.conf("memory tcp\nmemory volley\nfile tcp\nfile volley", self.veth(), repeats="3..3")
        process = self.begin(conf)
        wait_until(lambda: any(line.startswith("[3/") for line in process.errors), "three runs")
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(), INTERRUPTED)
        self.assertIn("to continue: volley bench matrix", process.errors[-1])
        wait_until(lambda: not self.processes(), "the end of all children", 10)
        self.assert_only_result()
        # numbers as their texts: what was measured stays byte for byte
        first = load(self.result, parse_float=str, parse_int=str)
        self.assertIs(first["finished"], False)
        self.assertEqual(first["sentence"], "")
        self.assertGreaterEqual(sum(len(row["samples"]) for row in first["rows"]), 3)

        self.bench("matrix", conf, "-o", self.result, "-q")
        second = load(self.result, parse_float=str, parse_int=str)
        self.assertIs(second["finished"], True)
        self.assertEqual(first["created"], second["created"])
        for before, after in zip(first["rows"], second["rows"], strict=True):
            self.assertEqual(before["samples"], after["samples"][:len(before["samples"])])
            self.assertEqual(len(after["samples"]), 3)
            self.assertEqual({s["round"] for s in after["samples"]}, {"0", "1", "2"})
        self.assert_only_result()

    def test_interrupted_twice(self):
        """Who presses Ctrl-C again waits no longer, and finds no less."""
        process = self.begin(self.conf("file tcp\nfile volley", repeats="100..100"))
        wait_until(lambda: any(line.startswith("[1/") for line in process.errors), "a run")
        process.signal(signal.SIGINT)
        process.signal(signal.SIGINT)
        self.assertEqual(process.wait(), INTERRUPTED)
        wait_until(lambda: not self.processes(), "the end of all children", 10)
        self.assert_only_result()

    def test_finished_other_and_forced(self):
        conf = self.conf("memory tcp", repeats="1..1")
        self.bench("matrix", conf, "-o", self.result, "-q")
        text = self.result.read_bytes()
        again = self.bench("matrix", conf, "-o", self.result)
        self.assertIn("finished already", again.err)
        self.assertIn(b"1 (reference)", again.out)
        other = self.conf("memory tcp\nmemory volley", repeats="1..1")
        lines = self.bench("matrix", other, "-o", self.result, code=REFUSED).error_lines
        self.assert_one_line(lines, "bench matrix")
        self.assertIn("--force", lines[0])
        self.assertEqual(self.result.read_bytes(), text)
        self.bench("matrix", other, "-o", self.result, "-q", "--force")
        self.assertEqual(len(load(self.result)["rows"]), 2)
        self.result.write_text("precious")
        self.bench("matrix", other, "-o", self.result, code=REFUSED)
        self.assertEqual(self.result.read_text(), "precious")

    def test_samples_of_two_builds_do_not_mix(self):
        conf = self.conf("memory tcp", repeats="1..1")
        self.bench("matrix", conf, "-o", self.result, "-q")
        doc = load(self.result)
        doc["finished"] = False
        for commit, code in ((doc["environment"]["commit"], OK), ("other", REFUSED)):
            doc["environment"]["commit"] = commit
            self.result.write_text(json.dumps(doc))
            done = self.bench("matrix", conf, "-o", self.result, "-q", code=code)
        self.assert_one_line(done.error_lines, "bench matrix")
        self.assertIn("another build", done.err)
        self.assertIs(load(self.result)["finished"], False)

    def test_peer_that_fails(self):
        """iperf3 that ends at once: twice, then no more; the others run on."""
        fake = self.file("bin/iperf3", content=b"#!/bin/sh\nexit 1\n")
        fake.chmod(0o755)
        conf = self.conf("memory iperf3-tcp\nmemory tcp\nmemory volley", repeats="3..3")
        result = self.bench("matrix", conf, "-o", self.result, env={"PATH": f"{fake.parent}:{os.environ['PATH']}"})
        doc = load(self.result)
        failed = self.row(doc, "lo/memory/iperf3-tcp")
        self.assertIn(b"failed: ", result.out)
        self.assertNotEqual(failed["error"]["code"], "OK")
        self.assertIn("iperf3", failed["error"]["message"])
        self.assertEqual(len(failed["samples"]), 2)
        self.assertIsNone(failed["summary"]["goodput_bits_per_s"])
        for name in ("lo/memory/tcp", "lo/memory/volley"):
            self.assertEqual(self.row(doc, name)["error"]["code"], "OK")
            self.assertEqual(self.row(doc, name)["summary"]["samples"], 3)
        self.assertTrue(doc["finished"])

    def test_server_that_is_killed(self):
        """The other end dies in the middle of the first run of tcp: that sample fails, all else goes on."""
        conf = self.conf("memory tcp\nmemory volley", repeats="2..2", time="1s")
        process = self.begin(conf)
        server = wait_until(lambda: self.processes("\0serve\0"), "a server")[0]
        os.kill(server, signal.SIGKILL)
        self.assertEqual(process.wait(), OK, process.errors)
        doc = load(self.result)
        tcp = self.row(doc, "lo/memory/tcp")
        self.assertNotEqual(tcp["samples"][0]["error"]["code"], "OK")
        self.assertNotEqual(tcp["samples"][0]["error"]["message"], "")
        self.assertEqual(tcp["samples"][1]["error"]["code"], "OK")
        self.assertEqual(tcp["summary"]["samples"], 1)
        self.assertEqual(self.row(doc, "lo/memory/volley")["summary"]["samples"], 2)

    def test_terminal_shows_one_line(self):
        """Each run over the one before; elsewhere a line each."""
        conf = self.conf("memory tcp\nmemory volley")
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        with subprocess.Popen([BIN, "bench", "matrix", conf, "-o", self.result], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=slave, env={**self.env, "TERM": "xterm"}) as process:
            os.close(slave)
            shown = b""
            try:
                while block := os.read(master, 4096):
                    shown += block
            except OSError:  # nobody has the other side open any more
                pass
            self.assertEqual(process.wait(DEADLINE_S), OK, shown)
        for run in (b"[1/4]", b"[4/4]"):
            self.assertIn(b"\r\x1b[J" + run, shown)
        self.assertEqual(shown.count(b"\n"), 1, shown)
        self.assertRegex(shown, rb"\r\x1b\[Jvolley bench matrix: the result is in ")

    def test_list(self):
        out = self.bench("matrix", self.conf("memory tcp cc=cubic,bbr\nfile scp"), "--list").out.decode()
        self.assertEqual(out.split(), ["lo/memory/tcp-cubic", "lo/memory/tcp-bbr", "lo/file/scp"])

    def test_mistakes(self):
        bad = self.file("bad.conf", content=b"\nlink moon\n")
        conf = self.conf("memory tcp")
        for code, args, says in ((USAGE, (), "one matrix file"), (USAGE, (conf, conf), "one matrix file"),
                                 (NOT_FOUND, (self.dir / "none",), "none"), (USAGE, (bad,), "bad.conf:2: "),
                                 (USAGE, (conf, "--repeats", "3..2"), "MIN..MAX"),
                                 (USAGE, (conf, "--precision", "2"), "1%"),
                                 (USAGE, (conf, "--max-steal", "2"), "1%")):
            lines = self.bench("matrix", *args, code=code).error_lines
            self.assert_one_line(lines, "bench matrix")
            self.assertIn(says, lines[0])


main()
