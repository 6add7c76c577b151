"""Misbehaviour by a peer with valid keys, in packets, frames and streams (SPEC 2.9 to 7)."""

import itertools
import time

from adversary import Adversary, Peer, TransportError, hostile, main, wire
from peer.files import CHUNK, root_hash
from peer.wire import frame
from peer.xxh3 import xxh3_128

TOP = wire.VARINT_MAX
READER_BYTES = 20_000  # what a slow reader allows at first
CODES = {  # frames of one packet, and the code with which the server closes
    "an unknown frame": ("FRAME_ENCODING", b"\x04\x00"),
    "half a frame": ("FRAME_ENCODING", b"\x12"),
    "an ACK range below zero": ("FRAME_ENCODING", b"\x02\x00\x00\x00\x00\x05"),
    "an ACK of 257 ranges": ("FRAME_ENCODING", b"\x02" + wire.varint(5000) + b"\0\0" + wire.varint(256)
                             + bytes(600)),
    "a stream beyond 2^62 - 1": ("FRAME_ENCODING", b"\x08\x00" + b"\xff" * 8 + b"\x01a"),
    "a reason of 129 bytes": ("FRAME_ENCODING", b"\x1c\x00\x40\x81" + b"r" * 129),
    "a length beyond the packet": ("FRAME_ENCODING", b"\x08\x00\x00\xbf\xff\xff\xff" + b"d" * 100),
    "an ACK of what was not sent": ("PROTOCOL_VIOLATION", frame(
        "ACK", largest=1000, delay=0, kernel_drops=0, ranges=[(1000, 1000)])),
    "an ACK 2^62 wide": ("PROTOCOL_VIOLATION", frame(
        "ACK", largest=TOP, delay=0, kernel_drops=0, ranges=[(0, TOP)])),
    "a FLOOR above its packet": ("PROTOCOL_VIOLATION", frame("FLOOR", number=1 << 40)),
    "data above the limit": ("FLOW_CONTROL", frame("STREAM", stream=2, offset=1 << 40, data=b"a")),
    "an end at 2^62 - 1": ("FLOW_CONTROL", frame("STREAM_FIN", stream=2, offset=TOP, data=b"")),
    "a reset above the limit": ("FLOW_CONTROL", frame("RESET_STREAM", stream=2, code=0, final_size=TOP)),
    "too many streams": ("STREAM_LIMIT", frame("STREAM", stream=1 << 40, offset=0, data=b"a")),
    "the highest stream there is": ("STREAM_LIMIT", frame("STREAM", stream=TOP - 1, offset=0, data=b"a")),
    "a stop of stream 2^61": ("STREAM_LIMIT", frame("STOP_SENDING", stream=1 << 61, code=0)),
    "credit for stream 2^61": ("STREAM_LIMIT", frame("MAX_STREAM_DATA", stream=1 << 61, limit=1)),
    "a stream of the server's": ("STREAM_STATE", frame("STREAM", stream=1, offset=0, data=b"a")),
    "two final sizes": ("FINAL_SIZE", frame("STREAM_FIN", stream=2, offset=1, data=b"bc")
                        + frame("STREAM_FIN", stream=2, offset=0, data=b"")),
    "data beyond the end": ("FINAL_SIZE", frame("STREAM_FIN", stream=2, offset=1, data=b"bc")
                            + frame("STREAM", stream=2, offset=3, data=b"d")),
    "a reset that lies about its size": ("FINAL_SIZE", frame("STREAM", stream=2, offset=0, data=b"abcdef")
                                         + frame("RESET_STREAM", stream=2, code=0, final_size=3)),
    "a reset after another end": ("FINAL_SIZE", frame("STREAM_FIN", stream=2, offset=0, data=b"a")
                                  + frame("RESET_STREAM", stream=2, code=0, final_size=2)),
}


class Transport(Adversary):
    pass


@hostile("forbidden frames, each a connection's last: " + ", ".join(CODES))
def codes(it):
    for text, (code, frames) in CODES.items():
        with it.case.subTest(text):
            peer = it.peer()
            peer.say(frames)
            it.case.assertEqual(peer.ending(), ("CLOSE", code))


# Acknowledgements ----------------------------------------------------------------------------------------


@hostile("an ACK of a number that the server left out: PROTOCOL_VIOLATION")
def ack_of_skipped(it):
    """RULE 17. It leaves numbers out at random: this client acknowledges whatever it has not seen.
    In short datagrams, so that the download has numbers enough."""
    peer = it.files(max_datagram=1472)
    take = peer.on_datagram

    def claim(datagram, now):
        before = peer.received.largest
        take(datagram, now)
        for number in range(before + 1, peer.received.largest):
            peer.say(frame("ACK", largest=number, delay=0, kernel_drops=0, ranges=[(number, number)]))

    peer.on_datagram = claim
    with it.case.assertRaises(TransportError) as caught:
        download(peer, "live")
    it.case.assertEqual(caught.exception.close, ("CLOSE", wire.CLOSE_CODES.index("PROTOCOL_VIOLATION")))


