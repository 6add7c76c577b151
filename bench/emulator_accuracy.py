#!/usr/bin/env python3
"""How well the link emulator keeps to what it is asked: a Markdown table for bench/RESULTS.md.

    bench/emulator_accuracy.py [--quick] [--seconds 60] [--bench build/release/bin/volley-bench]

Needs ping, iperf3 and network namespaces. Every setting is measured from outside, by ping and iperf3
in the two namespaces, with the emulator's own counters beside it:

delay   ping -i 0.01 over the otherwise idle link. The error of a round trip is what it took beyond
        the delays asked and the round trip of the same namespaces joined by an emulated link
        without any delay (the cost of two TUN devices and of ping); its 99th percentile has to be
        below 0.3 ms.
rate    iperf3, TCP (cubic, 1448 bytes in a packet of 1500: with timestamps) and UDP (1400 in 1428), the
        latter sent 10 % faster than the link (where iperf3 gets that far beside the rest; '-' where
        not). The emulator counts bytes of IP packets, so that the
        payload iperf3 reports is multiplied by 1500/1448 or 1428/1400. Within 2 %. The queue
        holds the path's bandwidth-delay product and 20 ms more: with less, TCP leaves gaps.
queue   what a queue of so many bytes adds to the round trip while UDP overfills it: the 99th
        percentile of ping beyond twice the delay, against queue / rate. Within 10 % or 0.5 ms.
loss    the datagrams that iperf3's UDP receiver misses at a load below the rate, without those that
        its kernel dropped for want of room or memory (InErrors of its namespace). Within 10 % of the
        share asked, or three standard deviations where too few packets were sent for that.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

MBIT = 1_000_000
UDP_PAYLOAD, UDP_PACKET = 1400, 1428
TCP_SHARE = 1448 / 1500


class Failed(Exception):
    pass


# Ping is the instrument: it should not wait for a processor either. Only root may ask for that.
PING = "$(chrt -r 1 true 2>/dev/null && echo chrt -r 1) ping"
# So that one TCP connection can fill 1 Gbit/s at 100 ms (25 MB with the kernel's own overhead).
BUFFERS = ("for f in tcp_rmem tcp_wmem; do echo 4096 131072 67108864 >/proc/sys/net/ipv4/$f; done "
           "2>/dev/null; ")


class Lab:
    def __init__(self, bench, seconds):
        self.bench, self.seconds = bench, seconds
        self.base = None

    def run(self, options, left, right=None):
        """Returns what `left` printed, and the counters of both ways."""
        command = [self.bench, "linkemu", "--json", *options, "--left", left]
        if right:
            command += ["--right", right]
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              timeout=self.seconds * 2 + 60)
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}: {done.stderr.strip()[-200:]} {done.stdout[-200:]}")
        lines = done.stdout.splitlines()
        ways = [json.loads(line) for line in lines if line.startswith('{"event":"link"')]
        rest = "\n".join(line for line in lines if not line.startswith('{"event":"link"'))
        return rest, ways

    def ping(self, options, left_too=""):
        """The sorted round trips in ms; with `left_too` running beside it."""
        n = self.seconds * 100
        out, ways = self.run(options, f"{left_too} {PING} -i 0.01 -c {n} -W 2 $VOLLEY_RIGHT",
                             "exec iperf3 -s >/dev/null" if left_too else None)
        return sorted(float(t) for t in re.findall(r"time=([\d.]+)", out)), ways

    def base_ms(self):
        """The median round trip over a link without any delay."""
        if self.base is None:
            self.base = quantile(self.ping([])[0], 0.5)
        return self.base

    def iperf3(self, options, arguments):
        """iperf3's own result, the counters, and how many datagrams the receiving socket refused."""
        # The server is up when it takes a connection, and drops one that says nothing.
        wait = ("python3 -c 'import os, socket, time\nfor i in range(200):\n"
                "  try: socket.create_connection((os.environ[\"VOLLEY_RIGHT\"], 5201)).close(); break\n"
                "  except OSError: time.sleep(0.05)'; ")
        with tempfile.NamedTemporaryFile("r", encoding="ascii") as snmp:
            server = f"trap 'cat /proc/net/snmp >{snmp.name}; exit' TERM; iperf3 -s >/dev/null & wait"
            out, ways = self.run(options, f"{BUFFERS}{wait} sleep 0.2; exec iperf3 -J -t "
                                 f"{self.seconds} -c $VOLLEY_RIGHT {arguments}", BUFFERS + server)
            names, values = [line.split() for line in snmp if line.startswith("Udp:")]
        return json.loads(out)["end"], ways, int(values[names.index("InErrors")])


