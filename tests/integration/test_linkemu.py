"""The link emulator between real programs: it impairs as asked, repeats itself, leaves nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from volley_it import DEADLINE_S, NOT_FOUND, OK, SKIPPED, USAGE, Case, is_root, main, volley

BENCH = os.environ.get("VOLLEY_BENCH_BIN", "")

# Both ends of a numbered stream. The receiver's buffer has room for all of it, so that nothing is
# lost but on the link, which has no rate and so no queue.
RECEIVER = """
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
s.bind((os.environ["VOLLEY_RIGHT"], 7000))
print("ready", flush=True)
while True:
    print(s.recv(2048)[:8].decode(), flush=True)
"""
SENDER = """
import os, pathlib, socket, sys, time
n, out = int(sys.argv[1]), pathlib.Path(sys.argv[2])
while not out.exists() or "ready" not in out.read_text():
    time.sleep(0.01)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((os.environ["VOLLEY_RIGHT"], 7000))
for i in range(n):
    s.send(b"%08d" % i + b"x" * 100)
while "done" not in out.read_text():  # until one of these gets through
    s.send(b"done")
    time.sleep(0.01)
"""


def namespaces(pids="[0-9]*"):
    """Of network, that some process is in."""
    found = set()
    for link in Path("/proc").glob(f"{pids}/ns/net"):
        try:
            found.add(os.readlink(link))
        except OSError:
            pass  # it has ended, or is another user's
    return found


def processes_with(mark):
    """Whose command line has `mark` in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


class LinkEmulator(Case):
    def linkemu(self, *args, **popen):
        return volley("linkemu", *args, program=BENCH, **popen)

    def counters(self, result):
        """Of the ways there and back."""
        self.assertEqual(result.code, OK, result.err)
        events = [json.loads(line) for line in result.out.decode().splitlines()
                  if line.startswith('{"event"')]
        self.assertEqual([e["way"] for e in events], ["left-to-right", "right-to-left"])
        return events

    def script(self, name, text):
        path = self.dir / name
        path.write_text(text, encoding="ascii")
        return f"{sys.executable} {path}"

    def numbered(self, n, *args):
        """Sends `n` numbered datagrams to a socket that waits for them. Returns the numbers that came
        out, in their order, and the counters."""
        out = self.dir / "numbers"
        out.unlink(missing_ok=True)
        result = self.linkemu("--json", *args, "--right", self.script("receive", RECEIVER) + f" >{out}",
                              "--left", self.script("send", SENDER) + f" {n} {out}")
        counters = self.counters(result)
        return [int(line) for line in out.read_text().split() if line.isdigit()], counters


class Paths(LinkEmulator):
    def test_ping(self):
        result = self.linkemu("--delay", "20ms", "--json", "--left",
                              "ping -c 3 -i 0.05 -W 10 $VOLLEY_RIGHT")
        there, back = self.counters(result)
        times = [float(t) for t in re.findall(r"time=([\d.]+)", result.out.decode())]
        self.assertEqual(len(times), 3, result.out)
        self.assertTrue(all(t >= 40 for t in times), times)  # never early; late is the machine's
        self.assertEqual((there["delivered_pkts"], back["delivered_pkts"]), (3, 3))

    def test_ways_differ(self):
        result = self.linkemu("--delay", "1ms", "--back-delay", "30ms", "--back-loss", "100%",
                              "--json", "--left", "ping -c 2 -i 0.05 -W 1 $VOLLEY_RIGHT; true")
        there, back = self.counters(result)
        self.assertEqual((there["delivered_pkts"], there["lost_pkts"]), (2, 0))
        self.assertEqual((back["delivered_pkts"], back["lost_pkts"]), (0, 2))

    def test_veth(self):
        result = self.linkemu("--veth", "--left", "ping -c 1 -W 10 $VOLLEY_RIGHT")
        self.assertEqual(result.code, OK, result.err)


class Impaired(LinkEmulator):
    N = 400

    def test_same_seed_loses_the_same(self):
        """The end mark is not counted: how often it is sent is the machine's affair."""
        first, _ = self.numbered(self.N, "--loss", "10%", "--seed", "5")
        again, _ = self.numbered(self.N, "--loss", "10%", "--seed", "5", "--delay", "3ms")
        other, counters = self.numbered(self.N, "--loss", "10%", "--seed", "6")
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        # 10 % of 400 are 40, deviation 6.
        self.assertTrue(10 <= self.N - len(first) <= 70, len(first))
        self.assertGreaterEqual(counters[0]["lost_pkts"], self.N - len(other))

    def test_copies(self):
        numbers, (there, _) = self.numbered(self.N, "--duplicate", "20%", "--seed", "3")
        self.assertEqual(sorted(set(numbers)), list(range(self.N)))
        twice = len(numbers) - self.N
        self.assertTrue(0 < twice <= there["duplicated_pkts"], there)

    def test_damage(self):
        """The kernel finds a flipped bit by its checksums and drops the packet."""
        numbers, (there, _) = self.numbered(self.N, "--corrupt", "20%", "--seed", "3")
        self.assertGreater(there["corrupted_pkts"], 20)
        self.assertLessEqual(self.N - len(numbers), there["corrupted_pkts"])
        self.assertLess(len(numbers), self.N)
        self.assertTrue(set(numbers) <= set(range(self.N)))

    def test_outage(self):
        result = self.linkemu("--outage", "0+1h", "--json", "--left",
                              "ping -c 2 -i 0.05 -W 1 $VOLLEY_RIGHT; true")
        there, _ = self.counters(result)
        self.assertEqual((there["outage_dropped_pkts"], there["delivered_pkts"]), (2, 0))