def download(peer, path, until=None):
    """A GET; runs until there is something to see."""
    stream = peer.open_stream()
    peer.files.request += 1
    peer.files.send("GET", request=peer.files.request, stream=stream, path=path.encode())
    peer.write(stream, b"", fin=True)
    it = peer.streams[stream]

    def going():
        peer.files.poll()
        peer.files.messages.clear()
        peer.read(stream)
        return until(it) if until else it.finished()

    peer.run(going)
    return it


@hostile("a download that is never acknowledged")
def no_acks(it):
    """RULE 39: what the server keeps for it is bounded. Some probes come."""
    peer = it.files()
    peer.stop_acknowledging()
    download(peer, "live", until=lambda stream: stream.highest > 10_000)
    before = peer.stats["received"]
    peer.run(lambda: peer.stats["received"] > before + 6)


@hostile("a download with every other packet acknowledged, in ACKs of 256 ranges, 3,000 times")
def ack_ranges(it):
    """RULE 19."""
    peer = it.files()
    peer.stop_acknowledging()
    download(peer, "small", until=lambda stream: stream.highest > 0)
    for number in range(3000):
        top = peer.received.largest
        ranges = [(n, n) for n in range(top, -1, -2)][:256]
        if any(n in peer.received for n, _ in ranges):
            ranges = [r for r in ranges if r[0] in peer.received] or [(top, top)]
        peer.say(frame("ACK", largest=ranges[0][1], delay=number % 7 * 10**6, kernel_drops=number, ranges=ranges))
        if number % 64 == 0:
            peer.look()
    it.case.assertTrue(peer.alive())


@hostile("one ACK 50,000 times, seventy to a packet")
def ack_flood(it):
    peer = it.peer()
    it.case.assertTrue(peer.alive())
    top = peer.received.largest
    ack = frame("ACK", largest=top, delay=0, kernel_drops=0, ranges=[(top, top)])
    for number in range(700):
        peer.say(ack * 70)
        if number % 32 == 0:
            it.case.assertTrue(peer.alive())


@hostile("FLOOR at its own number in each of 3,000 packets")
def floors(it):
    peer = it.peer()
    for number in range(3000):
        peer.say(frame("FLOOR", number=peer.next_number), frame("PING"))
        if number % 64 == 0:
            peer.look()
    it.case.assertTrue(peer.alive())


@hostile("packet numbers that jump to 2^62 - 1 in eight steps")
def numbers_jump(it):
    peer = it.peer()
    for bits in (10, 20, 30, 40, 50, 60, 61):
        peer.next_number = 1 << bits
        it.case.assertTrue(peer.alive())
    peer.next_number = TOP
    peer.say(frame("PING"))
    peer.run(lambda: peer.largest_acked == TOP)


# Streams -------------------------------------------------------------------------------------------------


@hostile("a stream whose first byte is missing, up to all credit")
def first_byte_missing(it):
    """RULE 33."""
    peer = it.peer()
    limit = min(peer.peer["max_stream_data"], peer.peer["max_data"])
    fill(peer, 0, range(1, limit - 1000, 1000), 1000)
    it.case.assertTrue(peer.alive())


def fill(peer, stream, offsets, size, burst=32):
    """STREAM frames at those offsets, with a look at what comes back after each burst."""
    for count, offset in enumerate(offsets):
        peer.say(frame("STREAM", stream=stream, offset=offset, data=b"x" * size))
        if count % burst == 0:
            peer.alive()


@hostile("every other byte of a stream, in 15,000 gaps")
def every_other_byte(it):
    """RULE 34: gaps beyond 4,096 are dropped, and the connection goes on."""
    peer = it.peer()
    one = lambda at: frame("STREAM", stream=0, offset=at, data=b"x")  # noqa: E731
    for begin in range(1, 30_000, 200):
        peer.say(*(one(at) for at in range(begin, begin + 200, 2)))
        if begin // 200 % 16 == 0:
            peer.look()
    it.case.assertTrue(peer.alive())


@hostile("frames of one byte, 6,000 of them in a packet, twenty packets")
def one_byte_frames(it):
    """RULE 34."""
    peer, at = it.peer(), 0
    peer.on_stop_sending = lambda one: None  # nobody wants the stream; this peer goes on all the same
    for _ in range(20):
        peer.say(*(frame("STREAM", stream=2, offset=at + n, data=b"x") for n in range(6000)))
        at += 6000
        it.case.assertTrue(peer.alive())


