"""How long datagrams get over loopback, in the network namespace of this machine and in ones of our own
with other MTUs: what the kernel refuses to send is known at once, nothing is fragmented."""

import subprocess
import unittest

from volley_it import Case, main

BYTES = 20_000_000
MTU_OF_LO = 65536

# Gives loopback an MTU, then becomes the program.
SET_MTU = """\
import fcntl, os, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
SIOCSIFMTU, SIOCSIFFLAGS, IFF_UP = 0x8922, 0x8914, 1
fcntl.ioctl(s, SIOCSIFMTU, struct.pack("16si12x", b"lo", int(sys.argv[1])))
fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Mtu(Case):
    def script(self, name, text):
        path = self.file(name, content=f"#!/bin/sh\n{text}\n".encode())
        path.chmod(0o755)
        return path

    def serve_behind(self, mtu, listen="127.0.0.1"):
        """A server in a namespace of its own, and what runs a client there."""
        if subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode:
            self.skipTest("no network namespaces")
        set_mtu = self.file("set_mtu.py", content=SET_MTU.encode())
        program = self.script("serve.sh", f'exec unshare -Urn python3 {set_mtu} {mtu} "$VOLLEY_BIN" "$@"')
        server = self.serve("--writable", listen=listen, program=program)
        client = self.script("client.sh", 'exec nsenter --preserve-credentials -U -n '
                             f'-t {server.process.pid} "$VOLLEY_BIN" "$@"')
        return server, client

    def put(self, server, *args, **popen):
        """Uploads; returns what the client and the server say of it."""
        source = self.file("a", BYTES)
        events = self.run_ok("put", source, server.at, "--json", "--force", *args, **popen).events
        self.assert_same(source, self.root / "a")
        return events[-1], server.wait_event("disconnect")

    def check(self, sent, received, longest):
        self.assertEqual(sent["datagram_bytes"], longest)
        self.assertEqual(received["datagram_received_bytes"], longest)

    def test_whole_loopback(self):
        sent, received = self.put(self.serve("--writable"))
        self.check(sent, received, 65507)
        self.assertLess(sent["packets_sent"], BYTES / 1472 / 4)
        # The first probe found it.
        self.assertEqual(sent["frames"]["sent"]["PADDING"] // 60000, 1)

    def test_whole_loopback_ipv6(self):
        sent, received = self.put(self.serve("--writable", listen="::1"))
        self.check(sent, received, 65487)

    def test_download(self):
        server = self.serve()
        source = self.file("root/b", BYTES)
        got = self.run_ok("get", f"{server.at}/b", "-o", self.got, "--json").events[-1]
        self.assert_same(source, self.got / "b")
        self.assertEqual(got["datagram_received_bytes"], 65507)
        self.assertEqual(got["datagram_bytes"], 1472)  # who sends no data does not search

    def test_chosen(self):
        """Nothing longer than --mss is tried."""
        for mss in 1200, 1472, 9000:
            with self.subTest(mss=mss):
                server = self.serve("--writable")
                sent, received = self.put(server, "--mss", mss)
                self.check(sent, received, mss)
                self.assertGreaterEqual(sent["packets_sent"], BYTES / mss)
                server.stop()

    def test_other_mtus(self):
        """1500 and 9000 exactly; 2000 to the next likely size below; 1400 and 1280 though that is less
        than what is tried at first."""
        for mtu, longest in (1500, 1472), (9000, 8972), (2000, 1472), (1400, 1372), (1280, 1232):
            with self.subTest(mtu=mtu):
                server, client = self.serve_behind(mtu)
                sent, received = self.put(server, program=client)
                self.check(sent, received, longest)
                server.stop()

    def test_chosen_too_long(self):
        """What --mss asks for does not get through: less is sent."""
        server, client = self.serve_behind(1500)
        sent, received = self.put(server, "--mss", 9000, program=client)
        self.check(sent, received, 1472)


main()
