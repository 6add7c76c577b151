"""volley bench serve and volley bench run: each protocol, each way, and ends that die."""

import errno
import json
import os
import select
import signal
import socket
import sys
import time
import unittest
from pathlib import Path

import volley_it as it

BENCH = os.environ.get("VOLLEY_BENCH_BIN", "")
RATED = ("tcp", "tls", "udp-raw", "volley", "volley-plain")  # those that can be held to a rate
PROTOCOLS = (*RATED, "volley-tcp")
RELIABLE = tuple(p for p in PROTOCOLS if p != "udp-raw")
BYTES = 8 << 20
HOST = "127.0.0.1"
ALL_FIGURES = {"bytes", "sent_bytes", "duration_ns", "cpu_sender_ns", "cpu_receiver_ns",
               "cpu_softirq_ns", "cpu_steal_ns", "cpu_all_ns", "rss_sender_bytes", "rss_receiver_bytes", "total_bytes", "retransmits", "packets_sent", "kernel_drops",
               "smoothed_rtt_ns", "cwnd_bytes", "connect_ns", "datagram_bytes"}
UNKNOWN = {  # to the protocol
    "tcp": {"kernel_drops", "datagram_bytes"},
    "tls": {"kernel_drops", "datagram_bytes"},
    "udp-raw": {"retransmits", "smoothed_rtt_ns", "cwnd_bytes"},
    "volley": set(),
    "volley-plain": set(),
    "volley-tcp": {"kernel_drops", "packets_sent", "datagram_bytes"},
}
SUITES = {"tcp": "", "tls": "aes-128-gcm", "udp-raw": "", "volley-plain": "plain"}


