"""Peers that are silent, mad, or of another version, played by sockets of the test itself."""

import socket
import struct
import threading
import time

from volley_it import NETWORK, OK, REFUSED, Case, main, random_bytes

HELLO, VERSIONS, REFUSE = 0x01, 0x05, 0x07  # SPEC 2
VERSION_NEXT = 0x564C5902
HELLO_BYTES_MIN = 1200


def crc32c_table():
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC_TABLE = list(crc32c_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def with_tag(body):
    """SPEC 2.1: the tag of suite plain."""
    return body + struct.pack(">I12x", crc32c(body))


class Peer:
    """A UDP socket that gives `answer(datagram)` to each datagram."""

    def __init__(self, test, answer=lambda datagram: None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.answer = answer
        self.seen = []
        self.at = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        test.addCleanup(self.close)

    def run(self):
        while not self.ended.is_set():
            datagram, sender = self.socket.recvfrom(65536)
            self.seen.append(datagram)
            answer = self.answer(datagram)
            if answer is not None:
                self.socket.sendto(answer, sender)

    def close(self):
        self.ended.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


class Silent(Case):
    def fails_after_a_second(self, at):
        before = time.monotonic()
        line = self.run_fails(NETWORK, "get", f"{at}/a", "-o", self.got, "--timeout", "1s")
        self.assertIn(at, line)
        self.assertGreater(time.monotonic() - before, 0.9)
        self.assertLess(time.monotonic() - before, 6)
        self.assert_nothing_in(self.got)

    def test_peer_that_never_answers(self):
        peer = Peer(self)
        self.fails_after_a_second(peer.at)
        self.assertGreaterEqual(len(peer.seen), 2)  # the HELLO is repeated
        self.assertTrue(all(len(d) >= HELLO_BYTES_MIN and d[0] == HELLO for d in peer.seen))

    def test_wrong_port(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            at = f"127.0.0.1:{taken.getsockname()[1]}"
        line = self.run_fails(NETWORK, "get", f"{at}/a", "-o", self.got, "--timeout", "1s")
        self.assertIn(at, line)
        self.assert_nothing_in(self.got)

    def test_put_and_ls(self):
        peer = Peer(self)
        source = self.file("a", 10)
        self.run_fails(NETWORK, "put", source, peer.at, "--timeout", "500ms")
        self.run_fails(NETWORK, "ls", peer.at, "--timeout", "500ms")

    def test_peer_that_echoes(self):
        self.fails_after_a_second(Peer(self, lambda datagram: datagram).at)

    def test_peer_that_answers_garbage(self):
        sizes = iter(range(10_000))
        self.fails_after_a_second(Peer(self, lambda datagram: random_bytes(next(sizes) * 37 % 1500)).at)


class OtherVersion(Case):
    def test_client_says_so(self):
        def answer(hello):
            return with_tag(bytes([VERSIONS]) + hello[5:13] + bytes([4]) + struct.pack(">I", VERSION_NEXT))

        begun = time.monotonic()
        line = self.run_fails(NETWORK, "get", f"{Peer(self, answer).at}/a", "-o", self.got)
        self.assertIn("version", line)
        self.assertLess(time.monotonic() - begun, 5)  # it does not wait for the 10 s to pass
        self.assert_nothing_in(self.got)

    def test_damaged_answer_is_ignored(self):
        def answer(hello):
            packet = with_tag(bytes([VERSIONS]) + hello[5:13] + bytes([4]) + struct.pack(">I", VERSION_NEXT))
            return packet[:10] + bytes([packet[10] ^ 1]) + packet[11:]

        line = self.run_fails(NETWORK, "ls", Peer(self, answer).at, "--timeout", "500ms")
        self.assertNotIn("version", line)

    def test_server_answers_with_its_versions(self):
        server = self.serve()
        hello = struct.pack(">BIQ", HELLO, VERSION_NEXT, 0x1122334455667788)
        hello = with_tag(hello.ljust(HELLO_BYTES_MIN - 16, b"\0"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(hello, ("127.0.0.1", server.port))
            answer = client.recv(2048)
        self.assertEqual(answer[0], VERSIONS)
        self.assertEqual(answer[1:9], hello[5:13])
        self.assertIn(struct.pack(">I", 0x564C5901), answer[10:-16])
        self.assertEqual(answer[-16:], with_tag(answer[:-16])[-16:])


class Refused(Case):
    def test_busy(self):
        def answer(hello):
            return with_tag(bytes([REFUSE]) + hello[5:13] + bytes([0x0C, 4]) + b"full")

        self.run_fails(REFUSED, "ls", Peer(self, answer).at)

    def test_reason_cannot_reach_the_terminal(self):
        def answer(hello):
            return with_tag(bytes([REFUSE]) + hello[5:13] + bytes([0x0B, 9]) + b"\x1b[2J\nevil")

        line = self.run_fails_with_any_code("ls", Peer(self, answer).at)
        self.assertNotIn("\x1b", line)

    def run_fails_with_any_code(self, *args):
        process = self.start(*args, *self.protection)
        self.assertNotEqual(process.wait(), OK)
        self.assert_one_line(process.errors, args[0])
        return process.errors[0]


class Garbage(Case):
    """Datagrams that mean nothing arrive at both ports all through a transfer."""

    def flood(self, port, stop):
        packets = [random_bytes(n * 29 % 1500, seed=n) for n in range(200)]
        packets += [bytes([kind]) + random_bytes(1300, seed=kind) for kind in range(8)]
        packets += [bytes([0x40]) + random_bytes(1300, seed=kind) for kind in range(8)]
        packets += [with_tag(bytes([0x40]) + random_bytes(60, seed=9)), b""]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            attacker.connect(("127.0.0.1", port))
            while not stop.is_set():
                for packet in packets:
                    try:
                        attacker.send(packet)
                    except ConnectionRefusedError:
                        return
                stop.wait(0.001)

    def under_fire(self, server, *args):
        stop = threading.Event()
        attacker = threading.Thread(target=self.flood, args=(server.port, stop))
        attacker.start()
        try:
            self.run_ok(*args)
        finally:
            stop.set()
            attacker.join()

    def test_download(self):
        source = self.file("root/a", 10_000_000)
        server = self.serve()
        self.under_fire(server, "get", f"{server.at}/a", "-o", self.got)
        self.assert_same(source, self.got / "a")
        self.assertEqual(server.stop(), OK)

    def test_upload(self):
        source = self.file("a", 10_000_000)
        server = self.serve("--writable")
        self.under_fire(server, "put", source, server.at)
        self.assert_same(source, self.root / "a")
        self.assertEqual(server.stop(), OK)


main()
