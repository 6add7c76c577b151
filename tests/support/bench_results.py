"""Made-up results of volley bench, valid by bench/schema/result.schema.json, for tests of what reads
them. The figures are plausible and mean nothing; the same call gives the same result.

    bench_results.py local|course FILE
"""

import copy
import json
import random
import statistics
import sys

MS = 1_000_000
S = 1_000_000_000
OK = {"code": "OK", "message": ""}
FIGURES = ("bytes", "sent_bytes", "duration_ns", "cpu_sender_ns", "cpu_receiver_ns", "cpu_softirq_ns",
           "cpu_steal_ns", "cpu_all_ns", "rss_sender_bytes", "rss_receiver_bytes", "total_bytes", "retransmits", "packets_sent", "kernel_drops", "smoothed_rtt_ns", "cwnd_bytes",
           "connect_ns", "datagram_bytes")


def environment():
    return {
        "kernel": "Linux 6.1.0-18-amd64", "machine": "x86_64", "cpu": "Example CPU @ 2.60GHz", "cores": 2,
        "memory_bytes": 8 << 30, "load_average": 0.31,
        "tcp_congestion_controls": ["reno", "cubic", "bbr"], "tcp_congestion_control_default": "cubic",
        "sysctls": {"net.ipv4.tcp_rmem": "4096\t131072\t6291456", "net.ipv4.tcp_wmem": "4096\t16384\t4194304",
                    "net.core.rmem_max": "212992"},
        "offloads": {"lo": {"tso": True, "gso": True, "gro": True}, "veth": {"tso": True, "gso": True}},
        "versions": {"volley": "0.1.0", "libuv": "1.44.2", "openssl": "3.0.17"}, "commit": "8bd0f3f",
    }


def way(rate_bits_per_s, delay_ns, loss):
    bdp = rate_bits_per_s * 2 * delay_ns // (8 * S)
    return {"rate_bits_per_s": rate_bits_per_s, "delay_ns": delay_ns, "jitter_ns": 0,
            "queue_bytes": max(65536, bdp), "codel": False, "loss": loss}


def link(name, kind, mtu_bytes, both_ways=None):
    return {"name": name, "kind": kind, "mtu_bytes": mtu_bytes, "offloads": kind != "emulated",
            "forward": both_ways, "back": copy.copy(both_ways)}


def estimate(values):
    values = sorted(values)
    if not values:
        return None
    return {"median": statistics.median(values), "low": values[0], "high": values[-1], "n": len(values)}


def failed_sample(number, code, message):
    sample = {name: None for name in FIGURES}
    sample.update(round=number, seed=number + 1, taken_again=0, goodput_bits_per_s=None, cc="", io="", intervals=[],
                  error={"code": code, "message": message})
    return sample


def intervals(rng, bits_per_s, seconds, warmup_s):
    made = []
    for i in range(seconds + warmup_s):
        ramp = min(1, (i + 1) / 3)
        size = int(bits_per_s / 8 * ramp * rng.uniform(0.85, 1.08))
        made.append({"begin_ns": i * S, "end_ns": (i + 1) * S, "bytes": size, "cwnd_bytes": 100000,
                     "smoothed_rtt_ns": 21 * MS, "in_flight_bytes": 90000, "retransmits": 3,
                     "kernel_drops": None})
    return made


def sample(rng, row, number, bits_per_s, cpu_s_per_gb):
    rate = bits_per_s * rng.uniform(0.95, 1.05)
    size = row["bytes"] or int(rate / 8 * row["duration_ns"] / S)
    duration = int(size * 8 / rate * S)
    cpu = int(cpu_s_per_gb * size * rng.uniform(0.97, 1.03))
    out = {name: None for name in FIGURES}
    out.update(round=number, seed=number + 1, taken_again=number % 2, bytes=size, sent_bytes=size, duration_ns=duration,
               cpu_sender_ns=cpu // 3, cpu_receiver_ns=cpu - cpu // 3, cpu_softirq_ns=10 * MS,
               cpu_steal_ns=10 * MS * rng.randrange(3), cpu_all_ns=2 * duration,
               rss_sender_bytes=rng.randrange(9 << 20, 40 << 20), rss_receiver_bytes=rng.randrange(9 << 20, 40 << 20),
               total_bytes=size, retransmits=rng.randrange(40), packets_sent=size // 1448 + 1,
               smoothed_rtt_ns=21 * MS, cwnd_bytes=123456, connect_ns=rng.randrange(20 * MS, 22 * MS),
               goodput_bits_per_s=size * 8 * S / duration, cc=row["cc"] or "cubic", io=row["io"] or "auto",
               intervals=[], error=OK)
    return out


def row(link_name, kind, protocol, cc="", **more):
    made = {"id": f"{link_name}/{kind}/{protocol}/{cc or 'default'}", "link": link_name, "kind": kind,
            "protocol": protocol, "cc": cc, "io": "", "bytes": None, "duration_ns": None, "warmup_ns": None,
            "parallel": 1, "reverse": False, "block_bytes": 131072, "mss_bytes": None,
            "rate_bits_per_s": None, "reference": False, "samples": [], "error": OK}
    made.update(more)
    return made


