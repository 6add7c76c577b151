"""What the integration tests share: servers and clients of the built program, files, waiting.

Nothing sleeps: a test waits for a JSON line or for the end of a process, with a deadline. Servers
choose their port. Every process is ended by the handle of the test that started it.
"""

import filecmp
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

BIN = os.environ.get("VOLLEY_BIN", "")
SKIPPED = 77
DEADLINE_S = 60  # for what should take a moment: generous, for busy machines and sanitizers
CHUNK = 1 << 20  # SPEC 10.6

OK, FAILED, USAGE, NOT_FOUND, REFUSED, NETWORK, INTEGRITY, CHANGED, NO_SPACE = range(9)


def no_constant(text):
    raise ValueError(f"{text} is not JSON")


def parse_json(line):
    """One line of output as an object; NaN and infinities are refused."""
    event = json.loads(line, parse_constant=no_constant)
    if not isinstance(event.get("event"), str):
        raise ValueError(f"no event in {line!r}")
    return event


def random_bytes(n, seed=1):
    return random.Random(seed).randbytes(n)


class Process:
    """A volley under way; its lines are read by threads so that it never waits for the test."""

    def __init__(self, *args, **popen):
        self.process = subprocess.Popen(
            [popen.pop("program", BIN), *map(str, args)], stdin=popen.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)
        self.events = []
        self.errors = []
        self.lines = queue.Queue()
        self.readers = [threading.Thread(target=self._read_events, daemon=True),
                        threading.Thread(target=self._read_errors, daemon=True)]
        for reader in self.readers:
            reader.start()

    def _read_events(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _read_errors(self):
        self.errors.extend(line.rstrip("\n") for line in self.process.stderr)

    def wait_event(self, name, accept=lambda event: True, deadline_s=DEADLINE_S):
        """The next event of that name that `accept` likes."""
        end = time.monotonic() + deadline_s
        while True:
            line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            if line is None:
                raise AssertionError(f"no event {name!r} before the end: {self.events} {self.errors}")
            event = parse_json(line)
            self.events.append(event)
            if event["event"] == name and accept(event):
                return event

    def drain(self):
        """All events, to the end of the process."""
        while (line := self.lines.get(timeout=DEADLINE_S)) is not None:
            self.events.append(parse_json(line))
        return self.events

    def signal(self, signum):
        self.process.send_signal(signum)

    def wait(self, deadline_s=DEADLINE_S):
        """The exit code; the standard error is then in `errors`."""
        code = self.process.wait(deadline_s)
        for reader in self.readers:
            reader.join(DEADLINE_S)
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join(DEADLINE_S)
        self.process.stdout.close()
        self.process.stderr.close()


class Server(Process):
    """volley serve on a port of its choice; `at` is HOST:PORT for operands."""

    def __init__(self, root, *args, listen="127.0.0.1", **popen):
        super().__init__("serve", root, "--json", "--port", 0, "--listen", listen, *args, **popen)
        self.listening = self.wait_event("listening")
        self.port = self.listening["port"]
        self.at = f"[{listen}]:{self.port}" if ":" in listen else f"{listen}:{self.port}"

    def is_known_as(self, name, home):
        """Clients with that directory of keys believe it under that name, unasked."""
        if "key" in self.listening:
            with open(Path(home, "known_hosts"), "a", encoding="ascii") as known:
                known.write(f"{name} {self.listening['key']}\n")

    def stop(self):
        self.signal(signal.SIGINT)
        return self.wait()


class Result:
    """How a run of volley ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.seconds = code, out, seconds
        self.err = err.decode(errors="backslashreplace")

    @property
    def error_lines(self):
        return self.err.splitlines()

    @property
    def events(self):
        return [parse_json(line) for line in self.out.decode().splitlines()]


def volley(*args, stdin=b"", timeout=DEADLINE_S, program=None, **popen):
    """Runs volley to its end."""
    begin = time.monotonic()
    done = subprocess.run([program or BIN, *map(str, args)], input=stdin, capture_output=True,
                          timeout=timeout, check=False, **popen)
    return Result(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)


def same_tree(left, right):
    """The first difference of two directory trees, None when there is none."""
    names = {p.relative_to(left) for p in Path(left).rglob("*")}
    other = {p.relative_to(right) for p in Path(right).rglob("*")}
    if names != other:
        return f"only in one of them: {sorted(map(str, names ^ other))[:5]}"
    for name in sorted(names):
        a, b = Path(left, name), Path(right, name)
        if a.is_dir() != b.is_dir():
            return f"{name}: a directory here, a file there"
        if a.is_file() and not filecmp.cmp(a, b, shallow=False):
            return f"{name}: the content differs"
    return None


def is_root():
    return os.geteuid() == 0


class Case(unittest.TestCase):
    """A test with a directory of its own and processes that end with it."""

    carrier = ()  # options that both ends get: ("--tcp",) in a class that runs over TCP
    protection = ()  # likewise: ("--plain",) in a class that runs without encryption

    knows_servers = True  # as if each had been connected to before

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="volley-it-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.root = self.dir / "root"  # what is served
        self.root.mkdir()
        self.got = self.dir / "got"  # where downloads go
        self.got.mkdir()
        self.home = self.dir / "home"  # where keys are
        self.home.mkdir(0o700)
        self.set_env("VOLLEY_HOME", self.home)

    def set_env(self, name, value):
        """For the processes of this test."""
        before = os.environ.get(name)
        self.addCleanup(os.environ.__setitem__ if before is not None else os.environ.pop, name, before)
        os.environ[name] = str(value)

    def file(self, path, size=0, seed=1, content=None):
        """Writes a file below the test's directory; returns its path."""
        path = self.dir / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random_bytes(size, seed) if content is None else content)
        return path

    def start(self, *args, **popen):
        process = Process(*args, **popen)
        self.addCleanup(process.close)
        return process

    def serve(self, *args, root=None, **popen):
        server = Server(root or self.root, *self.protection, *self.carrier, *args, **popen)
        self.addCleanup(server.close)
        if self.knows_servers:
            server.is_known_as(server.at, self.home)
        return server

    def run_ok(self, *args, **popen):
        result = volley(*args, *self.protection, *self.carrier, **popen)
        self.assertEqual(result.code, OK, result.err)
        return result

    def run_fails(self, code, *args, **popen):
        """The command fails with that code and exactly one line, which it returns."""
        result = volley(*args, *self.protection, *self.carrier, **popen)
        self.assertEqual(result.code, code, result.err)
        self.assert_one_line(result.error_lines, args[0])
        return result.error_lines[0]

    def assert_one_line(self, lines, command):
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], rf"^volley {command}: .+")
        self.assertTrue(lines[0].isprintable(), repr(lines[0]))

    def assert_same(self, left, right):
        self.assertTrue(filecmp.cmp(left, right, shallow=False), f"{left} and {right} differ")

    def assert_same_tree(self, left, right):
        self.assertIsNone(same_tree(left, right))

    def assert_nothing_in(self, directory):
        """Neither a file under its name nor the rest of one."""
        self.assertEqual(sorted(str(p) for p in Path(directory).rglob("*")), [])


def main():
    if not os.access(BIN, os.X_OK):
        print("skipped: VOLLEY_BIN names no program")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
