"""Who believes whom: servers' keys, clients' keys, pre-shared keys, and none at all."""

import base64
import os
import pty
import re
import select
import signal
import socket
import stat
import time
from pathlib import Path

from volley_it import (BIN, DEADLINE_S, NOT_FOUND, OK, REFUSED, USAGE, Case, is_root, main,
                       volley)

TRUST = 9
CONTENT = b"what is served\n"
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\b")
PUBLIC = re.compile(r"volley1:[A-Za-z0-9+/]{43}=")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Keys(Case):
    """Servers that nobody knows yet."""

    knows_servers = False

    def setUp(self):
        super().setUp()
        self.file("root/file", content=CONTENT)
        self.target = self.got / "file"
        self.keys = self.dir / "keys"  # of servers: they are other people

    def serve(self, *args, **popen):
        env = os.environ | {"VOLLEY_HOME": str(self.keys)}
        return super().serve(*args, env=env, **popen)

    def keygen(self, path=None, *args):
        """Makes a key; returns the line for authorized_keys."""
        path = path or self.home / "identity"
        result = volley("keygen", "-o", path, *args)
        self.assertEqual(result.code, OK, result.err)
        return PUBLIC.search(result.out.decode())[0] if "--psk" not in args else None

    def get(self, server, *args):
        self.run_ok("get", f"{server.at}/file", "-o", self.target, "-f", *args)
        self.assertEqual(self.target.read_bytes(), CONTENT)
        self.target.unlink()

    def get_fails(self, code, server, *args):
        line = self.run_fails(code, "get", f"{server.at}/file", "-o", self.target, *args)
        self.assertFalse(self.target.exists())
        return line

    def known(self):
        return Path(self.home, "known_hosts").read_text(encoding="ascii").splitlines()

    def turned_away(self, server):
        return server.wait_event("turned_away")["message"]


class ServerKeys(Keys):
    """What a client believes of a server."""

    def test_first_contact_is_refused_without_a_terminal(self):
        server = self.serve()
        line = self.get_fails(TRUST, server)
        self.assertIn(server.listening["fingerprint"], line)
        self.assertIn("--accept-new", line)
        self.assertFalse((self.home / "known_hosts").exists())

    def test_accept_new_then_known(self):
        server = self.serve()
        result = self.run_ok("get", f"{server.at}/file", "-o", self.target, "--accept-new")
        self.assertIn(server.listening["fingerprint"], result.error_lines[0])
        self.assertEqual(self.known(), [f"{server.at} {server.listening['key']}"])
        self.assertEqual(mode(self.home / "known_hosts"), 0o600)
        result = self.run_ok("get", f"{server.at}/file", "-o", self.target, "-f", "--accept-new")
        self.assertEqual(len(result.error_lines), 1, "nothing is new any more")
        self.assertEqual(len(self.known()), 1)
        self.get(server)

    def test_changed_key(self):
        server, other = self.serve(), self.keygen(self.dir / "other")
        (self.home / "known_hosts").write_text(f"# servers\n{server.at} {other}\n", encoding="ascii")
        shown = volley("keygen", "--show", self.dir / "other").out.decode()
        for args in ((), ("--accept-new",)):
            line = self.get_fails(TRUST, server, *args)
            self.assertIn("CHANGED", line)
            self.assertIn(server.listening["fingerprint"], line)
            self.assertIn(FINGERPRINT.search(shown)[0], line)
            self.assertIn(f"{self.home}/known_hosts:2", line)
        self.assertEqual(len(self.known()), 2)

    def test_two_servers_of_one_host(self):
        one = self.serve()
        self.keys = self.dir / "keys of another"
        two = self.serve()
        self.assertNotEqual(one.listening["key"], two.listening["key"])
        self.get(one, "--accept-new")
        self.assertIn("not known", self.get_fails(TRUST, two))
        self.get(two, "--accept-new")
        self.get(one)
        self.assertEqual([line.split()[0] for line in self.known()], [one.at, two.at])

    def test_malformed_list(self):
        (self.home / "known_hosts").write_text("# fine\nlocalhost\n", encoding="ascii")
        self.assertIn("known_hosts:2: ", self.get_fails(1, self.serve(), "--accept-new"))

    def test_json(self):
        server = self.serve()
        for code, args in ((TRUST, ()), (OK, ("--accept-new",))):
            result = volley("get", f"{server.at}/file", "-o", self.target, "--json", *args, *self.carrier)
            self.assertEqual(result.code, code, result.err)
            key = next(event for event in result.events if event["event"] == "server_key")
            self.assertEqual(key["fingerprint"], server.listening["fingerprint"])
            self.assertEqual(result.events[-1]["event"], "done" if code == OK else "error")

    def test_list_in_a_directory_that_is_made(self):
        self.set_env("VOLLEY_HOME", self.home / "of" / "keys")
        self.get(self.serve(), "--accept-new")
        self.assertEqual(mode(self.home / "of" / "keys"), 0o700)


