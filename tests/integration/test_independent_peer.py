"""The protocol is what proto/SPEC.md says: a client written from it alone (tests/support/peer) understands
every known answer and exchanges files with the built program.
"""

import base64
import json
import os
import select
import socket
import stat
import subprocess
import sys
import threading
import unittest
from pathlib import Path

from volley_it import BIN, CHUNK, DEADLINE_S, OK, Case, main, random_bytes, volley

SRC = Path(os.environ.get("VOLLEY_SRC", Path(__file__).parents[2]))
PEER = SRC / "tests" / "support" / "volley_peer.py"
sys.path.insert(0, str(PEER.parent))

from peer import wire  # noqa: E402
from peer.handshake import Security  # noqa: E402
from peer.transport import Connection, TransportError  # noqa: E402
from peer.xxh3 import xxh3_128  # noqa: E402

CLIENT_ID, SERVER_ID = 0xC1C2C3C4C5C6C7C8, 0x5152535455565758
COOKIE = bytes([1]) + (1700000000000).to_bytes(8, "big") + bytes(range(0xA0, 0xC0))
TOKEN = bytes(range(0x70, 0x80))
HELLO = {"name": "HELLO", "version": 0x564C5901, "client_id": CLIENT_ID, "suites": b"\1", "handshake": b""}

# What SPEC 2.11 and 4.5 say about each of tests/vectors.
PACKETS = {
    "hello": HELLO | {"cookie": b"", "padding": bytes(1120)},
    "hello_cookie": HELLO | {"cookie": COOKIE, "padding": bytes(1079)},
    "retry": {"name": "RETRY", "client_id": CLIENT_ID, "cookie": COOKIE},
    "accept": {"name": "ACCEPT", "client_id": CLIENT_ID, "server_id": SERVER_ID, "version": 0x564C5901,
               "suite": 1, "handshake": b""},
    "finish": {"name": "FINISH", "server_id": SERVER_ID, "handshake": b"\xf1\xf2\xf3\xf4"},
    "versions": {"name": "VERSIONS", "client_id": CLIENT_ID, "versions": bytes.fromhex("564c5901")},
    "unknown": {"name": "UNKNOWN", "server_id": SERVER_ID, "reset_token": TOKEN},
    "refuse": {"name": "REFUSE", "client_id": CLIENT_ID, "code": 12, "reason": b"full"},
    "data": {"name": "DATA", "connection_id": SERVER_ID, "number": 7},
}
HELLO_PARAMETERS = {
    "max_data": 16777216, "max_stream_data": 4194304, "max_streams": 0, "idle_timeout": 30000,
    "max_ack_delay": 5000, "max_datagram": 1472, "application": b"volley-file/1"}
