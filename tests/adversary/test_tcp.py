"""Misbehaviour over TCP: before there is a key, and with valid ones (SPEC 13)."""

import secrets
import socket

from adversary import DEADLINE_S, Adversary, Target, hostile, main, wire
from peer.files import FileClient
from peer.handshake import Security
from peer.noise import public_of
from peer.tcp import BLOCK_TEXT_BYTES, TYPES, TcpConnection, preface, prologue, record
from peer.transport import TransportError

XX_MESSAGE_3 = 48 + 16
SUITES = b"\2\3"


class Tcp(Adversary):
    @classmethod
    def target(cls):
        return Target(cls(), tcp=True)


class Raw:
    """A TCP connection that says what it likes."""

    def __init__(self, it, data=b""):
        self.socket = socket.create_connection(("127.0.0.1", it.port), timeout=DEADLINE_S)
        it.hold(self)
        self.send(data)

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:  # the server has ended it already
            pass

    def rest(self):
        """All that the server says until it ends the connection."""
        data = b""
        try:
            while part := self.socket.recv(1 << 16):
                data += part
        except ConnectionResetError:
            pass
        return data


def opening(change=None, method=1, message=None, suites=SUITES):
    """The client's first flight."""
    message = public_of(secrets.token_bytes(32)) if message is None else message
    more = bytes([len(suites)]) + suites + bytes([method]) + message
    change = change or {}
    return preface(suites[0], change.pop("more", len(more)), **change) + more


def refused(it, data, code):
    """The server answers with its preface and CLOSE of that code, in clear, and ends the connection."""
    answer = Raw(it, data).rest()
    it.case.assertGreaterEqual(len(answer), 64 + 16 + 8, code)
    it.case.assertEqual(answer[64], TYPES["CLOSE"])
    it.case.assertEqual(wire.CLOSE_CODES[int.from_bytes(answer[80:88], "big")], code)


def tcp_peer(it, **options):
    """A peer with valid keys."""
    peer = TcpConnection("127.0.0.1", it.port, Security(**it.security), DEADLINE_S, **options)
    it.hold(Closer(peer))
    return peer


class Closer:
    def __init__(self, peer):
        self.peer = peer

    def close(self):
        self.peer.socket.close()


def ending(peer):
    """(name, code) of the CLOSE with which the server ends it, or "lost"."""
    try:
        peer.run(lambda: False)
    except TransportError as error:
        if error.close is None:
            return "lost"
        name, code = error.close
        return name, wire.CLOSE_CODES[code] if name == "CLOSE" else code
    except OSError:
        return "lost"


# Before there is a key -----------------------------------------------------------------------------------


@hostile("garbage in place of a preface, 200 connections of it", connections=2)
def garbage(it):
    """Another magic: closed without a word."""
    for size in range(1, 200):
        raw = Raw(it, it.rng.randbytes(8 + size * 7))
        raw.socket.shutdown(socket.SHUT_WR)
        it.case.assertEqual(raw.rest(), b"")


@hostile("prefaces cut at every byte, then the end", connections=2)
def half_prefaces(it):
    whole = opening()
    for size in range(len(whole)):
        raw = Raw(it, whole[:size])
        raw.socket.shutdown(socket.SHUT_WR)
        it.case.assertLessEqual(len(raw.rest()), 64)


@hostile("60 connections that stop in the middle of their preface and stay", connections=60, alone=True)
def stalled(it):
    whole = opening()
    for size in range(60):
        Raw(it, whole[:size])
    for size in range(len(whole) - 30, len(whole)):
        Raw(it, whole[:size])


@hostile("prefaces of another version, suite, application, out of their limits")
def bad_prefaces(it):
    refused(it, opening({"version": 2}), "PROTOCOL_VIOLATION")
    refused(it, opening(suites=b"\x7f"), "SUITE")
    refused(it, opening({"application": b"other".ljust(32, b"\0")}), "APPLICATION")
    for change in ({"max_streams": 65537}, {"data_max": 0}, {"data_max": (1 << 20) + 1}, {"idle_timeout": 999},
                   {"idle_timeout": 600001}, {"credit": 1 << 62}, {"application": bytes(32)},
                   {"application": b"a\0a".ljust(32, b"\0")}, {"more": 513}, {"more": 65535}):
        answer = Raw(it, opening(change)).rest()
        it.case.assertNotIn(b"\x01\x02", answer[64:66])  # nothing was accepted
        it.case.assertLess(len(answer), 64 + 16 + 8 + 129)


