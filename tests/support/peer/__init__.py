"""A second implementation of Volley, written from proto/SPEC.md alone.

    xxh3.py       XXH3-128, the hash of SPEC 10.6
    wire.py       varints, CRC32C, packets and frames (SPEC 1, 2, 4)
    transport.py  a client's connection over UDP (SPEC 3, 5, 6, 7)
    files.py      the file protocol (SPEC 10)

It shares no code with the C program and uses the standard library only. It is meant to be read: where
the C program is fast, this is short.
"""
