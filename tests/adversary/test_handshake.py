"""Misbehaviour by strangers: before there is a connection, or without its keys (SPEC 2, 3)."""

import time

from adversary import MAX_CLIENTS, Adversary, hostile, main, parameters, wire

VERSIONS_PER_S = UNKNOWN_PER_S = 100  # SPEC 2.7, 2.8
AMPLIFICATION = 3  # RULE 2
MANY = 2000


class Handshake(Adversary):
    pass


def assert_silence(it, *datagrams):
    """None of them is answered."""
    stranger = it.stranger()
    for datagram in datagrams:
        stranger.send(datagram)
    it.case.assertEqual(stranger.heard(), [])


def flipped(data, bit):
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


# HELLO ---------------------------------------------------------------------------------------------------


@hostile("HELLO of less than 1200 bytes, down to one")
def hello_short(it):
    """RULE 2: no answer to what could be smaller than the answer."""
    hello = it.stranger().handshake().hello(b"")
    body = hello[:-wire.TAG_BYTES]
    assert_silence(it, *(body[:size - 16] + wire.tag(body[:size - 16]) for size in (1199, 1000, 100, 30, 17)),
                   *(hello[:size] for size in range(1, 64)))


@hostile("HELLO whose padding is not zero")
def hello_padding(it):
    body = it.stranger().handshake().hello(b"")[:-wire.TAG_BYTES]
    bad = body[:-1] + b"\1"
    assert_silence(it, bad + wire.tag(bad))


@hostile("HELLO with a wrong tag, 2,000 times")
def hello_tag(it):
    hello = it.stranger().handshake().hello(b"")
    assert_silence(it, *(flipped(hello, bit) for bit in range(0, 8 * len(hello), 5)))


@hostile("HELLO of 65,507 bytes, 200 times")
def hello_huge(it):
    stranger = it.stranger()
    body = stranger.handshake().hello(b"")[:-wire.TAG_BYTES]
    body += bytes(65507 - 16 - len(body))
    hello = body + wire.tag(body)
    for _ in range(200):
        stranger.send(hello)
    it.case.assertLess(sum(map(len, stranger.heard())), 200 * 120)


@hostile("HELLO of another version, 2,000 times")
def hello_version(it):
    """RULE 7's kin: at most 100 answers a second, each much smaller than what asked."""
    stranger, begin = it.stranger(), time.monotonic()
    hello = stranger.hello(stranger.handshake(), version=wire.VERSION + 1)
    for _ in range(MANY):
        stranger.send(hello)
    answers = stranger.heard()
    it.case.assertTrue(all(answer[0] == 0x05 and len(answer) < 120 for answer in answers))
    it.case.assertLessEqual(len(answers), VERSIONS_PER_S * (time.monotonic() - begin + 2))


@hostile("the same HELLO 5,000 times, then with its cookie 2,000 times")
def hello_storm(it):
    """RULE 2 counted in bytes; every ACCEPT is the same one."""
    stranger = it.stranger()
    handshake = stranger.handshake()
    hello = handshake.hello(b"")
    for _ in range(5000):
        stranger.send(hello)
    retries = stranger.heard()
    it.case.assertTrue(all(answer[0] == 0x02 for answer in retries))
    it.case.assertLess(sum(map(len, retries)), AMPLIFICATION * 5000 * 1200)
    hello = handshake.hello(stranger.cookie_for(handshake))
    for _ in range(MANY):
        stranger.send(hello)
    answers = [answer for answer in stranger.heard() if answer[0] != 0x02]  # repeated RETRYs of before
    it.case.assertTrue(answers)
    it.case.assertEqual(len(set(answers)), 1)
    it.case.assertLess(len(answers) * len(answers[0]), AMPLIFICATION * MANY * 1200)


@hostile("cookies: flipped bits, another port's, made older and younger, for changed fields, empty, too long")
def cookies(it):
    """RULE 3: each is answered by a fresh RETRY, never by ACCEPT."""
    stranger, other = it.stranger(), it.stranger()
    handshake = stranger.handshake()
    cookie = stranger.cookie_for(handshake)

    def refused(who, hello):
        answer = who.ask(hello, lambda packet: packet.name != "VERSIONS")[1]
        it.case.assertEqual(answer.name, "RETRY")

    for bit in range(8 * len(cookie)):
        refused(stranger, handshake.hello(flipped(cookie, bit)))
    refused(other, handshake.hello(cookie))
    for clock in (-120_000, -60_001, 60_001):
        issued = int.from_bytes(cookie[1:9], "big") + clock
        refused(stranger, handshake.hello(cookie[:1] + issued.to_bytes(8, "big") + cookie[9:]))
    for change in ({"suites": handshake.security.suites * 2}, {"client_id": 7},
                   {"parameters": wire.encode_parameters(parameters(max_data=1))}):
        refused(stranger, stranger.hello(handshake, cookie=cookie, **change))
    for other_cookie in (b"", cookie[:-1], cookie + b"\0", bytes(64)):
        refused(stranger, handshake.hello(other_cookie))
    it.case.assertEqual(stranger.ask(handshake.hello(cookie), lambda packet: packet.name != "RETRY")[1].name,
                        "ACCEPT")


