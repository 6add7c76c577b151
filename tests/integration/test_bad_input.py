"""Whatever is wrong gives one clear line and its exit code, and nothing is lost."""

import os
import shutil
import subprocess
import unittest

from volley_it import (BIN, CHANGED, NETWORK, NO_SPACE, NOT_FOUND, OK, REFUSED, USAGE, Case, is_root,
                       main, volley)

root_only = unittest.skipUnless(is_root(), "needs root")


class NoSuchFile(Case):
    def test_get(self):
        server = self.serve()
        line = self.run_fails(NOT_FOUND, "get", f"{server.at}/nothing", "-o", self.got)
        self.assertIn("nothing", line)
        self.assert_nothing_in(self.got)

    def test_get_json(self):
        server = self.serve()
        result = volley("get", f"{server.at}/nothing", "-o", self.got, *self.protection, "--json")
        self.assertEqual(result.code, NOT_FOUND)
        self.assertEqual(result.events[-1]["event"], "error")
        self.assertEqual(result.events[-1]["code"], "NOT_FOUND")

    def test_put(self):
        server = self.serve("--writable")
        line = self.run_fails(NOT_FOUND, "put", self.dir / "nothing", server.at)
        self.assertIn("nothing", line)
        self.assert_nothing_in(self.root)

    def test_ls(self):
        self.run_fails(NOT_FOUND, "ls", f"{self.serve().at}/nothing")

    def test_serve(self):
        self.run_fails(NOT_FOUND, "serve", self.dir / "nothing", "--port", 0)

    def test_what_was_there_still_arrives(self):
        source = self.file("root/there", 1000)
        server = self.serve()
        self.run_fails(NOT_FOUND, "get", f"{server.at}/there", f"{server.at}/nothing", "-o", self.got)
        if (self.got / "there").exists():  # completed before the error: then it is whole
            self.assert_same(source, self.got / "there")


class WrongKind(Case):
    def test_directory_to_stdout(self):
        self.file("root/dir/a", 10)
        result = volley("get", f"{self.serve().at}/dir", "-o", "-", *self.protection)
        self.assertEqual(result.code, REFUSED, result.err)
        self.assert_one_line(result.error_lines, "get")
        self.assertEqual(result.out, b"")

    def test_directory_onto_a_file(self):
        self.file("root/dir/a", 10)
        kept = self.file("got/x", 20)
        self.run_fails(REFUSED, "get", f"{self.serve().at}/dir", "-o", kept)
        self.assertEqual(kept.stat().st_size, 20)

    def test_file_onto_a_directory(self):
        self.file("a", 10)
        (self.root / "dir" / "a").mkdir(parents=True)
        server = self.serve("--writable")
        self.run_fails(REFUSED, "put", self.dir / "a", f"{server.at}/dir", "--force")
        self.assertTrue((self.root / "dir" / "a").is_dir())

    def test_file_as_directory(self):
        self.file("root/a", 10)
        server = self.serve("--writable")
        result = volley("get", f"{server.at}/a/b", "-o", self.got, *self.protection)
        self.assertIn(result.code, (NOT_FOUND, REFUSED))
        self.assert_one_line(result.error_lines, "get")
        self.assert_nothing_in(self.got)
        self.file("b", 10)
        result = volley("put", self.dir / "b", f"{server.at}/a/b", *self.protection)
        self.assertIn(result.code, (NOT_FOUND, REFUSED))
        self.assert_one_line(result.error_lines, "put")
        self.assertEqual((self.root / "a").stat().st_size, 10)

    def test_serve_a_file(self):
        self.run_fails(REFUSED, "serve", self.file("a", 1), "--port", 0)

    def test_fifo(self):
        os.mkfifo(self.root / "pipe")
        self.run_fails(REFUSED, "get", f"{self.serve().at}/pipe", "-o", self.got)
        self.assert_nothing_in(self.got)

    def test_link(self):
        self.file("secret", 10)
        os.symlink(self.dir / "secret", self.root / "link")
        os.symlink(self.dir, self.root / "up")
        server = self.serve()
        for path in ("link", "up/secret"):
            result = volley("get", f"{server.at}/{path}", "-o", self.got, *self.protection)
            self.assertIn(result.code, (NOT_FOUND, REFUSED), result.err)
            self.assert_one_line(result.error_lines, "get")
        self.assert_nothing_in(self.got)


class Exists(Case):
    def test_get(self):
        self.file("root/a", 10, seed=1)
        kept = self.file("got/a", 20, seed=2)
        line = self.run_fails(REFUSED, "get", f"{self.serve().at}/a", "-o", self.got)
        self.assertIn("--force", line)
        self.assertEqual(kept.stat().st_size, 20)

    def test_put(self):
        self.file("a", 10, seed=1)
        kept = self.file("root/a", 20, seed=2)
        line = self.run_fails(REFUSED, "put", self.dir / "a", self.serve("--writable").at)
        self.assertIn("--force", line)
        self.assertEqual(kept.stat().st_size, 20)