PARAMETERS = {
    "hello": HELLO_PARAMETERS,
    "hello_cookie": HELLO_PARAMETERS,
    "accept": {"max_data": 33554432, "max_stream_data": 8388608, "max_streams": 128, "idle_timeout": 60000,
               "max_ack_delay": 5000, "max_datagram": 65507, "reset_token": TOKEN},
}
FRAMES = {
    "padding": {"name": "PADDING"},
    "ping": {"name": "PING"},
    "ack": {"name": "ACK", "largest": 1000, "delay": 250, "kernel_drops": 0, "ranges": [(0, 1000)]},
    "ack_gaps": {"name": "ACK", "largest": 99, "delay": 1500, "kernel_drops": 3,
                 "ranges": [(95, 99), (80, 90), (70, 70)]},
    "ack_ecn": {"name": "ACK_ECN", "largest": 20000, "delay": 0, "kernel_drops": 0,
                "ranges": [(19990, 20000)], "ect0": 15000, "ect1": 0, "ce": 42},
    "floor": {"name": "FLOOR", "number": 20000},
    "stream": {"name": "STREAM", "stream": 4, "offset": 1048576, "data": b"volley"},
    "stream_fin": {"name": "STREAM_FIN", "stream": 4, "offset": 1048582, "data": b"!"},
    "stream_last": {"name": "STREAM_FIN", "stream": 0, "offset": (1 << 62) - 1, "data": b""},
    "reset_stream": {"name": "RESET_STREAM", "stream": 8, "code": 15, "final_size": 123456},
    "stop_sending": {"name": "STOP_SENDING", "stream": 8, "code": 15},
    "max_data": {"name": "MAX_DATA", "limit": 4294967296},
    "max_stream_data": {"name": "MAX_STREAM_DATA", "stream": 4, "limit": 16777216},
    "max_streams": {"name": "MAX_STREAMS", "count": 100},
    "path_challenge": {"name": "PATH_CHALLENGE", "data": bytes(range(0xD0, 0xD8))},
    "path_response": {"name": "PATH_RESPONSE", "data": bytes(range(0xD0, 0xD8))},
    "close": {"name": "CLOSE", "code": 4, "reason": b""},
    "close_app": {"name": "CLOSE_APP", "code": 15, "reason": b"stopped"},
}
# XXH3-128 of the bytes i * 7 mod 251, by the reference implementation: an input on each side of each border.
XXH3 = {
    0: "99aa06d3014798d86001c324468d497f",
    1: "a6cd5e9392000f6ac44bdff4074eecdb",
    3: "656e81c56e41fe02c3489259e968ad9e",
    4: "ab5c3e7474d809db81a65295de8e7dde",
    8: "e4b9dd0b66ff3c50ebabbd0695002ff6",
    9: "82ddc95bc76007671c69c3f04aaed08c",
    16: "ddf6c1254d70f76794eaa17b20756f46",
    17: "263f67af63088041735fe434ded90c3c",
    128: "381610c474b8adfb2dfb73305de1f91a",
    129: "4e05eed4427255d51f8b5092c9ba3be8",
    240: "17ffe035d71c1ec8e6bf81617aad6c4a",
    241: "29bc1e9cffb6d79bc614c8c3575348c1",
    1024: "07fe8eadab1cf098f22ef3dc84ff47ea",
    1025: "c89d767cdacc7c7643f869a83769a435",
    1048576: "63c6b140bb692ff5931fb38ab0469ad0",
}


def vectors(file):
    """{name: bytes} of a file of tests/vectors."""
    lines = (SRC / "tests" / "vectors" / file).read_text().splitlines()
    pairs = [line.partition(":") for line in lines if line and not line.startswith("#")]
    return {name: wire.unhex(text) for name, _, text in pairs}


class Codec(unittest.TestCase):
    """The known answers, read and written by the second implementation."""

    def test_every_vector_is_expected(self):
        self.assertEqual(vectors("packets.txt").keys(), PACKETS.keys())
        self.assertEqual(vectors("frames.txt").keys(), FRAMES.keys())

    def test_packets(self):
        for name, data in vectors("packets.txt").items():
            with self.subTest(name):
                packet = wire.decode_packet(data)
                self.assertEqual(vars(packet), vars(packet) | PACKETS[name])
                if name in PARAMETERS:
                    self.assertEqual(wire.decode_parameters(packet.parameters), PARAMETERS[name])
                    self.assertEqual(wire.encode_parameters(PARAMETERS[name]), packet.parameters)
                self.assertEqual(wire.encode_packet(packet.name, **packet.fields()), data)

    def test_frames_of_the_data_packet(self):
        packet = wire.decode_packet(vectors("packets.txt")["data"])
        self.assertEqual([vars(one) for one in wire.decode_frames(packet.frames)],
                         [{"name": "STREAM", "stream": 0, "offset": 0, "data": b"hello"}, {"name": "PING"}])

    def test_frames(self):
        for name, data in vectors("frames.txt").items():
            with self.subTest(name):
                (one,) = wire.decode_frames(data)
                self.assertEqual(vars(one), FRAMES[name])
                self.assertEqual(wire.frame(one.name, **one.fields()), data)

    def test_damaged_packets_are_dropped(self):
        for name, data in vectors("packets.txt").items():
            for at in range(len(data)):
                with self.subTest(name, at=at), self.assertRaises(wire.WireError):
                    wire.decode_packet(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1:])

    def test_cut_frames_do_not_decode(self):
        for name, data in vectors("frames.txt").items():
            for size in range(1, len(data)):
                with self.subTest(name, size=size), self.assertRaises(wire.WireError):
                    wire.decode_frames(data[:size])

    def test_crc32c(self):
        self.assertEqual(wire.crc32c(b"123456789"), 0xE3069283)

    def test_xxh3(self):
        for size, expected in XXH3.items():
            with self.subTest(size):
                self.assertEqual(xxh3_128(bytes(i * 7 % 251 for i in range(size))).hex(), expected)


