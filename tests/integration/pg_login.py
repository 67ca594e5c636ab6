"""Logging in as a client: clear text, md5, SCRAM-SHA-256, each as bytes to send and the proof to check.

Sources: PostgreSQL documentation, "SASL Authentication" and "Password Authentication"; RFC 5802, RFC 7677.
"""

import base64
import hashlib
import hmac
import os
import struct

from pg_messages import message, password, text

SCRAM = "SCRAM-SHA-256"
NO_BINDING = "n,,"  # gs2 header: this client knows no channel binding


class LoginFailed(Exception):
    """The server did not prove that it knows the password, or asks for what is not known here."""


def md5_answer(user, secret, salt):
    inner = hashlib.md5((secret + user).encode()).hexdigest().encode()
    return password("md5" + hashlib.md5(inner + salt).hexdigest())


def scram_verifier(secret, salt, iterations=4096):
    """What pg_authid keeps: the same for the same salt, so that two servers can hold the same."""
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    return (f"{SCRAM}${iterations}:{_base64(salt)}${_base64(stored)}:"
            f"{_base64(_hmac(salted, b'Server Key'))}")


class Scram:
    """One exchange: first(), then answer() to the server's first, then check() of its last."""

    def __init__(self, secret, nonce=None, gs2=NO_BINDING):
        self._secret = secret
        self._gs2 = gs2
        self._bare = f"n=,r={nonce or _base64(os.urandom(18))}"
        self._signature = None

    def first(self):
        data = (self._gs2 + self._bare).encode()
        return message("p", text(SCRAM) + struct.pack("!i", len(data)) + data)

    def answer(self, server_first):
        parts = dict(part.split("=", 1) for part in server_first.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._secret.encode(), base64.b64decode(parts["s"]),
                                     int(parts["i"]))
        bare = f"c={_base64(self._gs2.encode())},r={parts['r']}"
        whole = ",".join((self._bare, server_first.decode(), bare)).encode()
        client_key = _hmac(salted, b"Client Key")
        proof = _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), whole))
        self._signature = _hmac(_hmac(salted, b"Server Key"), whole)
        return message("p", f"{bare},p={_base64(proof)}".encode())

    def check(self, server_final):
        if server_final != b"v=" + _base64(self._signature).encode():
            raise LoginFailed("the server does not know the password")


class Login:
    """Answers whatever a server asks for: answer(R message) gives the bytes to send, if any."""

    def __init__(self, user, secret):
        self._user = user
        self._secret = secret
        self._scram = None

    def answer(self, raw):
        method, data = struct.unpack_from("!I", raw, 5)[0], raw[9:]
        if method == 3:
            return password(self._secret)
        if method == 5:
            return md5_answer(self._user, self._secret, data)
        if method == 10 and text(SCRAM) in data:
            self._scram = Scram(self._secret)
            return self._scram.first()
        if method == 11:
            return self._scram.answer(data)
        if method == 12:
            self._scram.check(data)
        elif method != 0:
            raise LoginFailed(f"login method {method}: {data!r}")
        return b""


def _hmac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def _xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def _base64(data):
    return base64.b64encode(data).decode()