class Names(Case):
    def bad_names(self):
        yield from ("..", "../secret", "a/../../secret", "a/..", "x\x01y", "x\x1b[31my", "x\ny", "x\x7fy",
                    "n" * 300, "/".join(["d"] * 100), "/".join(["n" * 200] * 30))

    def test_get(self):
        self.file("secret", 10)
        self.file("root/a/b", 10)
        server = self.serve()
        for name in self.bad_names():
            with self.subTest(name[:40]):
                self.run_fails(REFUSED, "get", f"{server.at}/{name}", "-o", self.got)
                self.run_fails(REFUSED, "ls", f"{server.at}/{name}")
        self.assert_nothing_in(self.got)

    def test_put(self):
        self.file("secret", 10)
        source = self.file("b", 20)
        server = self.serve("--writable")
        for name in self.bad_names():
            with self.subTest(name[:40]):
                self.run_fails(REFUSED, "put", source, f"{server.at}/{name}", "--force")
        self.assertEqual((self.dir / "secret").stat().st_size, 10)
        self.assert_nothing_in(self.root)

    def test_absolute(self):
        server = self.serve()
        result = volley("get", f"{server.at}//etc/passwd", "-o", self.got, *self.protection)
        self.assertIn(result.code, (NOT_FOUND, REFUSED), result.err)
        self.assert_nothing_in(self.got)

    def test_local_name_with_an_escape(self):
        source = self.file("x\x1b[2Jy", 10)
        server = self.serve("--writable")
        self.run_fails(REFUSED, "put", source, server.at)
        self.assert_nothing_in(self.root)

    def test_names_on_the_server_cannot_reach_the_terminal(self):
        self.file("root/x\x1b[2Jy", 10)
        self.file("root/bidi\u202e", 10)
        (self.root / os.fsdecode(b"bytes\xff\xfe")).touch()
        server = self.serve()
        result = volley("ls", server.at, *self.protection)
        self.assertEqual(result.code, REFUSED, result.err)  # one name has no place on the wire
        self.assert_one_line(result.error_lines, "ls")
        for raw in (b"\x1b", "\u202e".encode(), b"\xff"):
            self.assertNotIn(raw, result.out)
        (self.root / "x\x1b[2Jy").unlink()
        text = self.run_ok("ls", server.at).out.decode()
        self.assertIn("bidi\\xe2\\x80\\xae", text)
        self.assertIn("bytes\\xff\\xfe", text)
        json_lines = self.run_ok("ls", server.at, "--json").out
        self.assertTrue(json_lines.isascii())


class Permission(Case):
    """As nobody, from a copy of the program that nobody can run."""

    def setUp(self):
        super().setUp()
        if not is_root():
            self.skipTest("needs root to become nobody")
        self.dir.chmod(0o755)
        self.program = shutil.copy(BIN, self.dir / "volley")
        home = self.dir / "nobody"
        home.mkdir()
        shutil.chown(home, "nobody", "nogroup")
        self.as_nobody = {"program": self.program, "user": "nobody", "group": "nogroup",
                          "extra_groups": [], "cwd": "/", "env": {**os.environ, "VOLLEY_HOME": str(home)}}

    def test_unreadable_on_the_server(self):
        self.file("root/a", 10).chmod(0)
        server = self.serve(**self.as_nobody)
        self.run_fails(REFUSED, "get", f"{server.at}/a", "-o", self.got)
        self.assert_nothing_in(self.got)

    def test_unreadable_here(self):
        source = self.file("a", 10)
        source.chmod(0)
        server = self.serve("--writable")
        self.run_fails(REFUSED, "put", source, server.at, **self.as_nobody)
        self.assert_nothing_in(self.root)

    def test_unwritable_on_the_server(self):
        source = self.file("a", 10)
        self.root.chmod(0o555)
        server = self.serve("--writable", **self.as_nobody)
        self.run_fails(REFUSED, "put", source, server.at)
        self.assert_nothing_in(self.root)

    def test_unwritable_here(self):
        self.file("root/a", 10)
        self.got.chmod(0o555)
        server = self.serve()
        self.run_fails(REFUSED, "get", f"{server.at}/a", "-o", self.got, **self.as_nobody)
        self.assert_nothing_in(self.got)

    def test_served_directory_without_permission(self):
        self.root.chmod(0o700)
        self.run_fails(REFUSED, "serve", self.root, "--port", 0, **self.as_nobody)

    def test_low_port(self):
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as f:
            if int(f.read()) <= 80:
                self.skipTest("low ports are free for all here")
        self.run_fails(REFUSED, "serve", self.root, "--port", 80, "--listen", "127.0.0.1",
                       **self.as_nobody)


class ReadOnly(Case):
    def test_put_is_refused(self):
        source = self.file("a", 10)
        line = self.run_fails(REFUSED, "put", source, self.serve().at)
        self.assertIn("--writable", line)
        self.assert_nothing_in(self.root)

    def test_mkdir_is_refused(self):
        (self.dir / "tree" / "empty").mkdir(parents=True)
        self.run_fails(REFUSED, "put", self.dir / "tree", self.serve().at)
        self.assert_nothing_in(self.root)


