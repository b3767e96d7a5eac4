"""Signed calls: whatever is altered, repeated, late, or signed with another key is refused."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from brokenreg.config.addresses import Address
from brokenreg.fleet.directory import Replica
from brokenreg.fleet.errors import CallRefusedError
from brokenreg.fleet.signing import MOST_NONCES, WINDOW, CallSigner, SignedHead

KEY = "a key of the fleet"
A, B, C = (Replica(name * 8, Address(host="10.0.0.1", port=port)) for port, name in enumerate("abc", 4000))
NOW = 1_800_000_000.0

texts = st.text(string.printable, max_size=20)
heads = st.builds(SignedHead, texts, texts, st.lists(st.tuples(texts, texts), max_size=4).map(tuple))


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def signer(own: Replica, key: str = KEY, clock: Clock | None = None) -> CallSigner:
    return CallSigner(key, own, clock or Clock())


@given(heads)
def test_a_call_is_accepted_once_by_its_receiver(head: SignedHead) -> None:
    credential, receiver = signer(A).sign(B, head), signer(B)
    assert receiver.check(credential.header, head) == credential.nonce
    with pytest.raises(CallRefusedError, match="before"):
        receiver.check(credential.header, head)


@given(heads, heads)
def test_an_altered_head_is_refused(head: SignedHead, other: SignedHead) -> None:
    assume(head != other)
    credential = signer(A).sign(B, head)
    with pytest.raises(CallRefusedError, match="altered"):
        signer(B).check(credential.header, other)


@given(texts.filter(bool), texts)
def test_text_cannot_move_from_one_part_to_another(first: str, second: str) -> None:
    """`ab` + `c` and `a` + `bc` have different signatures."""
    head = SignedHead(first, second)
    moved = SignedHead(first[:-1], first[-1] + second)
    with pytest.raises(CallRefusedError, match="altered"):
        signer(B).check(signer(A).sign(B, head).header, moved)


@given(heads, st.data())
def test_an_altered_credential_is_refused(head: SignedHead, data: st.DataObject) -> None:
    credential = signer(A).sign(B, head).header
    place = data.draw(st.integers(0, len(credential) - 1))
    character = data.draw(st.characters(codec="latin-1").filter(lambda each: each != credential[place]))
    with pytest.raises(CallRefusedError):
        signer(B).check(credential[:place] + character + credential[place + 1 :], head)


@given(heads, texts)
def test_another_key_is_refused(head: SignedHead, key: str) -> None:
    assume(key != KEY)
    with pytest.raises(CallRefusedError, match="another --fleet-key"):
        signer(B).check(signer(A, key).sign(B, head).header, head)


@given(texts)
def test_a_call_without_a_signature_is_refused(credential: str) -> None:
    with pytest.raises(CallRefusedError, match="not signed"):
        signer(B).check(credential, SignedHead("GET", "/"))


def test_a_call_for_another_replica_is_refused() -> None:
    head = SignedHead("GET", "/")
    for other in (C, replace(B, name=C.name), replace(B, address=C.address)):
        with pytest.raises(CallRefusedError, match="another replica"):
            signer(other).check(signer(A).sign(B, head).header, head)


@given(st.floats(-10 * WINDOW, 10 * WINDOW))
def test_a_call_is_accepted_only_near_its_time(late: float) -> None:
    head, clock = SignedHead("GET", "/"), Clock()
    credential = signer(A).sign(B, head).header
    clock.now = NOW + late
    receiver = signer(B, clock=clock)
    if abs(late) <= WINDOW:
        receiver.check(credential, head)
    else:
        with pytest.raises(CallRefusedError, match="clocks"):
            receiver.check(credential, head)


@given(st.lists(st.tuples(st.integers(-WINDOW, WINDOW), st.integers(0, 2 * WINDOW)), max_size=30))
def test_no_call_is_accepted_twice_however_time_passes(steps: list[tuple[int, int]]) -> None:
    """Senders' clocks differ, time passes, and every credential so far is sent again after each step."""
    head, here, there = SignedHead("GET", "/"), Clock(), Clock()
    sender, receiver = signer(A, clock=there), signer(B, clock=here)
    sent: list[str] = []
    for skew, passed in steps:
        here.now += passed
        there.now = here.now + skew
        sent.append(sender.sign(B, head).header)
        receiver.check(sent[-1], head)
        for credential in sent:
            with pytest.raises(CallRefusedError):
                receiver.check(credential, head)


def test_remembered_nonces_are_limited_and_expire() -> None:
    head, clock = SignedHead("GET", "/"), Clock()
    sender, receiver = signer(A, clock=clock), signer(B, clock=clock)
    for _ in range(MOST_NONCES):
        receiver.check(sender.sign(B, head).header, head)
    with pytest.raises(CallRefusedError, match="too many"):
        receiver.check(sender.sign(B, head).header, head)
    clock.now += WINDOW + 1
    receiver.check(sender.sign(B, head).header, head)


@given(st.integers(100, 599), st.integers(100, 599), texts)
def test_a_response_is_proved_with_the_key_the_call_and_the_status(status: int, other: int, key: str) -> None:
    assume(key != KEY)
    sender = signer(A)
    first, second = (sender.sign(B, SignedHead("GET", "/")).nonce for _ in range(2))
    proof = signer(B).proof(first, status)
    assert sender.is_proof(proof, first, status)
    assert sender.is_proof(proof, first, other) == (status == other)
    assert not sender.is_proof(proof, second, status)
    assert not sender.is_proof(signer(B, key).proof(first, status), first, status)
    assert not sender.is_proof("\xe9", first, status)