def quantile(values, share):
    if not values:
        raise Failed("no answers to ping")
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


class Table:
    def __init__(self):
        self.failures = 0
        print("| setting | what | asked | measured | error | |")
        print("|---|---|---|---|---|---|", flush=True)

    def row(self, setting, what, asked, measured, error, good):
        """`good` is None where the programs beside the emulator did not get that far."""
        self.failures += good is False
        verdict = {True: "pass", False: "FAIL", None: "-"}[good]
        print(f"| {setting} | {what} | {asked} | {measured} | {error} | {verdict} |", flush=True)


def late(ways):
    n = sum(w["delivered_pkts"] for w in ways)
    return f"{100 * sum(w['late_pkts'] for w in ways) / max(1, n):.2f} % over 0.3 ms late"


def check_delay(lab, table, delay):
    base = lab.base_ms()
    back = delay if 2 * delay < 100 else 0  # from 100 ms on ping prints whole ones
    asked = delay + back
    times, ways = lab.ping(["--delay", f"{delay}ms", "--back-delay", f"{back}ms"])
    errors = [t - asked - base for t in times]
    p50, p99 = quantile(errors, 0.5), quantile(errors, 0.99)
    table.row(f"delay {delay} ms, back {back} ms", "round trip", f"{asked} + {base:.2f} ms",
              f"median {quantile(times, 0.5):.2f}, p99 {quantile(times, 0.99):.2f} ms",
              f"p99 {p99:+.2f} ms; {late(ways)}", max(abs(p50), abs(p99)) < 0.3)


def check_rate(lab, table, rate_mbit, delay_ms):
    setting = f"{rate_mbit} Mbit/s, {delay_ms} ms"
    queue = rate_mbit * MBIT // 8 * (2 * delay_ms + 20) // 1000  # cubic keeps the link busy with that
    options = ["--rate", f"{rate_mbit}Mbit", "--delay", f"{delay_ms}ms", "--queue", str(queue)]
    end, ways, _ = lab.iperf3(options, f"-C cubic -O {max(2, lab.seconds // 6)}")
    rate = end["sum_received"]["bits_per_second"] / TCP_SHARE / MBIT
    error = rate / rate_mbit - 1
    table.row(setting, "TCP rate", f"{rate_mbit} Mbit/s", f"{rate:.2f} Mbit/s",
              f"{100 * error:+.2f} %; {late(ways)}", abs(error) < 0.02)
    end, ways, full = lab.iperf3(options, f"-u -l {UDP_PAYLOAD} -b {rate_mbit * 1.1}M -w 4M -O 2")
    to_mbit = UDP_PACKET / UDP_PAYLOAD / MBIT
    rate = end["sum_received"]["bits_per_second"] * to_mbit
    error = rate / rate_mbit - 1
    sent = end["sum_sent"]["bits_per_second"] * to_mbit
    good = abs(error) < 0.02
    if not good and (sent < rate_mbit * 1.02 or full > 0.01 * end["sum"]["packets"]):
        good = None
    table.row(setting, "UDP rate", f"{rate_mbit} Mbit/s",
              f"{rate:.2f} of {sent:.0f} Mbit/s sent" + (f", socket full {full} times" if full else ""),
              f"{100 * error:+.2f} %; {late(ways)}", good)


