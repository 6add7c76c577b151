#!/usr/bin/env python3
"""proto/volley.lua in tshark: known packets field by field, and captured transfers frame by frame.

The first kind needs no rights: the packets are made here, sealed by python3-cryptography, and written
to a capture file. The second kind captures loopback, as root, and compares with what the engine itself
counted (--json). Bounded: a few hundred packets, one file of a few hundred kilobytes.
"""

import collections
import os
import re
import shutil
import socket
import struct
import subprocess
import unittest
from pathlib import Path

from volley_it import DEADLINE_S, OK, Case, is_root, main, volley

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
except ImportError:  # the captured transfers need none
    AESGCM = ChaCha20Poly1305 = None

SRC = Path(os.environ.get("VOLLEY_SRC", Path(__file__).parents[2]))
LUA = SRC / "proto" / "volley.lua"
TSHARK = shutil.which("tshark")
SUITES = {"aes-256-gcm": "0x02", "chacha20-poly1305": "0x03", "aes-128-gcm": "0x04"}
FRAMES = {int(value, 16): name for name, value in
          re.findall(r"VLY_FRAME\((\w+), (0x\w+)", (SRC / "proto" / "frame.def").read_text())}
LINKTYPE_IPV4 = 228
CONTENT = 150_000  # bytes of a captured transfer
OPENED, CHECKED, BAD, NO_KEY = "1234"  # volley.tag.status


def vectors(name):
    """The known answers of tests/vectors, as bytes by name."""
    out = {}
    for line in (SRC / "tests" / "vectors" / name).read_text().splitlines():
        if ":" in line and not line.startswith("#"):
            key, text = line.split(":")
            text = re.sub(r"(\w\w)\*(\d+)", lambda m: m[1] * int(m[2]), text)
            out[key] = bytes.fromhex(text)
    return out