@hostile("an upload sent twice with other bytes the second time")
def overlaps(it):
    """RULE 35: the first copy counts, and is what the file holds."""
    peer = it.files()
    content = it.rng.randbytes(100_000)
    name = next(it.names)
    stream = begin_upload(peer, name, len(content))
    for at in range(0, len(content), 1000):
        peer.say(frame("STREAM", stream=stream, offset=at, data=content[at:at + 1000]))
        peer.alive()
        behind = max(0, at - 1400)
        peer.say(frame("STREAM", stream=stream, offset=behind, data=b"\xaa" * (at + 1000 - behind)))
    peer.streams[stream].written = len(content)
    finish_upload(peer, stream, content)
    it.case.assertEqual((it.root / name).read_bytes(), content)


def begin_upload(peer, name, size):
    files, stream = peer.files, peer.open_stream()
    files.request += 1
    files.send("PUT", request=files.request, stream=stream, flags=0, size=size, mode=0o644, mtime=0,
               path=name.encode())
    files.next("READY")
    return stream


def finish_upload(peer, stream, content):
    hashes = [xxh3_128(content[at:at + CHUNK]) for at in range(0, len(content), CHUNK)]
    peer.write(stream, b"", fin=True)
    files = peer.files
    files.send("HASHES", request=files.request, first=0, hashes=hashes)
    files.send("END", request=files.request, size=len(content), root=root_hash(len(content), hashes))
    files.next("DONE")


@hostile("all streams that are allowed opened at once, a byte in each")
def all_streams(it):
    peer = it.peer()
    for stream in range(0, 2 * peer.peer["max_streams"], 2):
        peer.say(frame("STREAM", stream=stream, offset=1, data=b"x"))
        if stream % 64 == 0:
            it.case.assertTrue(peer.alive())
    it.case.assertTrue(peer.alive())


