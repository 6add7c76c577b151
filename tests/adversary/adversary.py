"""What the hostile peers share: the table of misbehaviours, the server they attack, an honest client beside them.

A misbehaviour is a function with a name in the table: `@hostile("what it does")`. It is given a `Target`, does its
worst, checks the answer where SPEC.md names one, and may leave things open in `target.held`. For each of them, then,

* an honest client that began before finishes its transfer, verified;
* an honest newcomer gets a file while the hostile peer still holds on;
* the server lives, and its memory stayed within the cap (`Target.cap_kib`).

Nothing sleeps. That there is no answer is seen by asking something else afterwards: the loopback keeps order.
"""

import base64
import itertools
import os
import random
import select
import shutil
import socket
import sys
import tempfile
import time
import unittest
from collections import namedtuple
from pathlib import Path

SRC = Path(os.environ.get("VOLLEY_SRC", Path(__file__).parents[2]))
sys.path[:0] = [str(SRC / "tests" / "support"), str(SRC / "tests" / "integration")]

from peer import wire  # noqa: E402
from peer.files import FileClient  # noqa: E402
from peer.handshake import ClientHandshake, Security  # noqa: E402
from peer.keys import OpenError  # noqa: E402
from peer.transport import Connection, Stream, TransportError  # noqa: E402
from volley_it import BIN, DEADLINE_S, OK, SKIPPED, Process, Server, random_bytes, volley  # noqa: E402

SEED = int(os.environ.get("VLY_SEED", "4"))
MIB = 1 << 20
LIVE_BYTES = 8 * MIB
TCP_LIVE_BYTES = 48 * MIB  # as fast as it goes: there is no --rate over TCP
RATE = "25MB"  # of the honest transfers: a third of a second each, in which the misbehaviour happens
MAX_CLIENTS = 256
WINDOW = "1MiB"
# The server's caps: a connection holds at most its receive window and its send buffer. Beside them the
# allocator keeps what it once had, and there are the tables, the thread pool's stacks and the codec buffers.
CONNECTION_KIB = 2 * 1024
SLACK_KIB = 12 * 1024
SANITIZER_KIB = 512 * 1024  # shadow memory and the quarantine of freed blocks
SANITIZER = {"ASAN_OPTIONS": "quarantine_size_mb=32:malloc_context_size=3"}
NEWCOMER_TRIES = 20

Row = namedtuple("Row", "text connections alone function")
TABLE = []


def hostile(text, connections=1, alone=False):
    """Adds a misbehaviour to the table. `connections` it may have open; `alone`: against a server of its own, since
    it leaves behind what the server keeps for a while."""
    def add(function):
        TABLE.append(Row(text, connections, alone, function))
        return function
    return add