class Exchange(Case):
    """The second implementation and the built program, over the loopback."""

    protection = ("--plain",)

    def peer(self, command, server, *args, code=0, plain=("--plain",)):
        """Runs the client to its end; returns its standard output and error."""
        done = subprocess.run(
            [sys.executable, "-B", PEER, command, "127.0.0.1", str(server.port), *map(str, args),
             *plain, "--timeout", str(DEADLINE_S)],
            capture_output=True, text=True, timeout=2 * DEADLINE_S, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def test_get_sizes(self):
        server = self.serve()
        for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1):
            with self.subTest(size):
                source = self.file(f"root/file{size}", size, seed=size)
                self.peer("get", server, source.name, self.got / source.name)
                self.assert_same(source, self.got / source.name)

    def test_get_with_losses(self):
        """A tenth of the packets lost each way, small packets so that there are many."""
        server = self.serve()
        source = self.file("root/large", 5 * CHUNK)
        _, errors = self.peer("get", server, "large", self.got / "large", "--max-datagram", 1472,
                              "--drop", 0.1, "--seed", 1, "--stats")
        self.assert_same(source, self.got / "large")
        stats = json.loads(errors)
        self.assertGreater(stats["received_dropped"], 300)
        self.assertGreater(stats["sent_dropped"], 0)

    def test_put(self):
        server = self.serve("--writable")
        for size in (0, 1, CHUNK + 1):
            with self.subTest(size):
                source = self.file(f"file{size}", size, seed=size)
                self.peer("put", server, source, source.name)
                self.assert_same(source, self.root / source.name)

    def test_put_with_losses(self):
        server = self.serve("--writable")
        source = self.file("large", 2 * CHUNK)
        self.peer("put", server, source, "large", "--drop", 0.1, "--seed", 2)
        self.assert_same(source, self.root / "large")

    def test_list(self):
        server = self.serve()
        self.file("root/one", 12345).chmod(0o640)
        self.file("root/dir/two", 6)
        self.file("root/dir/deep/three", 0)
        out, _ = self.peer("ls", server)
        self.assertEqual(self.entries(out), {("file", 12345, 0o640, "one"), ("directory", "dir")})
        out, _ = self.peer("ls", server, "dir", "--recursive")
        names = [line.split(" ", 4)[4] for line in out.splitlines()]
        self.assertEqual(sorted(names), ["deep", "deep/three", "two"])
        self.assertLess(names.index("deep"), names.index("deep/three"))
        out, _ = self.peer("ls", server, "dir/two")
        self.assertEqual([line.split(" ", 4)[4] for line in out.splitlines()], ["two"])

    def entries(self, out):
        """Of directories the name alone: their size and mode are a matter of the file system."""
        found = set()
        for line in out.splitlines():
            kind, size, mode, mtime, name = line.split(" ", 4)
            info = (self.root / name).stat()
            self.assertEqual(int(mtime), info.st_mtime_ns)
            self.assertEqual(int(mode, 8), stat.S_IMODE(info.st_mode))
            found.add((kind, int(size), int(mode, 8), name) if kind == "file" else (kind, name))
        return found

    def test_errors(self):
        self.file("root/file", 10)
        self.file("root/dir/file", 10)
        server = self.serve()
        for code, *request in ((1, "get", "absent"), (1, "ls", "absent"), (5, "get", "dir"),
                               (6, "get", "file/below"), (8, "get", "../secret"), (8, "get", "a//b"),
                               (2, "put", "new")):
            with self.subTest(request):
                command, path = request
                if command == "get":
                    _, errors = self.peer("get", server, path, self.got / "none", code=1)
                elif command == "put":
                    _, errors = self.peer("put", server, self.root / "file", path, code=1)
                else:
                    _, errors = self.peer("ls", server, path, code=1)
                self.assertRegex(errors, f"^volley_peer: error {code} ")
        self.assert_nothing_in(self.got)

    def test_names_beyond_ascii(self):
        server = self.serve()
        for i in range(5):
            name = f"n\u00e4me {i}"
            source = self.file(f"root/{name}", content=random_bytes(1000 * i + i, seed=i))
            self.peer("get", server, name, self.got / name)
            self.assert_same(source, self.got / name)


