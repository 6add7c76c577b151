"""Files and trees arrive byte for byte: both ways, every strategy, many clients at once."""

import os
import subprocess
import threading
import unittest

from volley_it import BIN, CHUNK, DEADLINE_S, NOT_FOUND, Case, is_root, main, random_bytes, volley

SIZES = {"empty": 0, "one": 1, "below": CHUNK - 1, "chunk": CHUNK, "above": CHUNK + 1,
         "large": 40_000_000}


class RoundTrip(Case):
    def test_sizes_get(self):
        server = self.serve()
        for name, size in SIZES.items():
            with self.subTest(name):
                source = self.file(f"root/{name}", size)
                self.run_ok("get", f"{server.at}/{name}", "-o", self.got / name)
                self.assert_same(source, self.got / name)

    def test_sizes_put(self):
        server = self.serve("--writable")
        for name, size in SIZES.items():
            with self.subTest(name):
                source = self.file(name, size)
                self.run_ok("put", source, server.at)
                self.assert_same(source, self.root / name)

    def test_get_to_the_current_directory_and_under_another_name(self):
        source = self.file("root/a", 1000)
        server = self.serve()
        self.run_ok("get", f"{server.at}/a", cwd=self.got)
        self.run_ok("get", f"{server.at}/a", "-o", self.got / "b")
        self.run_ok("get", f"{server.at}/a", "-o", f"{self.dir}/got/./c")
        for name in "abc":
            self.assert_same(source, self.got / name)

    def test_put_under_another_name_and_into_a_directory(self):
        source = self.file("a", 1000)
        (self.root / "dir").mkdir()
        server = self.serve("--writable")
        self.run_ok("put", source, f"{server.at}/b")
        self.run_ok("put", source, f"{server.at}/dir")
        self.run_ok("put", source, f"{server.at}/dir/c")
        for name in ("b", "dir/a", "dir/c"):
            self.assert_same(source, self.root / name)
        self.run_fails(NOT_FOUND, "put", source, f"{server.at}/new/")

    def test_several_files_of_one_call(self):
        names = ["one", "two", "dir/three"]
        for i, name in enumerate(names):
            self.file(f"root/{name}", 5000 + i, seed=i)
        server = self.serve()
        self.run_ok("get", *(f"{server.at}/{name}" for name in names), "-o", self.got)
        for name in names:
            self.assert_same(self.root / name, self.got / os.path.basename(name))

    def test_force_replaces(self):
        self.file("root/a", 3000, seed=1)
        self.file("got/a", 5000, seed=2)
        server = self.serve("--writable")
        self.run_ok("get", f"{server.at}/a", "-o", self.got, "--force")
        self.assert_same(self.root / "a", self.got / "a")
        self.file("a", 7000, seed=3)
        self.run_ok("put", self.dir / "a", server.at, "-f")
        self.assert_same(self.root / "a", self.dir / "a")

    def test_sparse_files_stay_sparse(self):
        size = 40 << 20
        holes = self.root / "holes"
        with open(holes, "wb") as f:
            for at in (0, (9 << 20) + 5, 30 << 20):
                f.seek(at)
                f.write(random_bytes(100_000, seed=at))
            f.truncate(size)
        server = self.serve("--writable")
        self.run_ok("get", f"{server.at}/holes", "-o", self.got)
        self.run_ok("put", self.got / "holes", f"{server.at}/put")
        for path in (self.got / "holes", self.root / "put"):
            self.assert_same(holes, path)
            self.assertLess(path.stat().st_blocks * 512, 4 << 20, path)

    def test_permission_bits_travel(self):
        source = self.file("root/tool", 100)
        source.chmod(0o750)
        server = self.serve()
        self.run_ok("get", f"{server.at}/tool", "-o", self.got)
        self.assertEqual((self.got / "tool").stat().st_mode & 0o700, 0o700)


