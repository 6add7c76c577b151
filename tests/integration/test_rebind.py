"""The client's address changes under way: a relay of UDP between client and server takes another
port, then another loopback address, each second of a transfer of more than six seconds."""

import selectors
import socket
import threading
import time
import unittest

from volley_it import Case, main

BYTES = 8_000_000
RATE = "9Mbit"  # 7 s
EVERY_S = 1.0
DEADLINE_S = 120
HOSTS = [f"127.0.0.{n}" for n in range(2, 16)]


class Relay:
    """Listens on a port of 127.0.0.1 and passes everything to `server` from a socket that is made
    anew each EVERY_S; what still comes to an old one is lost, as behind a NAT."""

    def __init__(self, server, hosts):
        self.server = ("127.0.0.1", server)
        self.hosts = hosts  # of the sockets, one after the other, again and again
        self.moves = -1
        self.client = None
        self.inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inner.bind(("127.0.0.1", 0))
        self.port = self.inner.getsockname()[1]
        self.outer = None
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.inner, selectors.EVENT_READ)
        self.wake, self.waker = socket.socketpair()
        self.selector.register(self.wake, selectors.EVENT_READ)
        self.move()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def move(self):
        self.moves += 1
        old, host = self.outer, self.hosts[self.moves % len(self.hosts)]
        self.outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.outer.bind((host, 0))  # before the old one closes: another port for certain
        self.selector.register(self.outer, selectors.EVENT_READ)
        if old is not None:
            self.selector.unregister(old)
            old.close()
        self.due = time.monotonic() + EVERY_S

    def pass_on(self, sock):
        data, sender = sock.recvfrom(65535)
        if sock is self.inner:
            self.client = sender
            self.outer.sendto(data, self.server)
        elif self.client is not None:
            self.inner.sendto(data, self.client)

    def run(self):
        while True:
            for key, _ in self.selector.select(max(0.0, self.due - time.monotonic())):
                if key.fileobj is self.wake:
                    return
                try:
                    self.pass_on(key.fileobj)
                except ConnectionError:
                    pass  # somebody has closed already
            if time.monotonic() >= self.due:
                self.move()

    def close(self):
        self.waker.send(b"x")
        self.thread.join()
        for sock in (self.inner, self.outer, self.wake, self.waker):
            sock.close()
        self.selector.close()


class Rebind(Case):
    """RULE 6 with real packets. The old socket is closed, so that what the server still sends there
    is answered by ICMP, which ends nothing (RULE 15)."""

    client = ()  # options of the client alone

    def relay(self, server, hosts):
        relay = Relay(server.port, hosts)
        self.addCleanup(relay.close)
        return relay

    def check(self, server, relay):
        """Most moves were followed, and nothing else."""
        moves = relay.moves
        stats = server.wait_event("disconnect")
        self.assertGreaterEqual(moves, 5)
        self.assertIsNone(stats["error"])
        self.assertGreaterEqual(stats["path_changes"], moves // 2)
        self.assertLessEqual(stats["path_changes"], relay.moves)

    def download(self, hosts):
        source = self.file("root/a", BYTES)
        server = self.serve("--rate", RATE)
        relay = self.relay(server, hosts)
        self.run_ok("get", f"127.0.0.1:{relay.port}/a", "-o", self.got, *self.client, timeout=DEADLINE_S)
        self.assert_same(source, self.got / "a")
        self.check(server, relay)

    def upload(self, hosts):
        source = self.file("a", BYTES)
        server = self.serve("--writable")
        relay = self.relay(server, hosts)
        self.run_ok("put", source, f"127.0.0.1:{relay.port}/a", "--rate", RATE, *self.client,
                    timeout=DEADLINE_S)
        self.assert_same(source, self.root / "a")
        self.check(server, relay)


class Plain(Rebind):
    """Without encryption another port of the same address is followed, and nothing else."""

    protection = ("--plain",)

    def test_download_with_new_ports(self):
        self.download(["127.0.0.1"])

    def test_upload_with_new_ports(self):
        self.upload(["127.0.0.1"])


class Sealed(Rebind):
    protection = ()
    client = ("--accept-new",)

    def test_download_with_new_addresses(self):
        self.download(HOSTS)

    def test_upload_with_new_addresses(self):
        self.upload(HOSTS)


main()
