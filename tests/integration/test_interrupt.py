"""Ctrl-C and kill -9 on either side: both end soon, with a clear line and no half file."""

import signal
import time

from volley_it import NETWORK, OK, Case, main

# A second is what users are promised; a busy machine under sanitizers gets a few.
SOON_S = 5


class Interrupt(Case):
    def setUp(self):
        super().setUp()
        self.source = self.file("root/a", 50_000_000)
        self.upload = self.file("b", 50_000_000)

    def getting(self, *args):
        server = self.serve("--rate", "4MB")
        client = self.start("get", f"{server.at}/a", "-o", self.got, *self.protection, "--json", *args)
        client.wait_event("progress", lambda e: e["bytes_done"] > 0)
        return server, client

    def putting(self, *args):
        (self.root / "a").unlink()
        server = self.serve("--writable")
        client = self.start("put", self.upload, server.at, *self.protection, "--json", "--rate", "4MB", *args)
        client.wait_event("progress", lambda e: e["bytes_done"] > 0)
        return server, client

    def assert_interrupted(self, client, command, code):
        self.assertEqual(client.wait(SOON_S), code, client.errors)
        self.assert_one_line(client.errors, command)
        self.assertIn("interrupted", client.errors[0])
        self.assertEqual(client.drain()[-1]["code"], "CANCELLED")

    def test_client_that_gets(self):
        for signum in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signum.name):
                server, client = self.getting()
                client.signal(signum)
                self.assert_interrupted(client, "get", 128 + signum)
                server.wait_event("disconnect", deadline_s=SOON_S)
                self.assert_nothing_in(self.got)
                self.run_ok("ls", server.at)  # the server goes on

    def test_terminal_that_goes_away(self):
        """The kernel and the shell each send a SIGHUP: that is no second Ctrl-C."""
        server, client = self.getting()
        server.signal(signal.SIGSTOP)  # so that a polite end takes as long as it may
        self.addCleanup(server.signal, signal.SIGKILL)
        client.signal(signal.SIGHUP)
        time.sleep(0.1)
        client.signal(signal.SIGHUP)
        self.assert_interrupted(client, "get", 128 + signal.SIGHUP)
        self.assert_nothing_in(self.got)

    def test_client_that_puts(self):
        server, client = self.putting()
        client.signal(signal.SIGINT)
        self.assert_interrupted(client, "put", 130)
        server.wait_event("disconnect", deadline_s=SOON_S)
        self.assert_nothing_in(self.root)
        self.run_ok("ls", server.at)

    def assert_server_stops(self, server, client, command):
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(SOON_S), OK, server.errors)
        self.assertEqual(server.drain()[-1]["event"], "stopped")
        self.assertEqual(client.wait(SOON_S), NETWORK, client.errors)
        self.assert_one_line(client.errors, command)

    def test_server_that_sends(self):
        server, client = self.getting()
        self.assert_server_stops(server, client, "get")
        self.assert_nothing_in(self.got)

    def test_server_that_receives(self):
        server, client = self.putting()
        self.assert_server_stops(server, client, "put")
        self.assert_nothing_in(self.root)

    def test_idle_server(self):
        server = self.serve()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(SOON_S), OK, server.errors)

    def test_waiting_client(self):
        server = self.serve()
        server.signal(signal.SIGSTOP)
        self.addCleanup(server.signal, signal.SIGKILL)
        self.interrupt_waiting("get", f"{server.at}/a", "-o", self.got)
        self.assert_nothing_in(self.got)
        self.assertEqual(self.interrupt_waiting("ls", server.at), ["volley ls: interrupted"])

    def interrupt_waiting(self, *args):
        client = self.start(*args, *self.protection)
        # Its socket is open when it has read the name of its peer: /proc tells, without a sleep.
        end = time.monotonic() + SOON_S
        while not self.is_listening_for_signals(client) and time.monotonic() < end:
            pass
        client.signal(signal.SIGINT)
        self.assertEqual(client.wait(SOON_S), 130, client.errors)
        return client.errors

    @staticmethod
    def is_listening_for_signals(client):
        with open(f"/proc/{client.process.pid}/status", encoding="ascii") as status:
            caught = next(line for line in status if line.startswith("SigCgt"))
        return int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1


class Killed(Case):
    def test_server_of_a_get(self):
        self.file("root/a", 50_000_000)
        server = self.serve("--rate", "4MB")
        client = self.start("get", f"{server.at}/a", "-o", self.got, *self.protection, "--json", "--timeout",
                            "2s")
        client.wait_event("progress", lambda e: e["bytes_done"] > 0)
        server.signal(signal.SIGKILL)
        self.assertEqual(client.wait(2 + SOON_S), NETWORK, client.errors)
        self.assert_one_line(client.errors, "get")
        self.assertEqual(client.drain()[-1]["event"], "error")
        self.assert_nothing_in(self.got)

    def test_server_of_a_put(self):
        source = self.file("b", 50_000_000)
        server = self.serve("--writable")
        client = self.start("put", source, server.at, *self.protection, "--json", "--rate", "4MB", "--timeout",
                            "2s")
        client.wait_event("progress", lambda e: e["bytes_done"] > 0)
        server.signal(signal.SIGKILL)
        self.assertEqual(client.wait(2 + SOON_S), NETWORK, client.errors)
        self.assert_one_line(client.errors, "put")
        self.assertFalse((self.root / "b").exists())

    def test_client(self):
        self.file("root/a", 50_000_000)
        server = self.serve("--rate", "4MB", "--timeout", "2s")
        client = self.start("get", f"{server.at}/a", "-o", self.got, *self.protection, "--json")
        client.wait_event("progress", lambda e: e["bytes_done"] > 0)
        client.signal(signal.SIGKILL)
        gone = server.wait_event("disconnect", deadline_s=2 + SOON_S)
        self.assertEqual(gone["error"]["code"], "LOST")
        self.assertFalse((self.got / "a").exists())
        self.run_ok("ls", server.at)  # the server goes on


main()
