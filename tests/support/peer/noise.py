"""The Noise handshakes of SPEC 3.1 (Noise revision 34): XX and NNpsk0 with 25519, AESGCM, SHA256.

Names are those of the Noise document: `ck`, `h`, MixKey, MixHash, Split. The primitives come from the package
`cryptography`. Tests hold this against the published vectors, so that two wrong ends cannot agree.
"""

import copy
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

KEY_BYTES = 32
TAG_BYTES = 16
PATTERNS = {  # the tokens of each message, the initiator's first
    "XX": ("e", "e ee s es", "s se"),
    "NNpsk0": ("psk e", "e ee"),
}


class NoiseError(Exception):
    """A message that does not verify, or is cut short."""


# HKDF (RFC 5869), SHA-256 ----------------------------------------------------------------------------------


def hmac_sha256(key, data):
    return hmac.digest(key, data, "sha256")


def hkdf_extract(salt, ikm):
    return hmac_sha256(salt or bytes(32), ikm)


def hkdf_expand(prk, info, size):
    out, block, count = b"", b"", 0
    while len(out) < size:
        count += 1
        block = hmac_sha256(prk, block + info + bytes([count]))
        out += block
    return out[:size]


# X25519 ----------------------------------------------------------------------------------------------------


def new_secret():
    return os.urandom(KEY_BYTES)


def public_of(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(
        Encoding.Raw, PublicFormat.Raw)


def agree(secret, public):
    """The shared secret; a public key that makes it zero (a point of low order) is refused."""
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise NoiseError("a public key of low order") from error


# The handshake ---------------------------------------------------------------------------------------------


class Handshake:
    """One end of it. Messages are made with `write` and taken with `read`, in turn; then come the
    secrets with `split`. `secret` is the static key where the pattern has one, `ephemeral` for tests only.
    """

    def __init__(self, pattern, initiator, prologue=b"", *, secret=None, psk=None, ephemeral=None):
        self.messages = [tokens.split() for tokens in PATTERNS[pattern]]
        self.psk_mode = "psk" in pattern
        self.initiator, self.psk = initiator, psk
        self.s, self.e = secret, ephemeral
        self.rs = self.re = None  # the other end's public keys
        self.turn = 0
        name = f"Noise_{pattern}_25519_AESGCM_SHA256".encode()
        self.h = name.ljust(32, b"\0") if len(name) <= 32 else hashlib.sha256(name).digest()
        self.ck = self.h
        self.k, self.n = None, 0
        self.mix_hash(prologue)

    # SymmetricState

    def mix_hash(self, data):
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, ikm):
        okm = hkdf_expand(hkdf_extract(self.ck, ikm), b"", 64)
        self.ck, self.k, self.n = okm[:32], okm[32:], 0

    def mix_key_and_hash(self, ikm):
        okm = hkdf_expand(hkdf_extract(self.ck, ikm), b"", 96)
        self.ck, self.k, self.n = okm[:32], okm[64:], 0
        self.mix_hash(okm[32:64])

    def encrypt_and_hash(self, text):
        if self.k is not None:
            text = AESGCM(self.k).encrypt(self.next_nonce(), text, self.h)
        self.mix_hash(text)
        return text

    def decrypt_and_hash(self, text):
        plain = text
        if self.k is not None:
            try:
                plain = AESGCM(self.k).decrypt(self.next_nonce(), text, self.h)
            except (InvalidTag, ValueError) as error:
                raise NoiseError("a handshake message does not verify") from error
        self.mix_hash(text)
        return plain

    def next_nonce(self):
        self.n += 1
        return bytes(4) + (self.n - 1).to_bytes(8, "big")

    # HandshakeState

    def write(self, payload=b""):
        out = b""
        for token in self.messages[self.turn]:
            if token == "e":
                self.e = self.e or new_secret()
                out += public_of(self.e)
                self.mix_ephemeral(public_of(self.e))
            elif token == "s":
                out += self.encrypt_and_hash(public_of(self.s))
            else:
                self.mix_token(token)
        self.turn += 1
        return out + self.encrypt_and_hash(payload)

    def read(self, message):
        """The payload. A message that fails changes nothing: a true one may still come (SPEC 3)."""
        trial = self.fork()
        payload = trial.take_message(message)
        vars(self).update(vars(trial))
        return payload

    def fork(self):
        """A copy that goes its own way: every field is a value that is replaced, never changed."""
        return copy.copy(self)

    def take_message(self, message):
        for token in self.messages[self.turn]:
            size = {"e": KEY_BYTES, "s": KEY_BYTES + (TAG_BYTES if self.k else 0)}.get(token, 0)
            if len(message) < size:
                raise NoiseError("a handshake message is cut short")
            part, message = message[:size], message[size:]
            if token == "e":
                self.re = part
                self.mix_ephemeral(part)
            elif token == "s":
                self.rs = self.decrypt_and_hash(part)
            else:
                self.mix_token(token)
        self.turn += 1
        return self.decrypt_and_hash(message)

    def mix_ephemeral(self, public):
        self.mix_hash(public)
        if self.psk_mode:
            self.mix_key(public)

    def mix_token(self, token):
        if token == "psk":
            self.mix_key_and_hash(self.psk)
            return
        # The first letter is the initiator's key, the second the responder's.
        own, other = token if self.initiator else reversed(token)
        self.mix_key(agree(getattr(self, own), getattr(self, "r" + other)))

    def split(self):
        """(the secret of what the initiator sends, that of what the responder sends)"""
        okm = hkdf_expand(hkdf_extract(self.ck, b""), b"", 64)
        return okm[:32], okm[32:]
