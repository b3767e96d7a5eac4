"""Signs calls between replicas with the key of the fleet, and checks the signatures.

The signature of a call (HMAC-SHA256, RFC 2104) covers both replicas, the time, a nonce, and everything that
the receiver uses of the head. It also covers the receiver's address: a call that was overheard cannot be sent
to a third replica, or to the same one after a restart, which have not seen its nonce. The response has a
proof, an HMAC of that nonce: the port of a replica that has ended may belong to another program.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from brokenreg.fleet.directory import Replica
from brokenreg.fleet.errors import CallRefusedError

WINDOW = 30
"""Maximum difference between the time of a call and the clock of its receiver, in seconds."""

MOST_NONCES = 100_000
"""Maximum number of calls whose nonces are remembered. Beyond it, calls are refused."""

_CREDENTIAL = re.compile(r"([0-9a-f]{8}) ([0-9]{1,12}) ([0-9a-f]{32}) ([0-9a-f]{64})")

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class SignedHead:
    """The part of a call's head that is signed. The receiver ignores everything else in the head.

    `target` is the path and the query as they are sent. `headers` are names in lower case and values, sorted.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """The signature of a call to send: `header` goes with the call, and `nonce` identifies its response."""

    header: str
    nonce: str


class CallSigner:
    """Signs the calls of one replica, and checks those that it receives."""

    def __init__(self, key: str, own: Replica, clock: Clock = time.time) -> None:
        self.own = own
        self._key = key.encode()
        self._clock = clock
        self._nonces = _Nonces()

    def sign(self, receiver: Replica, head: SignedHead) -> Credential:
        """Return the credential for one call to another replica."""
        now, nonce = str(int(self._clock())), secrets.token_hex(16)
        signature = self._signature("call", self.own.name, _place(receiver), now, nonce, head)
        return Credential(f"{self.own.name} {now} {nonce} {signature}", nonce)

    def check(self, credential: str, head: SignedHead) -> str:
        """Return the nonce of a received call. Raise `CallRefusedError`.

        A credential is accepted only once.
        """
        match = _CREDENTIAL.fullmatch(credential)
        if match is None:
            raise CallRefusedError("the call is not signed")
        sender, sent, nonce, signature = match.groups()
        expected = self._signature("call", sender, _place(self.own), sent, nonce, head)
        if not hmac.compare_digest(signature, expected):
            raise CallRefusedError(
                "the call was altered, is for another replica, or was signed with another --fleet-key"
            )
        now = self._clock()
        if abs(now - int(sent)) > WINDOW:
            raise CallRefusedError(
                f"the clocks of two replicas differ by more than {WINDOW} s: synchronize them"
            )
        if not self._nonces.add(nonce, int(sent) + WINDOW, now):
            raise CallRefusedError("the call was received before, or there are too many calls")
        return nonce

    def proof(self, nonce: str, status: int) -> str:
        """Return what shows the sender of a call that its response is from a replica of the fleet."""
        return self._signature("response", nonce, str(status))

    def is_proof(self, proof: str, nonce: str, status: int) -> bool:
        """Return whether a response with that proof and status belongs to the call with that nonce."""
        return hmac.compare_digest(proof.encode(), self.proof(nonce, status).encode())

    def _signature(self, kind: str, *parts: str | SignedHead) -> str:
        """Return the HMAC in hexadecimal. JSON keeps the parts apart, whatever is in them."""
        written = [
            [each.method, each.target, each.headers] if isinstance(each, SignedHead) else each
            for each in parts
        ]
        return hmac.new(self._key, json.dumps([kind, *written]).encode(), hashlib.sha256).hexdigest()


def _place(receiver: Replica) -> str:
    return f"{receiver.name} {receiver.address}"


class _Nonces:
    """The nonces of calls that are not too old to be accepted again."""

    def __init__(self) -> None:
        self._ends: dict[str, int] = {}
        """When a call with that nonce is too old, in the order of arrival."""

    def add(self, nonce: str, end: int, now: float) -> bool:
        """Remember a nonce. Return False if it is known, or if there are too many."""
        while self._ends:
            oldest = next(iter(self._ends))
            if self._ends[oldest] >= now:
                break
            del self._ends[oldest]
        if nonce in self._ends or len(self._ends) >= MOST_NONCES:
            return False
        self._ends[nonce] = end
        return True