@hostile("plain asked of a server that only seals: refused in clear")
def plain(it):
    refused(it, preface(1, 0), "SUITE")


@hostile("methods without a key here, ephemeral keys of low order, messages cut and too long")
def bad_messages(it):
    for method, size in ((2, 48), (3, 48), (0, 32), (255, 32)):
        refused(it, opening(method=method, message=bytes(range(size))), "METHOD")
    for message in (bytes(32), b"\1" + bytes(31), bytes(31), b"", bytes(400)):
        answer = Raw(it, opening(message=message)).rest()
        it.case.assertLess(len(answer), 64 + 16 + 8 + 129)  # no message 2


@hostile("message 3 with each of its bits flipped, cut, swollen", connections=2)
def bad_message_3(it):
    """The connection ends each time, and no record is taken."""
    for bit in range(0, 8 * XX_MESSAGE_3, 9):
        it.case.assertEqual(third(it, lambda m, bit=bit: flip(m, bit)), b"")
    it.case.assertEqual(third(it, lambda m: m[:-1]), b"")
    it.case.assertEqual(third(it, lambda m: m + bytes(500)), b"")


def flip(data, bit):
    return data[:bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1:]


def third(it, spoil):
    """What the server says after its message 2 to a spoilt message 3."""
    security = Security(**it.security)
    mine = preface(security.suites[0], 36)
    noise = security.noise(prologue(mine, security.suites, security.method))
    raw = Raw(it, mine + bytes([len(security.suites)]) + security.suites + bytes([security.method]) + noise.write())
    first = b""
    while len(first) < 64 or len(first) < 64 + int.from_bytes(first[10:12], "big"):
        first += raw.socket.recv(4096)
    noise.read(first[64:])
    message = spoil(noise.write())
    raw.send(len(message).to_bytes(2, "big") + message)
    raw.socket.shutdown(socket.SHUT_WR)
    return raw.rest()


@hostile("the server's own flight sent back to it")
def reflected(it):
    raw = Raw(it, opening())
    first = raw.socket.recv(4096)
    raw.send(first * 3)
    raw.socket.shutdown(socket.SHUT_WR)
    it.case.assertEqual(raw.rest(), b"")
    it.case.assertIn(Raw(it, first).rest()[64:65], (b"", bytes([TYPES["CLOSE"]])))


# With valid keys: blocks ---------------------------------------------------------------------------------


@hostile("blocks of length 0, 65,537 and 2^32 - 1; truncated; with a wrong tag")
def bad_blocks(it):
    """Ended without a word (SPEC 13.5)."""
    for spoil in (lambda b: bytes(4) + b[4:], lambda b: (BLOCK_TEXT_BYTES + 1).to_bytes(4, "big") + bytes(70_000),
                  lambda b: b"\xff" * 4 + bytes(70_000), lambda b: flip(b, 8 * len(b) - 1), lambda b: flip(b, 40),
                  lambda b: b[:-1] + b"\0" * 20, lambda b: flip(b, 31)):
        peer = tcp_peer(it)
        peer.socket.setblocking(True)
        peer.socket.sendall(spoil(peer.seal.seal(record("PING"))))
        try:
            peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        it.case.assertEqual(ending(peer), "lost")


@hostile("a block sent twice, two blocks swapped, a block of the other direction, the next generation's key")
def replayed_blocks(it):
    for replay in (lambda p, a, b: a + a, lambda p, a, b: b + a, lambda p, a, b: a + backwards(p),
                   lambda p, a, b: a + ahead(p)):
        peer = tcp_peer(it)
        one, two = peer.seal.seal(record("PING")), peer.seal.seal(record("PONG"))
        peer.outbound += replay(peer, one, two)
        it.case.assertEqual(ending(peer), "lost")


def backwards(peer):
    head = (16).to_bytes(4, "big")
    return head + peer.open_blocks.keys.seal(0, head, record("PING"))


def ahead(peer):
    head = (16).to_bytes(4, "big")
    return head + peer.seal.keys.next().seal(2, head, record("PING"))