class Sealed(Exchange):
    """All of it again, encrypted."""

    protection = ()

    def peer(self, command, server, *args, code=0, security=("--accept-new",)):
        return super().peer(command, server, *args, *security, code=code, plain=())

    def stats(self, server, *args, **options):
        """Downloads the file `large`; what the client counted."""
        if not (self.root / "large").exists():
            self.file("root/large", 2 * CHUNK)
        (self.got / "large").unlink(missing_ok=True)
        _, errors = self.peer("get", server, "large", self.got / "large", "--stats", *args, **options)
        self.assert_same(self.root / "large", self.got / "large")
        return json.loads(errors)

    def test_suites(self):
        server = self.serve("--suite", "auto,aes-128-gcm")
        for suite, value in (("aes-256-gcm", 2), ("chacha20-poly1305", 3), ("aes-128-gcm", 4)):
            self.assertEqual(self.stats(server, "--suite", suite)["suite"], value)

    def test_server_key(self):
        """The server is who its first line says; another key is refused, and so is an unknown one."""
        server = self.serve()
        stats = self.stats(server)
        self.assertEqual(stats["server"], server.listening["fingerprint"])
        key = base64.b64decode(server.listening["key"].partition(":")[2]).hex()
        self.stats(server, security=("--server-key", key))
        for security in (("--server-key", "00" * 32), ()):
            _, errors = self.peer("get", server, "large", self.got / "none", code=1, security=security)
            self.assertIn("the server's key SHA256:", errors)

    def test_key_updates(self):
        """RULE 12: new keys every 8 packets of this client, most of them ACKs."""
        server = self.serve()
        stats = self.stats(server, "--update-every", 8, "--max-datagram", 1472)
        self.assertGreater(stats["key_updates_sent"], 3)
        self.assertEqual(stats["forgeries"], 0)

    def test_pre_shared_key(self):
        key = self.dir / "psk"
        self.assertEqual(volley("keygen", "--psk", "-o", key).code, 0)
        raw = self.file("raw", content=base64.b64decode(key.read_bytes().splitlines()[-1]))
        server = self.serve("--key", key)
        self.stats(server, security=("--psk", raw))
        other = self.file("other", 32)
        _, errors = self.peer("get", server, "large", self.got / "none", code=1, security=("--psk", other))
        self.assertIn("refused: AUTH", errors)

    def test_over_tcp(self):
        server = self.serve("--tcp")
        source = self.file("root/large", 2 * CHUNK)
        self.peer("get", server, "large", self.got / "large", "--tcp")
        self.assert_same(source, self.got / "large")