class Target:
    """The built server under attack."""

    def __init__(self, case, *options, tcp=False, security=None, rate=RATE, psk_file=None):
        self.dir = Path(tempfile.mkdtemp(prefix="volley-adversary-"))
        self.root = self.dir / "root"
        self.root.mkdir()
        self.case = case
        self.security = security or {"accept_new": True}
        self.mode = ["--plain"] if self.security.get("plain") else ["--key", psk_file] if psk_file else []
        if psk_file:
            self.security = {"psk": read_psk(psk_file)}
        self.carrier = ["--tcp"] if tcp else []
        self.environment = os.environ | SANITIZER | {"VOLLEY_HOME": str(self.dir / "home")}
        (self.root / "live").write_bytes(random_bytes(TCP_LIVE_BYTES if tcp else LIVE_BYTES, seed=SEED))
        (self.root / "small").write_bytes(random_bytes(10_000, seed=SEED + 1))
        pace = ["--rate", rate, "--window", WINDOW] if rate and not tcp else []
        self.server = Server(
            self.root, "--writable", "--quiet", "--max-clients", MAX_CLIENTS, *pace, *self.mode, *self.carrier, *options, env=self.environment)
        self.pid = self.server.process.pid
        self.port = self.server.port
        self.rng = random.Random(SEED)
        self.held = []  # what is to be closed after the checks
        self.names = (f"{n}" for n in itertools.count())
        self.newcomer()  # what the first client makes grow is not the attacker's doing
        self.server.wait_event("end")  # of the newcomer
        live = self.live_get()
        live.wait()
        live.check()
        live.close()
        self.server.wait_event("end")
        self.base_kib = self.memory()[0]
        maps = Path(f"/proc/{self.pid}/maps").read_text(encoding="ascii", errors="replace")
        self.extra_kib = SANITIZER_KIB if "libasan" in maps or "libtsan" in maps else 0

    def close(self):
        self.release()
        self.server.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # Memory

    def memory(self):
        """(resident now, highest since the last call of `forget_peak`) in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        values = dict(line.split(":", 1) for line in status.splitlines())
        return tuple(int(values[name].split()[0]) for name in ("VmRSS", "VmHWM"))

    def forget_peak(self):
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def cap_kib(self, connections):
        """The highest VmHWM that a misbehaviour over so many connections may bring about: two honest clients beside."""
        return self.base_kib + SLACK_KIB + (connections + 2) * CONNECTION_KIB + self.extra_kib

    # Honest clients

    def run(self, *args):
        return volley(*args, *self.mode, *self.accept_new(), *self.carrier, env=self.environment)

    def accept_new(self):
        return [] if self.mode else ["--accept-new"]

    def live_get(self):
        to = self.dir / f"got{next(self.names)}"
        process = Process("get", f"127.0.0.1:{self.port}/live", "-o", to, "--json", *self.mode,
                          *self.accept_new(), *self.carrier, env=self.environment)
        process.path, process.check = "live", lambda: self.same(to, self.root / "live")
        return process

    def live_put(self):
        name = f"put{next(self.names)}"
        pace = [] if self.carrier else ["--rate", RATE]
        process = Process("put", self.root / "live", f"127.0.0.1:{self.port}/{name}", "--json", *pace,
                          *self.mode, *self.accept_new(), *self.carrier, env=self.environment)
        process.path, process.check = name, lambda: self.same(self.root / name, self.root / "live")
        return process

    def same(self, copy, original):
        self.case.assertEqual(copy.read_bytes(), original.read_bytes())
        copy.unlink()

    def newcomer(self):
        """An honest client that comes now; where the server is full it may have to ask again."""
        to = self.dir / f"got{next(self.names)}"
        for _ in range(NEWCOMER_TRIES):
            result = self.run("get", f"127.0.0.1:{self.port}/small", "-o", to)
            if result.code == OK:
                break
        self.case.assertEqual(result.code, OK, result.err)
        self.same(to, self.root / "small")

    # Hostile ones

    def hold(self, thing):
        self.held.append(thing)
        return thing

    def release(self):
        while self.held:
            self.held.pop().close()

    def stranger(self):
        return self.hold(Stranger(self))

    def peer(self, **options):
        """A peer with valid keys."""
        return self.hold(Peer(self, **options))

    def files(self, **options):
        """A peer with valid keys that has begun the file protocol."""
        peer = self.peer(**options)
        peer.files = FileClient(peer)
        return peer


def read_psk(path):
    """The 32 bytes of a file that `volley keygen --psk` made: hex or base64 on its last line, or as they are."""
    text = Path(path).read_bytes().split(b"\n")[-2]
    return base64.b64decode(text.split(b":")[-1])


def parameters(**change):
    """The client's transport parameters."""
    return {"max_data": MIB, "max_stream_data": MIB, "max_streams": 16, "idle_timeout": 30000,
            "max_ack_delay": 5000, "max_datagram": 65507, "application": b"volley-file/1"} | change


class Stranger:
    """A socket that sends what it likes."""

    def __init__(self, target):
        self.target = target
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
        self.socket.connect(("127.0.0.1", target.port))
        self.socket.setblocking(False)

    def close(self):
        self.socket.close()

    def send(self, datagram):
        try:
            self.socket.send(datagram)
        except OSError:  # buffer full or an ICMP error: lost
            pass

    def handshake(self, security=None, **change):
        ident = self.target.rng.randrange(1, 1 << 63)
        return ClientHandshake(Security(**security or self.target.security), ident, parameters(**change))

    def receive(self, until):
        """Datagrams that come before that time."""
        while select.select([self.socket], [], [], max(0, until - time.monotonic()))[0]:
            try:
                yield self.socket.recv(65536)
            except OSError:
                continue

    def ask(self, datagram, answers):
        """Sends it until a packet comes that `answers` likes; returns (what came before it, that packet)."""
        before, end = [], time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            self.send(datagram)
            for answer in self.receive(time.monotonic() + 0.25):
                packet = decode(answer)
                if packet and answers(packet):
                    return before, packet
                before.append(answer)
        raise AssertionError("the server does not answer")

    def heard(self):
        """All answers to what was sent up to now."""
        handshake = self.handshake()
        return self.ask(handshake.hello(b""), lambda it: it.name == "RETRY" and it.client_id ==
                        handshake.client_id)[0]

    def cookie_for(self, handshake):
        return self.ask(handshake.hello(b""), lambda it: it.name == "RETRY" and it.client_id ==
                        handshake.client_id)[1].cookie

    def hello(self, handshake, /, **change):
        """A HELLO with some fields changed."""
        fields = wire.decode_packet(handshake.hello(b"")).fields() | change
        fields.pop("padding")
        return wire.encode_packet("HELLO", **fields)

    def answer_to(self, handshake, /, **change):
        """What the server says to a HELLO with a cookie: ACCEPT or REFUSE."""
        cookie = self.ask(self.hello(handshake, **change), lambda it: it.name == "RETRY")[1].cookie
        return self.ask(self.hello(handshake, cookie=cookie, **change),
                        lambda it: it.name in ("ACCEPT", "REFUSE"))[1]

    def confirm(self, handshake, finish=None):
        """Sends FINISH until there is DATA; the frames of the first packet that opens."""
        for _ in range(40):
            self.send(finish or handshake.finish)
            for datagram in self.receive(time.monotonic() + 0.25):
                try:
                    phase, _, number, header, sealed = wire.split_data(datagram)
                    return wire.decode_frames(handshake.receive_keys.open(phase, number, header, sealed, 0, 0))
                except (OpenError, wire.WireError):
                    continue
        raise AssertionError("the server does not confirm")


