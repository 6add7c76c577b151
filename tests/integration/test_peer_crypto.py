"""The second implementation's own cryptography (tests/support/peer) against published vectors, and its client
against a server's end made of the same parts: only then does its agreement with the built program prove anything.
"""

import os
import sys
import unittest
from pathlib import Path

SRC = Path(os.environ.get("VOLLEY_SRC", Path(__file__).parents[2]))
sys.path.insert(0, str(SRC / "tests" / "support"))

from peer import keys, noise, wire  # noqa: E402
from peer.handshake import ClientHandshake, Security, Untrusted, prologue  # noqa: E402

CLIENT_PARAMETERS = {"max_data": 1000, "application": b"volley-file/1"}
SERVER_PARAMETERS = {"max_data": 2000, "max_streams": 4, "reset_token": bytes(range(16))}
SERVER_SECRET, CLIENT_SECRET, PSK = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
SERVER_KEY = noise.public_of(SERVER_SECRET)
CLIENT_ID, SERVER_ID = 0x1122334455667788, 0x99AABBCCDDEEFF00

# Of github.com/mcginty/snow, tests/vectors/cacophony.txt. The payloads are those of all its vectors; the handshake
# hash covers every byte of the messages.
PROLOGUE = bytes.fromhex("4a6f686e2047616c74")
INITIATOR = {"secret": "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
             "ephemeral": "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"}
RESPONDER = {"secret": "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
             "ephemeral": "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"}
PSK_OF_VECTORS = "54686973206973206d7920417573747269616e20706572737065637469766521"
LUDWIG, MURRAY, HAYEK, MENGER = (b"Ludwig von Mises", b"Murray Rothbard", b"F. A. Hayek", b"Carl Menger")
NOISE = {  # pattern: (payloads, handshake hash, (sender, text, sealed text) of the first message after Split)
    "XX": ((LUDWIG, MURRAY, HAYEK), "1b7aefb1125762aa21a252890d00af54519638b76437444538f9a52f21e2e0dc",
           (1, MENGER, "bc3fa77f6aca3e8466d7dc6bea10013e88a6a29add5132b461806c")),
    "NNpsk0": ((LUDWIG, MURRAY), "9f3b1f9afd7767767b5b9d1069844a6154fdbdcc36dfb3e31c0fffc5c973d530",
               (0, HAYEK, "7c01e898a6201f36aecee532e29cd0b7f8ffa29d3366ad0dce39a6")),
}