def check_queue(lab, table, rate_mbit, queue_kb):
    delay = 5
    asked = queue_kb * 8 / rate_mbit  # ms
    options = ["--rate", f"{rate_mbit}Mbit", "--delay", f"{delay}ms", "--queue", f"{queue_kb}KB"]
    flood = (f"sleep 0.5; iperf3 -u -l {UDP_PAYLOAD} -b {rate_mbit * 1.1}M -t {lab.seconds} "
             "-c $VOLLEY_RIGHT >/dev/null & sleep 1;")
    times, ways = lab.ping(options, flood)
    measured = quantile(times, 0.99) - 2 * delay  # a single late ping should not decide
    error = measured / asked - 1
    good = abs(error) < 0.1 or abs(measured - asked) < 0.5
    table.row(f"{rate_mbit} Mbit/s, queue {queue_kb} kB", "longest wait (p99)", f"{asked:.1f} ms",
              f"{measured:.1f} ms", f"{100 * error:+.1f} %; held {ways[0]['queue_max_bytes']} bytes",
              good and ways[0]["queue_max_bytes"] <= queue_kb * 1000)


def check_loss(lab, table, rate_mbit, share):
    # iperf3 catches up after a pause: that burst has to find room, or it is the queue that drops.
    options = ["--rate", f"{rate_mbit}Mbit", "--delay", "5ms", "--loss", f"{100 * share}%",
               "--queue", f"{rate_mbit}MB"]
    end, ways, full = lab.iperf3(options, f"-u -l {UDP_PAYLOAD} -b {rate_mbit * 0.7}M -w 4M")
    sent, lost = end["sum"]["packets"], end["sum"]["lost_packets"] - full
    counted = ways[0]["lost_pkts"] / max(1, ways[0]["offered_pkts"])
    measured = lost / max(1, sent)
    if share == 0:
        table.row(f"{rate_mbit} Mbit/s, loss 0", "UDP loss", "0", f"{lost} of {sent}", "", lost == 0)
        return
    error = measured / share - 1
    deviations = 3 * math.sqrt((1 - share) / (share * max(1, sent)))
    table.row(f"{rate_mbit} Mbit/s, loss {100 * share:g} %", "UDP loss", f"{100 * share:g} %",
              f"{100 * measured:.3f} % of {sent} ({100 * counted:.3f} % counted)",
              f"{100 * error:+.1f} % (3 deviations: {100 * deviations:.1f} %)",
              abs(error) < max(0.1, deviations))


def main():
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="of a measurement (default: 60)")
    parser.add_argument("--quick", action="store_true", help="5 s a measurement")
    parser.add_argument("--only", default="", metavar="REGEX",
                        help="settings whose name matches, as in 'delay' or 'rate 1000 '")
    parser.add_argument("--bench", default=here / "build/release/bin/volley-bench")
    args = parser.parse_args()
    lab = Lab(str(args.bench), 5 if args.quick else args.seconds)
    table = Table()
    steps = [(check_delay, delay) for delay in (0, 5, 20, 50)]
    steps += [(check_rate, rate, delay) for rate in (10, 100, 1000) for delay in (0, 5, 20, 50)]
    steps += [(check_queue, rate, kb) for rate, kb in ((10, 30), (10, 250), (100, 250), (1000, 2500))]
    steps += [(check_loss, rate, share) for rate in (10, 100) for share in (0, 0.001, 0.01, 0.05)]
    for check, *arguments in steps:
        name = " ".join([check.__name__.removeprefix("check_"), *map(str, arguments)])
        if not re.search(args.only, name):
            continue
        try:
            check(lab, table, *arguments)
        except (Failed, KeyError, ValueError, subprocess.TimeoutExpired) as e:
            table.row(name, "failed to run", "", str(e)[:200], "", False)
    return table.failures > 0


if __name__ == "__main__":
    sys.exit(main())