class Relay:
    """Passes datagrams between one client and the server, and changes some on the way."""

    def __init__(self, port, to_server=None, to_client=None):
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back.connect(("127.0.0.1", port))
        self.port = self.front.getsockname()[1]
        self.change = {self.front: to_server, self.back: to_client}
        self.client = None
        self.ended, self.wake = socket.socketpair()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            readable = select.select([self.front, self.back, self.ended], [], [])[0]
            if self.ended in readable:
                return
            for one in readable:
                try:
                    datagram, source = one.recvfrom(65536)
                    if one is self.front:
                        self.client = source
                    datagram = self.change[one](datagram) if self.change[one] else datagram
                    if one is self.front:
                        self.back.send(datagram)
                    else:
                        self.front.sendto(datagram, self.client)
                except OSError:
                    continue

    def close(self):
        self.wake.send(b"x")
        self.thread.join()
        for one in (self.front, self.back, self.ended, self.wake):
            one.close()


def changed(name, **how):
    """A changer of packets of that name: each field through its function, with a new tag."""
    def change(datagram):
        try:
            packet = wire.decode_packet(datagram)
        except wire.WireError:
            return datagram
        if packet.name != name:
            return datagram
        fields = packet.fields()
        fields.pop("padding", None)
        return wire.encode_packet(name, **fields | {key: do(fields[key]) for key, do in how.items()})
    return change


def flip(at):
    """One bit of bytes; `at` counts bits, from the end when negative."""
    def do(data):
        bit = at % (8 * len(data))
        return data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]
    return do


class Tampered(Case):
    """RULE 5: whatever somebody on the way changes in the handshake, no connection comes of it, at either client."""

    protection = ()
    TO_SERVER = {
        "suites reordered": changed("HELLO", suites=lambda suites: suites[::-1]),
        "suites cut": changed("HELLO", suites=lambda suites: suites[-1:]),
        "the method": changed("HELLO", handshake=lambda message: b"\2" + message[1:]),
        "message 1": changed("HELLO", handshake=flip(77)),
        "message 3, first bit": changed("FINISH", handshake=flip(0)),
        "message 3, last bit": changed("FINISH", handshake=flip(-1)),
    }
    TO_CLIENT = {
        "the suite chosen": changed("ACCEPT", suite=lambda suite: suite ^ 1),
        "the version chosen": changed("ACCEPT", version=lambda version: version + 1),
        "the server's id": changed("ACCEPT", server_id=lambda ident: ident ^ 1),
        "message 2, first bit": changed("ACCEPT", handshake=flip(0)),
        "message 2, the sealed key": changed("ACCEPT", handshake=flip(8 * 40)),
        "message 2, last bit": changed("ACCEPT", handshake=flip(-1)),
        "parameters in clear": changed("ACCEPT", parameters=lambda _: b"\1\1\1"),
    }

    def relay(self, server, to_server=None, to_client=None):
        relay = Relay(server.port, to_server, to_client)
        self.addCleanup(relay.close)
        return relay

    def connects(self, relay):
        try:
            connection = Connection("127.0.0.1", relay.port, Security(accept_new=True), timeout_s=1)
            connection.run(connection.all_acknowledged)
            connection.link.socket.close()
            return True
        except TransportError:
            return False

    def test_the_independent_client(self):
        server = self.serve()
        self.assertTrue(self.connects(self.relay(server)))
        for text, change in self.TO_SERVER.items():
            with self.subTest(text):
                self.assertFalse(self.connects(self.relay(server, to_server=change)))
        for text, change in self.TO_CLIENT.items():
            with self.subTest(text):
                self.assertFalse(self.connects(self.relay(server, to_client=change)))

    def test_the_built_client(self):
        server = self.serve()
        source = self.file("root/file", 10_000)
        at = self.relay(server)
        volley("get", f"127.0.0.1:{at.port}/file", "-o", self.got, "--accept-new")
        self.assert_same(source, self.got / "file")
        for text, relay in [(text, self.relay(server, to_server=change)) for text, change in self.TO_SERVER.items()] \
                + [(text, self.relay(server, to_client=change)) for text, change in self.TO_CLIENT.items()]:
            with self.subTest(text):
                result = volley("get", f"127.0.0.1:{relay.port}/file", "-o", self.got / "none", "--accept-new",
                                "--timeout", "1s")
                self.assertNotEqual(result.code, OK)
        self.assertEqual([path.name for path in self.got.iterdir()], ["file"])

    def test_a_passing_change_is_survived(self):
        """SPEC 3: what does not verify is as if it had not come; the next one is genuine."""
        server = self.serve()
        spoil = [changed("ACCEPT", handshake=flip(-1))] * 2
        relay = self.relay(server, to_client=lambda datagram: (
            spoil.pop() if spoil and datagram[0] == 0x03 else bytes)(datagram))
        self.assertTrue(self.connects(relay))


