"""Misbehaviour by a peer with valid keys, in the file protocol (SPEC 10)."""

from adversary import MIB, Adversary, TransportError, hostile, main, wire
from peer.files import CHUNK, ERRORS, MESSAGES, FileError, root_hash
from peer.wire import frame, varint
from peer.xxh3 import xxh3_128

PROTOCOL = ERRORS.index("PROTOCOL")
START = bytes([1, 1, 1])


class Files(Adversary):
    pass


def message(name, **fields):
    body = MESSAGES.encode_body(name, **fields)
    return bytes([MESSAGES.types[name]]) + varint(len(body)) + body


def put(**change):
    return message("PUT", **{"request": 1, "stream": 2, "flags": 0, "size": 10, "mode": 0o644, "mtime": 0,
                             "path": b"new"} | change)


def get(**change):
    return message("GET", **{"request": 1, "stream": 2, "path": b"small"} | change)


def listing(**change):
    return message("LIST", **{"request": 1, "recursive": 0, "path": b""} | change)


BROKEN = {  # what a client says on the control stream, and is closed for with CLOSE_APP 14 (SPEC 10.1)
    "no START": get(),
    "START twice": START + START,
    "another version": bytes([1, 1, 2]),
    "a message of 2^62 - 1 bytes": START + b"\x10" + varint(wire.VARINT_MAX),
    "a message of 65,537 bytes": START + b"\x12" + varint(65537),
    "an unknown message": START + b"\x50\0",
    "a byte too many": START + b"\x14\2\1\0",
    "a byte too few": START + b"\x11\2\1\2",
    "a path longer than its message": START + b"\x11\4\1\2\x7f\x61",
    "a path of 2^62 - 1 bytes": START + b"\x11\x0a\1\2" + varint(wire.VARINT_MAX),
    "the server's messages": START + message("READY", request=1),
    "recursive 2": START + listing(recursive=2),
    "no stream of the client's": START + get(stream=3),
    "the control stream for content": START + get(stream=0),
    "HASHES of no chunk": START + put() + message("HASHES", request=1, first=0, hashes=[]),
    "HASHES of 2^61 chunks": START + put() + b"\x30\x0a\1\0" + varint(1 << 61),
    "HASHES of 1,025 chunks": START + put() + message("HASHES", request=1, first=0, hashes=[bytes(16)] * 1025),
}


@hostile("broken messages, each a connection's last: " + ", ".join(BROKEN))
def broken(it):
    for text, data in BROKEN.items():
        with it.case.subTest(text):
            peer = it.peer()
            peer.open_stream()
            peer.write(0, data)
            it.case.assertEqual(peer.ending(), ("CLOSE_APP", PROTOCOL))


BAD_NAMES = (b"..", b"../secret", b"a/../../secret", b"/etc/passwd", b"a//b", b"a/", b"./a", b"x\0y", b"x\x1b[2Jy",
             b"x\ny", b"\x7f", b"n" * 256, b"/".join([b"d"] * 65), b"/".join([b"n" * 200] * 30), b"a/./b")


