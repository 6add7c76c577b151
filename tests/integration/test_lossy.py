"""Real packets lost by the kernel: nftables drops 20 % of them in a network namespace of our own."""

import os
import shutil
import subprocess
import unittest

from volley_it import OK, Case, Server, is_root, main, volley

RULES = """
table inet volley_it {
    chain input {
        type filter hook input priority 0;
        meta l4proto udp numgen random mod 100 < %d drop
    }
}
"""
LOSSY_S = 240


def tools_missing():
    if not is_root():
        return "needs root"
    return next((f"needs {tool}" for tool in ("ip", "nft") if shutil.which(tool) is None), None)


@unittest.skipIf(tools_missing(), tools_missing())
class Lossy(Case):
    def namespace(self, percent):
        name = f"volley-it-{os.getpid()}"
        if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
            self.skipTest("cannot make a network namespace")
        self.addCleanup(subprocess.run, ["ip", "netns", "del", name], check=True)
        inside = ["ip", "netns", "exec", name]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        done = subprocess.run([*inside, "nft", "-f", "-"], input=RULES % percent, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"nftables cannot drop at random here: {done.stderr.strip()}")
        # A wrapper is a program like another to the helpers.
        self.program = self.dir / "volley-inside"
        self.program.write_text(f'#!/bin/sh\nexec {" ".join(inside)} "$VOLLEY_BIN" "$@"\n')
        self.program.chmod(0o755)

    def round_trip(self, percent, size, io):
        self.namespace(percent)
        source = self.file("root/a", size)
        server = Server(self.root, "--writable", "--io", io, program=self.program)
        self.addCleanup(server.close)
        server.is_known_as(server.at, self.home)
        for args in (["get", f"{server.at}/a", "-o", self.got], ["put", source, f"{server.at}/b"]):
            result = volley(*args, *self.protection, "--json", "--io", io, program=self.program, timeout=LOSSY_S)
            self.assertEqual(result.code, OK, result.err)
        self.assert_same(source, self.got / "a")
        self.assert_same(source, self.root / "b")
        self.assertGreater(result.events[-1]["retransmits"], 0)

    def test_a_fifth(self):
        self.round_trip(20, 10_000_000, "mmsg")

    def test_a_fifth_in_bursts(self):
        # With gso the rule meets up to 64 packets as one: they live and die together.
        self.round_trip(20, 5_000_000, "gso")


main()
