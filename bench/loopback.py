#!/usr/bin/env python3
"""Copies one file over loopback, tmpfs to tmpfs: volley (each --io) against socat over TCP.

    bench/loopback.py --volley build/release/bin/volley [--size 4GiB] [--rounds 9] [--io gso,mmsg,basic] [--mss 1472,65507]

Runs are interleaved: each round does every variant once, in an order that alternates, after a warm-up round that is
left out. Printed is the median, the ratio to TCP of the same round (median and a 95 % bootstrap interval), and the
largest resident set of either side. volley's time includes its hash, fsync and rename; socat does none of it.
TCP runs with the congestion control named by --tcp-cc, 1 MiB blocks.
"""

import argparse
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def parse_size(text):
    m = re.fullmatch(r"(\d+)(KiB|MiB|GiB)?", text)
    if m is None:
        raise argparse.ArgumentTypeError(f"not a size: {text}")
    return int(m.group(1)) * UNITS[m.group(2) or ""]


class PeakRss(threading.Thread):
    """Samples the largest resident set (VmHWM) of processes until they are gone."""

    def __init__(self, *pids):
        super().__init__(daemon=True)
        self.pids = list(pids)
        self.peak_kib = {}
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.02):
            for pid in self.pids:
                try:
                    text = open(f"/proc/{pid}/status", encoding="ascii").read()
                except OSError:
                    continue
                m = re.search(r"VmHWM:\s+(\d+)", text)
                if m:
                    self.peak_kib[pid] = int(m.group(1))

    def finish(self):
        self.done.set()
        self.join()
        return [self.peak_kib.get(pid, 0) for pid in self.pids]


def end(process):
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_volley(args, root, target, io, mss):
    serve = subprocess.Popen(
        [args.volley, "serve", root, "--plain", "--listen", "127.0.0.1", "--port", "0", "--json", "--io", io,
         "--mss", str(mss)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = json.loads(serve.stdout.readline())["port"]
        drain = threading.Thread(target=serve.stdout.read, daemon=True)
        drain.start()
        begin = time.monotonic()
        get = subprocess.Popen(
            [args.volley, "get", f"127.0.0.1:{port}/source", "-o", target, "--plain", "--json", "--io", io,
             "--mss", str(mss)], stdout=subprocess.PIPE, text=True)
        rss = PeakRss(serve.pid, get.pid)
        rss.start()
        out = get.communicate(timeout=300)[0]
        seconds = time.monotonic() - begin
        peaks = rss.finish()
        last = json.loads(out.splitlines()[-1])
        if get.returncode != 0 or last["event"] != "done":
            sys.exit(f"volley get failed: {last}")
        return seconds, {"retransmits": last["retransmits"], "rss_kib": max(peaks)}
    finally:
        end(serve)


def run_tcp(args, root, target, _io, _mss):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    # 6:13 is IPPROTO_TCP:TCP_CONGESTION; it matters at the sending side, which is the one that listens here.
    serve = subprocess.Popen(
        ["socat", "-u", "-b", "1048576", f"OPEN:{root}/source,rdonly",
         f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,setsockopt-string=6:13:{args.tcp_cc}"])
    try:
        while f":{port:04X} 00000000:0000 0A" not in open("/proc/net/tcp", encoding="ascii").read():
            if serve.poll() is not None:
                sys.exit("socat did not start")
        begin = time.monotonic()
        get = subprocess.run(
            ["socat", "-u", "-b", "1048576", f"TCP:127.0.0.1:{port}", f"CREATE:{target}"], check=True, timeout=300)
        seconds = time.monotonic() - begin
        return seconds, {"retransmits": 0, "rss_kib": 0, "code": get.returncode}
    finally:
        end(serve)


def interval(values, seed=1):
    """95 % bootstrap interval of the median."""
    rng = random.Random(seed)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(2000))
    return medians[49], medians[1949]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--volley", required=True)
    p.add_argument("--size", type=parse_size, default=parse_size("4GiB"))
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--io", default="gso,mmsg,basic")
    p.add_argument("--mss", default="1472")
    p.add_argument("--tcp-cc", default="cubic")
    p.add_argument("--dir", default="/dev/shm")
    args = p.parse_args()

    work = tempfile.mkdtemp(prefix="volley-bench-", dir=args.dir)
    try:
        root = os.path.join(work, "root")
        os.mkdir(root)
        with open(os.path.join(root, "source"), "wb") as f:
            block = os.urandom(1 << 20)
            for i in range(args.size >> 20):
                f.write(i.to_bytes(8, "big") + block[8:])
            f.write(block[: args.size & ((1 << 20) - 1)])
        variants = [("tcp", run_tcp, "", 0)]
        variants += [(f"volley {io} {mss}", run_volley, io, int(mss))
                     for io in args.io.split(",") for mss in args.mss.split(",")]
        results = {name: [] for name, *_ in variants}
        for round_no in range(args.rounds + 1):
            order = variants if round_no % 2 == 0 else variants[::-1]
            for name, run, io, mss in order:
                target = os.path.join(work, "target")
                seconds, extra = run(args, root, target, io, mss)
                if os.path.getsize(target) != args.size:
                    sys.exit(f"{name}: the copy has the wrong size")
                os.unlink(target)
                if round_no > 0:
                    results[name].append((seconds, extra))
        report(args, results)
    finally:
        shutil.rmtree(work)


def report(args, results):
    tcp = [seconds for seconds, _ in results["tcp"]]
    print(f"{args.size / (1 << 30):.2f} GiB, {args.rounds} rounds, TCP {args.tcp_cc}, kernel {os.uname().release}, "
          f"{os.cpu_count()} cores, {args.dir}")
    print(f"{'variant':<20} {'Gbit/s':>8} {'x TCP':>7} {'95 % interval':>15} {'retransmits':>12} {'RSS MiB':>8}")
    for name, rows in results.items():
        rates = [args.size * 8 / 1e9 / seconds for seconds, _ in rows]
        ratios = [t / seconds for t, (seconds, _) in zip(tcp, rows)]
        low, high = interval(ratios)
        print(f"{name:<20} {statistics.median(rates):8.2f} {statistics.median(ratios):7.2f} "
              f"{low:7.2f} - {high:5.2f} {statistics.median(e['retransmits'] for _, e in rows):12.0f} "
              f"{max(e['rss_kib'] for _, e in rows) / 1024:8.1f}")


if __name__ == "__main__":
    main()
