"""What protects DATA packets: suite plain, and the keys of sealed suites (SPEC 2.1, 2.12).

`SendKeys` and `ReceiveKeys` are one direction each; `Plain` stands in for both.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from . import wire
from .noise import hkdf_expand

# AEAD and bytes of its key.
AEADS = {wire.SUITE_AES_256_GCM: (AESGCM, 32), wire.SUITE_CHACHA20_POLY1305: (ChaCha20Poly1305, 32),
         wire.SUITE_AES_128_GCM: (AESGCM, 16)}
UPDATE_PACKETS = 1 << 22
HARD_LIMIT_PACKETS = 1 << 23
FORGERY_LIMIT = 1 << 36


class OpenError(Exception):
    """The tag does not verify: the packet is dropped, and nothing has changed but a count."""


class EarlyUpdate(Exception):
    """The peer went to new keys before a packet under the old ones was acknowledged: KEY_UPDATE."""


class KeyLimit(Exception):
    """AEAD_LIMIT."""


class Generation:
    """Key and IV of one generation of one direction."""

    def __init__(self, suite, secret, number=0):
        self.suite, self.secret, self.number = suite, secret, number
        aead, key_bytes = AEADS[suite]
        self.aead = aead(hkdf_expand(secret, b"volley1 key" + bytes([suite]), key_bytes))
        self.iv = hkdf_expand(secret, b"volley1 iv" + bytes([suite]), 12)

    def next(self):
        secret = hkdf_expand(self.secret, b"volley1 next" + bytes([self.suite]), 32)
        return Generation(self.suite, secret, self.number + 1)

    def nonce(self, number):
        return (int.from_bytes(self.iv, "big") ^ number).to_bytes(12, "big")

    def seal(self, number, header, text):
        return self.aead.encrypt(self.nonce(number), text, header)

    def open(self, number, header, sealed):
        try:
            return self.aead.decrypt(self.nonce(number), sealed, header)
        except (InvalidTag, ValueError) as error:
            raise OpenError from error


class Plain:
    """Suite plain, either direction."""

    generation_number = updates = forgeries = 0

    def seal(self, header_of, number, text):
        body = header_of(0) + text
        return body + wire.tag(body)

    def open(self, phase, number, header, sealed, now, keep_s):
        if phase or len(sealed) < wire.TAG_BYTES or wire.tag(header + sealed[:-wire.TAG_BYTES]) != \
                sealed[-wire.TAG_BYTES:]:
            self.forgeries += 1
            raise OpenError
        return sealed[:-wire.TAG_BYTES]

    def on_acked(self, number):
        pass

    def on_ack_sent(self):
        pass


class SendKeys:
    """Seals; goes to the next generation by itself, and when `update_wanted` is set."""

    def __init__(self, suite, secret, update_pkts=UPDATE_PACKETS):
        self.now = Generation(suite, secret)
        self.update_pkts = update_pkts
        self.update_wanted = False
        self.sealed_pkts = 0  # under the present key
        self.first_number = 0  # of the present generation
        self.acked = False  # a packet under the present key was acknowledged
        self.updates = 0

    def seal(self, header_of, number, text):
        """The packet. `header_of(phase)` makes its header."""
        if (self.update_wanted or self.sealed_pkts >= self.update_pkts) and self.acked:
            self.update(number)
        if self.sealed_pkts >= HARD_LIMIT_PACKETS:
            raise KeyLimit
        self.sealed_pkts += 1
        header = header_of(self.now.number & 1)
        return header + self.now.seal(number, header, text)

    def update(self, number):
        self.now = self.now.next()
        self.sealed_pkts, self.first_number, self.acked = 0, number, False
        self.update_wanted = False
        self.updates += 1

    def on_acked(self, number):
        self.acked |= number >= self.first_number


class ReceiveKeys:
    """Opens; follows the peer's updates."""

    def __init__(self, suite, secret):
        self.old, self.now = None, Generation(suite, secret)
        self.next = self.now.next()
        self.lowest = None  # number of the present generation's lowest packet
        self.old_until = 0.0
        self.ack_sent = False  # for a packet of the present generation
        self.pending_ack = False  # a packet of it came, an ACK for it has not gone yet
        self.forgeries = self.updates = 0

    def open(self, phase, number, header, sealed, now, keep_s):
        """The frames. `keep_s` is 3 PTO: so long are the old keys kept after an update."""
        try:
            if phase == self.now.number & 1:
                text = self.now.open(number, header, sealed)
                self.lowest = number if self.lowest is None else min(self.lowest, number)
                self.pending_ack = True
                return text
            if self.old and now < self.old_until and number < self.lowest:
                return self.old.open(number, header, sealed)
            text = self.next.open(number, header, sealed)
        except OpenError:
            self.forgeries += 1
            raise
        if not self.ack_sent:
            raise EarlyUpdate
        self.old, self.now, self.next = self.now, self.next, self.next.next()
        self.lowest, self.old_until = number, now + keep_s
        self.ack_sent, self.pending_ack = False, True
        self.updates += 1
        return text

    def on_ack_sent(self):
        self.ack_sent |= self.pending_ack
