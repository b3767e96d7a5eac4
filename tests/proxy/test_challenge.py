"""Parsing WWW-Authenticate: from real registries, from the grammar, and from attackers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import WWWAuthenticate

from brokenreg.proxy.auth.challenges import Challenge, parse_challenges
from tests.hang_guard import hang_guard

HUB = {"realm": "https://auth.docker.io/token", "service": "registry.docker.io"}
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-_0123456789", min_size=1, max_size=10)
PARAMETERS = st.dictionaries(TOKENS, st.text(st.characters(min_codepoint=32, max_codepoint=126)), max_size=4)
CHALLENGES = st.lists(st.builds(Challenge, TOKENS, PARAMETERS), max_size=4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            ['Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'],
            [Challenge("bearer", HUB)],
        ),
        (
            ['Bearer realm="r",scope="repository:a/b:pull,push"'],
            [Challenge("bearer", {"realm": "r", "scope": "repository:a/b:pull,push"})],
        ),
        (
            ['Basic realm="b"', 'BEARER Realm="r"'],
            [Challenge("basic", {"realm": "b"}), Challenge("bearer", {"realm": "r"})],
        ),
        (
            ['Bearer realm="r, Basic",service=s, Basic realm="b"'],
            [Challenge("bearer", {"realm": "r, Basic", "service": "s"}), Challenge("basic", {"realm": "b"})],
        ),
        (
            ["Negotiate, NTLM TlRMTVNTUAAB==, Basic realm=b"],
            [Challenge("negotiate"), Challenge("ntlm"), Challenge("basic", {"realm": "b"})],
        ),
        ([r'Basic realm="a \"b\" \\"'], [Challenge("basic", {"realm": 'a "b" \\'})]),
        (
            ['Basic realm = "spaces" ,, charset= "UTF-8"'],
            [Challenge("basic", {"realm": "spaces", "charset": "UTF-8"})],
        ),
        (['Bearer realm="one",realm="two"'], [Challenge("bearer", {"realm": "one"})]),
        (['Bearer realm="never closed'], [Challenge("bearer")]),
        (["", " , ,", "=", '"quoted"', 'realm="of nothing"'], []),
    ],
)
def test_read(values: list[str], expected: list[Challenge]) -> None:
    assert parse_challenges(values) == expected


@given(CHALLENGES, st.booleans())
def test_formatted_challenges_are_parsed(challenges: list[Challenge], on_one_line: bool) -> None:
    written = [_write(challenge) for challenge in challenges]
    assert parse_challenges([", ".join(written)] if on_one_line else written) == challenges


@given(st.builds(Challenge, TOKENS, PARAMETERS.filter(bool)))
def test_a_challenge_is_parsed_as_werkzeug_does(challenge: Challenge) -> None:
    theirs = WWWAuthenticate.from_header(_write(challenge))
    (ours,) = parse_challenges([_write(challenge)])
    assert theirs is not None
    assert (ours.scheme, ours.parameters) == (theirs.type, theirs.parameters)


@given(st.lists(st.text() | st.text('=",\\ \tBearer'), max_size=3))
def test_any_text_can_be_parsed(values: list[str]) -> None:
    for challenge in parse_challenges(values):
        assert challenge.scheme == challenge.scheme.lower() != ""


@pytest.mark.parametrize("piece", ["a", "a,", 'a="', 'a="\\', "a=", " ", "=", 'a="b"', 'a "', "a b"])
def test_long_headers_are_parsed_quickly(piece: str) -> None:
    with hang_guard():
        parse_challenges([(piece * 8192)[:8192]])


def _write(challenge: Challenge) -> str:
    parameters = (f"{name}={_quote(value)}" for name, value in challenge.parameters.items())
    return f"{challenge.scheme} {', '.join(parameters)}"


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
