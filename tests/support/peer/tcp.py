"""The same over TCP (SPEC 13): preface, records, and for sealed suites the handshake and blocks of 13.5.

`TcpConnection` has what files.py uses of transport.py's `Connection`.
"""

import select
import socket
import time
from collections import deque

from . import wire
from .handshake import Untrusted
from .keys import Generation, OpenError
from .noise import NoiseError
from .transport import APPLICATION, KEEPALIVE_S, TransportError
from .wire import Reader, Table

MAGIC = bytes.fromhex("564f4c4c45590d0a")
PREFACE_BYTES = 64
BLOCK_TEXT_BYTES = 65536
BLOCKS_A_GENERATION = 1 << 22
DATA_MAX = 65536
CREDIT = 1 << 20
PREFACE = Table({0x56: "PREFACE magic7:raw7 version:u8 suite:u8 more:u16 max_streams:u32 data_max:u32"
                       " idle_timeout:u32 credit:u64 application:raw32"})
TYPES = {"DATA": 1, "RESET": 2, "STOP": 3, "CREDIT": 4, "PING": 5, "PONG": 6, "CLOSE": 7}
NAMES = {value: name for name, value in TYPES.items()}
FIN = APP = 0x01


def preface(suite, more, application=APPLICATION, **change):
    fields = {"magic7": MAGIC[1:], "version": 1, "suite": suite, "more": more, "max_streams": 16,
              "data_max": 1 << 20, "idle_timeout": 30000, "credit": CREDIT,
              "application": application.ljust(32, b"\0")}
    return PREFACE.encode("PREFACE", **fields | change)


def record(name, stream=0, body=b"", flags=0):
    return (bytes([TYPES[name], flags, 0, 0]) + len(body).to_bytes(4, "big") + stream.to_bytes(8, "big") + body)


def prologue(client_preface, suites, method):
    return b"VolleyTCP" + client_preface + bytes([len(suites)]) + suites + bytes([method])


class Blocks:
    """One direction of a sealed connection."""

    def __init__(self, suite, secret, blocks_a_generation=BLOCKS_A_GENERATION):
        self.keys, self.number, self.span = Generation(suite, secret), 0, blocks_a_generation

    def turn(self):
        if self.number and self.number % self.span == 0:
            self.keys = self.keys.next()
        self.number += 1
        return self.number - 1

    def seal(self, text):
        out = b""
        for at in range(0, len(text), BLOCK_TEXT_BYTES):
            part = text[at:at + BLOCK_TEXT_BYTES]
            head = len(part).to_bytes(4, "big")
            number = self.turn()
            out += head + self.keys.seal(number, head, part)
        return out

    def open(self, data):
        """(the text of a block, what follows it), or None when it is not complete."""
        size = int.from_bytes(data[:4], "big")
        if len(data) >= 4 and not 1 <= size <= BLOCK_TEXT_BYTES:
            raise TransportError(f"a block of {size} bytes")
        if len(data) < 4 + size + wire.TAG_BYTES or len(data) < 4:
            return None
        number, end = self.turn(), 4 + size + wire.TAG_BYTES
        try:
            return self.keys.open(number, data[:4], data[4:end]), data[end:]
        except OpenError as error:
            raise TransportError("a block does not verify") from error


class TcpStream:
    """Both directions of a stream."""

    def __init__(self, send_limit):
        self.ready, self.received, self.consumed, self.limit = bytearray(), 0, 0, CREDIT
        self.ended = self.reset = False
        self.sent, self.send_limit = 0, send_limit

    def finished(self):
        return self.ended or self.reset


