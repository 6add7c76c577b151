"""Floods, a short slice of `./dev flood`: only state is asserted here, no time and no rate."""

from adversary import Adversary, hostile, main, wire
from floods import SPOOFED, Counters, Flood, garbage, hellos, unknown

SECONDS = 0.7


class Floods(Adversary):
    pass


def flood(it, packets, sources, packets_per_s=0):
    before = Counters(it)
    sent = Flood(it.port, packets, packets_per_s, SECONDS, sources).wait()["sent"]
    it.case.assertGreater(sent, 1000)
    it.stranger().heard()  # by now the server has read them
    it.case.assertLess(it.memory()[0] - before.resident_kib, it.cap_kib(0) - it.base_kib)
    return sent


@hostile("first packets from 65,536 addresses, 50,000 a second", connections=0)
def first_packets(it):
    """RULE 1."""
    flood(it, hellos(it, 100), SPOOFED, 50_000)


@hostile("one HELLO from one address, as fast as a core can", connections=0)
def one_hello(it):
    flood(it, hellos(it, 1), 0)


@hostile("garbage as fast as a core can", connections=0)
def noise(it):
    flood(it, garbage(it.rng, 200), 0)


@hostile("DATA of unknown connections from 65,536 addresses as fast as a core can", connections=0)
def data_for_nobody(it):
    """RULE 7."""
    flood(it, unknown(it.rng, 200), SPOOFED)


@hostile("packets of a connection replayed from 65,536 addresses as fast as a core can")
def replayed(it):
    """RULE 11, RULE 6: none of them is the highest number so far."""
    peer = it.peer()
    packets = [peer.sealed(wire.frame("PING")) for _ in range(200)]
    for packet in packets:
        peer.link.send(packet)
    it.case.assertTrue(peer.alive())
    flood(it, packets, SPOOFED)
    it.case.assertTrue(peer.alive())


@hostile("forged packets of a connection from 65,536 addresses as fast as a core can")
def forged(it):
    """RULE 9."""
    peer = it.peer()
    it.case.assertTrue(peer.alive())
    packet = peer.sealed(wire.frame("CLOSE", code=0, reason=b"") + bytes(1000))
    flood(it, [packet[:-2] + number.to_bytes(2, "big") for number in range(1, 200)], SPOOFED)
    it.case.assertTrue(peer.alive())


if __name__ == "__main__":
    main(Floods)
