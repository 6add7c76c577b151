#!/usr/bin/env python3
"""Floods on the loopback, measured (./dev flood): what a hostile packet costs the server, and what is left of a transfer.

    floods.py [--seconds S] [--rounds N] [--size MIB] [--plain]

Three parts. *First packets*: HELLOs from many addresses at 50,000 a second; the server's memory, and how long an
honest client takes to get a small file meanwhile. *Cost*: each kind of packet as fast as one core sends it at a server
with nothing else to do; processor time of the server divided by the packets that reached it. *Transfer*: an upload
beside each kind, in turn; `elsewhere` sends the same to a socket that nobody reads, so that the difference to it is what the
server lost, and not what the flooder took from the machine. Rounds are interleaved; medians are printed.
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

HELLOS_PER_S = 50_000
SPOOFED = 1 << 16  # addresses
TEMPLATES = 1000
KINDS = ("none", "elsewhere", "hello", "garbage", "unknown", "replay", "forged")
FLOOD = Path(BIN).parent.parent / "tests" / "flood"


class Flood:
    """The flooder under way."""

    def __init__(self, port, datagrams, packets_per_s=0, seconds=60.0, sources=0):
        self.process = subprocess.Popen(
            [FLOOD, str(port), str(packets_per_s), str(seconds), str(sources)],
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


def transfer(target, kind, source, rng):
    """Part three, one run: goodput of an upload beside a flood of that kind."""
    sniffer = Sniffer(target.port) if kind in ("replay", "forged") else None
    fixed = {"elsewhere": garbage, "garbage": garbage, "unknown": unknown}
    packets = fixed[kind](rng) if kind in fixed else hellos(target) if kind == "hello" else []
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    before, begin = Counters(target), time.monotonic()
    port = sink.getsockname()[1] if kind == "elsewhere" else target.port
    flood = Flood(port, packets) if packets else None
    upload = Upload(target, source)
    if sniffer:
        packets = sniffer.take(256)
        sniffer.close()
        if kind == "forged":
            packets = [packet[:-1] + bytes([packet[-1] ^ 1]) for packet in packets]
        flood = Flood(port, packets)
    goodput = upload.goodput()
    sent = flood.stop() if flood else {"sent": 0, "cpu_ns": 0}
    sink.close()
    after = Counters(target)
    return {"goodput_bits_per_s": goodput, "hostile_per_s": sent["sent"] / (time.monotonic() - begin),
            "server_cpu_s": (after.cpu_ns - before.cpu_ns) / 1e9, "flooder_cpu_s": sent["cpu_ns"] / 1e9,
            "drops": after.kernel_drops - before.kernel_drops}


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
    for kind, packets, sources in (("hello", hellos(target), SPOOFED), ("garbage", garbage(rng), 0),
                                   ("unknown", unknown(rng), SPOOFED)):
        show("cost", kind=kind, **cost(target, packets, options.seconds, sources))
    source = target.dir / "source"
    with open(source, "wb") as file:
        for _ in range(options.size):
            file.write(rng.randbytes(MIB))
    runs = {kind: [] for kind in KINDS}
    for _ in range(options.rounds):
        for kind in KINDS:
            runs[kind].append(transfer(target, kind, source, rng))
    for kind, samples in runs.items():
        show("transfer", kind=kind, **{key: statistics.median(one[key] for one in samples) for key in samples[0]})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
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
