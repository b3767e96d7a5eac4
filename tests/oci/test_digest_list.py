"""A list of digests behaves like a tuple of texts, with less memory."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.digests import Digest, DigestList
from brokenreg.oci.mediatypes import ManifestFacts, manifest_facts

DIGESTS = [Digest.of(bytes([number]), algorithm) for number in range(4) for algorithm in ("sha256", "sha512")]


@given(st.lists(st.sampled_from(DIGESTS), max_size=9))
def test_a_list_is_like_a_tuple(digests: list[str]) -> None:
    packed = DigestList(digests)
    assert list(packed) == digests
    assert packed == digests
    assert packed == DigestList(digests)
    assert len(packed) == len(digests)
    assert bool(packed) == bool(digests)
    for digest in DIGESTS:
        assert (digest in packed) == (digest in digests)
        assert packed.places(digest) == [place for place, each in enumerate(digests) if each == digest]
    assert packed[1:3] == tuple(digests[1:3])
    assert "nonsense" not in packed


@given(st.lists(st.sampled_from(DIGESTS[::2]), max_size=6), st.integers(0, 5), st.integers(0, 5))
def test_a_shared_list_is_equal(digests: list[str], begin: int, count: int) -> None:
    whole = DigestList(digests)
    part = DigestList(digests[begin : begin + count])
    shared = part.shared(whole)
    assert list(shared) == list(part)
    assert len(shared) == len(part)
    for digest in DIGESTS:
        assert shared.places(digest) == part.places(digest)
    assert list(DigestList(DIGESTS[:1] * 2).shared(whole)) == DIGESTS[:1] * 2


@pytest.mark.parametrize("text", ["", "sha256:abc", "md5:" + "0" * 32, "sha256:" + "g" * 64])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"digest|hexadecimal"):
        DigestList([text])
    assert text not in DigestList(DIGESTS[:1])


def manifest(count: int, **more: object) -> bytes:
    config = {"config": {"digest": Digest.of(b"config")}}
    layers = [{"digest": Digest.of(str(number).encode())} for number in range(count)]
    return json.dumps({**config, "layers": layers, **more}).encode()


@pytest.mark.parametrize("is_stored", [False, True])
def test_what_is_kept_of_a_manifest_is_small(is_stored: bool) -> None:
    body = manifest(1000, annotations={"big": "x" * 100_000})
    written = manifest_facts(body).model_dump_json()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        facts = ManifestFacts.stored(written) if is_stored else manifest_facts(body)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1001 * 60
    assert len(facts.layers) == 1000
    assert len(facts.names) == 1001
    assert facts.annotations == {}


def test_what_is_kept_survives_being_stored() -> None:
    body = manifest(3, subject={"digest": DIGESTS[0]}, annotations={"a": "b"})
    facts = manifest_facts(body)
    assert ManifestFacts.stored(facts.model_dump_json()) == facts
    assert json.loads(facts.model_dump_json())["names"] == list(facts.names)
    assert facts.annotations == {"a": "b"}