def write_capture(path, datagrams, port=7711):
    """UDP datagrams between two made-up addresses."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 1 << 18, LINKTYPE_IPV4))
        for i, payload in enumerate(datagrams):
            udp = struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0,
                             socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.2")) + udp
            f.write(struct.pack("<IIII", i, 0, len(ip), len(ip)) + ip)


def tshark(capture, *args, keylog=None, env=None):
    """The lines that tshark prints with the dissector loaded."""
    options = ["-o", f"volley.keylog:{keylog}"] if keylog else []
    done = subprocess.run(
        [TSHARK, "-n", "-X", f"lua_script:{LUA}", "-r", str(capture), *options, *args],
        capture_output=True, text=True, timeout=DEADLINE_S, check=True, env={**os.environ, **(env or {})})
    errors = [line for line in done.stderr.splitlines() if "Lua" in line or "lua" in line]
    assert not errors, errors
    return done.stdout.splitlines()


def fields(capture, *names, **options):
    """One list of texts a packet; several values of a field have commas between."""
    args = [arg for name in names for arg in ("-e", name)]
    return [line.split("\t") for line in tshark(capture, "-T", "fields", *args, **options)]


class Sealer:
    """Seals DATA packets of one direction, SPEC 2.1 and 2.9."""

    def __init__(self, suite, cid, generation=0, seed=1):
        self.suite, self.cid, self.generation = suite, cid, generation
        self.key, self.iv = bytes(range(seed, seed + 32)), bytes(range(100 + seed, 112 + seed))
        self.cipher = ChaCha20Poly1305(self.key) if suite == 3 else AESGCM(self.key[:16] if suite == 4 else self.key)

    def packet(self, pn, frames):
        head = struct.pack(">BQQ", 0x40 | self.generation & 1, self.cid, pn)
        nonce = self.iv[:4] + bytes(a ^ b for a, b in zip(self.iv[4:], pn.to_bytes(8, "big")))
        return head + self.cipher.encrypt(nonce, frames, head)

    def keylog_line(self):
        return f"VOLLEY1 {self.cid:016x} {self.suite} {self.generation} {self.key.hex()} {self.iv.hex()}\n"


@unittest.skipIf(TSHARK is None, "tshark is not installed")
class KnownPackets(Case):
    def setUp(self):
        super().setUp()
        self.capture = self.dir / "made.pcap"

    def test_every_packet_of_the_spec(self):
        packets = vectors("packets.txt")
        write_capture(self.capture, packets.values())
        rows = fields(self.capture, "volley.type", "volley.tag.status", "_ws.malformed", "volley.malformed")
        self.assertEqual([row[0] for row in rows], [f"0x{p[0]:02x}" for p in packets.values()])
        self.assertEqual({row[1] for row in rows}, {CHECKED})
        self.assertEqual({row[2] + row[3] for row in rows}, {""})

    def test_handshake_fields(self):
        packets = vectors("packets.txt")
        write_capture(self.capture, [packets["hello_cookie"], packets["accept"], packets["refuse"]])
        hello, accept, refuse = fields(
            self.capture, "volley.client_cid", "volley.server_cid", "volley.suite", "volley.parameter.text",
            "volley.parameter.value", "volley.cookie", "volley.close.code", "volley.close.reason")
        self.assertEqual(hello[:5], ["0xc1c2c3c4c5c6c7c8", "", "0x01", "volley-file/1",
                                     "16777216,4194304,0,30000,5000,1472"])
        self.assertEqual(len(hello[5]), 2 * 41)
        self.assertEqual(accept[1:3], ["0x5152535455565758", "0x01"])
        self.assertEqual(refuse[6:], ["12", "full"])

    def test_a_flipped_bit_shows(self):
        packet = bytearray(vectors("packets.txt")["data"])
        packet[20] ^= 1
        write_capture(self.capture, [packet])
        self.assertEqual(fields(self.capture, "volley.tag.status", "volley.frame.type"), [[NO_KEY, ""]])

    def test_another_port_is_found_by_the_tag(self):
        packets = vectors("packets.txt")
        write_capture(self.capture, [packets["hello"], b"\x01" * 1200, packets["data"]], port=4711)
        self.assertEqual(fields(self.capture, "volley.type"), [["0x01"], [""], ["0x40"]])

    def test_a_batch_is_cut_up(self):
        frames = vectors("frames.txt")
        sealer = Sealer(2, 0x0102030405060708)
        packets = [sealer.packet(pn, frames["max_data"] + frames["padding"] * 30) for pn in range(3)]
        last = sealer.packet(3, frames["ping"])
        keylog = self.file("keys", content=sealer.keylog_line().encode())
        write_capture(self.capture, [b"".join([*packets, last]), last])
        rows = fields(self.capture, "volley.pn", "volley.frame.type", keylog=keylog)
        self.assertEqual(rows, [["0,1,2,3", "0x12,0x00," * 3 + "0x01"], ["3", "0x01"]])


@unittest.skipIf(TSHARK is None or AESGCM is None, "tshark or python3-cryptography is not installed")
class SealedPackets(Case):
    def setUp(self):
        super().setUp()
        self.capture = self.dir / "made.pcap"
        self.frames = vectors("frames.txt")
        self.keylog = self.dir / "keys"

    def open(self, sealers, packets, *names, **options):
        self.keylog.write_text("# comment\n" + "".join(s.keylog_line() for s in sealers))
        write_capture(self.capture, packets)
        return fields(self.capture, *names, keylog=self.keylog, **options)

    def test_every_frame_in_every_suite(self):
        for suite in (2, 3, 4):
            sealer = Sealer(suite, 0x0102030405060708)
            packets = [sealer.packet(pn, body) for pn, body in enumerate(self.frames.values())]
            rows = self.open([sealer], packets, "volley.frame.type", "volley.tag.status", "volley.malformed")
            self.assertEqual([row[0] for row in rows], [f"0x{body[0]:02x}" for body in self.frames.values()])
            self.assertEqual({row[1] for row in rows}, {OPENED})
            self.assertEqual({row[2] for row in rows}, {""})

    def test_fields_of_frames(self):
        sealer = Sealer(2, 0xffeeddccbbaa9988)
        rows = self.open(
            [sealer], [sealer.packet(1 << 40, self.frames["ack_gaps"] + self.frames["stream_last"] + self.frames["stream"])],
            "volley.pn", "volley.ack.range", "volley.stream.offset", "volley.stream.data", "volley.suite",
            "volley.generation", "volley.ack.kernel_drops")
        self.assertEqual(rows, [[str(1 << 40), "95..99,80..90,70..70", f"{(1 << 62) - 1},1048576", b"volley".hex(), "0x02", "0", "3"]])

    def test_every_length(self):
        """The last block of a cipher may be of any length."""
        for suite in (2, 3, 4):
            sealer = Sealer(suite, 7)
            packets = [sealer.packet(n, self.frames["ping"] * n) for n in range(1, 140)]
            rows = self.open([sealer], packets, "volley.frame.type", "volley.tag.status")
            self.assertEqual([row[0].count("0x01") for row in rows], list(range(1, 140)))
            self.assertEqual({row[1] for row in rows}, {OPENED})

    def test_generations(self):
        sealers = [Sealer(2, 9, generation, seed=10 + generation) for generation in range(3)]
        order = (0, 1, 0, 1, 2, 1, 2)
        packets = [sealers[g].packet(pn, self.frames["ping"]) for pn, g in enumerate(order)]
        rows = self.open(sealers, packets, "volley.generation", "volley.phase")
        self.assertEqual(rows, [[str(g), str(g % 2)] for g in order])

    def test_forgeries_and_strangers(self):
        sealer, stranger = Sealer(3, 9), Sealer(2, 10)
        forged = bytearray(sealer.packet(0, self.frames["ping"]))
        forged[-1] ^= 0x80
        rows = self.open([sealer], [forged, stranger.packet(0, self.frames["ping"]), sealer.packet(0, b"\x07")],
                         "volley.tag.status", "volley.frame.type", "volley.malformed")
        self.assertEqual([row[:2] for row in rows], [[BAD, ""], [NO_KEY, ""], [OPENED, "0x07"]])
        self.assertEqual([bool(row[2]) for row in rows], [False, False, True])

    def test_the_environment_names_the_key_log(self):
        sealer = Sealer(2, 9)
        self.keylog.write_text(sealer.keylog_line())
        write_capture(self.capture, [sealer.packet(0, self.frames["ping"])])
        self.assertEqual(fields(self.capture, "volley.frame.type", env={"VOLLEY_KEYLOG": str(self.keylog)}), [["0x01"]])
        self.assertEqual(fields(self.capture, "volley.frame.type"), [[""]])


class Capture:
    """tshark on loopback, for one port, until a datagram that marks the end has been written."""

    def __init__(self, path, port):
        self.port = port
        self.process = subprocess.Popen(
            [TSHARK, "-i", "lo", "-f", f"port {port}", "-w", str(path), "-a", f"duration:{DEADLINE_S}", "-B", "16",
             "-P", "-l", "-T", "fields", "-e", "udp.length"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = ""
        for line in self.process.stderr:
            self.said += line
            if "Capture started" in line:
                break

    @property
    def started(self):
        return "Capture started" in self.said

    def finish(self):
        marker = 3
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"\0" * marker, ("127.0.0.1", self.port))
        for line in self.process.stdout:
            if line.strip() == str(8 + marker):
                break
        self.close()

    def close(self):
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self.process.stderr.close()


def counted(frames):
    """Without PADDING (of probes, SPEC 5.7): each end counts bytes, the dissector shows a run."""
    return {name: n for name, n in frames.items() if name != "PADDING"}


@unittest.skipIf(TSHARK is None, "tshark is not installed")
@unittest.skipUnless(is_root(), "capturing needs root")
class CapturedTransfer(Case):
    def transfer(self, serve_options, get_options):
        """Downloads one file; returns what either end counted and the capture."""
        self.file("root/data.bin", CONTENT)
        environment = {**os.environ, "VOLLEY_HOME": str(self.dir / "home")}
        server = self.start("serve", self.root, "--json", "--listen", "127.0.0.1", "--port", 0, *serve_options,
                            env=environment)
        port = server.wait_event("listening")["port"]
        path = self.dir / "capture.pcapng"
        capture = Capture(path, port)
        if not capture.started:
            capture.close()
            self.skipTest(f"tshark may not capture: {capture.said.strip()}")
        try:
            result = volley("get", f"127.0.0.1:{port}/data.bin", "--output", self.got, "--json", *get_options,
                            env=environment)
            self.assertEqual(result.code, OK, result.err)
            disconnect = server.wait_event("disconnect")
        finally:
            capture.finish()
        return result.events[-1], disconnect, path

    def assert_frames(self, client, server, path, *more, **options):
        """The capture holds the frames that both ends counted, type by type. Returns `more` fields."""
        seen = collections.defaultdict(collections.Counter)
        rows = fields(path, "volley.cid", "volley.frame.type", "volley.tag.status", "volley.malformed", *more, **options)
        for cid, types, status, bad, *_ in rows:
            self.assertEqual(bad, "")
            self.assertNotIn(BAD, status.split(","))
            self.assertNotIn(NO_KEY, status.split(","))
            if cid:
                seen[cid.split(",")[0]].update(FRAMES[int(t, 16)] for t in types.split(","))
        self.assertEqual(len(seen), 2)
        sent_by_client, sent_by_server = sorted(map(counted, seen.values()), key=lambda count: count.get("STREAM", 0))
        self.assertEqual(sent_by_server, counted(server["frames"]["sent"]))
        self.assertEqual(sent_by_server, counted(client["frames"]["received"]))
        self.assertEqual(sent_by_client, counted(client["frames"]["sent"]))
        self.assertEqual(sent_by_client, counted(server["frames"]["received"]))
        self.assertGreaterEqual(sent_by_server["STREAM"], CONTENT // 65507)
        return [row[4:] for row in rows]

    def test_plain(self):
        client, server, path = self.transfer(["--plain"], ["--plain"])
        self.assert_frames(client, server, path)

    def sealed(self, serve_options, get_options):
        """The transfer with a key log; whoever lacks it reads the handshake, and no frame."""
        keylog = self.dir / "keys.log"
        client, server, path = self.transfer(serve_options, [*get_options, "--keylog", keylog])
        rows = self.assert_frames(client, server, path, "volley.suite", "volley.generation", keylog=keylog)
        opened = {suite for suites, generation in rows if generation for suite in suites.split(",")}
        self.assertEqual(opened, {SUITES[client["suite"]]})
        closed = fields(path, "volley.type", "volley.handshake.method", "volley.handshake.ephemeral", "volley.handshake.static",
                        "volley.handshake.payload", "volley.frame.type", "volley.tag.status")
        data = [row for row in closed if row[0].startswith("0x4")]
        self.assertEqual({row[5] for row in data}, {""})
        self.assertEqual({status for row in data for status in row[6].split(",")}, {NO_KEY})
        return [row[:5] for row in closed]

    def test_sealed_with_keys(self):
        """HELLO, RETRY, HELLO, ACCEPT, FINISH, with what SPEC 3.1 puts into them."""
        rows = self.sealed([], ["--accept-new", "--suite", "aes-256-gcm"])
        self.assertEqual([row[0] for row in rows[:5]], ["0x01", "0x02", "0x01", "0x03", "0x04"])
        hello, accept, finish = rows[2], rows[3], rows[4]
        self.assertEqual((hello[1], len(hello[2]), hello[3:]), ("1", 64, ["", ""]))
        self.assertEqual((accept[1], len(accept[2]), len(accept[3])), ("", 64, 96))
        self.assertEqual((finish[1], finish[2], len(finish[3])), ("", "", 96))
        self.assertNotEqual(hello[2], accept[2])
        self.assertTrue(accept[4] and finish[4])

    def test_sealed_with_a_shared_key(self):
        key = self.dir / "psk"
        made = volley("keygen", "--psk", "--output", key)
        self.assertEqual(made.code, OK, made.err)
        rows = self.sealed(["--key", key], ["--key", key, "--suite", "chacha20-poly1305"])
        self.assertEqual(rows[0][1], "2")
        self.assertNotIn("0x04", {row[0] for row in rows})
        self.assertEqual({row[3] for row in rows}, {""})

    def test_sealed_with_the_suite_that_both_name(self):
        self.sealed(["--suite", "auto,aes-128-gcm"], ["--accept-new", "--suite", "aes-128-gcm"])

    def test_sealed_over_tcp(self):
        """Blocks, and nothing in clear behind the handshake."""
        _, _, path = self.transfer(["--tcp"], ["--tcp", "--accept-new"])
        rows = fields(path, "volley.record.type", "volley.block.length", "volley.malformed", "volley.handshake.ephemeral",
                      "volley.handshake.static")
        self.assertEqual({row[0] + row[2] for row in rows}, {""})
        self.assertGreater(sum(int(n) for row in rows if row[1] for n in row[1].split(",")), CONTENT)
        self.assertEqual([row[3] != "" for row in rows if row[3] or row[4]], [True, True, False])

    def test_plain_over_tcp(self):
        _, _, path = self.transfer(["--plain", "--tcp"], ["--plain", "--tcp"])
        rows = fields(path, "volley.record.type", "volley.suite", "volley.malformed", "volley.stream.data")
        types = collections.Counter(t for row in rows if row[0] for t in row[0].split(","))
        content = sum(len(data) // 2 for row in rows for data in row[3].split(","))
        self.assertEqual({row[2] for row in rows}, {""})
        self.assertEqual([row[1] for row in rows if row[1]], ["0x01", "0x01"])
        self.assertGreater(content, CONTENT)
        self.assertGreaterEqual(types["0x01"], 3)
        self.assertEqual(types["0x07"], 1)


if __name__ == "__main__":
    main()
