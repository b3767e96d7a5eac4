"""Names, tags and digests: what the specification allows, and nothing that is unsafe in a path."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.digests import ALGORITHMS, Digest
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_name, check_tag, check_upload_id

# The expressions of distribution-spec, "Pulling manifests", to the letter.
SPEC_NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
SPEC_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"


@pytest.mark.slow
@given(st.from_regex(SPEC_NAME, fullmatch=True).filter(lambda name: len(name) <= 255))
def test_takes_every_name_of_the_specification(name: str) -> None:
    assert check_name(name) == name


@given(st.text("ab0._-/ A%:\n", max_size=12))
def test_takes_no_other_name(name: str) -> None:
    if re.fullmatch(SPEC_NAME, name):
        assert check_name(name) == name
    else:
        with pytest.raises(OCIError, match="invalid repository name") as caught:
            check_name(name)
        assert (caught.value.status, caught.value.code) == (400, "NAME_INVALID")


@pytest.mark.parametrize("name", ["a/../b", "..", "/a", "a/", "a//b", "A", "a\n", "a%2fb", "é", "x" * 256])
def test_refuses_what_could_become_a_path(name: str) -> None:
    with pytest.raises(OCIError):
        check_name(name)


@given(st.from_regex(SPEC_TAG, fullmatch=True))
def test_takes_every_tag(tag: str) -> None:
    assert check_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "a:b", "a\n", "a" * 129, "é"])
def test_refuses_other_tags(tag: str) -> None:
    with pytest.raises(OCIError, match="invalid tag"):
        check_tag(tag)


@given(st.binary(max_size=50), st.sampled_from(sorted(ALGORITHMS)))
def test_digest_of_content_parses(content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)
    assert Digest.parse(digest) == f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    assert (digest.algorithm, len(digest.encoded)) == (algorithm, ALGORITHMS[algorithm])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sha256:" + "A" * 64, "64 hex digits in lower case"),
        ("sha256:" + "a" * 63, "64 hex digits"),
        ("sha256:" + "a" * 64 + "\n", "64 hex digits"),
        ("sha512:" + "a" * 64, "128 hex digits"),
        ("md5:" + "a" * 32, "'md5' is not supported"),
        ("sha256", "64 hex digits"),
        ("sha256:../../etc/passwd", "64 hex digits"),
        ("", "algorithm:hex"),
    ],
)
def test_refuses_other_digests(text: str, problem: str) -> None:
    with pytest.raises(OCIError, match=problem) as caught:
        Digest.parse(text)
    assert (caught.value.status, caught.value.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("upload_id", ["", "..", "a" * 31, "A" * 32, "../" + "a" * 29, "a" * 32 + "\n"])
def test_refuses_upload_ids_that_are_not_ours(upload_id: str) -> None:
    with pytest.raises(OCIError, match="unknown upload session"):
        check_upload_id(upload_id)