class TcpConnection:
    """An open connection of a client; sealed or plain as `security` says."""

    def __init__(self, host, port, security, timeout_s=60, blocks_a_generation=BLOCKS_A_GENERATION):
        self.deadline = time.monotonic() + timeout_s
        self.security, self.span = security, blocks_a_generation
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.inbound, self.records, self.outbound = b"", b"", b""
        self.waiting = deque()  # (stream, data, fin) without credit yet
        self.seal = self.open_blocks = None
        self.closed = self.server_key = None
        self.streams, self.next_stream = {}, 0
        self.handshake()
        self.socket.setblocking(False)

    # Preface and handshake (13.1, 13.5)

    def handshake(self):
        suites, method = self.security.suites, self.security.method
        sizes = {None: 0, wire.METHODS["keys"]: 32, wire.METHODS["psk"]: 48}
        more = len(suites) + 2 + sizes[method] if method else 0
        mine = preface(suites[0], more)
        if method:
            noise = self.security.noise(prologue(mine, suites, method))
            self.socket.sendall(mine + bytes([len(suites)]) + suites + bytes([method]) + noise.write())
        else:
            self.socket.sendall(mine)
        theirs = self.take(PREFACE_BYTES)
        self.peer = PREFACE.decode(Reader(theirs))
        if theirs[:8] != MAGIC or self.peer.version != 1:
            raise TransportError("the server speaks something else")
        if method and self.peer.more:
            self.take_message(noise, theirs)
        elif method:
            self.take_refusal()
        elif self.peer.suite != wire.SUITE_PLAIN:
            self.take_refusal()

    def take_message(self, noise, theirs):
        """Message 2, then message 3 if there is one, and the keys."""
        try:
            payload = noise.read(self.take(self.peer.more))
        except NoiseError as error:
            raise TransportError(str(error)) from error
        if payload != theirs or self.peer.suite not in self.security.suites:
            raise TransportError("the server's preface was changed on the way")
        if not self.security.psk:
            self.server_key = noise.rs
            try:
                self.security.check(noise.rs)
            except Untrusted as error:
                raise TransportError(str(error)) from error
            message = noise.write()
            self.socket.sendall(len(message).to_bytes(2, "big") + message)
        client, server = noise.split()
        self.seal = Blocks(self.peer.suite, client, self.span)
        self.open_blocks = Blocks(self.peer.suite, server, self.span)

    def take_refusal(self):
        """CLOSE in clear: it can only end the attempt."""
        head = self.take(16)
        if head[0] == TYPES["CLOSE"]:
            self.on_record("CLOSE", head[1], 0, self.take(int.from_bytes(head[4:8], "big")))
            raise self.closed
        raise TransportError("the server accepts what was not offered")

    def take(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise TransportError("the server closed")
            data += part
        return data

    # What the application uses

    def open_stream(self):
        self.next_stream += 2
        self.streams[self.next_stream - 2] = TcpStream(self.peer.credit)
        return self.next_stream - 2

    def write(self, stream, data, fin=False):
        self.waiting.append((stream, data, fin))
        self.flush()

    def read(self, stream):
        it = self.streams[stream]
        data, it.ready = bytes(it.ready), bytearray()
        it.consumed += len(data)
        if not it.finished() and it.limit - it.consumed < CREDIT * 3 // 4:
            it.limit = it.consumed + CREDIT
            self.send(record("CREDIT", stream, it.limit.to_bytes(8, "big")))
        return data

    def unsent_bytes(self):
        return sum(len(data) for _, data, _ in self.waiting) + len(self.outbound)

    def all_acknowledged(self):
        return not self.waiting and not self.outbound

    def run(self, until):
        while not until():
            if time.monotonic() > self.deadline:
                raise TransportError("out of time")
            self.step()

    def close(self, code, reason=b""):
        self.send(record("CLOSE", body=code.to_bytes(8, "big") + reason, flags=APP))
        while self.outbound:
            self.step()
        self.socket.shutdown(socket.SHUT_WR)
        try:
            self.run(lambda: self.closed)
        except (TransportError, OSError):
            pass
        self.socket.close()

    # The loop

    def flush(self):
        for _ in range(len(self.waiting)):
            stream, data, fin = self.waiting.popleft()
            it = self.streams[stream]
            room = max(0, it.send_limit - it.sent)
            if len(data) > room:
                self.waiting.append((stream, data[room:], fin))
                data, fin = data[:room], False
            most = min(DATA_MAX, self.peer.data_max)
            for at in range(0, len(data), most):
                part = data[at:at + most]
                self.send(record("DATA", stream, part, FIN if fin and at + most >= len(data) else 0))
            if fin and not data:
                self.send(record("DATA", stream, b"", FIN))
            it.sent += len(data)

    def send(self, records):
        self.outbound += self.seal.seal(records) if self.seal else records

    def step(self):
        readable, writable, _ = select.select(
            [self.socket], [self.socket] if self.outbound else [], [],
            max(0, min(self.deadline - time.monotonic(), KEEPALIVE_S)))
        if writable:
            sent = self.socket.send(self.outbound)
            self.outbound = self.outbound[sent:]
        if readable:
            try:
                part = self.socket.recv(1 << 18)
            except OSError as error:
                raise TransportError(f"the connection was lost: {error}") from error
            if not part:
                raise self.closed or TransportError("the connection was lost")
            self.on_bytes(part)
        if self.closed:
            raise self.closed
        self.flush()

    def on_bytes(self, part):
        if self.open_blocks is None:
            self.records += part
        else:
            self.inbound += part
            while (opened := self.open_blocks.open(self.inbound)) is not None:
                self.records += opened[0]
                self.inbound = opened[1]
        while len(self.records) >= 16:
            type_byte, flags, _, _ = self.records[:4]
            size = int.from_bytes(self.records[4:8], "big")
            if len(self.records) < 16 + size:
                return
            stream, body = int.from_bytes(self.records[8:16], "big"), self.records[16:16 + size]
            self.records = self.records[16 + size:]
            if type_byte not in NAMES:
                raise TransportError("a record does not decode")
            self.on_record(NAMES[type_byte], flags, stream, body)

    def on_record(self, name, flags, stream, body):
        value = int.from_bytes(body[:8], "big")
        if name == "PING":
            self.send(record("PONG"))
        elif name == "CLOSE":
            kind = "CLOSE_APP" if flags & APP else "CLOSE"
            self.closed = TransportError(
                f"the server closed: {kind} code {value} {body[8:].decode(errors='replace')}", (kind, value))
        elif stream not in self.streams:
            raise TransportError(f"{name} of stream {stream}, which is not open")
        elif name == "DATA":
            it = self.streams[stream]
            it.ready += body
            it.received += len(body)
            it.ended |= bool(flags & FIN)
            if it.received > it.limit:
                raise TransportError("more content than credit")
        elif name == "RESET":
            self.streams[stream].reset = True
        elif name == "CREDIT":
            self.streams[stream].send_limit = max(self.streams[stream].send_limit, value)
