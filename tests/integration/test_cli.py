"""The command line by itself: help, version, mistakes, quantities and operands. No network."""

import re
import subprocess

from volley_it import BIN, FAILED, NETWORK, NOT_FOUND, OK, USAGE, Case, main, volley

COMMANDS = ["serve", "put", "get", "ls", "keygen", "sim", "bench"]


class Help(Case):
    def text(self, *args):
        result = volley(*args)
        self.assertEqual((result.code, result.err), (OK, ""))
        return result.out.decode()

    def test_commands(self):
        self.assertEqual(self.text("help", "--commands").split(), COMMANDS)

    def test_overview(self):
        overview = self.text("--help")
        self.assertEqual(overview, self.text("help"))
        self.assertEqual(overview, self.text("-h"))
        for command in COMMANDS:
            self.assertRegex(overview, rf"(?m)^  {command} ")

    def test_each_command(self):
        for command in COMMANDS:
            text = self.text(command, "--help")
            self.assertTrue(text.startswith(f"usage: volley {command}"))
            self.assertEqual(text, self.text("help", command))
            self.assertEqual(text, self.text(command, "-h"))
            self.assertLessEqual(max(map(len, text.splitlines())), 90)

    def test_version(self):
        self.assertRegex(self.text("--version"), r"^volley \d+\.\d+\.\d+ \(\w+\)\n$")

    def test_full_output(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BIN, "help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, FAILED)
        self.assertRegex(done.stderr, r"^volley: .*standard output.*\n$")


class Mistakes(Case):
    def mistake(self, *args):
        result = volley(*args)
        self.assertEqual(result.code, USAGE, result.err)
        self.assertEqual(result.out, b"")
        return result.error_lines

    def test_no_command(self):
        self.assertTrue(self.mistake()[0].startswith("usage:"))

    def test_unknown_command(self):
        self.assertIn("frobnicate", self.mistake("frobnicate")[0])
        self.assertIn("frobnicate", self.mistake("help", "frobnicate")[0])

    def test_options(self):
        for args, says in [
            (["get", "--frob"], "--frob"),
            (["get", "-Z"], "-Z"),
            (["get", "-o"], "-o"),
            (["get", "--output"], "--output"),
            (["get", "--plain=yes"], "--plain"),
            (["get", "h/a", "--timeout"], "--timeout"),
            (["get", "h/a", "--timeout", "soon"], "soon"),
            (["get", "h/a", "--timeout", "1ms"], "out of bounds"),
            (["get", "h/a", "--timeout", "-1s"], "-1s"),
            (["get", "h/a", "--cc", "warp"], "cubic|reno|fixed"),
            (["get", "h/a", "--cc", "cub"], "cub"),
            (["put", "a", "h", "--cc", "fixed"], "--rate"),
            (["get", "h/a", "--cc", "fixed"], "'volley serve'"),
            (["get", "h/a", "--rate", "1MB"], "'volley serve'"),
            (["get", "h/a", "--rate", "1MB", "--cc", "fixed"], "'volley serve'"),
            (["ls", "h", "--rate", "1MB"], "'volley serve'"),
            (["get", "h/a", "--io", "fast"], "auto|splice|gso|mmsg|basic"),
            (["get", "h/a", "--suite", "plain"], "auto|aes-256-gcm|chacha20-poly1305|aes-128-gcm"),
            (["get", "h/a", "--suite", "aes-128-gcm,"], "auto|aes-256-gcm"),
            (["get", "h/a", "--suite", "auto,aes-128"], "auto|aes-256-gcm"),
            (["serve", "--suite", "auto,aes-128-gcm", "--plain"], "--suite"),
            (["get", "h/a", "--mss", "1199"], "1200"),
            (["get", "h/a", "--mss", "65508"], "65507"),
            (["get", "h/a", "--window", "1"], "out of bounds"),
            (["get", "h/a", "--rate", "100"], "100Mbit"),
            (["get", "h/a", "--rate", "0"], "0"),
            (["get", "h/a", "-o", ""], "--output"),
            (["serve", "--port", "65536"], "65535"),
            (["serve", "--port", "x"], "whole number"),
            (["serve", "--max-clients", "0"], "out of bounds"),
            (["serve", "--listen", ""], "--listen"),
            (["sim", "--loss", "1"], "1%"),
            (["sim", "--loss", "101%"], "out of bounds"),
            (["sim", "--size", "18446744073709551616"], "out of bounds"),
            (["sim", "--size", "99999999TiB"], "out of bounds"),
            (["sim", "--cc", "fixed"], "--pace"),
        ]:
            with self.subTest(" ".join(args)):
                lines = self.mistake(*args)
                self.assert_one_line(lines, args[0])
                self.assertIn(says, lines[0])
                self.assertTrue(lines[0].endswith(f"see volley {args[0]} --help"))

    def test_operands(self):
        for args in [
            ["get"], ["get", "h"], ["get", "h:7711"], ["get", "/a"], ["get", ":1/a"], ["get", "h:/a"],
            ["get", "h:0/a"], ["get", "h:65536/a"], ["get", "h:x/a"], ["get", "h:-1/a"], ["get", "::1/a"],
            ["get", "[::1/a"], ["get", "[::1]x/a"], ["get", "[]/a"], ["get", "h/a", "other/b"],
            ["get", "h:1/a", "h:2/b"], ["get", "x" * 300 + "/a"], ["put"], ["put", "a"],
            ["put", "a", "h:0"], ["ls"], ["ls", "a", "b"], ["serve", "a", "b"], ["sim", "a"],
        ]:
            with self.subTest(" ".join(args)[:40]):
                self.assert_one_line(self.mistake(*args), args[0])

    def test_hostile_arguments_are_escaped(self):
        for args in (["get", "a\x1b[2J"], ["get", "--x\x1b[2J"], ["get", "-\x1b"], ["ls", "h:\u202e"],
                     ["get", "h/a", "--cc", "a\nb"]):
            self.assert_one_line(self.mistake(*args), args[0])

    def test_json_mistake_is_an_object_too(self):
        result = volley("get", "--json", "--mss", "7")
        self.assertEqual(result.code, USAGE)
        self.assertEqual([(e["event"], e["code"]) for e in result.events], [("error", "INVALID")])


class Operands(Case):
    """What stands before a key file that is missing was understood; nothing is looked up yet."""

    def get(self, *args):
        return volley("get", "--key", "/nonexistent", *args).code

    def test_good(self):
        for operand in ("h/a", "h:1/a", "h:65535/a", "[::1]/a", "[::1]:7711/a/b", "h/", "127.0.0.1/a:b",
                        "h/a\u00e4", "[fe80::1%lo]:1/x"):
            self.assertEqual(self.get(operand), NOT_FOUND, operand)

    def test_options_may_follow_operands(self):
        self.assertEqual(self.get("h/a", "-o", "b", "-fqv"), NOT_FOUND)
        self.assertEqual(self.get("-fobar", "h/a"), NOT_FOUND)

    def test_double_dash_ends_the_options(self):
        self.assertEqual(self.get("--", "--plain/a"), NOT_FOUND)


class Simulator(Case):
    def sim(self, *args):
        result = volley("sim", "--json", *args)
        self.assertEqual(result.code, OK, result.err)
        self.assertEqual(len(result.events), 1)
        return result.events[0]

    def test_figures(self):
        event = self.sim("--size", "8MiB", "--rate", "100Mbit", "--delay", "10ms")
        self.assertEqual(event["event"], "done")
        self.assertEqual(event["bytes"], 8 << 20)
        self.assertGreater(event["seconds"], (8 << 20) * 8 / 100e6)
        self.assertAlmostEqual(event["goodput_bits_per_s"], event["share_of_link"] * 100e6, delta=1000)
        self.assertRegex(event["trace_hash"], r"^[0-9a-f]{16}$")

    def test_quantities(self):
        for size, n in [("65536", 65536), ("64KiB", 65536), ("64K", 65536), ("0.5MiB", 1 << 19), ("1MB", 10**6),
                        ("1.5kB", 1500), ("0", 0), ("7B", 7)]:
            self.assertEqual(self.sim("--size", size)["bytes"], n)

    def test_rates_mean_the_same(self):
        hashes = {self.sim("--size", "1MiB", "--rate", rate, "--delay", delay)["trace_hash"]
                  for rate, delay in [("100Mbit", "5ms"), ("12.5MB", "5000us"), ("0.1Gbit/s", "0.005"),
                                      ("100000kbit", "5000000ns")]}
        self.assertEqual(len(hashes), 1)

    def test_same_seed_same_trace(self):
        args = ["--size", "2MiB", "--rate", "50Mbit", "--delay", "5ms", "--loss", "2%", "--reorder", "1%",
                "--duplicate", "1%", "--corrupt", "1%", "--truncate", "0.5%", "--jitter", "1ms"]
        first = self.sim(*args, "--seed", 7)
        self.assertEqual(first, self.sim(*args, "--seed", 7))
        self.assertNotEqual(first["trace_hash"], self.sim(*args, "--seed", 8)["trace_hash"])
        self.assertGreater(first["retransmits"], 0)

    def test_bursts(self):
        event = self.sim("--size", "4MiB", "--rate", "50Mbit", "--delay", "5ms", "--loss", "1%", "--burst", 3)
        self.assertGreater(event["link_drops"], 0)

    def test_streams_and_controllers(self):
        for args in (["--streams", 8], ["--cc", "reno"], ["--cc", "fixed", "--rate", "50Mbit"],
                     ["--mss", 9000], ["--window", "1MiB"], ["--back-loss", "10%"], ["--ce", "1%"]):
            with self.subTest(args[0]):
                self.assertEqual(self.sim("--size", "2MiB", *args)["bytes"], 2 << 20)

    def test_gives_up(self):
        result = volley("sim", "--size", "64MiB", "--rate", "1Mbit", "--give-up", "2s")
        self.assertNotEqual(result.code, OK)
        self.assert_one_line(result.error_lines, "sim")

    def test_dead_link(self):
        result = volley("sim", "--size", "1MiB", "--loss", "100%")
        self.assertEqual(result.code, NETWORK, result.err)
        self.assert_one_line(result.error_lines, "sim")

    def test_for_people(self):
        text = volley("sim", "--size", "1MiB", "--rate", "100Mbit").out.decode()
        for what in ("size", "virtual time", "goodput", "of the link", "packets sent", "retransmitted",
                     "trace hash"):
            self.assertIn(what, text)
        self.assertTrue(all(re.match(r"^[a-z ]{13}  \S", line) for line in text.splitlines()), text)


main()