@hostile("connections left half open, 2,000 of them", connections=MAX_CLIENTS)
def half_open(it):
    """RULE 1: they end at the cap for what was accepted and never confirmed, and newcomers still get in."""
    stranger = it.stranger()
    base = wire.decode_packet(stranger.handshake().hello(b"")).fields() | {"padding": b""}
    accepted = 0
    for _ in range(40):
        waiting = {}
        for _ in range(50):  # an ephemeral key is any 32 bytes
            ident = it.rng.randrange(1 << 63)
            message = b"" if it.security.get("plain") else b"\1" + it.rng.randbytes(32)
            waiting[ident] = base | {"client_id": ident, "handshake": message}
            stranger.send(wire.encode_packet("HELLO", **waiting[ident]))
        for answer in stranger.receive(time.monotonic() + 0.5):
            ident = int.from_bytes(answer[1:9], "big")
            if answer[0] == 0x02 and ident in waiting:
                cookie = wire.decode_packet(answer).cookie
                stranger.send(wire.encode_packet("HELLO", **waiting[ident] | {"cookie": cookie}))
            elif answer[0] == 0x03:
                accepted += waiting.pop(ident, None) is not None
            if not waiting:
                break
    it.case.assertGreater(accepted, 1500)
    it.newcomer()


# Packets of the wrong kind -------------------------------------------------------------------------------


@hostile("what only servers send: RETRY, ACCEPT, VERSIONS, UNKNOWN, REFUSE")
def servers_packets(it):
    """RULE 7: nothing answers them."""
    ident = it.rng.randrange(1 << 63)
    assert_silence(
        it, wire.encode_packet("RETRY", client_id=ident, cookie=b"c" * 41),
        wire.encode_packet("ACCEPT", client_id=ident, server_id=ident, version=wire.VERSION, suite=1,
                           handshake=b"", parameters=b""),
        wire.encode_packet("ACCEPT", client_id=ident, server_id=ident, version=wire.VERSION, suite=2,
                           handshake=bytes(600), parameters=bytes(500)),
        wire.encode_packet("VERSIONS", client_id=ident, versions=bytes(252)),
        wire.encode_packet("UNKNOWN", server_id=ident, reset_token=bytes(16)),
        wire.encode_packet("REFUSE", client_id=ident, code=12, reason=b"full"))


@hostile("the server's own packets sent back to it")
def reflected(it):
    stranger = it.stranger()
    handshake = stranger.handshake()
    retry = wire.encode_packet("RETRY", client_id=handshake.client_id, cookie=stranger.cookie_for(handshake))
    accept = stranger.ask(handshake.hello(wire.decode_packet(retry).cookie), lambda p: p.name == "ACCEPT")[1]
    assert_silence(it, *[retry, wire.encode_packet("ACCEPT", **accept.fields())] * 100)
    peer = it.peer()
    packets = []
    receive = peer.link.receive
    peer.link.receive = lambda until: (packets.append(one) or one for one in receive(until))
    it.case.assertTrue(peer.alive())
    it.case.assertGreaterEqual(len(packets), 1)
    for packet in packets * 100:
        peer.link.send(packet)
    it.case.assertTrue(peer.alive())


@hostile("FINISH for nobody, empty, of 64 KB, by the thousand")
def finish_for_nobody(it):
    finishes = [wire.encode_packet("FINISH", server_id=it.rng.randrange(1 << 64), handshake=bytes(size))
                for size in (0, 1, 64, 119, 1000, 65000)]
    assert_silence(it, *finishes * 200)


@hostile("DATA of unknown connections, 5,000 times, and some shorter than the answer")
def data_for_nobody(it):
    """RULE 7."""
    stranger, begin = it.stranger(), time.monotonic()
    for size in range(1, 9):  # with the header and the tag: 34 to 41
        stranger.send(wire.data_header(0, 1, 0) + bytes(size + 15))
    it.case.assertEqual(stranger.heard(), [])
    for number in range(5000):
        stranger.send(wire.data_header(number & 1, it.rng.randrange(1 << 64), number) + bytes(40))
    answers = stranger.heard()
    it.case.assertTrue(all(answer[0] == 0x06 and len(answer) == 41 for answer in answers))
    it.case.assertLessEqual(len(answers), UNKNOWN_PER_S * (time.monotonic() - begin + 2))


@hostile("garbage: every first byte, sizes from 1 to 65,507, 6,000 packets")
def garbage(it):
    datagrams = [bytes([first]) + it.rng.randbytes(size) for first in range(256)
                 for size in (0, 15, 16, 17, 40, 1199, 1471)]
    datagrams += [it.rng.randbytes(size) for size in range(1, 4000)]
    datagrams += [it.rng.randbytes(size) for size in (9000, 65506, 65507)]
    stranger = it.stranger()
    for datagram in datagrams:
        stranger.send(datagram)
    it.case.assertTrue(all(answer[0] == 0x06 for answer in stranger.heard()))  # only DATA may be answered


