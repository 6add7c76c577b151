"""A second implementation of Volley, written from proto/SPEC.md alone.

    xxh3.py       XXH3-128, the hash of SPEC 10.6
    wire.py       varints, CRC32C, packets and frames (SPEC 1, 2, 4)
    noise.py      HKDF and the Noise handshakes (SPEC 3.1)
    keys.py       what protects DATA packets, key updates (SPEC 2.1, 2.12)
    handshake.py  a client's HELLO, ACCEPT, FINISH (SPEC 3)
    transport.py  a client's connection over UDP (SPEC 3, 5, 6, 7)
    tcp.py        the same over TCP (SPEC 13)
    files.py      the file protocol (SPEC 10)

It shares no code with the C program and uses the standard library and the package `cryptography` only.
It is meant to be read: where the C program is fast, this is short.
"""