class Endings(LinkEmulator):
    """However it ends, no process and no namespace of it is left."""

    def setUp(self):
        super().setUp()
        self.own = set()  # namespaces of the runs of this test
        self.mark = f"mark-{os.getpid()}-{self.id()}"
        self.addCleanup(self.kill_all)
        # A process with a child that does not end by itself, on either side; deaf to polite words.
        self.side = (f"trap '' TERM INT; echo up >{self.dir}/$0; "
                     f"sh -c 'trap \"\" TERM INT; while :; do sleep 1; done' {self.mark} & wait")

    def kill_all(self):
        """What a failing test has left."""
        for pid in processes_with(self.mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def start_both(self, *options):
        for name in ("left", "right"):
            (self.dir / name).unlink(missing_ok=True)
        bench = self.start("linkemu", "--delay", "5ms", *options, "--left",
                           f"sh -c \"{self.escaped()}\" left {self.mark}", "--right",
                           f"sh -c \"{self.escaped()}\" right {self.mark}", program=BENCH)
        end = time.monotonic() + DEADLINE_S
        while not (self.dir / "left").exists() or not (self.dir / "right").exists():
            self.assertLess(time.monotonic(), end, bench.errors)
            time.sleep(0.01)
        for pid in processes_with(self.mark):
            self.own |= namespaces(pid)
        self.own -= namespaces(os.getpid())
        self.assertEqual(len(self.own), 2)
        return bench

    def escaped(self):
        return self.side.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")

    def assert_nothing_left(self):
        """Soon: who was killed by the guard may take a moment to be gone."""
        end = time.monotonic() + DEADLINE_S
        while (left := (processes_with(self.mark), namespaces() & self.own)) != ([], set()):
            self.assertLess(time.monotonic(), end, left)
            time.sleep(0.01)
        self.own = set()

    def test_normal_end(self):
        result = self.linkemu("--left", "exit 7", "--right", f"sleep 1000; : {self.mark}")
        self.assertEqual(result.code, 7, result.err)
        self.assert_nothing_left()

    def test_left_killed(self):
        result = self.linkemu("--left", "kill -9 $$")
        self.assertEqual(result.code, 128 + signal.SIGKILL, result.err)

    def test_interrupt(self):
        for signum in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signum.name):
                bench = self.start_both()
                bench.signal(signum)
                self.assertEqual(bench.wait(), 128 + signum, bench.errors)
                self.assert_nothing_left()

    def test_killed(self):
        for options in ((), ("--veth",)):
            with self.subTest(options):
                bench = self.start_both(*options)
                bench.signal(signal.SIGKILL)
                bench.process.wait(DEADLINE_S)
                self.assert_nothing_left()


class Refused(LinkEmulator):
    def assert_refused(self, code, *args):
        result = self.linkemu(*args)
        self.assertEqual(result.code, code, result.err)
        self.assert_one_line(result.error_lines, "bench linkemu")
        return result.error_lines[0]

    def test_nonsense(self):
        for args in (("--loss", "2"), ("--outage", "2s"), ("--rate-at", "1s=x"), ("--mtu", "100"),
                     ("operand",), ("--veth", "--netem"), ("--veth", "--json")):
            with self.subTest(args):
                self.assert_refused(USAGE, *args, "--left", "true")

    def test_netem_needs_the_kernel(self):
        result = self.linkemu("--netem", "--delay", "5ms", "--left", "ping -c 1 -W 10 $VOLLEY_RIGHT")
        if result.code != OK:  # this kernel has none
            self.assertEqual(result.code, NOT_FOUND, result.err)
            self.assert_one_line(result.error_lines, "bench linkemu")
            self.assertIn("--netem", result.error_lines[0])

    def test_without_tc(self):
        bare = self.dir / "bin"
        bare.mkdir()
        (bare / "sh").symlink_to(shutil.which("sh"))
        result = self.linkemu("--netem", "--left", "true", env={"PATH": str(bare)})
        self.assertEqual(result.code, NOT_FOUND, result.err)
        self.assertIn("tc: No such file", result.err)


class Unprivileged(LinkEmulator):
    """In a user namespace of its own; where that is not allowed, one line says so."""

    def test_nobody(self):
        if not is_root() or not shutil.which("setpriv"):
            self.skipTest("needs root, to become nobody")
        program = Path("/tmp") / f"volley-bench-{os.getpid()}"  # where nobody may go
        shutil.copy(BENCH, program)
        self.addCleanup(program.unlink)
        program.chmod(0o755)
        for options in ("--delay", "5ms"), ("--veth",):
            with self.subTest(options):
                result = volley("--reuid=65534", "--regid=65534", "--clear-groups", program, "linkemu",
                                *options, "--left", "ping -c 1 -W 10 $VOLLEY_RIGHT",
                                program="setpriv", cwd="/")
                if result.code != OK:
                    self.assert_one_line(result.error_lines, "bench linkemu")
                    self.assertRegex(result.err, "user namespaces|/dev/net/tun")


def why_not():
    """Why the emulator cannot be tried here, None when it can."""
    if not os.access(BENCH, os.X_OK):
        return "VOLLEY_BENCH_BIN names no program"
    if not shutil.which("ping"):
        return "no ping (package iputils-ping)"
    probe = subprocess.run([BENCH, "linkemu", "--left", "true"], capture_output=True, text=True,
                           timeout=DEADLINE_S, check=False)
    return None if probe.returncode == OK else probe.stderr.strip()


if reason := why_not():
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)
main()
