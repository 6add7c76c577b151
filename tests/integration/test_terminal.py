"""On a terminal there are progress bars; everywhere else there are none."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from volley_it import BIN, DEADLINE_S, OK, Case, main

NAME = "a name that is long enough to be cut somewhere"
ECHO_COLUMNS = 3  # right of a bar: for the cursor and a ^C, which else wrap and leave the bar behind
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminal(Case):
    def setUp(self):
        super().setUp()
        self.file(f"root/{NAME}", 6_000_000)
        self.file("root/short", 10)

    def open_terminal(self, columns, args, **env):
        """Starts volley with a terminal as standard error; returns the process and the other end."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environ = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        environ |= {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | env
        process = subprocess.Popen([BIN, *map(str, args), *self.protection], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=slave, env=environ)
        os.close(slave)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, master

    def read_terminal(self, master, on_text=lambda shown: None):
        """What was shown until volley ended; `on_text` is called each time there is more of it."""
        shown, end = b"", time.monotonic() + DEADLINE_S
        while select.select([master], [], [], max(0, end - time.monotonic()))[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:  # nobody has the other side open any more
                return shown.decode()
            on_text(shown.decode(errors="replace"))
        raise AssertionError(f"still running: {shown}")

    def on_terminal(self, *args, columns=100, **env):
        process, master = self.open_terminal(columns, args, **env)
        shown = self.read_terminal(master)
        self.assertEqual(process.wait(), OK, shown)
        return shown

    def get(self, **how):
        server = self.serve("--rate", "4MB")
        return self.on_terminal("get", f"{server.at}/{NAME}", "-o", self.got, **how)

    def rows(self, shown):
        return [row for row in re.split(r"[\r\n]+", ESCAPES.sub("", shown)) if row]

    def test_bar(self):
        shown = self.get()
        rows = self.rows(shown)
        self.assertIn("verified", rows[-1])
        bars = [row for row in rows if "\u2588" in row]
        self.assertGreater(len(bars), 3)
        self.assertRegex(bars[-1], r"\d+ %  .*bit/s  ETA +\d+:\d\d")
        self.assertLessEqual(max(map(len, bars)), 100 - ECHO_COLUMNS)
        self.assertIn("\x1b[32m", shown)
        # At most ten a second: 6 MB at 4 MB/s are about 1.5 s, and a slow machine takes longer.
        self.assertLess(len(bars), 10 * DEADLINE_S)

    def test_no_color(self):
        self.assertNotIn("\x1b[32m", self.get(NO_COLOR="1"))

    def test_not_utf8(self):
        shown = self.get(LC_ALL="C")
        self.assertIn("###", shown)
        self.assertNotIn("\u2588", shown)

    def test_narrow(self):
        for columns in (20, 40, 60):
            with self.subTest(columns):
                self.setUp()
                rows = self.rows(self.get(columns=columns))[:-1]  # but the summary
                self.assertRegex(rows[-1], r"\d %")
                self.assertLessEqual(max(map(len, rows)), columns - ECHO_COLUMNS)

    def test_none_when_quiet_or_dumb(self):
        self.assertEqual(self.get_with("-q"), "")
        self.assertNotIn("\x1b", self.get(TERM="dumb"))

    def get_with(self, *args):
        server = self.serve()
        return self.on_terminal("get", f"{server.at}/short", "-o", self.got, *args)

    def test_none_without_a_terminal(self):
        server = self.serve("--rate", "4MB")
        result = self.run_ok("get", f"{server.at}/{NAME}", "-o", self.got)
        self.assertEqual(len(result.error_lines), 1)
        self.assertNotIn("\x1b", result.err)

    def test_total_of_several_files(self):
        for i in range(4):
            self.file(f"root/dir/{i}", 2_000_000, seed=i)
        server = self.serve("--rate", "4MB")
        shown = self.on_terminal("get", f"{server.at}/dir", "-o", self.got)
        self.assertRegex(shown, r"\d of 4 files")

    def test_server(self):
        shown = self.serve_on_terminal()
        self.assertIn("serving", shown)
        self.assertRegex(ESCAPES.sub("", shown), r"somewhere -> 127\.0\.0\.1:\d+ .*bit/s")
        self.assertRegex(shown, r"127\.0\.0\.1:\d+ got .*verified")

    def serve_on_terminal(self):
        process, master = self.open_terminal(
            120, ["serve", self.root, "--listen", "127.0.0.1", "--port", 0, "--rate", "4MB"])
        clients = []

        def on_text(shown):
            port = re.search(r"127\.0\.0\.1:(\d+): everyone may read", shown)
            if port and not clients:
                clients.append(self.start("get", f"127.0.0.1:{port[1]}/{NAME}", "-o", self.got,
                                          "--accept-new"))
            if "verified" in shown and not on_text.told:
                on_text.told = True
                process.send_signal(signal.SIGINT)

        on_text.told = False
        shown = self.read_terminal(master, on_text)
        self.assertEqual(process.wait(), OK, shown)
        self.assertEqual(clients[0].wait(), OK, clients[0].errors)
        return shown


main()
