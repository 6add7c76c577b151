#!/usr/bin/env python3
"""A client of Volley that shares no code with it: written from proto/SPEC.md alone, to prove it complete.

    volley_peer.py get HOST PORT REMOTE_PATH LOCAL_FILE    exit code 0: downloaded and verified
    volley_peer.py put HOST PORT LOCAL_FILE REMOTE_PATH    exit code 0: the server confirmed it
    volley_peer.py ls HOST PORT [PATH]
    volley_peer.py decode HEX                              a packet or frames, field by field

Without --plain the connection is sealed: with --psk FILE (32 bytes), or with keys, where --server-key (64 hex
digits) names the server's, --accept-new believes any, and --identity FILE is this end's (32 bytes).
The parts are in the folder peer.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from peer import wire
from peer.files import FileClient, FileError, signed
from peer.handshake import Security, fingerprint
from peer.keys import UPDATE_PACKETS
from peer.tcp import TcpConnection
from peer.transport import Connection, TransportError

KINDS = {1: "file", 2: "directory", 3: "other"}


def printable(path):
    """A peer's name never reaches the terminal as it came (SPEC 10.5)."""
    text = path.decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def decode(text):
    """A packet when its tag verifies, else a sequence of frames."""
    data = wire.unhex(text)
    try:
        records = [wire.decode_packet(data)]
    except wire.WireError as no_packet:
        try:
            records = wire.decode_frames(data)
        except wire.WireError as no_frame:
            raise wire.WireError(f"no packet ({no_packet}), no frames ({no_frame})") from None
    for record in records:
        print("\n".join(wire.describe(record)))


def security_of(options):
    return Security(
        plain=options.plain, psk=options.psk and read_key(options.psk),
        secret=options.identity and read_key(options.identity),
        server_key=options.server_key and bytes.fromhex(options.server_key), accept_new=options.accept_new,
        suites=options.suite or ("aes-256-gcm", "chacha20-poly1305"))


def read_key(path):
    key = Path(path).read_bytes()
    if len(key) != 32:
        raise ValueError(f"{path} does not hold 32 bytes")
    return key


def connect(options):
    if options.tcp:
        return TcpConnection(options.host, options.port, security_of(options), options.timeout,
                             options.update_every)
    return Connection(options.host, options.port, security_of(options), options.drop, options.seed,
                      options.timeout, options.max_datagram, options.update_every)


def connect_and_run(options):
    connection = connect(options)
    try:
        client = FileClient(connection)
        if options.command == "get":
            size = client.get(os.fsencode(options.remote), options.local, not options.no_hash)
            print(f"{options.local}: {size} bytes")
        elif options.command == "put":
            size = client.put(options.local, os.fsencode(options.remote), options.replace)
            print(f"{options.remote}: {size} bytes")
        else:
            for entry in client.list(os.fsencode(options.path), options.recursive):
                print(KINDS.get(entry.kind, "?"), entry.size, f"{entry.mode:03o}", signed(entry.mtime),
                      printable(entry.path))
        client.finish()
    except FileError:
        client.finish()
        raise
    finally:
        if options.stats and not options.tcp:
            stats = connection.stats | {
                "rtt_ms": round(connection.srtt * 1000, 3), "suite": connection.handshake.suite,
                "key_updates_sent": connection.send_keys.updates,
                "key_updates_received": connection.receive_keys.updates,
                "forgeries": connection.receive_keys.forgeries,
                "server": connection.handshake.server_key and fingerprint(connection.handshake.server_key)}
            print(json.dumps(stats), file=sys.stderr)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("decode")
    one.add_argument("hex", nargs="+")
    for name, operands in {"get": ("remote", "local"), "put": ("local", "remote"), "ls": ()}.items():
        one = commands.add_parser(name)
        one.add_argument("host")
        one.add_argument("port", type=int)
        for operand in operands:
            one.add_argument(operand)
        one.add_argument("--tcp", action="store_true")
        one.add_argument("--plain", action="store_true", help="no encryption")
        one.add_argument("--psk", metavar="FILE")
        one.add_argument("--identity", metavar="FILE")
        one.add_argument("--server-key", metavar="HEX")
        one.add_argument("--accept-new", action="store_true")
        one.add_argument("--suite", action="append", choices=("aes-256-gcm", "chacha20-poly1305", "aes-128-gcm"))
        one.add_argument("--update-every", type=int, default=UPDATE_PACKETS, metavar="N",
                         help="new keys after so many packets or blocks (2^22)")
        one.add_argument("--drop", type=float, default=0, metavar="SHARE", help="lose packets, both ways")
        one.add_argument("--seed", type=int, help="of the losses and of all other randomness")
        one.add_argument("--timeout", type=float, default=60, metavar="S", help="for everything (60)")
        one.add_argument("--max-datagram", type=int, default=65507, metavar="N", help="largest read (65507)")
        one.add_argument("--stats", action="store_true", help="a line of JSON to stderr")
    commands.choices["get"].add_argument("--no-hash", action="store_true", help="do not hash the content")
    commands.choices["put"].add_argument("--replace", action="store_true")
    commands.choices["ls"].add_argument("path", nargs="?", default="")
    commands.choices["ls"].add_argument("-r", "--recursive", action="store_true")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    try:
        if options.command == "decode":
            decode(" ".join(options.hex))
        else:
            connect_and_run(options)
    except (FileError, TransportError, wire.WireError, ValueError, OSError) as error:
        print(f"volley_peer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