@hostile("names: upwards, absolute, with NUL and control characters, too long, too deep", connections=4)
def names(it):
    """BAD_NAME each, and nothing is made."""
    before = sorted(it.root.rglob("*"))
    peer = it.files()
    for name in BAD_NAMES:
        for make in (get, put, listing, lambda **fields: message("MKDIR", **{"request": 1, "mode": 0o755} | fields)):
            stream = peer.open_stream()
            peer.files.request += 1
            fields = {"request": peer.files.request, "path": name}
            if make in (get, put):
                fields["stream"] = stream
            peer.write(0, make(**fields))
            peer.write(stream, b"", fin=True)
            with it.case.subTest(name[:40]), it.case.assertRaises(FileError) as caught:
                peer.files.next("nothing")
            it.case.assertEqual(caught.exception.name, "BAD_NAME")
            if stream // 2 + 4 >= peer.peer["max_streams"]:
                peer.run(lambda: stream // 2 + 4 < peer.peer["max_streams"])
    it.case.assertEqual([path for path in sorted(it.root.rglob("*")) if path in before], before)
    it.case.assertFalse((it.dir / "secret").exists())


def upload(it, content, *, size=None, told=None, root=None, end_size=None, first=0, replace=0, name=None):
    """An upload with lies in it; returns (name of the error or None, the file)."""
    peer = it.files()
    name = name or next(it.names)
    stream = peer.open_stream()
    peer.files.request += 1
    peer.write(0, put(request=1, stream=stream, size=len(content) if size is None else size, flags=replace,
                      path=name.encode()))
    hashes = [xxh3_128(content[at:at + CHUNK]) for at in range(0, len(content), CHUNK)]
    told = hashes if told is None else told
    end_size = len(content) if end_size is None else end_size
    try:
        peer.files.next("READY")
        peer.write(stream, content, fin=True)
        if told:
            peer.files.send("HASHES", request=1, first=first, hashes=told)
        peer.files.send("END", request=1, size=end_size, root=root or root_hash(end_size, told))
        peer.files.next("DONE")
        return None, it.root / name
    except FileError as error:
        return error.name, it.root / name
    except TransportError as error:
        return error.close, it.root / name


CONTENT = bytes(range(256)) * 40
LIES = {  # of an upload; none of them leaves a file
    "another hash": {"told": [bytes(16)]},
    "another root": {"root": bytes(16)},
    "a hash too many": {"told": [xxh3_128(CONTENT), bytes(16)]},
    "no hash": {"told": []},
    "an END that says less": {"end_size": len(CONTENT) - 1},
    "an END that says 2^62 - 1": {"end_size": wire.VARINT_MAX},
    "a PUT of 2^62 - 2 bytes": {"size": wire.VARINT_MAX - 1},
    "a PUT of less": {"size": 1},
    "a PUT of more": {"size": len(CONTENT) + 1},
}


@hostile("uploads that lie: " + ", ".join(LIES), connections=len(LIES))
def lies(it):
    for text, lie in LIES.items():
        with it.case.subTest(text):
            error, path = upload(it, CONTENT, **lie)
            it.case.assertIsNotNone(error)
            it.case.assertFalse(path.exists())
    for truth in ({}, {"first": 1 << 40}):  # the root proves the content without them (SPEC 10.3)
        error, path = upload(it, CONTENT, **truth)
        it.case.assertIsNone(error)
        it.case.assertEqual(path.read_bytes(), CONTENT)


@hostile("an upload over a file that exists, an upload that reads the file it replaces")
def exists(it):
    error, path = upload(it, CONTENT)
    it.case.assertIsNone(error)
    it.case.assertEqual(upload(it, b"other", name=path.name)[0], "EXISTS")
    it.case.assertEqual(upload(it, b"other", name=path.name, replace=1, told=[bytes(16)])[0], "INTEGRITY")
    it.case.assertEqual(path.read_bytes(), CONTENT)


@hostile("requests without end: 3,000 LISTs whose answers are not read", connections=1)
def lists(it):
    """LIMIT, or an answer that waits for room; the memory is checked."""
    peer = it.files(window=20_000)
    peer.read = lambda stream: b""
    for request in range(1, 3001):
        peer.files.send("LIST", request=request, recursive=1, path=b"")
    for _ in range(300):
        peer.look()
    it.case.assertIsNone(peer.closed)


@hostile("downloads without end: a GET on every stream that is allowed, none read", connections=32)
def gets(it):
    peer = it.files(window=20_000)
    peer.read = lambda stream: b""
    for request in range(1, peer.peer["max_streams"]):
        stream = peer.open_stream()
        peer.files.send("GET", request=request, stream=stream, path=b"live")
        peer.write(stream, b"", fin=True)
    for _ in range(300):
        peer.look()
    it.case.assertIsNone(peer.closed)


@hostile("uploads begun on every stream that is allowed, and dropped", connections=32)
def abandoned(it):
    """Nothing of them is left once the connection has ended."""
    peer = it.files()
    for request in range(1, 60):
        stream = peer.open_stream()
        peer.files.send("PUT", request=request, stream=stream, flags=0, size=MIB, mode=0o600, mtime=0,
                        path=b"abandoned%d" % request)
        peer.write(stream, b"x" * 1000)
    for _ in range(100):
        peer.look()
    peer.close(0)
    while list(it.root.glob(".volley-*.part")) or list(it.root.glob("abandoned*")):
        it.newcomer()  # passes the time with something useful; the test's deadline ends it


@hostile("one request number for two transfers, CANCEL of what is not there, DONE for what was not asked")
def confusion(it):
    peer = it.peer()
    peer.open_stream()
    cancel = message("CANCEL", request=77)
    peer.write(0, START + cancel * 500 + message("DONE", request=99) + message(
        "ERROR", request=98, code=wire.VARINT_MAX, text=b"\x1b[2J" * 1000))
    it.case.assertTrue(peer.alive())
    other = it.peer()
    other.open_stream()
    other.write(0, START + get() + get(stream=4))
    it.case.assertEqual(other.ending(), ("CLOSE_APP", PROTOCOL))


@hostile("a message that never ends, byte by byte, and content for a stream that nobody explains")
def unfinished(it):
    peer = it.peer()
    peer.open_stream()
    peer.write(0, START + b"\x12" + varint(65536))
    for _ in range(200):
        peer.write(0, b"\0")
        peer.look()
    peer.say(*(frame("STREAM", stream=stream, offset=1 << 14, data=b"x" * 100) for stream in range(2, 12, 2)))
    it.case.assertTrue(peer.alive())


if __name__ == "__main__":
    main(Files)
