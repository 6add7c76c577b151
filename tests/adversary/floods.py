#!/usr/bin/env python3
"""Floods on the loopback, measured (./dev flood): what a hostile packet costs the server, and what is left of a transfer.

    floods.py [--seconds S] [--pairs N] [--kinds KIND,...] [--rate PACKETS_PER_S] [--size MIB] [--plain]

Three parts. *First packets*: HELLOs from many addresses at 50,000 a second; the server's memory, and how long an
honest client takes to get a small file meanwhile. *Cost*: each kind of packet as fast as one core sends it at a server
with nothing else to do; processor time of the server divided by the packets that reached it. *Transfer*: an upload
beside a flood, in pairs: in one run the packets go to the server, in the other one (the control) to a process that only
takes the processor time for them that the server was seen to take. So the ratio of the two is what the flood costs
beyond the processor time it takes; on a machine with two cores anything else measures the flooder. Pairs are
interleaved (A B B A); the median ratio stands with an interval: of nine pairs the second and the eighth, 96 %. A run of
which a virtual machine's host took more than 3 % of the processor time is made again, at most five times.
"""

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from adversary import BIN, MIB, Stranger, Target, wire
from steal import MOST, Undisturbed

HELLOS_PER_S = 50_000
SPOOFED = 1 << 16  # addresses
TEMPLATES = 1000
FLOOD_PER_S = 300_000
KINDS = ("garbage", "hello", "unknown", "replay", "forged")
PROGRAMS = Path(BIN).parent.parent / "tests"