class BenchServer(it.Process):
    """volley-bench serve with its sessions in a process group of their own."""

    def __init__(self, *args):
        super().__init__("serve", "--json", "--listen", HOST, "--port", 0, *args, program=BENCH,
                         start_new_session=True)
        self.port = self.wait_event("listening")["port"]

    def sessions(self):
        """The processes of its sessions, as descriptors that tell their end."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [os.pidfd_open(int(child)) for child in children]

    def left(self):
        """What runs in its group, now that it has ended by itself: "12 (name) S ..." of each."""
        running = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            state, _, group = text.rpartition(")")[2].split()[:3]
            if int(group) == self.process.pid and state not in "ZX":
                running.append(text)
        return running


class Control:
    """A hand-made client: the control connection alone."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), timeout=it.DEADLINE_S)
        self.lines = self.socket.makefile("r")

    def send(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def get(self, wanted=None):
        """The next message, of that type; None at the end."""
        try:
            for line in self.lines:
                message = json.loads(line)
                if wanted is None or message["type"] == wanted:
                    return message
        except ConnectionResetError:
            pass
        return None

    def close(self):
        self.lines.close()
        self.socket.close()


def slow(protocol):
    """So that a run that waits for a signal leaves the processor to others."""
    return [] if protocol == "volley-tcp" else ["--rate", "100Mbit"]


REQUEST = {"protocol": "tcp", "duration_ns": 0, "bytes": 1000, "warmup_ns": 0, "interval_ns": 0,
           "timeout_ns": 10**10, "parallel": 1, "block_bytes": 1024, "window_bytes": 0,
           "rate_bytes_per_s": 0, "mss_bytes": 0, "ack_every_pkts": 0, "reverse": True, "bidir": False, "verify": False,
           "no_spin": False, "cc": "", "io": "", "suite": "", "crypto": ""}


def run_args(port, *args):
    return ["run", HOST, "--port", port, "--json", *args]


class BenchCase(it.Case):
    def serve(self, *args):
        server = BenchServer(*args)
        self.addCleanup(server.close)
        return server

    def control(self, port):
        control = Control(port)
        self.addCleanup(control.close)
        return control

    def start_run(self, port, *args):
        return self.start(*run_args(port, *args), program=BENCH)

    def run_once(self, *args):
        """A run against a server of its own; the result event, and all events."""
        server = self.serve("--once")
        done = it.volley(*run_args(server.port, *args), program=BENCH)
        self.assertEqual(done.code, it.OK, done.err)
        self.assertEqual(server.wait(), it.OK)
        self.assertEqual(server.left(), [])
        self.assertEqual(done.error_lines, [])
        result = done.events[-1]
        self.assertEqual(result["event"], "result")
        self.assertEqual(result["sample"]["error"], {"code": "OK", "message": ""})
        return result, done.events

    def fails(self, code, name, *args):
        """It fails with one line and a result that says why; returns the line."""
        done = it.volley(*args, program=BENCH)
        self.assertEqual(done.code, code, done.err)
        self.check_failure(done.error_lines, done.events, name)
        return done.error_lines[0]

    def check_failure(self, lines, events, name):
        self.assert_one_line(lines, "bench run")
        self.assertEqual(events[-1]["event"], "result")
        error = events[-1]["sample"]["error"]
        self.assertEqual(error["code"], name)
        self.assertIn(error["message"], lines[0])

    def check_sample(self, protocol, sample):
        self.assertEqual({name for name in ALL_FIGURES if sample[name] is None}, UNKNOWN[protocol])
        self.assertGreater(sample["duration_ns"], 0)
        self.assertEqual(sample["sent_bytes"], BYTES)
        if protocol == "udp-raw":  # what is lost is lost, and not counted
            self.assertLessEqual(sample["bytes"], BYTES)
            self.assertGreater(sample["bytes"], 0)
        else:
            self.assertEqual(sample["bytes"], BYTES)
        self.assertEqual(sample["io"] != "", True)
        self.assertEqual(sample["cc"] == "", protocol == "udp-raw")
        if protocol in SUITES:
            self.assertEqual(sample["suite"], SUITES[protocol])
        else:
            self.assertIn(sample["suite"], ("aes-256-gcm", "chacha20-poly1305"))
            self.assertIn(sample["crypto"], ("openssl", "ipsec-mb"))


class Protocols(BenchCase):
    def each(self, protocols, *args):
        for protocol in protocols:
            with self.subTest(protocol=protocol):
                result, events = self.run_once(f"--{protocol}", *args)
                yield protocol, result, events

    def test_forward(self):
        for protocol, result, events in self.each(PROTOCOLS, "-n", BYTES):
            self.check_sample(protocol, result["sample"])
            self.assertIsNone(result["back"])
            self.assertEqual(len(events), 1)  # no intervals unless asked for

    def test_reverse_parallel_verified(self):
        for protocol, result, _ in self.each(RELIABLE, "-n", BYTES, "-R", "-P", 3, "--verify",
                                             "-l", 10000):
            self.check_sample(protocol, result["sample"])

    def test_reverse_raw(self):
        for protocol, result, _ in self.each(["udp-raw"], "-n", BYTES, "-R", "-P", 2, "--rate",
                                             "400Mbit"):
            self.check_sample(protocol, result["sample"])

    def test_both_ways(self):
        for protocol, result, _ in self.each(PROTOCOLS, "-n", BYTES, "--bidir"):
            self.check_sample(protocol, result["sample"])
            back = result["back"]
            self.assertGreater(back["goodput_bits_per_s"], 0)
            # the CPU went into both ways
            self.assertEqual(result["sample"]["total_bytes"], result["sample"]["bytes"] + back["bytes"])

    def test_time_warm_up_intervals(self):
        for protocol, result, events in self.each(RATED, "-t", 0.3, "-O", 0.1, "-i", 0.1, "-P",
                                                  2, "--rate", "100Mbit"):
            sample = result["sample"]
            self.assertGreater(sample["total_bytes"], sample["bytes"])
            self.assertGreaterEqual(sample["duration_ns"], 300_000_000)
            sums = [e for e in events if e["event"] == "interval" and e["stream"] is None]
            self.assertEqual(len(sums), len(sample["intervals"]))
            self.assertGreaterEqual(len(sums), 2)
            self.assertEqual(sums[0]["begin_ns"], 0)
            for before, after in zip(sums, sums[1:]):
                self.assertEqual(before["end_ns"], after["begin_ns"])
            self.assertEqual(sum(e["bytes"] for e in sums), sample["total_bytes"], protocol)
            streams = [e for e in events if e["event"] == "interval" and e["stream"] is not None]
            self.assertEqual({e["stream"] for e in streams}, {0, 1})
            self.assertEqual(sum(e["bytes"] for e in streams), sample["total_bytes"])

    def test_small_and_odd(self):
        for _, result, _ in self.each(RELIABLE, "-n", 1, "-l", 1):
            self.assertEqual(result["sample"]["bytes"], 1)
            self.assertGreater(result["sample"]["duration_ns"], 0)
        for _, result, _ in self.each(RELIABLE, "-n", 100003, "-P", 7, "-l", 1000):
            self.assertEqual(result["sample"]["bytes"], 100003)

    def test_tcp_options(self):
        result, _ = self.run_once("--tcp", "-n", BYTES, "--cc", "reno", "--mss", 1400, "--window",
                                  "1MiB")
        self.assertEqual(result["sample"]["cc"], "reno")
        self.assertGreaterEqual(result["sample"]["packets_sent"], BYTES // 1400)

    def test_volley_options(self):
        result, _ = self.run_once("--volley", "-n", BYTES, "--cc", "reno", "--mss", 1200, "--io",
                                  "basic", "--window", "1MiB", "--ack-every", 3)
        self.assertEqual((result["sample"]["cc"], result["sample"]["io"]), ("reno", "basic"))
        self.assertGreaterEqual(result["sample"]["packets_sent"], BYTES // 1200)

    def test_suites_and_backends(self):
        for protocol in ("volley", "volley-tcp"):
            for suite in ("aes-256-gcm", "chacha20-poly1305", "aes-128-gcm"):
                result, _ = self.run_once(f"--{protocol}", "-n", BYTES, "--suite", suite, "--crypto", "openssl")
                self.assertEqual((result["sample"]["suite"], result["sample"]["crypto"]), (suite, "openssl"))

    def test_human_output(self):
        server = self.serve("--once")
        done = it.volley("run", HOST, "--port", server.port, "-n", BYTES, program=BENCH)
        self.assertEqual(done.code, it.OK)
        self.assertRegex(done.err, r"by volley, .*, encrypted")
        self.assertRegex(done.out.decode(), r"(aes-256-gcm|chacha20-poly1305) by \w+")
        self.assertRegex(done.out.decode(), r"goodput: 8\.00 MiB arrived in .*bit/s")

    def test_human_output_leaves_out_what_is_not_known(self):
        for protocol, says, silent in (("tcp", "again", "dropped"), ("udp-raw", "dropped", "again")):
            server = self.serve("--once")
            done = it.volley("run", HOST, "--port", server.port, f"--{protocol}", "-n", BYTES, "--rate",
                             "400Mbit", "-q", program=BENCH)
            self.assertEqual(done.code, it.OK)
            last = [line for line in done.out.decode().splitlines() if "packets sent" in line][-1]
            self.assertIn(says, last)
            self.assertNotIn(silent, last)
            self.assertNotRegex(last, r"(^| )-( |$)")


class Failures(BenchCase):
    def test_nobody_listens(self):
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            line = self.fails(it.NETWORK, "UNREACHABLE", *run_args(taken.getsockname()[1]))
        self.assertIn("volley bench serve", line)

    def test_no_such_host(self):
        self.fails(it.NETWORK, "UNREACHABLE", "run", "no-such-host.invalid", "--json")

    def test_somebody_else_listens(self):
        for answer in (b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff\xfe\n", b'{"type":"hello"}\n',
                       b'{"type":"stop"}\n', b"x" * 20000):
            with self.subTest(answer=answer[:20]), socket.create_server((HOST, 0)) as other:
                run = self.start_run(other.getsockname()[1])
                peer, _ = other.accept()
                with peer:
                    peer.sendall(answer)
                    self.assertEqual(run.wait(), it.NETWORK)
                self.check_failure(run.errors, run.drain(), "PROTOCOL")

    def test_silent_listener(self):
        with socket.create_server((HOST, 0)) as other:
            self.fails(it.NETWORK, "NO_ANSWER",
                       *run_args(other.getsockname()[1], "--timeout", "200ms"))

    def test_other_version(self):
        with socket.create_server((HOST, 0)) as other:
            run = self.start_run(other.getsockname()[1])
            peer, _ = other.accept()
            with peer:
                peer.sendall(b'{"type":"hello","protocol":"volley-bench","version":99}\n')
                self.assertEqual(run.wait(), it.NETWORK)
            self.check_failure(run.errors, run.drain(), "VERSION")

    def test_unknown_cc(self):
        server = self.serve()
        for args in (["--tcp"], ["--tcp", "-R"], ["--volley"], ["--tls"]):
            line = self.fails(it.USAGE, "INVALID", *run_args(server.port, "--cc", "nonsense", *args))
            self.assertIn("nonsense", line)
            self.assertIn("cubic", line)

    def test_contradictions(self):
        for args in (["--tcp", "--volley"], ["-t", 1, "-n", 5], ["--port", 0], ["-P", 1000],
                     ["--ack-every", 0], ["--ack-every", 129]):
            done = it.volley("run", HOST, *args, program=BENCH)
            self.assertEqual(done.code, it.USAGE)
            self.assert_one_line(done.error_lines, "bench run")
        for args in (["-R", "--bidir"], ["--udp-raw", "--cc", "cubic"], ["--tcp", "--io", "gso"],
                     ["--tcp", "--suite", "aes-256-gcm"], ["--volley-plain", "--crypto", "openssl"],
                     ["--volley-tcp", "--ack-every", 2], ["--udp-raw", "--ack-every", 2],
                     ["--volley-tcp", "--rate", "1Mbit"], ["--volley-tcp", "--mss", 1400],
                     ["-n", 5, "-O", 1], ["--tcp", "--mss", 65000], ["-P", 9, "-n", 5]):
            self.fails(it.USAGE, "INVALID", *run_args(9, *args))

    def test_port_is_taken(self):
        server = self.serve()
        done = it.volley("serve", "--listen", HOST, "--port", server.port, program=BENCH)
        self.assertEqual(done.code, it.REFUSED)
        self.assert_one_line(done.error_lines, "bench serve")

    def test_killed_client(self):
        server = self.serve()
        for protocol in PROTOCOLS:
            run = self.start_run(server.port, f"--{protocol}", "-t", 100, "-i", 0.05, *slow(protocol))
            run.wait_event("interval")
            run.signal(signal.SIGKILL)
            run.wait()
            session = server.wait_event("session")
            self.assertEqual(session["error"]["code"], "LOST")
        run = self.start_run(server.port, "--tcp", "-n", BYTES)  # the next one is served
        self.assertEqual(run.wait(), it.OK)
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), it.OK)
        self.assertEqual(server.left(), [])

    def test_interrupted_client(self):
        server = self.serve("--once")
        run = self.start_run(server.port, "-t", 100, "-i", 0.05, "--rate", "100Mbit")
        run.wait_event("interval")
        run.signal(signal.SIGINT)
        self.assertEqual(run.wait(), 128 + signal.SIGINT)
        self.check_failure(run.errors, run.drain(), "CANCELLED")
        self.assertEqual(server.wait(), it.OK)
        self.assertEqual(server.left(), [])

    def end_server(self, signum, *args):
        server = self.serve()
        run = self.start_run(server.port, "-t", 100, "-i", 0.05, *args)
        run.wait_event("interval")
        sessions = server.sessions()
        self.assertEqual(len(sessions), 1)
        server.signal(signum)
        self.assertEqual(run.wait(), it.NETWORK)
        self.check_failure(run.errors, run.drain(), "LOST")
        server.wait()
        ended, _, _ = select.select(sessions, [], [], it.DEADLINE_S)
        self.assertEqual(ended, sessions)
        os.close(sessions[0])

    def test_killed_server(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                self.end_server(signal.SIGKILL, f"--{protocol}", *slow(protocol))

    def test_interrupted_server(self):
        self.end_server(signal.SIGINT, *slow("volley"))
        self.end_server(signal.SIGTERM, "-R", "--tcp", *slow("tcp"))

    def test_stopped_server(self):
        """One that lives and says nothing is given up after the timeout."""
        server = self.serve()
        run = self.start_run(server.port, "-t", 100, "-i", 0.05, "--rate", "100Mbit", "--tcp",
                             "--timeout", "500ms")
        run.wait_event("interval")
        os.killpg(server.process.pid, signal.SIGSTOP)
        self.assertEqual(run.wait(), it.NETWORK)
        self.check_failure(run.errors, run.drain(), "NO_ANSWER")
        os.killpg(server.process.pid, signal.SIGCONT)


class Sessions(BenchCase):
    def test_two_at_once(self):
        server = self.serve()
        runs = [self.start_run(server.port, f"--{protocol}", "-t", 100, "-i", 0.05, "--rate",
                               "50Mbit") for protocol in ("tcp", "volley")]
        for run in runs:  # both move data while the other one does
            run.wait_event("interval")
        for run in runs:
            run.wait_event("interval")
            run.signal(signal.SIGINT)
            run.wait()
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), it.OK)
        self.assertEqual(server.left(), [])

    def test_nonsense_ends_its_session_alone(self):
        server = self.serve()
        for line in ("", "nonsense", "[1]", '{"type":"start"}', '{"type":"request"}',
                     '{"type":"request","version":2}', '{"type":"request","version":2,"request":[]}',
                     '{"type":"request","version":99,"request":{}}', "x" * 20000,
                     json.dumps({"type": "request", "version": 2,
                                 "request": dict(REQUEST, parallel=10**9)})):
            control = self.control(server.port)
            self.assertEqual(control.get()["type"], "hello")
            control.send(line)
            message = control.get()
            if message is not None:  # the connection may have broken before it could be told
                self.assertEqual(message["type"], "error")
            control.close()
        run = self.start_run(server.port, "--tcp", "-n", BYTES)
        self.assertEqual(run.wait(), it.OK)

    def test_strangers_cannot_join(self):
        server = self.serve()
        control = self.control(server.port)
        control.get("hello")
        control.send(json.dumps({"type": "request", "version": 2, "request": REQUEST}))
        ready = control.get("ready")
        token = bytes.fromhex(ready["token"])
        self.assertEqual(len(token), 16)
        for preamble in (bytes(16) + b"\0\0", token + b"\0\1", token[:8]):
            with socket.create_connection((HOST, ready["ports"][0])) as stranger:
                try:
                    stranger.sendall(preamble)
                    stranger.shutdown(socket.SHUT_WR)
                    self.assertEqual(stranger.recv(1), b"")
                except OSError as error:  # it was turned away before it had said all
                    self.assertIn(error.errno, (errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE))
        with socket.create_connection((HOST, ready["ports"][0])) as data:
            data.sendall(token + b"\0\0")
            self.assertEqual(control.get("start")["type"], "start")
            got = b""
            while len(got) < REQUEST["bytes"]:
                got += data.recv(1000)
            control.send('{"type":"stop","way":"forward"}')
            result = control.get("result")
        self.assertEqual(result["forward"]["sent_bytes"], REQUEST["bytes"])

    def join(self, server, **request):
        """A run with one TCP connection, made by hand as far as the start."""
        control = self.control(server.port)
        control.get("hello")
        control.send(json.dumps({"type": "request", "version": 2, "request": dict(REQUEST, **request)}))
        ready = control.get("ready")
        data = socket.create_connection((HOST, ready["ports"][0]), timeout=it.DEADLINE_S)
        self.addCleanup(data.close)
        data.sendall(bytes.fromhex(ready["token"]) + b"\0\0")
        self.assertIsNotNone(control.get("start"))
        return control, data

    def test_a_number_of_bytes_takes_its_time_from_the_start(self):
        """Not from the first piece's arrival, which would be half of these bytes for nothing."""
        control, data = self.join(self.serve(), reverse=True)
        content = b""
        while len(content) < REQUEST["bytes"]:
            content += data.recv(1000)
        control, data = self.join(self.serve(), reverse=False)
        waits_ns = 20_000_000
        end_ns = time.monotonic_ns() + waits_ns
        while time.monotonic_ns() < end_ns:
            pass
        data.sendall(content[:500])
        data.sendall(content[500:])
        self.assertGreaterEqual(control.get("result")["forward"]["duration_ns"], waits_ns)

    def test_wrong_content_is_noticed(self):
        server = self.serve()
        control, data = self.join(server, reverse=True)
        right = b""
        while len(right) < REQUEST["bytes"]:
            right += data.recv(1000)
        for at, verify, noticed in ((3, False, True), (500, True, True), (500, False, False)):
            control, data = self.join(server, reverse=False, verify=verify)
            data.sendall(right[:at] + bytes([right[at] ^ 1]) + right[at + 1:])
            if noticed:
                self.assertEqual(control.get("error")["code"], "INTEGRITY")
            else:  # not at a multiple of 16 KiB: that is what --verify is for
                self.assertEqual(control.get("result")["forward"]["bytes"], REQUEST["bytes"])

    def test_server_is_full(self):
        server = self.serve()
        clients = [self.control(server.port) for _ in range(64)]
        for client in clients:
            self.assertEqual(client.get()["type"], "hello")
        self.fails(it.REFUSED, "BUSY", *run_args(server.port))
        server.signal(signal.SIGTERM)
        server.process.wait(it.DEADLINE_S)  # it alone: sessions hold its output open
        self.assertEqual(server.left(), [])  # though their clients are still there
        self.assertEqual(server.wait(), it.OK)
        for client in clients:
            client.close()

    def test_once_does_not_count_strangers(self):
        server = self.serve("--once")
        for _ in range(3):
            with socket.create_connection((HOST, server.port)) as stranger:
                stranger.recv(100)
        run = self.start_run(server.port, "--tcp", "-n", BYTES)
        self.assertEqual(run.wait(), it.OK)
        self.assertEqual(server.wait(), it.OK)


if __name__ == "__main__":
    if not os.access(BENCH, os.X_OK):
        print("skipped: VOLLEY_BENCH_BIN names no program")
        sys.exit(it.SKIPPED)
    unittest.main(verbosity=2)