@hostile("a connection cut between two blocks, within one, and by a reset, 30 times")
def truncated(it):
    for size in range(1, 31):
        peer = tcp_peer(it)
        peer.outbound += peer.seal.seal(record("PING") * 4)[:size]
        while peer.outbound:
            peer.step()
        if size % 3 == 0:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.socket.close()


# With valid keys: records --------------------------------------------------------------------------------

RECORDS = {
    "an unknown record": ("FRAME_ENCODING", b"\x7f" + record("PING")[1:]),
    "flags that nothing has": ("FRAME_ENCODING", record("PING", flags=0x80)),
    "bytes that are to be zero": ("FRAME_ENCODING", b"\5\0\1\0" + record("PING")[4:]),
    "a PING with a body": ("FRAME_ENCODING", record("PING", body=b"x")),
    "a PING of a stream": ("FRAME_ENCODING", record("PING", stream=2)),
    "a CREDIT of seven bytes": ("FRAME_ENCODING", record("CREDIT", 0, bytes(7))),
    "DATA of 2^32 - 1 bytes": ("FRAME_ENCODING", b"\1\0\0\0\xff\xff\xff\xff" + bytes(8)),
    "DATA of stream 2^62": ("FRAME_ENCODING", record("DATA", 1 << 62, b"x")),
    "a reason of 129 bytes": ("FRAME_ENCODING", record("CLOSE", 0, bytes(8) + b"r" * 129)),
    "too many streams": ("STREAM_LIMIT", record("DATA", 1 << 40, b"x")),
    "a stream of the server's": ("STREAM_STATE", record("DATA", 1, b"x")),
    "content after the end": ("FINAL_SIZE", record("DATA", 2, b"x", 1) + record("DATA", 2, b"y")),
}


@hostile("forbidden records, each a connection's last: " + ", ".join(RECORDS))
def records(it):
    for text, (code, data) in RECORDS.items():
        with it.case.subTest(text):
            peer = tcp_peer(it)
            take = peer.on_record
            peer.on_record = lambda name, *rest, take=take: take(name, *rest) if name == "CLOSE" else None
            peer.send(data)
            it.case.assertEqual(ending(peer), ("CLOSE", code))


@hostile("PING 100,000 times whose answers are not read", connections=4)
def pings(it):
    """What the server keeps of its answers is bounded: it stops reading, or closes."""
    peer = tcp_peer(it)
    peer.socket.settimeout(0.2)
    try:
        for _ in range(100):
            peer.socket.sendall(peer.seal.seal(record("PING") * 1000))
    except OSError:
        pass


@hostile("CREDIT lowered, raised by one byte, 20,000 times during a download")
def credit(it):
    peer = tcp_peer(it)
    files = FileClient(peer)
    stream = peer.open_stream()
    files.send("GET", request=1, stream=stream, path=b"small")
    peer.write(stream, b"", fin=True)
    peer.send(b"".join(record("CREDIT", stream, (n % 100).to_bytes(8, "big")) for n in range(20_000)))
    peer.run(lambda: peer.streams[stream].finished())
    it.case.assertEqual(peer.streams[stream].received, 10_000)


@hostile("streams opened and reset, 5,000 of them, STOP for each")
def resets(it):
    peer = tcp_peer(it)
    told = []
    peer.on_record = lambda name, flags, stream, body: told.append(body[:8]) if name == "CLOSE" else None
    for stream in range(2, 10_002, 2):
        peer.send(record("DATA", stream, b"x") + record("RESET", stream, bytes(8)) + record("STOP", stream, bytes(8)))
        if stream % 64 == 0 and not flushed(peer):
            # They came faster than the server could say that the last ones were over.
            codes = [wire.CLOSE_CODES[int.from_bytes(code, "big")] for code in told]
            it.case.assertEqual(codes, ["STREAM_LIMIT"])
            return


def flushed(peer):
    """Whether all could be sent before the server ended the connection."""
    try:
        while peer.outbound:
            peer.step()
    except TransportError:
        return False
    return True


@hostile("downloads that are never read, 20 connections", connections=20, alone=True)
def never_read(it):
    for _ in range(20):
        peer = tcp_peer(it)
        files = FileClient(peer)
        stream = peer.open_stream()
        files.send("GET", request=1, stream=stream, path=b"live")
        peer.write(stream, b"", fin=True)
        while peer.outbound:
            peer.step()


if __name__ == "__main__":
    main(Tcp)