class Flood:
    """The flooder under way."""

    def __init__(self, port, datagrams, packets_per_s=0, seconds=60.0, sources=0):
        self.process = subprocess.Popen(
            [PROGRAMS / "flood", str(port), str(packets_per_s), str(seconds), str(sources)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for datagram in datagrams:
            self.process.stdin.write(len(datagram).to_bytes(2, "big") + datagram)
        self.process.stdin.close()

    def wait(self):
        result = json.loads(self.process.stdout.read())
        self.process.stdout.close()
        self.process.wait()
        return result

    def stop(self):
        self.process.terminate()
        return self.wait()


class Drain:
    """The control: takes `ns_per_packet` of processor time for each datagram that comes to its port."""

    def __init__(self, ns_per_packet):
        self.process = subprocess.Popen([PROGRAMS / "drain", str(ns_per_packet)], stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.terminate()
        result = json.loads(self.process.stdout.read())
        self.process.stdout.close()
        self.process.wait()
        return result


class Counters:
    """What the server has used and lost up to now."""

    def __init__(self, target):
        tasks = Path(f"/proc/{target.pid}/task").iterdir()
        self.cpu_ns = sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks)
        self.resident_kib = target.memory()[0]
        self.kernel_drops = drops_of(target.port)


def drops_of(port):
    """Datagrams that the kernel dropped for want of room in that port's socket."""
    for line in Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            return int(fields[-1])
    return 0


def hellos(target, count=TEMPLATES):
    """First packets of different clients."""
    stranger = Stranger(target)
    made = [stranger.handshake().hello(b"") for _ in range(count)]
    stranger.close()
    return made


def garbage(rng, count=TEMPLATES):
    return [rng.randbytes(rng.choice((60, 200, 1200, 1472))) for _ in range(count)]


def unknown(rng, count=TEMPLATES):
    """DATA for connections that do not exist."""
    return [wire.data_header(0, rng.randrange(1 << 64), 0) + bytes(1400) for _ in range(count)]


class Sniffer:
    """Copies of the datagrams that go to a port: what somebody on the way could send again."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * MIB)
        self.socket.bind(("lo", 0))

    def take(self, count):
        """Waits for so many DATA packets; a batch that the kernel has not cut yet is cut here."""
        found = []
        while len(found) < count:
            frame = self.socket.recv(1 << 16)
            header = 14 + 4 * (frame[14] & 15)
            if frame[23] != socket.IPPROTO_UDP or int.from_bytes(frame[header + 2:header + 4], "big") != self.port:
                continue
            body = frame[header + 8:]
            if len(body) > 1400 and body[0] & 0xFE == 0x40:
                found += [body[at:at + 1472] for at in range(0, len(body), 1472)]
        return found[:count]

    def close(self):
        self.socket.close()


def first_packets(target, seconds):
    """Part one; returns a row of figures."""
    packets = hellos(target)
    before = Counters(target)
    target.forget_peak()
    begin = time.monotonic()
    flood = Flood(target.port, packets, HELLOS_PER_S, seconds, SPOOFED)
    live_s = []
    while flood.process.poll() is None:
        start = time.monotonic()
        target.newcomer()
        if flood.process.poll() is None:
            live_s.append(time.monotonic() - start)
    took_s = time.monotonic() - begin
    sent, after = flood.wait(), Counters(target)
    seen = sent["sent"] - (after.kernel_drops - before.kernel_drops)
    return {"sent_per_s": round(sent["sent"] / took_s), "seen": seen, "sources": SPOOFED,
            "resident_growth_kib": after.resident_kib - before.resident_kib,
            "live_get_s": live_s}


def cost(target, packets, seconds, sources=0):
    """Part two, one kind: processor time of the idle server by the packet."""
    before = Counters(target)
    sent = Flood(target.port, packets, 0, seconds, sources).wait()
    target.newcomer()  # by now it has read them all
    after = Counters(target)
    seen = sent["sent"] - (after.kernel_drops - before.kernel_drops)
    return {"sent_per_s": round(sent["sent"] * 1e9 / sent["ns"]), "seen": seen,
            "ns_per_packet": round((after.cpu_ns - before.cpu_ns) / max(1, seen)),
            "resident_growth_kib": after.resident_kib - before.resident_kib}


class Upload:
    """An honest upload under way."""

    def __init__(self, target, source):
        self.name = next(target.names)
        self.target = target
        self.process = subprocess.Popen(
            [BIN, "put", source, f"127.0.0.1:{target.port}/{self.name}", "--json", "--quiet", *target.mode,
             *target.accept_new()], stdout=subprocess.PIPE, env=target.environment, text=True)

    def goodput(self):
        """Waits; bits per second."""
        lines = self.process.communicate()[0].splitlines()
        if self.process.returncode != 0:
            raise AssertionError(lines)
        (self.target.root / self.name).unlink()
        return json.loads(lines[-1])["goodput_bits_per_s"]


def packets_of(kind, target, rng):
    """Those that can be made beforehand."""
    return {"garbage": lambda: garbage(rng), "unknown": lambda: unknown(rng), "hello": lambda: hellos(target)}[kind]()


def sniffed(sniffer, kind):
    packets = sniffer.take(256)
    sniffer.close()
    return packets if kind == "replay" else [packet[:-1] + bytes([packet[-1] ^ 1]) for packet in packets]


def transfer(target, source, kind=None, packets=None, port=0, packets_per_s=0):
    """An upload beside a flood of that kind to that port; returns a row of figures."""
    sources = SPOOFED if kind in ("hello", "unknown") else 0
    sniffer = Sniffer(target.port) if kind and not packets else None
    before, begin = Counters(target), time.monotonic()
    flood = Flood(port, packets, packets_per_s, sources=sources) if packets else None
    upload = Upload(target, source)
    if sniffer:
        flood = Flood(port, sniffed(sniffer, kind), packets_per_s)
    goodput = upload.goodput()
    took_s = time.monotonic() - begin
    sent = flood.stop() if flood else {"sent": 0, "cpu_ns": 0}
    after = Counters(target)
    return {"goodput_bits_per_s": goodput, "hostile_per_s": sent["sent"] / took_s,
            "server_cpu_s": (after.cpu_ns - before.cpu_ns) / 1e9, "flooder_cpu_s": sent["cpu_ns"] / 1e9,
            "drops": after.kernel_drops - before.kernel_drops}


def control(target, source, kind, packets, packets_per_s, ns_per_packet):
    """The same beside a flood that does not meet the server."""
    drain = Drain(ns_per_packet)
    row = transfer(target, source, kind, packets, drain.port, packets_per_s)
    read = drain.stop()
    return row | {"drain_cpu_s": read["cpu_ns"] / 1e9, "drained": read["received"]}


def interval(values):
    """Median, and the order statistics around it that hold it with about 96 % where there are enough."""
    values = sorted(values)
    cut = {7: 0, 8: 0, 9: 1, 10: 1, 11: 1, 12: 2}.get(len(values), 0 if len(values) < 7 else len(values) // 5)
    return {"median": statistics.median(values), "low": values[cut], "high": values[-1 - cut]}


def compare(target, source, kind, options, rng, ns_per_packet):
    """Part three, one kind: pairs of runs."""
    packets = None if kind in ("replay", "forged") else packets_of(kind, target, rng)
    rate = options.rate if options.rate is not None else HELLOS_PER_S if kind == "hello" else FLOOD_PER_S
    runs = {"server": [], "control": []}
    undisturbed = Undisturbed()
    for pair in range(options.pairs):
        for side in sorted(runs, reverse=pair % 2 == 0):
            if side == "server":
                runs[side].append(undisturbed(transfer, target, source, kind, packets, target.port, rate))
            else:
                runs[side].append(undisturbed(control, target, source, kind, packets, rate, ns_per_packet))
    for side, rows in runs.items():
        show("transfer", kind=kind, to=side, **medians(rows))
    ratios = [one["goodput_bits_per_s"] / other["goodput_bits_per_s"]
              for one, other in zip(runs["server"], runs["control"])]
    show("ratio", kind=kind, pairs=options.pairs, **interval(ratios))
    show("steal", kind=kind, most=MOST, taken_again=undisturbed.again, stand_disturbed=undisturbed.stand)


def medians(rows):
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


class NoCase:
    """Stands in for a unittest case."""

    def assertEqual(self, left, right, text=""):
        if left != right:
            raise AssertionError(text or "a copy differs")


def show(name, **figures):
    cells = [f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
             for key, value in figures.items()]
    print(f"{name:10s} " + "  ".join(cells), flush=True)


def measure(target, options):
    rng = random.Random(4)
    part = first_packets(target, options.seconds)
    live_s = part.pop("live_get_s")
    show("first", **part, live_gets=len(live_s), live_get_median_s=statistics.median(live_s),
         live_get_max_s=max(live_s))
    ns_per_packet = {}
    for kind in ("hello", "garbage", "unknown"):
        row = cost(target, packets_of(kind, target, rng), options.seconds, 0 if kind == "garbage" else SPOOFED)
        show("cost", kind=kind, **row)
        ns_per_packet[kind] = row["ns_per_packet"]
    source = target.dir / "source"
    with open(source, "wb") as file:
        for _ in range(options.size):
            file.write(rng.randbytes(MIB))
    show("transfer", kind="none", **medians([transfer(target, source) for _ in range(3)]))
    for kind in options.kinds:
        # Of a replay or a forgery it is not known; what is read and thrown away costs least.
        compare(target, source, kind, options, rng, ns_per_packet.get(kind, ns_per_packet["garbage"]))


def kinds(text):
    found = text.split(",")
    if not set(found) <= set(KINDS):
        raise ValueError(text)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--kinds", type=kinds, default=["garbage", "hello", "unknown"], metavar="KIND,...",
                        help="of " + ", ".join(KINDS))
    parser.add_argument("--rate", type=int, metavar="PACKETS_PER_S",
                        help=f"0: no limit; by default {FLOOD_PER_S:,}, and {HELLOS_PER_S:,} of hello")
    parser.add_argument("--size", type=int, default=512, metavar="MIB")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    os.environ["TMPDIR"] = "/dev/shm"  # so that no disk is part of it
    target = Target(NoCase(), rate=None, security={"plain": True} if options.plain else None)
    try:
        measure(target, options)
    finally:
        target.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