class ServerKeysTcp(ServerKeys):
    carrier = ("--tcp",)


class Terminal(Keys):
    """A client that can ask."""

    def ask(self, server, answer):
        """What a get shows on a terminal where `answer` is typed, and its exit code."""
        pid, master = pty.fork()
        if pid == 0:
            os.execv(BIN, [BIN, "get", f"{server.at}/file", "-o", str(self.target), *self.carrier])
        self.addCleanup(os.close, master)
        shown, answered, end = b"", False, time.monotonic() + DEADLINE_S
        while select.select([master], [], [], max(0, end - time.monotonic()))[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:
                break
            if b"[y/N]" in shown and not answered:
                answered = True
                os.write(master, answer)
        else:
            os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()

    def test_yes(self):
        server = self.serve()
        code, shown = self.ask(server, b"y\n")
        self.assertEqual(code, OK, shown)
        self.assertIn(server.listening["fingerprint"], shown)
        self.assertEqual(self.target.read_bytes(), CONTENT)
        self.assertEqual(self.known(), [f"{server.at} {server.listening['key']}"])
        self.get(server)

    def test_no(self):
        server = self.serve()
        for answer in (b"n\n", b"\n", b"yeah\n", b"\x04"):
            code, shown = self.ask(server, answer)
            self.assertEqual(code, TRUST, shown)
            self.assertIn("is not believed", shown)
        self.assertFalse(self.target.exists())
        self.assertFalse((self.home / "known_hosts").exists())

    def test_a_changed_key_is_no_question(self):
        server = self.serve()
        (self.home / "known_hosts").write_text(f"{server.at} {self.keygen(self.dir / 'other')}\n",
                                               encoding="ascii")
        code, shown = self.ask(server, b"y\n")
        self.assertEqual(code, TRUST, shown)
        self.assertNotIn("[y/N]", shown)


class SharedKey(Keys):
    """--key FILE at both ends."""

    def setUp(self):
        super().setUp()
        self.psk = self.dir / "psk"
        self.keygen(self.psk, "--psk")
        self.assertEqual(mode(self.psk), 0o600)

    def test_right(self):
        server = self.serve("--key", self.psk)
        self.assertEqual(server.listening["protection"], "psk")
        self.get(server, "--key", self.psk)
        self.assertEqual(sorted(os.listdir(self.home)) + [self.keys.exists()], [False],
                         "no other key is made or remembered")

    def test_wrong(self):
        self.keygen(self.dir / "wrong", "--psk")
        server = self.serve("--key", self.psk)
        self.assertRegex(self.get_fails(TRUST, server, "--key", self.dir / "wrong"), r"(?i)\bkey")

    def test_at_one_end(self):
        server = self.serve("--key", self.psk)
        self.assertRegex(self.get_fails(TRUST, server, "--accept-new"), r"--key|pre-shared")
        self.assertRegex(self.turned_away(server), r"--key|pre-shared")
        server = self.serve()
        self.assertRegex(self.get_fails(TRUST, server, "--key", self.psk), r"--key|pre-shared")
        self.assertRegex(self.turned_away(server), r"--key|pre-shared")

    def test_file_that_others_can_read(self):
        self.psk.chmod(0o644)
        for command in (("serve", self.root, "--port", 0), ("ls", "127.0.0.1")):
            line = self.run_fails(REFUSED, *command, "--key", self.psk)
            self.assertIn(str(self.psk), line)
            self.assertIn("chmod 600", line)

    def test_file_that_is_none(self):
        for content in (b"", b"volley pre-shared key 1\n", base64.b64encode(bytes(32))):
            self.psk.write_bytes(content)
            self.assertIn("is not a pre-shared key", self.run_fails(1, "ls", "127.0.0.1", "--key", self.psk))
        self.run_fails(NOT_FOUND, "ls", "127.0.0.1", "--key", self.dir / "nowhere")


class SharedKeyTcp(SharedKey):
    carrier = ("--tcp",)


class Authorized(Keys):
    """Who may do what."""

    def authorize(self, *lines):
        path = self.dir / "list"
        path.write_text("".join(line + "\n" for line in lines), encoding="ascii")
        return ("--authorized-keys", path)

    def put(self, server, *args):
        return volley("put", self.file("up", 10), f"{server.at}/up", "-f", "--accept-new", *args, *self.carrier)

    def test_rights(self):
        key = self.keygen()
        for rights, code in (("", OK), ("rights=read,write", OK), ("rights=write", OK), ("rights=read", REFUSED)):
            server = self.serve("--writable", *self.authorize(f"{key} {rights} somebody"))
            result = self.put(server)
            self.assertEqual(result.code, code, (rights, result.err))
            if rights == "rights=write":
                self.get_fails(REFUSED, server)
            else:
                self.get(server)

    def test_writable_is_needed_as_well(self):
        server = self.serve(*self.authorize(f"{self.keygen()} rights=read,write"))
        self.assertIn("without --writable", server.listening["permits"])
        result = self.put(server)
        self.assertEqual(result.code, REFUSED)
        self.assertIn("read-only", result.err)

    def test_root(self):
        (self.root / "mine").mkdir()
        (self.root / "mine" / "file").write_bytes(b"mine\n")
        server = self.serve(*self.authorize(f"{self.keygen()} root=mine"), "--anonymous", "read")
        result = self.run_ok("get", f"{server.at}/file", "-o", "-", "--accept-new")
        self.assertEqual(result.out, b"mine\n")
        self.run_fails(NOT_FOUND, "get", f"{server.at}/mine/file", "-o", self.target)
        (self.home / "identity").unlink()
        self.get(server)

    def test_unknown_key(self):
        mine, theirs = self.keygen(), self.keygen(self.dir / "theirs")
        server = self.serve(*self.authorize(theirs))
        line = self.get_fails(REFUSED, server, "--accept-new", "-q")
        shown = volley("keygen", "--show", self.home / "identity").out.decode()
        self.assertIn(mine, shown)
        self.assertIn(FINGERPRINT.search(shown)[0], line)
        self.assertIn("authorized_keys", line)
        self.get(server, "--identity", self.dir / "theirs")
        (self.home / "identity").unlink()
        self.get_fails(REFUSED, server)

    def test_malformed_line(self):
        for line in ("volley1:short", f"{self.keygen()} right=read", "nonsense"):
            args = self.authorize("# people", "", line)
            told = self.run_fails(1, "serve", self.root, "--port", 0, *args)
            self.assertIn(f"{self.dir}/list:3: ", told)

    def test_anonymous(self):
        theirs = self.authorize(self.keygen(self.dir / "theirs"))
        for what, get, put in (("none", False, False), ("read", True, False), ("write", True, True)):
            server = self.serve("--writable", "--anonymous", what, *theirs)
            self.assertEqual(self.put(server, "-q").code, OK if put else REFUSED, what)
            if get:
                self.get(server)
            else:
                self.get_fails(REFUSED, server)

    def test_nobody_at_all(self):
        for args in (("--anonymous", "none"), self.authorize("# empty")):
            self.assertIn("nobody may do anything", self.run_fails(USAGE, "serve", self.root, *args))


class AuthorizedTcp(Authorized):
    carrier = ("--tcp",)


class Plain(Keys):
    """--plain at one end is refused at both."""

    def test_client_alone(self):
        server = self.serve()
        line = self.get_fails(REFUSED, server, "--plain")
        self.assertRegex(line, "encrypted.*--plain")
        self.assertIn("--plain", self.turned_away(server))
        self.get(server, "--accept-new")

    def test_server_alone(self):
        server = self.serve("--plain")
        line = self.get_fails(REFUSED, server, "--accept-new")
        self.assertIn("--plain", line)
        self.assertIn("--plain", self.turned_away(server))
        self.assertFalse((self.home / "known_hosts").exists())

    def test_both(self):
        server = self.serve("--plain")
        self.assertEqual(server.listening["protection"], "plain")
        self.get(server, "--plain")
        self.assertEqual(os.listdir(self.home), [])
        self.assertFalse(self.keys.exists())


class PlainTcp(Plain):
    carrier = ("--tcp",)


class Suites(Keys):
    """Ends that allow no cipher in common: both name the option that says so."""

    def test_none_in_common(self):
        server = self.serve("--suite", "aes-256-gcm")
        line = self.get_fails(REFUSED, server, "--accept-new", "--suite", "chacha20-poly1305")
        self.assertIn("--suite", line)
        self.assertIn("--suite", self.turned_away(server))
        self.get(server, "--accept-new", "--suite", "chacha20-poly1305,aes-256-gcm")


class SuitesTcp(Suites):
    carrier = ("--tcp",)


class HostKey(Keys):
    def test_made_once(self):
        key = self.serve().listening["key"]
        self.assertEqual(mode(self.keys), 0o700)
        self.assertEqual(mode(self.keys / "host_key"), 0o600)
        self.assertEqual(os.listdir(self.keys), ["host_key"])
        self.assertEqual(self.serve().listening["key"], key)
        self.assertEqual(self.serve("--host-key", self.keys / "host_key").listening["key"], key)
        self.assertNotEqual(self.serve("--host-key", self.dir / "other").listening["key"], key)

    def test_first_servers_at_once_agree(self):
        env = os.environ | {"VOLLEY_HOME": str(self.keys)}
        servers = [self.start("serve", self.root, "--json", "--port", 0, "--listen", "127.0.0.1", env=env)
                   for _ in range(4)]
        self.assertEqual(len({server.wait_event("listening")["key"] for server in servers}), 1)
        self.assertEqual(os.listdir(self.keys), ["host_key"])

    def test_refused(self):
        self.serve()
        (self.keys / "host_key").chmod(0o640)
        line = self.run_fails(REFUSED, "serve", self.root, "--host-key", self.keys / "host_key")
        self.assertIn("chmod 600", line)
        (self.keys / "host_key").chmod(0o600)
        (self.keys / "host_key").write_bytes(b"volley secret key 1\nAAAA\n")
        self.assertIn("is not a secret key", self.run_fails(
            1, "serve", self.root, "--host-key", self.keys / "host_key"))


class Keygen(Keys):
    def test_identity(self):
        result = volley("keygen")
        self.assertEqual(result.code, OK, result.err)
        shown = result.out.decode()
        self.assertEqual(sorted(os.listdir(self.home)), ["identity", "identity.pub"])
        self.assertEqual([mode(self.home / name) for name in ("identity", "identity.pub")], [0o600, 0o644])
        self.assertEqual((self.home / "identity.pub").read_text(encoding="ascii"), PUBLIC.search(shown)[0] + "\n")
        for name in ("identity", "identity.pub"):
            told = volley("keygen", "--show", self.home / name).out.decode()
            self.assertEqual([p.search(told)[0] for p in (PUBLIC, FINGERPRINT)],
                             [p.search(shown)[0] for p in (PUBLIC, FINGERPRINT)])

    def test_never_overwrites(self):
        self.keygen()
        before = (self.home / "identity").read_bytes()
        self.assertIn("--force", self.run_fails(REFUSED, "keygen"))
        self.assertEqual((self.home / "identity").read_bytes(), before)
        self.keygen(None, "-f")
        self.assertNotEqual((self.home / "identity").read_bytes(), before)
        self.assertEqual(sorted(os.listdir(self.home)), ["identity", "identity.pub"])
        (self.home / "identity").unlink()
        self.run_fails(REFUSED, "keygen")  # the public half of another one
        self.assertEqual(os.listdir(self.home), ["identity.pub"])


class Secrets(Keys):
    """Nothing that is shown holds one."""

    def secrets(self, *files):
        """What those files hold, in each way that one could show it."""
        for file in files:
            text = file.read_text(encoding="ascii").splitlines()[1]
            key = base64.b64decode(text)
            yield from (text.rstrip("="), key.hex(), key[:8].hex(), text[:12])

    def test_nowhere(self):
        psk = self.dir / "psk"
        self.keygen()
        self.keygen(psk, "--psk")
        for protection in ((), ("--key", psk)):
            server = self.serve("-v", *protection)
            client = self.start("get", f"{server.at}/file", "-o", self.target, "-f", "--json", "-v",
                                *(protection or ("--accept-new",)))
            command_lines = [Path(f"/proc/{p.process.pid}/cmdline").read_bytes() for p in (server, client)]
            self.assertEqual(client.wait(), OK, client.errors)
            shown = self.run_ok("get", f"{server.at}/file", "-o", self.target, "-f", "-v", *protection)
            self.assertEqual(server.stop(), OK)
            said = [shown.out.decode(), shown.err, *client.errors, *server.errors, str(client.drain()),
                    str(server.drain()), *(line.decode() for line in command_lines)]
            files = [self.home / "identity", psk] + ([] if protection else [self.keys / "host_key"])
            for secret in self.secrets(*files):
                self.assertNotIn(secret, "\n".join(said))

    def test_keylog(self):
        log = self.dir / "keylog"
        server = self.serve()
        result = self.run_ok("get", f"{server.at}/file", "-o", self.target, "--accept-new", "--keylog", log)
        self.assertRegex(result.err, rf"warning: .*{log}")
        self.assertEqual(mode(log), 0o600)
        self.assertGreater(len(log.read_text(encoding="ascii").splitlines()), 1)
        self.target.unlink()
        log.chmod(0o644)
        before = log.read_bytes()
        self.assertIn(str(log), self.get_fails(REFUSED, server, "--keylog", log))
        self.assertEqual(log.read_bytes(), before)
        link = self.dir / "link"
        link.symlink_to(self.dir / "elsewhere")
        self.get_fails(REFUSED, server, "--keylog", link)
        self.assertFalse((self.dir / "elsewhere").exists())

    def silence(self, **env):
        """A client that waits for an answer, as a user who is not root if possible."""
        nobody = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(nobody.close)
        nobody.bind(("127.0.0.1", 0))
        nobody.settimeout(DEADLINE_S)
        who = {"user": 65534, "group": 65534, "extra_groups": []} if is_root() else {}
        try:
            process = self.start("ls", f"127.0.0.1:{nobody.getsockname()[1]}", "--plain",
                                 env=os.environ | env, **who)
        except PermissionError:
            self.skipTest("the program is where root alone can run it")
        nobody.recv(2048)
        return f"/proc/{process.process.pid}", who.get("user", os.geteuid())

    def test_memory_is_hidden(self):
        proc, _ = self.silence()
        self.assertEqual(os.stat(f"{proc}/mem").st_uid, 0, "what nobody may dump is root's")
        limits = Path(proc, "limits").read_text(encoding="ascii")
        self.assertRegex(limits, r"Max core file size +0 ")
        proc, user = self.silence(VOLLEY_CORE="1")
        self.assertEqual(os.stat(f"{proc}/mem").st_uid, user)


main()