@hostile("streams opened and reset, 5,000 of them")
def resets(it):
    """What is over makes room for others (SPEC 6); the server's table does not grow."""
    peer = it.files()
    for stream in range(2, 10_002, 2):
        peer.run(lambda: stream // 2 < peer.peer["max_streams"])
        peer.say(frame("STREAM", stream=stream, offset=5, data=b"x"),
                 frame("RESET_STREAM", stream=stream, code=1, final_size=6),
                 frame("STOP_SENDING", stream=stream, code=1))
        if stream % 32 == 0:
            it.case.assertTrue(peer.alive())


@hostile("MAX_DATA, MAX_STREAM_DATA and MAX_STREAMS lowered during a download")
def lowered_limits(it):
    """Limits only rise: the download goes on."""
    peer = it.files()

    def lower(stream):
        peer.say(frame("MAX_DATA", limit=0), frame("MAX_STREAM_DATA", stream=2, limit=0),
                 frame("MAX_STREAMS", count=0))
        return stream.finished()

    it.case.assertEqual(download(peer, "small", until=lower).final_size, 10_000)


@hostile("readers of one byte at a time, thirty of them", connections=30, alone=True)
def slow_readers(it):
    readers = []
    for _ in range(30):
        peer = it.files(window=READER_BYTES)
        stream = peer.open_stream()
        peer.files.send("GET", request=1, stream=stream, path=b"live")
        peer.write(stream, b"", fin=True)
        readers.append((peer, stream))
    for byte in range(20):
        for peer, stream in readers:
            limit = peer.streams[stream].limit = peer.data_limit = READER_BYTES + byte
            peer.say(frame("MAX_STREAM_DATA", stream=stream, limit=limit), frame("MAX_DATA", limit=limit))
            peer.look()
    while any(peer.streams[stream].highest < READER_BYTES // 2 for peer, stream in readers):
        for peer, stream in readers:
            peer.look()


@hostile("connections that open, begin a download and vanish, 100 of them", connections=100, alone=True)
def vanish(it):
    for _ in range(100):
        peer = Peer(it)
        peer.say(frame("STREAM", stream=0, offset=0, data=bytes([1, 1, 1, 0x11, 7, 1, 2]) + b"\4live"[:5]),
                 frame("STREAM_FIN", stream=2, offset=0, data=b""))
        peer.link.socket.close()


# Control -------------------------------------------------------------------------------------------------


@hostile("PATH_CHALLENGE 100,000 times while nothing is acknowledged")
def challenges(it):
    """RULE 37: the answers have one slot."""
    peer = it.peer()
    it.case.assertTrue(peer.alive())
    peer.stop_acknowledging()
    flood(peer, b"".join(frame("PATH_CHALLENGE", data=bytes([n]) * 8) for n in range(100)), 1000)
    it.case.assertTrue(peer.alive())


def flood(peer, frames, times):
    for number in range(times):
        peer.say(frames)
        if number % 32 == 0:
            peer.look()


@hostile("PING 100,000 times while nothing is acknowledged")
def pings(it):
    peer = it.peer()
    peer.stop_acknowledging()
    flood(peer, frame("PING") * 100, 1000)
    it.case.assertTrue(peer.alive())


@hostile("STOP_SENDING, PATH_RESPONSE and MAX_STREAM_DATA for streams of no use, 20,000 times")
def useless_control(it):
    peer = it.files()
    flood(peer, frame("STOP_SENDING", stream=2, code=TOP) + frame("PATH_RESPONSE", data=bytes(8))
          + frame("MAX_STREAM_DATA", stream=2, limit=TOP) + frame("MAX_DATA", limit=TOP)
          + frame("MAX_STREAMS", count=1 << 60), 4000)
    it.case.assertTrue(peer.alive())


@hostile("CLOSE 2,000 times")
def close_storm(it):
    """One CLOSE in answer, then at most the 100 UNKNOWN a second of those that nobody knows."""
    peer, begin = it.peer(), time.monotonic()
    it.case.assertTrue(peer.alive())
    for _ in range(2000):
        peer.say(frame("CLOSE", code=1, reason=b"r" * 128))
    stranger = it.stranger()
    stranger.heard()  # by now they have all been read
    closes = others = 0
    for answer in peer.link.receive(time.monotonic()):
        closes += answer[0] & 0xFE == 0x40
        others += answer[0] == 0x06
    it.case.assertLessEqual(closes, 1)
    it.case.assertLessEqual(others, 100 * (time.monotonic() - begin + 2))
    peer.link.socket.close()
    peer.closed = True


# Packets -------------------------------------------------------------------------------------------------


@hostile("a packet cut at every byte, and each with its last bits flipped")
def cut_packets(it):
    """RULE 14 for what does not verify: nothing happens at all."""
    peer = it.peer()
    packet = peer.sealed(frame("STREAM", stream=1, offset=TOP - 1, data=b"x" * 300) + frame("PING"))
    for size in range(len(packet)):
        peer.link.send(packet[:size])
    for bit in range(8 * len(packet) - 128, 8 * len(packet)):
        forged = bytearray(packet)
        forged[bit // 8] ^= 1 << bit % 8
        peer.link.send(bytes(forged))
    it.case.assertTrue(peer.alive())


@hostile("frames cut at every byte, under a valid tag")
def cut_frames(it):
    """RULE 14: each ends its connection with FRAME_ENCODING, or was whole."""
    frames = (frame("STREAM", stream=0, offset=70, data=b"abcdef"),
              frame("RESET_STREAM", stream=2, code=9, final_size=100), frame("PATH_CHALLENGE", data=bytes(8)))
    whole, borders = b"".join(frames), set(itertools.accumulate(map(len, frames)))
    for size in range(1, len(whole)):
        peer = it.peer()
        peer.say(whole[:size])
        if size in borders:
            it.case.assertTrue(peer.alive())
        else:
            it.case.assertEqual(peer.ending(), ("CLOSE", "FRAME_ENCODING"), size)


@hostile("forged tags, 100,000 packets for a connection in use")
def forged_tags(it):
    """RULE 13 is far away; RULE 9: nothing changes."""
    peer = it.peer()
    packet = peer.sealed(frame("CLOSE", code=0, reason=b""))
    for number in range(100_000):
        peer.link.send(packet[:-4] + (number + 1).to_bytes(4, "big"))
        if number % 64 == 0:
            peer.look() if number % 4096 else peer.alive()
    it.case.assertTrue(peer.alive())


@hostile("an upload of which every packet is sent again twenty times, all mixed")
def replays(it):
    """RULE 11."""
    peer = it.files()
    packets, send = [], peer.link.send
    peer.link.send = lambda packet: (packets.append(packet), send(packet))
    content = it.rng.randbytes(50_000)
    name = next(it.names)
    stream = begin_upload(peer, name, len(content))
    for at in range(0, len(content), 1000):
        peer.write(stream, content[at:at + 1000])
        peer.look()
        for packet in it.rng.choices(packets, k=20):
            send(packet)
    finish_upload(peer, stream, content)
    it.case.assertEqual((it.root / name).read_bytes(), content)


@hostile("packets for a connection from 50 other ports")
def other_ports(it):
    """Without keys for it nothing happens, and nobody else is answered with this connection's data."""
    peer = it.peer()
    it.case.assertTrue(peer.alive())
    for _ in range(50):
        stranger = it.stranger()
        forged = bytearray(peer.sealed(frame("PING")))
        forged[-1] ^= 1
        stranger.send(bytes(forged))
    it.case.assertEqual(stranger.heard(), [])
    it.case.assertTrue(peer.alive())


if __name__ == "__main__":
    main(Transport)
