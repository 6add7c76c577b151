"""10 GiB each way over loopback: equal checksums, and little memory. Only with VLY_BIG=1.

VLY_BIG_DIR says where the files go (a folder with 31 GiB of room); the default is the temporary one.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from volley_it import OK, SKIPPED, Case, main

SIZE = int(os.environ.get("VLY_BIG_BYTES", 10 << 30))
RSS_MAX_BYTES = 128 << 20
BLOCK = 1 << 20
LONG_S = 3600


def write_random(path, size):
    """Not compressible, and cheap: each block is one random block with its number mixed in."""
    block = bytearray(os.urandom(BLOCK))
    with open(path, "wb") as f:
        for i in range(0, size, BLOCK):
            block[:8] = i.to_bytes(8, "big")
            f.write(block[: min(BLOCK, size - i)])


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


class PeakMemory:
    """The most memory a process had resident: the kernel keeps the count (VmHWM)."""

    def __init__(self, pid):
        self.path, self.peak = f"/proc/{pid}/status", 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.stop.wait(0.2):
            try:
                with open(self.path, encoding="ascii") as status:
                    line = next((x for x in status if x.startswith("VmHWM")), None)
            except OSError:
                return
            if line is not None:
                self.peak = max(self.peak, int(line.split()[1]) * 1024)

    def end(self):
        self.stop.set()
        self.thread.join()
        return self.peak


class Big(Case):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="volley-big-", dir=os.environ.get("VLY_BIG_DIR")))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.root = self.dir / "root"
        self.root.mkdir()

    def transfer(self, server, *args):
        client = self.start(*args, *self.protection, "--json")
        peaks = [PeakMemory(server.process.pid), PeakMemory(client.process.pid)]
        code = client.wait(LONG_S)
        used = [peak.end() for peak in peaks]
        self.assertEqual(code, OK, client.errors)
        done = client.drain()[-1]
        self.assertEqual(done["bytes"], SIZE)
        print(f"{args[0]}: {done['seconds']:.1f} s, {done['goodput_bits_per_s'] / 1e9:.2f} Gbit/s, "
              f"memory: server {used[0] >> 20} MiB, client {used[1] >> 20} MiB", flush=True)
        for peak in used:
            self.assertLess(peak, RSS_MAX_BYTES)

    def test_both_ways(self):
        source = self.root / "a"
        write_random(source, SIZE)
        expected = sha256(source)
        server = self.serve("--writable")
        self.transfer(server, "get", f"{server.at}/a", "-o", self.dir / "b")
        self.assertEqual(sha256(self.dir / "b"), expected)
        source.unlink()
        self.transfer(server, "put", self.dir / "b", server.at)
        self.assertEqual(sha256(self.root / "b"), expected)


if os.environ.get("VLY_BIG") != "1":
    print("skipped: VLY_BIG is not 1")
    sys.exit(SKIPPED)
main()