# Parameters and suites -----------------------------------------------------------------------------------

GOOD = wire.encode_parameters(parameters())
BAD_PARAMETERS = {
    "max_data twice": GOOD + b"\1\1\1",
    "application twice": GOOD + b"\x08\1a",
    "idle_timeout below its limit": b"\x04\2\x43\xe7" + b"\x08\1a",
    "idle_timeout above its limit": b"\x04\4\x80\x09\x27\xc1" + b"\x08\1a",
    "max_ack_delay above its limit": b"\x05\4\x80\x0f\x42\x41" + b"\x08\1a",
    "max_datagram of 1199": b"\x06\2\x44\xaf" + b"\x08\1a",
    "max_datagram above 65507": b"\x06\4\x80\x00\xff\xe4" + b"\x08\1a",
    "max_streams above 2^60": b"\x03\x08\xd0\0\0\0\0\0\0\1" + b"\x08\1a",
    "a varint that does not fill its length": b"\1\2\1\1" + b"\x08\1a",
    "an empty varint": b"\1\0" + b"\x08\1a",
    "an empty application": b"\x08\0",
    "an application of 33 bytes": b"\x08\x21" + b"a" * 33,
    "cut in the middle": GOOD[:-3],
    "an id alone": GOOD + b"\x40",
}


@hostile("transport parameters: twice, out of their limits, cut, badly encoded")
def bad_parameters(it):
    for text, encoded in BAD_PARAMETERS.items():
        with it.case.subTest(text):
            it.case.assertEqual(parameter_verdict(it, encoded), "PARAMETER")


@hostile("transport parameters: no application, another one")
def bad_application(it):
    for encoded in (b"", wire.encode_parameters(parameters(application=b"volley-file/2")),
                    wire.encode_parameters(parameters(application=b"\xff" * 32))):
        it.case.assertEqual(parameter_verdict(it, encoded), "APPLICATION")


@hostile("transport parameters: unknown ones, as many as there is room for, and one more")
def unknown_parameters(it):
    """They are skipped (SPEC 2.10); a handshake message longer than SPEC 9 allows is dropped."""
    encoded = b"".join(wire.varint(0x4000 + i) + bytes([i]) + bytes(i) for i in range(15))
    room = 512 - 48 - 16 - len(GOOD + encoded) - 3  # beside the sealed static key and the tag
    last = wire.varint(0x3000) + bytes([room]) + bytes(room)
    it.case.assertEqual(parameter_verdict(it, GOOD + encoded + last), "ACCEPT")
    if it.security.get("plain"):
        return
    stranger = it.stranger()
    handshake = handshake_of(stranger, GOOD + encoded + wire.varint(0x3000) + bytes([room + 1]) + bytes(room + 1))
    it.case.assertTrue(handshake.accepted(stranger.answer_to(handshake)))
    stranger.send(handshake.finish)
    it.case.assertEqual([answer for answer in stranger.heard() if answer[0] & 0xFE == 0x40], [])


@hostile("transport parameters: a field of 60,000 bytes")
def huge_parameters(it):
    """REFUSE or nothing, but no harm."""
    unknown = b"".join(wire.varint(0x4000 + i) + b"\xff" + bytes(255) for i in range(230))
    stranger = it.stranger()
    cookie = stranger.cookie_for(handshake := handshake_of(stranger, GOOD + unknown))
    stranger.send(handshake.hello(cookie))
    it.case.assertLess(sum(map(len, stranger.heard())), AMPLIFICATION * 60000)


def handshake_of(stranger, encoded):
    """A handshake with those bytes for parameters."""
    handshake = stranger.handshake()
    handshake.parameters = encoded
    if handshake.security.plain:
        handshake.clear = encoded
    return handshake


def parameter_verdict(it, encoded):
    """What the server makes of them: ACCEPT or the name of a close code, from REFUSE or from CLOSE after FINISH."""
    stranger = it.stranger()
    handshake = handshake_of(stranger, encoded)
    answer = stranger.answer_to(handshake, parameters=handshake.clear)
    if answer.name == "REFUSE":
        return wire.CLOSE_CODES[answer.code]
    it.case.assertTrue(handshake.accepted(answer))
    if handshake.finish is None:
        return "ACCEPT"
    frames = stranger.confirm(handshake)
    closes = [wire.CLOSE_CODES[one.code] for one in frames if one.name == "CLOSE"]
    return closes[0] if closes else "ACCEPT"


@hostile("suites that nobody has, plain mixed with sealed, none, nine")
def bad_suites(it):
    stranger = it.stranger()
    for suites in (b"\x7f", b"\0", b"\xff" * 8):
        answer = stranger.answer_to(stranger.handshake(), suites=suites)
        it.case.assertEqual((answer.name, wire.CLOSE_CODES[answer.code]), ("REFUSE", "SUITE"))
    for suites in (b"", b"\1" * 9, b"\2" * 200):
        hello = stranger.hello(stranger.handshake(), suites=suites)
        assert_silence(it, hello)


if __name__ == "__main__":
    main(Handshake)
