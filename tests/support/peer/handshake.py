"""The client's side of setting up a connection (SPEC 3, 3.1): what HELLO, ACCEPT and FINISH hold.

Nothing here waits or sends: transport.py has the socket and the timer.
"""

import hashlib
from base64 import b64encode

from . import wire
from .keys import Plain, ReceiveKeys, SendKeys
from .noise import Handshake, NoiseError, new_secret


class Untrusted(Exception):
    """The server proved a key that is not the one it should have."""


class Security:
    """Who this end is and whom it believes: suite plain, a pre-shared key, or a static key each."""

    def __init__(self, plain=False, psk=None, secret=None, server_key=None, accept_new=False,
                 suites=("aes-256-gcm", "chacha20-poly1305")):
        self.plain, self.psk = plain, psk
        self.secret = secret or new_secret()
        self.server_key, self.accept_new = server_key, accept_new
        self.suites = b"\1" if plain else bytes(wire.SUITES[name] for name in suites)
        self.method = None if plain else wire.METHODS["psk" if psk else "keys"]

    def noise(self, prologue):
        if self.psk:
            return Handshake("NNpsk0", True, prologue, psk=self.psk)
        return Handshake("XX", True, prologue, secret=self.secret)

    def check(self, key):
        """SPEC 3.1: never a key that differs, an unknown one only when told so."""
        if self.psk or key == self.server_key or self.server_key is None and self.accept_new:
            return
        known = "is not known" if self.server_key is None else f"is not {fingerprint(self.server_key)}"
        raise Untrusted(f"the server's key {fingerprint(key)} {known}")


def fingerprint(key):
    return "SHA256:" + b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def prologue(label, version, client_id, suites, method):
    return (label + version.to_bytes(4, "big") + client_id.to_bytes(8, "big") + bytes([len(suites)]) + suites
            + bytes([method]))


class ClientHandshake:
    """Makes HELLO, takes ACCEPT, makes FINISH. After `accepted` it has keys and parameters."""

    def __init__(self, security, client_id, parameters):
        self.security, self.client_id = security, client_id
        self.parameters = wire.encode_parameters(parameters)
        self.message = self.clear = b""
        if security.plain:
            self.clear = self.parameters
        else:
            self.noise = security.noise(prologue(
                b"VolleyUDP", wire.VERSION, client_id, security.suites, security.method))
            # A message is made once: each HELLO carries the same bytes.
            self.message = bytes([security.method]) + self.noise.write(
                self.parameters if security.psk else b"")
        self.finish = None  # the FINISH, where the method has one
        self.server_key = None

    def hello(self, cookie):
        return wire.encode_packet(
            "HELLO", version=wire.VERSION, client_id=self.client_id, suites=self.security.suites,
            cookie=cookie, handshake=self.message, parameters=self.clear)

    def accepted(self, packet):
        """Takes an ACCEPT; False when it is to be ignored, as anybody could have sent it (SPEC 3)."""
        if packet.version != wire.VERSION or packet.suite not in self.security.suites:
            return False
        if self.security.plain:
            if packet.handshake:
                return False
            parameters, self.send_keys, self.receive_keys = packet.parameters, Plain(), Plain()
        else:
            parameters = self.read_message(packet)
            if parameters is None:
                return False
        self.server_id, self.suite = packet.server_id, packet.suite
        self.peer = wire.with_defaults(wire.decode_parameters(parameters))
        if not self.security.plain:
            self.make_keys()
        return True

    def read_message(self, packet):
        """The server's parameters out of message 2; None when it is to be ignored (RULE 5)."""
        clear = (packet.version.to_bytes(4, "big") + bytes([packet.suite])
                 + packet.server_id.to_bytes(8, "big"))
        trial = self.noise.fork()
        try:
            payload = trial.read(packet.handshake)
        except NoiseError:
            return None
        if packet.parameters or payload[:len(clear)] != clear:
            return None
        self.noise = trial
        return payload[len(clear):]

    def make_keys(self):
        if not self.security.psk:
            self.server_key = self.noise.rs
            self.security.check(self.server_key)  # before this end's own key is shown
            self.before_finish = self.noise.fork()  # for tests that make another
            self.finish = wire.encode_packet(
                "FINISH", server_id=self.server_id, handshake=self.noise.write(self.parameters))
        client, server = self.noise.split()
        self.send_keys, self.receive_keys = SendKeys(self.suite, client), ReceiveKeys(self.suite, server)