def summarise(row, reference):
    good = [s for s in row["samples"] if s["error"]["code"] == "OK"]
    base = {s["round"]: s["goodput_bits_per_s"] for s in reference["samples"]} if reference else {}
    row["summary"] = {
        "samples": len(good),
        "goodput_bits_per_s": estimate([s["goodput_bits_per_s"] for s in good]),
        "ratio": estimate([s["goodput_bits_per_s"] / base[s["round"]] for s in good if base.get(s["round"])]),
        "cpu_s_per_gb": estimate([(s["cpu_sender_ns"] + s["cpu_receiver_ns"]) / s["total_bytes"] for s in good]),
        "retransmits": estimate([s["retransmits"] for s in good]),
        "duration_s": estimate([s["duration_ns"] / S for s in good]),
        "lost_share": estimate([1 - s["bytes"] / s["sent_bytes"] for s in good
                                if row["protocol"] == "udp-raw"]),
    }


def finish(name, links, rows, sentence):
    groups = {}
    for r in rows:
        groups.setdefault((r["link"], r["kind"]), []).append(r)
    for group in groups.values():
        tcp = [r for r in group if r["protocol"] == "tcp" and r["samples"]]
        best = max(tcp, key=lambda r: statistics.median(s["goodput_bits_per_s"] for s in r["samples"]),
                   default=None)
        for r in group:
            r["reference"] = r is best
            summarise(r, best)
    return {"schema": "volley-bench-result/1", "name": name, "created": "2026-11-21T22:15:04Z", "finished": True,
            "seed": 1, "precision": 0.02, "repeats": {"min": 5, "max": 9}, "max_steal": 0.02, "steal_retries": 5, "config": "# made up\nlinks = ...\n",
            "environment": environment(), "links": links, "rows": rows, "sentence": sentence}


def local():
    """lo and veth, memory and file, six protocols, five samples each; iperf3 gives no answer."""
    rng = random.Random(1)
    links = [link("lo", "lo", 65536), link("veth", "veth", 1500)]
    speeds = {("memory", "tcp", ""): (54e9, .31), ("memory", "tcp", "bbr"): (22e9, .75),
              ("memory", "tls", "cubic"): (9e9, 1.7), ("memory", "udp-raw", ""): (31e9, .5),
              ("memory", "volley", ""): (18e9, .9), ("memory", "iperf3-tcp", "cubic"): None,
              ("file", "tcp", ""): (16e9, 1.0), ("file", "scp", ""): (3.1e9, 4.9),
              ("file", "rsync", ""): (4.2e9, 3.5), ("file", "socat", ""): (12e9, 1.4),
              ("file", "volley", ""): (11e9, 1.5)}
    rows = []
    for each in links:
        slower = 1 if each["name"] == "lo" else .6
        for (kind, protocol, cc), speed in speeds.items():
            size = {"bytes": 1 << 30} if kind == "file" else {"duration_ns": 3 * S, "warmup_ns": S}
            r = row(each["name"], kind, protocol, cc, **size)
            if speed is None:
                message = "iperf3 gave no answer within 20 s; is another one using its port?"
                r["error"] = {"code": "NO_ANSWER", "message": message}
                r["samples"] = [failed_sample(0, "NO_ANSWER", message)]
            else:
                r["samples"] = [sample(rng, r, n, speed[0] * slower, speed[1]) for n in range(5)]
            rows.append(r)
    return finish("local comparison", links, rows,
                  "On this machine Volley moves memory at 0.33 times the speed of the fastest TCP over loopback "
                  "and files at 0.69 times.")


def course():
    """TCP cubic and bbr and Volley over 12 emulated links, with intervals."""
    rng = random.Random(2)
    links, rows = [], []
    for rate in (10, 100):
        for rtt_ms in (20, 100):
            for loss in (0, .01, .02):
                name = f"{rate}M-{rtt_ms}ms-{100 * loss:g}%"
                links.append(link(name, "emulated", 1500, way(rate * 10**6, rtt_ms * MS // 2, loss)))
                cubic = rate * .95
                if loss:
                    cubic = min(cubic, 1448 * 8 / (rtt_ms / 1000) * 1.22 / loss**.5 / 1e6 * 1.1)
                for protocol, cc, mbit in (("tcp", "cubic", cubic), ("tcp", "bbr", rate * .93 * (1 - loss)),
                                           ("volley", "", max(cubic, rate * .9 * (1 - 8 * loss)))):
                    r = row(name, "memory", protocol, cc, duration_ns=8 * S, warmup_ns=2 * S)
                    r["samples"] = [sample(rng, r, n, mbit * 1e6, 2.5) for n in range(5)]
                    for s in r["samples"]:
                        s["intervals"] = intervals(rng, s["goodput_bits_per_s"], 8, 2)
                    rows.append(r)
    return finish("course", links, rows, "Volley reaches 0.93 to 3.10 times the goodput of the fastest TCP on the "
                                         "12 links, and is slower on 4 of them.")


def main():
    result = {"local": local, "course": course}[sys.argv[1]]()
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1, allow_nan=False)


if __name__ == "__main__":
    main()