def decode(datagram):
    """The packet, None when it does not decode here: DATA of a sealed suite."""
    try:
        return wire.decode_packet(datagram)
    except wire.WireError:
        return None


class Peer(Connection):
    """A connection with valid keys that does more than it should."""

    def __init__(self, target, security=None, **options):
        self.target = target
        super().__init__("127.0.0.1", target.port, Security(**security or target.security),
                         timeout_s=DEADLINE_S, seed=target.rng.random(), **options)

    def close(self, code=None, reason=b""):
        """Without a code: gone, with one CLOSE as farewell, so that the server need not keep it for its 30 s."""
        if code is not None:
            super().close(code, reason)
        elif self.link.socket.fileno() >= 0 and not self.closed:
            self.say(wire.frame("CLOSE_APP", code=0, reason=b""))
        self.link.socket.close()

    def stream_of(self, ident):
        """Also of streams that were opened by `say`."""
        self.streams.setdefault(ident, Stream(MIB, MIB))
        return self.streams[ident]

    def say(self, *frames):
        """One packet of exactly those frames, never sent again."""
        self.link.send(self.sealed(b"".join(frames)))

    def sealed(self, body):
        number, self.next_number = self.next_number, self.next_number + 1
        return self.send_keys.seal(lambda phase: wire.data_header(phase, self.server_id, number), number, body)

    def stop_acknowledging(self):
        self.ack_frames = lambda now, space: iter(())

    def look(self):
        """Takes what has come, sends what is due; never waits."""
        for datagram in self.link.receive(time.monotonic()):
            self.on_datagram(datagram, time.monotonic())
        self.flush()

    def alive(self):
        """Whether the server still serves this connection: it acknowledges a PING."""
        number = self.next_number
        while self.largest_acked < number and not self.closed:
            self.say(wire.frame("PING"))
            until = time.monotonic() + 0.25
            self.run(lambda: self.largest_acked >= number or time.monotonic() > until)
        return not self.closed

    def ending(self):
        """The (name, code) with which the server closes."""
        try:
            self.run(lambda: False)
        except TransportError as error:
            if error.close is None:
                raise
            name, code = error.close
            return name, wire.CLOSE_CODES[code] if name == "CLOSE" else code
        raise AssertionError("unreachable")


class Adversary(unittest.TestCase):
    """Base of the tests made by `make_tests`; each module has one server, made by `target`."""

    @classmethod
    def target(cls):
        return Target(cls())

    @classmethod
    def setUpClass(cls):
        cls.it = cls.target()

    @classmethod
    def tearDownClass(cls):
        cls.it.close()

    def misbehave(self, index, row):
        it = self.it
        if row.alone:
            it = self.target()
            self.addCleanup(it.close)
        it.case = self
        it.forget_peak()
        live = it.live_put() if index % 2 else it.live_get()
        self.addCleanup(live.close)
        self.addCleanup(it.release)
        it.server.wait_event("begin", lambda event: event["path"] == live.path)
        begin = time.monotonic()
        row.function(it)
        if os.environ.get("ADVERSARY_TIMES"):
            print(f"{time.monotonic() - begin:.2f} s", end=" ", flush=True)
        it.newcomer()
        self.assertEqual(live.wait(), OK, live.errors)
        live.check()
        self.assertIsNone(it.server.process.poll(), "the server ended")
        peak = it.memory()[1]
        self.assertLess(peak, it.cap_kib(row.connections), f"KiB, {it.base_kib} before")


def main(case):
    """Makes a test of each row of the table and runs them; `--list` prints the table."""
    if sys.argv[1:] == ["--list"]:
        print("\n".join(row.text for row in TABLE))
        return
    if not os.access(BIN, os.X_OK):
        print("skipped: VOLLEY_BIN names no program")
        sys.exit(SKIPPED)
    for index, row in enumerate(TABLE):
        def test(self, index=index, row=row):
            self.misbehave(index, row)
        test.__doc__ = row.text
        setattr(case, f"test_{index:02d}_{row.function.__name__}", test)
    unittest.main(verbosity=2)