class Violations(Case):
    """What SPEC forbids ends the connection with the code that SPEC names: RULE 14 (does not decode),
    RULE 17 (ACK of what was not sent), RULE 35 (final size), RULE 36 (offsets).
    """

    protection = ("--plain",)

    CASES = {
        "an unknown frame": ("FRAME_ENCODING", b"\x04\x00"),
        "half a frame": ("FRAME_ENCODING", b"\x12"),
        "an ACK range below zero": ("FRAME_ENCODING", b"\x02\x00\x00\x00\x00\x05"),
        "a stream beyond 2^62 - 1": ("FRAME_ENCODING", b"\x08\x00" + b"\xff" * 8 + b"\x01a"),
        "an ACK of what was not sent": ("PROTOCOL_VIOLATION", wire.frame(
            "ACK", largest=1000, delay=0, kernel_drops=0, ranges=[(1000, 1000)])),
        "a FLOOR above its packet": ("PROTOCOL_VIOLATION", wire.frame("FLOOR", number=1000)),
        "data above the limit": ("FLOW_CONTROL", wire.frame("STREAM", stream=2, offset=1 << 40, data=b"a")),
        "a reset above the limit": ("FLOW_CONTROL", wire.frame(
            "RESET_STREAM", stream=2, code=0, final_size=1 << 40)),
        "too many streams": ("STREAM_LIMIT", wire.frame("STREAM", stream=1 << 40, offset=0, data=b"a")),
        "a stream of the server's": ("STREAM_STATE", wire.frame("STREAM", stream=1, offset=0, data=b"a")),
        "two final sizes": ("FINAL_SIZE", wire.frame("STREAM_FIN", stream=2, offset=1, data=b"bc")
                            + wire.frame("STREAM_FIN", stream=2, offset=0, data=b"")),
        "data beyond the end": ("FINAL_SIZE", wire.frame("STREAM_FIN", stream=2, offset=1, data=b"bc")
                                + wire.frame("STREAM", stream=2, offset=3, data=b"d")),
    }

    def ends_with(self, server, send):
        """The (name, code) with which the server closes after `send(connection)`."""
        connection = Connection("127.0.0.1", server.port, Security(plain=True), timeout_s=DEADLINE_S)
        connection.open_stream()
        send(connection)
        with self.assertRaises(TransportError) as caught:
            connection.run(lambda: False)
        connection.link.socket.close()
        return caught.exception.close

    def test_transport(self):
        server = self.serve()
        for text, (name, frames) in self.CASES.items():
            with self.subTest(text):
                self.assertEqual(self.ends_with(server, lambda it: it.control.append(frames)),
                                 ("CLOSE", wire.CLOSE_CODES.index(name)))

    def test_messages(self):
        """CLOSE_APP with code 14, SPEC 10.1."""
        server = self.serve()
        for text, data in {"no START": b"\x14\x01\x00", "START twice": b"\1\1\1\1\1\1",
                           "an unknown type": b"\1\1\1\x50\x00", "a byte too many": b"\1\1\1\x14\2\1\0",
                           "too long": b"\1\1\1\x10\x80\1\0\1"}.items():
            with self.subTest(text):
                self.assertEqual(self.ends_with(server, lambda it: it.write(0, data)), ("CLOSE_APP", 14))


if __name__ == "__main__":
    main()