class Trees(Case):
    def tree(self, base):
        """200 files of odd sizes, deep and empty directories, names that need care."""
        for i in range(196):
            self.file(f"{base}/d{i % 7}/e{i % 3}/file{i}", (i * 7919) % 40_000, seed=i)
        for name in ("with space", "uml\u00e4ut-\u4e2d", "-dash", "deep/" * 20 + "bottom"):
            self.file(f"{base}/{name}", 1000)
        (self.dir / base / "empty").mkdir()
        (self.dir / base / "nested" / "empty").mkdir(parents=True)
        return self.dir / base

    def test_get(self):
        tree = self.tree("root/tree")
        server = self.serve()
        self.run_ok("get", f"{server.at}/tree", "-o", self.got)
        self.assert_same_tree(tree, self.got / "tree")

    def test_put(self):
        tree = self.tree("tree")
        server = self.serve("--writable")
        self.run_ok("put", tree, server.at)
        self.assert_same_tree(tree, self.root / "tree")

    def test_get_everything(self):
        self.file("root/a/b", 100)
        self.file("root/c", 200)
        server = self.serve()
        self.run_ok("get", f"{server.at}/", "-o", self.dir / "all")
        everything = {p.name for p in (self.dir / "all").rglob("*") if p.is_file()}
        self.assertEqual(everything, {"b", "c"})

    def test_links_are_left_out_with_a_notice(self):
        self.file("tree/a", 100)
        os.symlink("/etc/passwd", self.dir / "tree" / "link")
        server = self.serve("--writable")
        result = self.run_ok("put", self.dir / "tree", server.at)
        self.assertIn("link", result.err)
        self.assertFalse(os.path.lexists(self.root / "tree" / "link"))
        self.assert_same(self.dir / "tree" / "a", self.root / "tree" / "a")