class Vectors(unittest.TestCase):
    def test_hkdf_rfc_5869(self):
        """Cases 1 and 3 of its appendix A."""
        prk = noise.hkdf_extract(bytes(range(13)), b"\x0b" * 22)
        self.assertEqual(prk.hex(), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
        self.assertEqual(noise.hkdf_expand(prk, bytes(range(0xF0, 0xFA)), 42).hex(),
                         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        self.assertEqual(noise.hkdf_expand(noise.hkdf_extract(b"", b"\x0b" * 22), b"", 42).hex(),
                         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")

    def test_noise(self):
        for pattern, (payloads, handshake_hash, (sender, text, sealed)) in NOISE.items():
            with self.subTest(pattern):
                psk = bytes.fromhex(PSK_OF_VECTORS) if pattern == "NNpsk0" else None
                ends = [noise.Handshake(pattern, end is INITIATOR, PROLOGUE, psk=psk,
                                        **{name: bytes.fromhex(key) for name, key in end.items()})
                        for end in (INITIATOR, RESPONDER)]
                for turn, payload in enumerate(payloads):
                    self.assertEqual(ends[1 - turn % 2].read(ends[turn % 2].write(payload)), payload)
                self.assertEqual([end.h.hex() for end in ends], [handshake_hash] * 2)
                self.assertEqual(ends[0].split(), ends[1].split())
                key = ends[0].split()[sender]
                self.assertEqual(noise.AESGCM(key).encrypt(bytes(12), text, b"").hex(), sealed)

    def test_low_order_points_are_refused(self):
        for point in (bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"):
            with self.assertRaises(noise.NoiseError):
                noise.agree(SERVER_SECRET, point)


class ServerEnd:
    """What a server does with HELLO and FINISH, as far as the client's handshake has to see it."""

    def __init__(self, hello, psk=None):
        hello = wire.decode_packet(hello)
        self.suite = hello.suites[0]
        words = prologue(b"VolleyUDP", hello.version, hello.client_id, hello.suites, hello.handshake[0])
        self.noise = noise.Handshake("NNpsk0" if psk else "XX", False, words, secret=SERVER_SECRET, psk=psk)
        self.payloads = [self.noise.read(hello.handshake[1:])]

    def accept(self, suite=None):
        suite = suite or self.suite
        clear = wire.VERSION.to_bytes(4, "big") + bytes([suite]) + SERVER_ID.to_bytes(8, "big")
        message = self.noise.write(clear + wire.encode_parameters(SERVER_PARAMETERS))
        return wire.encode_packet("ACCEPT", client_id=CLIENT_ID, server_id=SERVER_ID, version=wire.VERSION,
                                  suite=suite, handshake=message, parameters=b"")

    def take_finish(self, finish):
        self.payloads.append(self.noise.read(wire.decode_packet(finish).handshake))


class Messages(unittest.TestCase):
    def client(self, **security):
        return ClientHandshake(Security(**security), CLIENT_ID, CLIENT_PARAMETERS)

    def assert_same_keys(self, client, server):
        sending, receiving = server.noise.split()
        self.assertEqual(client.send_keys.now.secret, sending)
        self.assertEqual(client.receive_keys.now.secret, receiving)

    def test_keys(self):
        client = self.client(secret=CLIENT_SECRET, server_key=SERVER_KEY)
        server = ServerEnd(client.hello(b"cookie"))
        self.assertTrue(client.accepted(wire.decode_packet(server.accept())))
        server.take_finish(client.finish)
        self.assertEqual(server.payloads, [b"", wire.encode_parameters(CLIENT_PARAMETERS)])
        self.assertEqual(server.noise.rs, noise.public_of(CLIENT_SECRET))
        self.assertEqual(client.peer, wire.with_defaults(SERVER_PARAMETERS))
        self.assert_same_keys(client, server)

    def test_psk(self):
        client = self.client(psk=PSK)
        server = ServerEnd(client.hello(b""), PSK)
        self.assertEqual(server.payloads, [wire.encode_parameters(CLIENT_PARAMETERS)])
        self.assertTrue(client.accepted(wire.decode_packet(server.accept())))
        self.assertIsNone(client.finish)
        self.assert_same_keys(client, server)

    def test_another_psk(self):
        with self.assertRaises(noise.NoiseError):
            ServerEnd(self.client(psk=PSK).hello(b""), bytes(32))

    def test_a_message_is_made_once(self):
        client = self.client(accept_new=True)
        again = wire.decode_packet(client.hello(b"cookie")).handshake
        self.assertEqual(wire.decode_packet(client.hello(b"")).handshake, again)

    def test_unbelieved_servers(self):
        for security in ({}, {"server_key": noise.public_of(PSK)}, {"server_key": PSK, "accept_new": True}):
            client = self.client(**security)
            with self.assertRaises(Untrusted):
                client.accepted(wire.decode_packet(ServerEnd(client.hello(b"")).accept()))
            self.assertIsNone(client.finish)

    def test_tampered_accepts_are_ignored_and_the_true_one_counts(self):
        """RULE 5: each bit of suite, version, server id and message."""
        client = self.client(accept_new=True)
        genuine = wire.decode_packet(ServerEnd(client.hello(b"")).accept())
        for field, size in (("version", 32), ("suite", 8), ("server_id", 64)):
            for bit in range(size):
                packet = wire.Record(**vars(genuine) | {field: getattr(genuine, field) ^ 1 << bit})
                self.assertFalse(client.accepted(packet), (field, bit))
        for bit in range(8 * len(genuine.handshake)):
            message = bytearray(genuine.handshake)
            message[bit // 8] ^= 1 << bit % 8
            self.assertFalse(client.accepted(wire.Record(**vars(genuine) | {"handshake": bytes(message)})), bit)
        self.assertFalse(client.accepted(wire.Record(**vars(genuine) | {"parameters": b"\1\1\0"})))
        self.assertTrue(client.accepted(genuine))

    def test_tampered_hellos_end_in_no_common_transcript(self):
        """RULE 5: what was offered is in the prologue."""
        for change in ({"suites": b"\3\2"}, {"suites": b"\2"}, {"version": wire.VERSION ^ 1}, {"client_id": 1}):
            client = self.client(accept_new=True)
            hello = wire.decode_packet(client.hello(b"")).fields() | change
            hello.pop("padding")
            server = ServerEnd(wire.encode_packet("HELLO", **hello))
            self.assertFalse(client.accepted(wire.decode_packet(server.accept())), change)


class Keys(unittest.TestCase):
    """SPEC 2.12, RULE 12."""

    SECRET = bytes(range(32))

    def setUp(self):
        self.send = keys.SendKeys(wire.SUITE_AES_256_GCM, self.SECRET, update_pkts=4)
        self.receive = keys.ReceiveKeys(wire.SUITE_AES_256_GCM, self.SECRET)

    def sealed(self, number):
        return self.send.seal(lambda phase: wire.data_header(phase, SERVER_ID, number), number, b"\1")

    def open(self, packet, now=0.0):
        phase, _, number, header, sealed = wire.split_data(packet)
        return self.receive.open(phase, number, header, sealed, now, 3.0)

    def test_key_and_iv(self):
        """The derivation, spelled out with the module hmac."""
        one = self.send.now
        okm = noise.hmac_sha256(self.SECRET, b"volley1 iv\x02\x01")
        self.assertEqual(one.iv, okm[:12])
        self.assertEqual(one.next().secret, noise.hmac_sha256(self.SECRET, b"volley1 next\x02\x01"))
        key = noise.hmac_sha256(self.SECRET, b"volley1 key\x02\x01")
        nonce = okm[:4] + bytes(a ^ b for a, b in zip(okm[4:12], (5).to_bytes(8, "big")))
        self.assertEqual(one.seal(5, b"header", b"text"), noise.AESGCM(key).encrypt(nonce, b"text", b"header"))

    def test_updates(self):
        packets = []
        for number in range(12):
            packets.append(self.sealed(number))
            self.send.on_acked(number)
        self.assertEqual([packet[0] for packet in packets], [0x40] * 4 + [0x41] * 4 + [0x40] * 4)
        for number in (0, 1, 2):
            self.assertEqual(self.open(packets[number]), b"\1")
        self.receive.on_ack_sent()
        for number in (5, 4, 3, 6):  # 3 is late and opened with the old keys
            self.assertEqual(self.open(packets[number]), b"\1")
        self.assertEqual(self.receive.updates, 1)
        with self.assertRaises(keys.EarlyUpdate):  # nothing of this generation was acknowledged
            self.open(packets[8])
        self.receive.on_ack_sent()
        self.assertEqual(self.open(packets[8]), b"\1")
        with self.assertRaises(keys.OpenError):  # the old keys are gone after 3 PTO
            self.open(packets[7], now=3.0)
        self.assertEqual(self.receive.forgeries, 1)

    def test_no_update_before_an_acknowledgement(self):
        self.assertEqual({self.sealed(number)[0] for number in range(20)}, {0x40})

    def test_hard_limit(self):
        self.send.sealed_pkts = keys.HARD_LIMIT_PACKETS
        with self.assertRaises(keys.KeyLimit):
            self.sealed(0)

    def test_forgeries_change_nothing_else(self):
        packet = self.sealed(0)
        for bit in range(8 * len(packet)):
            forged = bytearray(packet)
            forged[bit // 8] ^= 1 << bit % 8
            with self.assertRaises((keys.OpenError, wire.WireError)):
                self.open(bytes(forged))
        self.assertEqual(self.open(packet), b"\1")


if __name__ == "__main__":
    unittest.main(verbosity=2)
