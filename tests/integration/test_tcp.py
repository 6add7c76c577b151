"""What is TCP's own: both carriers at once, options, who does not listen, peers that vanish midway."""

import resource
import signal
import socket
import subprocess
import threading

from volley_it import BIN, NETWORK, OK, USAGE, Case, main

SOON_S = 5
LARGE = 50_000_000


class Proxy:
    """Between a client and a server: passes `budget` bytes of one direction on, then holds it back.

    So a transfer stands still in its middle, for as long as the test wants. An end that goes away
    takes the other one's connection with it.
    """

    def __init__(self, port, budget, downstream):
        self.budget, self.downstream, self.held = budget, downstream, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.at = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.server_port = port
        self.sockets = [self.listener]
        self.threads = [threading.Thread(target=self._run, daemon=True)]
        self.threads[0].start()

    def _run(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.server_port))
        self.sockets += [client, server]
        for source, target, down in ((client, server, False), (server, client, True)):
            limited = down == self.downstream
            thread = threading.Thread(target=self._pass, args=(source, target, limited), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _pass(self, source, target, limited):
        left = self.budget if limited else None
        try:
            while data := source.recv(65536):
                if left is not None and len(data) > left:
                    target.sendall(data[:left])
                    left = 0
                    self.held.set()
                    continue  # read on: what follows is dropped, so that an end is seen
                if left is not None:
                    left -= len(data)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        for end in self.sockets:
            end.close()
        for thread in self.threads:
            thread.join(SOON_S)


class OverTcp(Case):
    carrier = ("--tcp",)

    def proxy(self, port, budget, downstream):
        proxy = Proxy(port, budget, downstream)
        known_hosts = self.home / "known_hosts"
        server_key = known_hosts.read_text().split()[-1]
        with open(known_hosts, "a", encoding="ascii") as known:
            known.write(f"{proxy.at} {server_key}\n")
        self.addCleanup(proxy.close)
        return proxy


class Carriers(Case):
    def test_both_on_one_port(self):
        source = self.file("root/a", 3_000_000)
        server = self.serve("--udp", "--tcp", "--writable")
        second = server.wait_event("listening")
        self.assertEqual([server.listening["proto"], second["proto"]], ["udp", "tcp"])
        self.assertEqual(server.port, second["port"])
        for name, carrier in (("t", "--tcp"), ("u", "--udp")):
            events = self.run_ok("get", f"{server.at}/a", "-o", self.got / name, carrier, "--json").events
            self.assert_same(source, self.got / name)
            self.assertEqual(events[-1]["proto"], carrier[2:])
        self.run_ok("put", self.got / "t", f"{server.at}/b", "--tcp")
        self.assert_same(source, self.root / "b")
        self.assertEqual(server.stop(), OK)
        self.assertIn("on UDP and TCP 127.0.0.1", server.errors[0])

    def test_tcp_alone_says_so(self):
        server = self.serve("--tcp")
        self.assertEqual(server.listening["proto"], "tcp")
        self.assertEqual(server.stop(), OK)
        self.assertIn("on TCP 127.0.0.1", server.errors[0])

    def test_the_other_carrier_is_not_served(self):
        udp, tcp = self.serve(), self.serve("--tcp")
        line = self.run_fails(NETWORK, "ls", udp.at, "--tcp")
        self.assertIn("--tcp", line)
        line = self.run_fails(NETWORK, "ls", tcp.at, "--timeout", "300ms")
        self.assertIn("--tcp", line)

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for carrier in (["--tcp"], ["--tcp", "--udp"]):
                line = self.run_fails(4, "serve", self.root, "--listen", "127.0.0.1", "--port", port, *carrier)
                self.assertIn("TCP", line)

    def test_options_that_contradict(self):
        for args in (["--io", "gso"], ["--cc", "reno"], ["--mss", "1200"], ["--rate", "1MB"],
                     ["--udp"], ["--tcp-cc", "nonesuch"]):
            with self.subTest(args):
                self.run_fails(USAGE, "put", self.got, "127.0.0.1:1", "--tcp", *args)
        self.run_fails(USAGE, "ls", "127.0.0.1:1", "--tcp-cc", "reno")

    def test_a_stranger_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def answer():
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.recv(1000)
            thread = threading.Thread(target=answer)
            thread.start()
            self.run_fails(NETWORK, "ls", f"127.0.0.1:{listener.getsockname()[1]}", "--tcp")
            thread.join()


class Figures(OverTcp):
    def test_tcp_info(self):
        self.file("root/a", 5_000_000)
        server = self.serve("--tcp-cc", "reno")
        done = self.run_ok("get", f"{server.at}/a", "-o", self.got, "--json", "--tcp-cc", "reno").events[-1]
        self.assertEqual((done["proto"], done["cc"]), ("tcp", "reno"))
        self.assertGreater(done["wire_bytes_received"], 5_000_000)
        for key in ("packets_received", "smoothed_rtt_ns", "cwnd_bytes"):
            self.assertGreater(done[key], 0, key)
        left = server.wait_event("disconnect")
        self.assertEqual((left["proto"], left["cc"]), ("tcp", "reno"))
        self.assertGreater(left["wire_bytes_sent"], 5_000_000)

    def test_small_window(self):
        source = self.file("root/a", 5_000_000)
        server = self.serve("--window", "64KiB")
        self.run_ok("get", f"{server.at}/a", "-o", self.got, "--window", "64KiB")
        self.assert_same(source, self.got / "a")


class Midway(OverTcp):
    """Ctrl-C and kill -9 on either side while content is on its way."""

    def getting(self):
        self.file("root/a", LARGE)
        server = self.serve()
        proxy = self.proxy(server.port, LARGE // 4, downstream=True)
        client = self.start("get", f"{proxy.at}/a", "-o", self.got, *self.protection, "--json", "--tcp")
        self.assertTrue(proxy.held.wait(SOON_S))
        return server, client

    def putting(self):
        source = self.file("b", LARGE)
        server = self.serve("--writable")
        proxy = self.proxy(server.port, LARGE // 4, downstream=False)
        client = self.start("put", source, proxy.at, *self.protection, "--json", "--tcp")
        self.assertTrue(proxy.held.wait(SOON_S))
        return server, client

    def assert_lost(self, client, command):
        self.assertEqual(client.wait(SOON_S), NETWORK, client.errors)
        self.assert_one_line(client.errors, command)

    def assert_root_is_clean(self, server):
        self.assertEqual(server.stop(), OK)  # which waits for the thread that removes what was begun
        self.assert_nothing_in(self.root)

    def test_server_of_a_get_is_killed(self):
        server, client = self.getting()
        server.signal(signal.SIGKILL)
        self.assert_lost(client, "get")
        self.assert_nothing_in(self.got)

    def test_server_of_a_put_is_killed(self):
        server, client = self.putting()
        server.signal(signal.SIGKILL)
        self.assert_lost(client, "put")
        self.assertFalse((self.root / "b").exists())

    def test_server_of_a_get_stops(self):
        server, client = self.getting()
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(SOON_S), OK)
        self.assert_lost(client, "get")
        self.assert_nothing_in(self.got)

    def test_client_of_a_put_is_killed(self):
        server, client = self.putting()
        client.signal(signal.SIGKILL)
        self.assertEqual(server.wait_event("disconnect", deadline_s=SOON_S)["error"]["code"], "LOST")
        self.run_ok("ls", server.at)  # the server goes on
        self.assert_root_is_clean(server)

    def test_client_of_a_put_is_interrupted(self):
        server, client = self.putting()
        client.signal(signal.SIGINT)
        self.assertEqual(client.wait(SOON_S), 130, client.errors)
        server.wait_event("disconnect", deadline_s=SOON_S)
        self.assert_root_is_clean(server)

    def test_client_of_a_get_is_interrupted(self):
        server, client = self.getting()
        client.signal(signal.SIGINT)
        self.assertEqual(client.wait(SOON_S), 130, client.errors)
        server.wait_event("disconnect", deadline_s=SOON_S)
        self.assert_nothing_in(self.got)

    def test_source_shrinks(self):
        source = self.file("root/a", LARGE)
        server = self.serve()
        proxy = self.proxy(server.port, LARGE // 4, downstream=True)
        client = self.start("get", f"{proxy.at}/a", "-o", self.got, *self.protection, "--json", "--tcp")
        self.assertTrue(proxy.held.wait(SOON_S))
        with open(source, "r+b") as f:
            f.truncate(1000)
        end = server.wait_event("end", deadline_s=SOON_S)
        self.assertEqual(end["error"]["code"], "SOURCE_CHANGED")
        client.signal(signal.SIGINT)
        client.wait(SOON_S)
        self.assert_nothing_in(self.got)


class BlockedPipe(OverTcp):
    def test_the_end_of_the_server_is_heard(self):
        """Nobody reads the pipe: content waits, but the control stream does not."""
        with open(self.root / "a", "wb") as sparse:
            sparse.truncate(8 * LARGE)  # more than the credit
        server = self.serve()
        client = subprocess.Popen([BIN, "get", f"{server.at}/a", "-o", "-", *self.protection, "--tcp"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(client.communicate)
        self.addCleanup(client.kill)
        server.wait_event("begin")
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(SOON_S), OK)
        self.assertEqual(client.wait(SOON_S), NETWORK)


class FewDescriptors(OverTcp):
    def test_clients_wait_their_turn(self):
        """More connections than the server has descriptors for: it serves one after another."""
        source = self.file("root/a", 100_000)
        server = self.serve(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)))
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        client = self.start("get", f"{server.at}/a", "-o", self.got, *self.protection, "--json", "--tcp")
        for connection in idle:
            connection.close()
        self.assertEqual(client.wait(), OK, client.errors)
        self.assert_same(source, self.got / "a")


class SilentServer(OverTcp):
    def test_that_stands_still_is_given_up(self):
        self.file("root/a", LARGE)
        server = self.serve()
        proxy = self.proxy(server.port, LARGE // 4, downstream=True)
        self.run_fails(NETWORK, "get", f"{proxy.at}/a", "-o", self.got, "--timeout", "500ms")
        self.assert_nothing_in(self.got)


main()