class ManyClients(Case):
    def test_twenty_at_once(self):
        for i in range(10):
            self.file(f"root/get{i}", 2_000_000 + i, seed=i)
            self.file(f"put{i}", 2_000_000 + i, seed=100 + i)
        server = self.serve("--writable")
        runs = [["get", f"{server.at}/get{i}", "-o", str(self.got)] for i in range(10)]
        runs += [["put", str(self.dir / f"put{i}"), server.at] for i in range(10)]
        results = [None] * len(runs)

        def run(i):
            results[i] = volley(*runs[i], *self.protection, *self.carrier, timeout=4 * DEADLINE_S)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(runs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            self.assertEqual(result.code, 0, result.err)
        for i in range(10):
            self.assert_same(self.root / f"get{i}", self.got / f"get{i}")
            self.assert_same(self.dir / f"put{i}", self.root / f"put{i}")
        self.assertEqual(server.stop(), 0)
        ends = [e for e in server.drain() if e["event"] == "end"]
        self.assertEqual([e["error"] for e in ends], [None] * 20)


class Pipes(Case):
    def test_stdout(self):
        content = random_bytes(3_000_001)
        self.file("root/a", content=content)
        server = self.serve()
        self.assertEqual(self.run_ok("get", f"{server.at}/a", "-o", "-").out, content)

    def test_stdin(self):
        content = random_bytes(3_000_001)
        server = self.serve("--writable")
        self.run_ok("put", "-", f"{server.at}/piped", stdin=content)
        self.assertEqual((self.root / "piped").read_bytes(), content)

    def test_empty_stdin(self):
        server = self.serve("--writable")
        self.run_ok("put", "-", f"{server.at}/piped", stdin=b"")
        self.assertEqual((self.root / "piped").read_bytes(), b"")

    def test_tar_through_the_server(self):
        for i in range(20):
            self.file(f"tree/{i}", 30_000, seed=i)
        server = self.serve("--writable")
        tar = subprocess.run(["tar", "c", "-C", str(self.dir), "tree"], capture_output=True, check=True)
        self.run_ok("put", "-", f"{server.at}/tree.tar", stdin=tar.stdout)
        out = self.run_ok("get", f"{server.at}/tree.tar", "-o", "-").out
        subprocess.run(["tar", "x", "-C", str(self.got)], input=out, check=True)
        self.assert_same_tree(self.dir / "tree", self.got / "tree")

    def test_reader_that_leaves_ends_the_transfer(self):
        self.file("root/a", 20_000_000)
        server = self.serve()
        getting = subprocess.Popen([BIN, "get", f"{server.at}/a", "-o", "-", *self.protection, *self.carrier],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        getting.stdout.read(10)
        getting.stdout.close()
        err = getting.stderr.read().decode()
        self.assertEqual(getting.wait(DEADLINE_S), 1, err)
        getting.stderr.close()
        self.assert_one_line(err.splitlines(), "get")


class Tunables(Case):
    def both_ways(self, server_args, client_args, sender_args=()):
        """A get and a put; `sender_args` go to the end that sends."""
        source = self.file("root/a", 5_000_000)
        server = self.serve("--writable", *server_args, *sender_args)
        self.run_ok("get", f"{server.at}/a", "-o", self.got, *client_args)
        self.assert_same(source, self.got / "a")
        self.run_ok("put", source, f"{server.at}/b", *client_args, *sender_args)
        self.assert_same(source, self.root / "b")

    def test_io(self):
        for io in ("auto", "basic", "mmsg", "gso", "splice"):
            with self.subTest(io):
                self.setUp()
                self.both_ways(["--io", io], ["--io", io])

    def test_io_differs_at_the_ends(self):
        self.both_ways(["--io", "basic"], ["--io", "gso"])

    def test_cc(self):
        for cc in (["cubic"], ["reno"], ["fixed", "--rate", "400Mbit"]):
            with self.subTest(cc[0]):
                self.setUp()
                self.both_ways([], [], ["--cc", *cc])

    def test_mss(self):
        for mss in (1200, 9000, 65507):
            with self.subTest(mss):
                self.setUp()
                self.both_ways(["--mss", mss], ["--mss", mss])

    def test_small_window(self):
        self.both_ways(["--window", "64KiB"], ["--window", "64KiB"])

    def test_rate_is_kept(self):
        self.file("root/a", 2_000_000)
        server = self.serve("--rate", "1MB")
        result = self.run_ok("get", f"{server.at}/a", "-o", self.got, "--json")
        # 2 MB at 1 MB/s; a start-up burst may save a moment, never half of it.
        self.assertGreater(result.events[-1]["seconds"], 1)

    def test_ipv6(self):
        source = self.file("root/a", 1_000_000)
        server = self.serve(listen="::1")
        self.assertEqual(server.listening["address"], "::1")
        self.run_ok("get", f"{server.at}/a", "-o", self.got)
        self.assert_same(source, self.got / "a")

    @unittest.skipUnless(is_root(), "needs root to give a host two addresses")
    def test_next_address_of_a_name(self):
        """127.0.0.1 comes first; nobody answers there, so ::1 is tried."""
        source = self.file("root/a", 1_000_000)
        hosts = self.file("hosts", content=b"127.0.0.1 twofold\n::1 twofold\n")
        program = self.file("volley", content=(
            "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind \"$0\" /etc/hosts && exec "
            f'"$VOLLEY_BIN" "$@"\' {hosts} "$@"\n').encode())
        program.chmod(0o755)
        server = self.serve(listen="::1")
        at = f"twofold:{server.port}"
        server.is_known_as(at, self.home)
        result = self.run_ok("get", f"{at}/a", "-o", self.got, "--timeout", "1s", program=program)
        self.assert_same(source, self.got / "a")
        self.assertIn("trying its next address", result.error_lines[0])
        self.run_fails(NOT_FOUND, "get", f"{at}/b", "-o", self.got, "--timeout", "1s", "-q",
                       program=program)


STATS = {"files", "bytes", "seconds", "goodput_bits_per_s", "packets_sent", "packets_received",
         "retransmits", "lost_packets", "spurious_losses", "wire_bytes_sent", "wire_bytes_received",
         "smoothed_rtt_ns", "min_rtt_ns", "cwnd_bytes", "kernel_drops_local", "kernel_drops_peer",
         "path_changes", "datagram_bytes", "datagram_received_bytes",
         "limited_cwnd_ns", "limited_flow_ns", "limited_pacing_ns", "limited_app_ns", "proto", "cc",
         "io", "suite", "crypto", "frames"}


class Output(Case):
    def test_first_line_of_a_server(self):
        process = self.start("serve", self.root, *self.protection, "--json", "--listen", "127.0.0.1", "--port", 0)
        line = process.lines.get(timeout=DEADLINE_S)
        self.assertRegex(line, r'^{"event":"listening","proto":"udp","address":"127\.0\.0\.1","port":\d+,"protection":"keys",'
                         r'"fingerprint":"SHA256:[^"]{43}","key":"volley1:[^"]{44}","permits":"everyone may read"}\n$')

    def test_events_of_a_server(self):
        self.file("root/a", 1000)
        self.file("b", 2000)
        server = self.serve("--writable")
        self.run_ok("get", f"{server.at}/a", "-o", self.got)
        server.wait_event("disconnect")
        self.run_ok("put", self.dir / "b", server.at)
        server.wait_event("disconnect")
        server.stop()
        events = server.drain()
        self.assertEqual([e["event"] for e in events],
                         ["listening", *["connect", "client_key", "begin", "end", "disconnect"] * 2, "stopped"])
        for event, direction, path, size in ((events[4], "download", "a", 1000),
                                             (events[9], "upload", "b", 2000)):
            self.assertEqual((event["direction"], event["path"], event["bytes"], event["error"]),
                             (direction, path, size, None))
        self.assertLessEqual(STATS | {"client", "error"}, set(events[5]))

    def test_figures(self):
        self.file("root/a", 5_000_000)
        server = self.serve()
        events = self.run_ok("get", f"{server.at}/a", "-o", self.got, "--json").events
        self.assertEqual([e["event"] for e in events if e["event"] != "progress"], ["file", "done"])
        done = events[-1]
        self.assertEqual(set(done), STATS | {"event"})
        self.assertEqual((done["files"], done["bytes"]), (1, 5_000_000))
        self.assertGreater(done["seconds"], 0)
        self.assertAlmostEqual(done["goodput_bits_per_s"], 4e7 / done["seconds"],
                               delta=done["goodput_bits_per_s"] / 1e6)
        self.assertGreater(done["wire_bytes_received"], 5_000_000)
        self.assertGreater(done["packets_sent"], 0)

    def test_nothing_moved_is_no_division(self):
        events = self.run_ok("ls", self.serve().at, "--json").events
        self.assertEqual(events[-1]["goodput_bits_per_s"], 0)

    def test_for_people(self):
        self.file("root/a", 5_000_000)
        server = self.serve()
        quiet = self.run_ok("get", f"{server.at}/a", "-o", self.got, "-q")
        self.assertEqual((quiet.out, quiet.err), (b"", ""))
        plain = self.run_ok("get", f"{server.at}/a", "-o", self.got / "b")
        self.assertRegex(plain.err, r"^volley get: 1 file, 4\.77 MiB in .*bit/s, verified\n$")
        verbose = self.run_ok("get", f"{server.at}/a", "-o", self.got / "c", "-v")
        for what in ("a: 4.77 MiB", "packets: ", "round trip: ", "io: "):
            self.assertIn(f"volley get: {what}", verbose.err)

    def test_put_tells_what_limited_it(self):
        source = self.file("a", 5_000_000)
        server = self.serve("--writable")
        verbose = self.run_ok("put", source, server.at, "-v", "--rate", "40MB")
        self.assertRegex(verbose.err, r"sending was limited by: congestion window .* pacing \d+ %")


class Listing(Case):
    def setUp(self):
        super().setUp()
        self.file("root/a", 1234)
        self.file("root/dir/b", 5)
        (self.root / "a").chmod(0o640)
        self.server = self.serve()

    def entries(self, *args):
        events = self.run_ok("ls", *args, "--json").events
        self.assertEqual(events[-1]["event"], "done")
        return {e["path"]: e for e in events[:-1]}

    def test_flat(self):
        entries = self.entries(self.server.at)
        self.assertEqual(set(entries), {"a", "dir"})
        self.assertEqual(entries["a"]["bytes"], 1234)
        self.assertEqual(entries["a"]["kind"], "file")
        self.assertEqual(entries["a"]["mode"], 0o640)
        self.assertEqual(entries["a"]["mtime_ns"], (self.root / "a").stat().st_mtime_ns)
        self.assertEqual(entries["dir"]["kind"], "directory")

    def test_recursive_and_below(self):
        self.assertEqual(set(self.entries(self.server.at, "-r")), {"a", "dir", "dir/b"})
        self.assertEqual(set(self.entries(f"{self.server.at}/dir")), {"b"})
        self.assertEqual(set(self.entries(f"{self.server.at}/a")), {"a"})

    def test_for_people(self):
        text = self.run_ok("ls", self.server.at).out.decode()
        self.assertRegex(text, r"(?m)^-rw-r-----\s+1234\s+\d{4}-\d\d-\d\d \d\d:\d\d  a$")
        self.assertRegex(text, r"(?m)^d\S+\s+-\s+\S+ \S+  dir/$")

    def test_large_directory(self):
        for i in range(3000):
            (self.root / "dir" / f"{i:04}-{'x' * 40}").touch()
        self.assertEqual(len(self.entries(f"{self.server.at}/dir")), 3001)


class RoundTripOverTcp(RoundTrip):
    carrier = ("--tcp",)


class TreesOverTcp(Trees):
    carrier = ("--tcp",)


class ManyClientsOverTcp(ManyClients):
    carrier = ("--tcp",)


class PipesOverTcp(Pipes):
    carrier = ("--tcp",)


class ListingOverTcp(Listing):
    carrier = ("--tcp",)


main()