@root_only
class DiskFull(Case):
    def small_disk(self, where):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "volley-it", str(where)],
                              capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest("cannot mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", str(where)], check=True)

    def test_here(self):
        self.small_disk(self.got)
        self.file("root/a", 8_000_000)
        self.run_fails(NO_SPACE, "get", f"{self.serve().at}/a", "-o", self.got)
        self.assert_nothing_in(self.got)

    def test_on_the_server(self):
        self.small_disk(self.root)
        source = self.file("a", 8_000_000)
        kept = self.file("root/kept", 1000)
        server = self.serve("--writable")
        self.run_fails(NO_SPACE, "put", source, server.at)
        self.run_fails(NO_SPACE, "put", "-", f"{server.at}/b", stdin=b"x" * 8_000_000)
        self.assertEqual(list(self.root.iterdir()), [kept])
        self.run_ok("get", f"{server.at}/kept", "-o", self.got)  # the server goes on


class Changing(Case):
    """The source changes while it is read: 12 MB at 4 MB/s leave the time."""

    def getting(self):
        self.source = self.file("root/a", 12_000_000)
        server = self.serve("--rate", "4MB")
        client = self.start("get", f"{server.at}/a", "-o", self.got, *self.protection, "--json")
        client.wait_event("progress", lambda e: e["bytes_done"] > 0)
        return client

    def putting(self):
        self.source = self.file("a", 12_000_000)
        server = self.serve("--writable")
        client = self.start("put", self.source, server.at, *self.protection, "--json", "--rate", "4MB")
        client.wait_event("progress", lambda e: e["bytes_done"] > 0)
        return client

    def assert_changed(self, client, command, directory):
        self.assertEqual(client.wait(), CHANGED, client.errors)
        self.assertEqual(client.drain()[-1]["code"], "SOURCE_CHANGED")
        self.assert_one_line(client.errors, command)
        self.assert_nothing_in(directory)

    def test_get_shrinks(self):
        client = self.getting()
        os.truncate(self.source, 100_000)
        self.assert_changed(client, "get", self.got)

    def test_get_grows(self):
        client = self.getting()
        with open(self.source, "ab") as f:
            f.write(b"more")
        self.assert_changed(client, "get", self.got)

    def test_put_shrinks(self):
        client = self.putting()
        os.truncate(self.source, 100_000)
        self.assert_changed(client, "put", self.root)

    def test_put_grows(self):
        client = self.putting()
        with open(self.source, "ab") as f:
            f.write(b"more")
        self.assert_changed(client, "put", self.root)


class RootVanishes(Case):
    def test_before_a_request(self):
        self.file("root/a", 1000)
        source = self.file("b", 10)
        server = self.serve("--writable")
        shutil.rmtree(self.root)
        self.run_fails(NOT_FOUND, "get", f"{server.at}/a", "-o", self.got)
        result = volley("put", source, server.at, *self.protection)
        self.assertIn(result.code, (NOT_FOUND, REFUSED), result.err)
        self.assert_one_line(result.error_lines, "put")
        self.assert_nothing_in(self.got)
        self.assertEqual(server.stop(), OK)

    def test_during_an_upload(self):
        source = self.file("a", 12_000_000)
        server = self.serve("--writable")
        client = self.start("put", source, server.at, *self.protection, "--json", "--rate", "4MB")
        client.wait_event("progress", lambda e: e["bytes_done"] > 0)
        shutil.rmtree(self.root)
        self.assertNotEqual(client.wait(), OK)
        self.assert_one_line(client.errors, "put")
        self.assertEqual(server.stop(), OK)


class Ports(Case):
    def test_taken(self):
        server = self.serve()
        result = volley("serve", self.root, *self.protection, "--listen", "127.0.0.1", "--port", server.port)
        self.assertNotEqual(result.code, OK)
        self.assert_one_line(result.error_lines, "serve")

    def test_not_ours(self):
        line = self.run_fails(NETWORK, "serve", self.root, "--listen", "192.0.2.1", "--port", 0)
        self.assertIn("192.0.2.1", line)

    def test_no_such_host(self):
        self.run_fails(NETWORK, "get", "no-such-host.invalid/a")

    def test_full_server(self):
        self.file("root/a", 12_000_000)
        server = self.serve("--rate", "4MB", "--max-clients", 1)
        first = self.start("get", f"{server.at}/a", "-o", self.got, *self.protection, "--json")
        first.wait_event("progress")
        self.run_fails(REFUSED, "ls", server.at)
        self.assertEqual(first.wait(), OK, first.errors)


class Usage(Case):
    def test_pipes(self):
        self.assertEqual(volley("get", "h/a", "-o", "-", "--json", *self.protection).code, USAGE)
        self.assertEqual(volley("get", "h/a", "-o", "-", "--json", *self.protection).out, b"")
        self.assertEqual(volley("put", "-", "h", *self.protection).code, USAGE)
        self.assertEqual(volley("put", "-", "h/dir/", *self.protection).code, USAGE)
        self.assertEqual(volley("put", "-", "a", "h/dir", *self.protection).code, USAGE)


main()
