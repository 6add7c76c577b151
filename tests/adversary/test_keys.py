"""Misbehaviour in the handshake of sealed suites and with their keys (SPEC 2.12, 3.1)."""

import secrets
import time

from adversary import Adversary, Target, hostile, main, volley, wire
from peer.noise import public_of
from peer.wire import frame

LOW_ORDER = [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", b"\xed" + b"\xff" * 30 + b"\x7f",
             bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
             bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")]


class Keys(Adversary):
    pass


def verdict(it, message, **security):
    """The answer to a HELLO with that handshake field: ACCEPT or the name of REFUSE's code."""
    stranger = it.stranger()
    handshake = stranger.handshake()
    answer = stranger.answer_to(handshake, handshake=message, **security)
    return answer.name if answer.name == "ACCEPT" else wire.CLOSE_CODES[answer.code]


def halfway(it):
    """A stranger that has its ACCEPT and has not sent its FINISH."""
    stranger = it.stranger()
    handshake = stranger.handshake()
    it.case.assertTrue(handshake.accepted(stranger.answer_to(handshake)))
    return stranger, handshake


def assert_serves(it, stranger, handshake):
    """The genuine FINISH is still taken."""
    frames = stranger.confirm(handshake)
    it.case.assertFalse([one for one in frames if one.name == "CLOSE"])


# Message 1 -----------------------------------------------------------------------------------------------


@hostile("ephemeral keys of low order: zero, one and their kin")
def low_order(it):
    for point in LOW_ORDER:
        it.case.assertEqual(verdict(it, b"\1" + point), "AUTH")


@hostile("methods that the server has no key for, and some that nobody has")
def methods(it):
    for method, size in ((2, 96), (3, 48), (0, 32), (4, 32), (255, 32)):
        it.case.assertEqual(verdict(it, bytes([method]) + it.rng.randbytes(size)), "METHOD")


@hostile("message 1: empty, cut, too long, with a payload, of 60,000 bytes")
def message_1(it):
    for message in (b"\1", b"\1" + bytes(31), b"\1" + public_of(secrets.token_bytes(32))[:-1]):
        it.case.assertEqual(verdict(it, message), "AUTH")
    for extra in (1, 16, 300, 60_000):
        answer = verdict(it, b"\1" + public_of(secrets.token_bytes(32)) + bytes(extra))
        it.case.assertEqual(answer, "AUTH")


@hostile("plain asked of a server that only seals, sealed with clear parameters")
def downgrade(it):
    """RULE 5: nothing falls back."""
    stranger = it.stranger()
    clear = wire.encode_parameters({"max_data": 1, "application": b"volley-file/1"})
    answer = stranger.answer_to(stranger.handshake(), suites=b"\1", handshake=b"", parameters=clear)
    it.case.assertEqual((answer.name, wire.CLOSE_CODES[answer.code]), ("REFUSE", "SUITE"))


# FINISH --------------------------------------------------------------------------------------------------


@hostile("FINISH with each of its bits flipped, cut at each byte, too long; then the genuine one")
def finish_flipped(it):
    """RULE 9 for the handshake: a forged FINISH changes nothing."""
    stranger, handshake = halfway(it)
    genuine = wire.decode_packet(handshake.finish)
    message = genuine.handshake
    forged = [message[:size] for size in range(len(message))] + [message + b"\0", message * 20]
    for bit in range(8 * len(message)):
        forged.append(message[:bit // 8] + bytes([message[bit // 8] ^ 1 << bit % 8]) + message[bit // 8 + 1:])
    for one in forged:
        stranger.send(wire.encode_packet("FINISH", server_id=genuine.server_id, handshake=one))
    it.case.assertEqual([answer for answer in stranger.heard() if answer[0] != 0x02], [])
    assert_serves(it, stranger, handshake)


@hostile("FINISH of another connection, both ways round")
def finish_swapped(it):
    one, two = halfway(it), halfway(it)
    for (stranger, handshake), (_, other) in ((one, two), (two, one)):
        stranger.send(wire.encode_packet("FINISH", server_id=handshake.server_id,
                                         handshake=wire.decode_packet(other.finish).handshake))
        it.case.assertEqual([answer for answer in stranger.heard() if answer[0] != 0x02], [])
    for stranger, handshake in (one, two):
        assert_serves(it, stranger, handshake)


@hostile("FINISH with a static key of low order, which anybody could hold")
def finish_low_order(it):
    """Were the zero secret taken, the peer would be whoever it says it is."""
    for point in LOW_ORDER[:3]:
        stranger, handshake = halfway(it)
        genuine = handshake.finish
        noise = handshake.before_finish
        message = noise.encrypt_and_hash(point)
        noise.mix_key(bytes(32))
        message += noise.encrypt_and_hash(handshake.parameters)
        stranger.send(wire.encode_packet("FINISH", server_id=handshake.server_id, handshake=message))
        it.case.assertEqual([answer for answer in stranger.heard() if answer[0] != 0x02], [])
        assert_serves(it, stranger, handshake)
        it.case.assertEqual(handshake.finish, genuine)


@hostile("FINISH 2,000 times, and again after the connection ended")
def finish_again(it):
    """SPEC 3, SERVER_HEARD: a PING each at most."""
    peer = it.peer()
    it.case.assertTrue(peer.alive())
    for _ in range(2000):
        peer.link.send(peer.handshake.finish)
    it.case.assertTrue(peer.alive())
    peer.close(0)
    stranger = it.stranger()
    for _ in range(100):
        stranger.send(peer.handshake.finish)
    it.case.assertEqual(stranger.heard(), [])


@hostile("the HELLO and FINISH of a client sent again by somebody else")
def recorded(it):
    """RULE 3: another address gets a RETRY and no more."""
    stranger, handshake = halfway(it)
    hello = handshake.hello(stranger.cookie_for(handshake))
    other = it.stranger()
    other.send(hello)
    other.send(handshake.finish)
    it.case.assertEqual({answer[0] for answer in other.heard()} - {0x02}, set())
    assert_serves(it, stranger, handshake)


@hostile("200 whole handshakes that say no more", connections=200, alone=True)
def idle_crowd(it):
    for _ in range(200):
        stranger, handshake = halfway(it)
        stranger.confirm(handshake)


# A pre-shared key ----------------------------------------------------------------------------------------


@hostile("a server with a pre-shared key: other keys, other methods, bad parameters inside")
def wrong_psk(it):
    key = it.dir / "psk"
    it.case.assertEqual(volley("keygen", "--psk", "-o", key, env=it.environment).code, 0)
    target = Target(it.case, psk_file=key)
    it.hold(target)
    for other in (bytes(32), b"\xff" * 32, secrets.token_bytes(32)):
        stranger = target.stranger()
        answer = stranger.answer_to(stranger.handshake(security={"psk": other}))
        it.case.assertEqual((answer.name, wire.CLOSE_CODES[answer.code]), ("REFUSE", "AUTH"))
    stranger = target.stranger()
    answer = stranger.answer_to(stranger.handshake(security={"accept_new": True}))
    it.case.assertEqual((answer.name, wire.CLOSE_CODES[answer.code]), ("REFUSE", "METHOD"))
    for change, code in (({"max_datagram": 1199}, "PARAMETER"), ({"application": b"other"}, "APPLICATION")):
        answer = stranger.answer_to(stranger.handshake(**change))
        it.case.assertEqual((answer.name, wire.CLOSE_CODES[answer.code]), ("REFUSE", code))
    target.newcomer()


# Data keys -----------------------------------------------------------------------------------------------


@hostile("the next keys at once, before anything was acknowledged: KEY_UPDATE")
def early_update(it):
    """RULE 12."""
    stranger, handshake = halfway(it)
    header = wire.data_header(1, handshake.server_id, 0)
    packet = header + handshake.send_keys.now.next().seal(0, header, frame("PING"))
    for _ in range(20):
        stranger.send(handshake.finish)
        stranger.send(packet)
        for answer in stranger.receive(time.monotonic() + 0.25):
            phase, _, number, header, sealed = wire.split_data(answer)
            for one in wire.decode_frames(handshake.receive_keys.open(phase, number, header, sealed, 0, 0)):
                if one.name == "CLOSE":
                    it.case.assertEqual(wire.CLOSE_CODES[one.code], "KEY_UPDATE")
                    return
    it.case.fail("the server took it")


@hostile("new keys twice in a row: KEY_UPDATE")
def double_update(it):
    peer = it.peer()
    it.case.assertTrue(peer.alive())
    for _ in range(2):
        peer.send_keys.update(peer.next_number)
        for _ in range(2):
            peer.say(frame("PADDING"))  # not acknowledged by themselves
    it.case.assertEqual(peer.ending(), ("CLOSE", "KEY_UPDATE"))


@hostile("new keys after every acknowledgement, 500 times")
def constant_updates(it):
    """Allowed, and followed."""
    peer = it.peer(update_pkts=1)
    for _ in range(500):
        it.case.assertTrue(peer.alive())
    it.case.assertGreater(peer.send_keys.updates, 400)


@hostile("the key phase flipped in the header of 5,000 sealed packets, keys two generations ahead")
def phase_flips(it):
    """RULE 9: forgeries all of them."""
    peer = it.peer()
    ahead = peer.send_keys.now.next().next()
    for number in range(5000):
        packet = peer.sealed(frame("CLOSE", code=0, reason=b""))
        peer.link.send(bytes([packet[0] ^ 1]) + packet[1:])
        header = wire.data_header(number & 1, peer.server_id, peer.next_number)
        peer.link.send(header + ahead.seal(peer.next_number, header, b"\1"))
        if number % 32 == 0:
            it.case.assertTrue(peer.alive())
    it.case.assertTrue(peer.alive())


@hostile("packets of one connection with the id of another, with plain's tag, with the other direction's keys")
def wrong_keys(it):
    """RULE 9, RULE 15."""
    one, two = it.peer(), it.peer()
    closing = frame("CLOSE", code=0, reason=b"")
    for _ in range(50):
        number = two.next_number + 5
        header = wire.data_header(0, two.server_id, number)
        one.link.send(header + one.send_keys.now.seal(number, header, closing))
        body = header + closing
        two.link.send(body + wire.tag(body))
        two.link.send(header + two.receive_keys.now.seal(number, header, closing))
        two.link.send(header + closing + bytes(16))
    it.case.assertTrue(one.alive())
    it.case.assertTrue(two.alive())


if __name__ == "__main__":
    main(Keys)
