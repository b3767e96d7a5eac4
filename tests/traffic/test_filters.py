"""Filter expressions: what they match, and the errors for invalid ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.gate.breakpoints import Breakpoints
from brokenreg.oci.target import Endpoint, Target
from brokenreg.rules.expectations import Expectation
from brokenreg.traffic.bodies import Bodies, Body, Kept
from brokenreg.traffic.exchange import Ended, Exchange
from brokenreg.traffic.filter_keys import KEYS
from brokenreg.traffic.filters import AFTER_END, ANY_TIME, BEFORE_RESPONSE, FilterError, Moment, parse_filter


def exchange(**changes: object) -> Exchange:
    target = Target(Endpoint.LAYER, namespace="ci", repository="library/nginx", reference="sha256:ab")
    made = Exchange(
        id=1,
        method="GET",
        path="/v2/broken/in/ci/library/nginx/blobs/sha256:ab",
        query="",
        http_version="1.1",
        scheme="http",
        client="127.0.0.1:4711",
        target=target,
        request_headers=(("user-agent", "docker/28.2 go/1.24 (linux)"),),
    )
    made.status = 503
    made.faults = ("latency", "truncate")
    made.rule = "layers break"
    made.ended = Ended.ABORTED
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "endpoint:layer",
        "ep:LAYER",
        "ep:blob",
        "-ep:manifest",
        "repo:library/*",
        "repository:library/nginx",
        "repo:*nginx",
        "ref:sha256:*",
        "ns:ci",
        "method:get",
        "status:503",
        "status:5xx",
        "status:500-599",
        "client:docker",
        'client:"28.2 go"',
        "client:docker/*",
        "client:127.0.0.1",
        "fault:truncate",
        "fault:latency",
        "fault:*",
        'rule:"layers break"',
        "held:false",
        "ended:aborted",
        "protocol:http/1.1",
        "path:nginx",
        "NGINX",
        "endpoint:manifest | status:5xx",
        "endpoint:manifest|status:5xx",
        "endpoint:layer status:5xx -client:skopeo repository:library/* fault:truncate",
    ],
)
def test_found(text: str) -> None:
    assert parse_filter(text)(exchange())


@pytest.mark.parametrize(
    "text",
    [
        "endpoint:config",
        "-ep:layer",
        "repo:library",
        "repo:nginx",
        "status:4xx",
        "status:404",
        "status:none",
        "client:podman",
        "fault:trunc",
        "-fault:*",
        "held:true",
        "ended:complete",
        "ended:no",
        "protocol:h2",
        "redis",
        "endpoint:layer status:2xx",
        "endpoint:manifest | status:4xx",
        "endpoint:layer endpoint:manifest",
    ],
)
def test_not_found(text: str) -> None:
    assert not parse_filter(text)(exchange())


def test_a_text_with_brackets_matches_itself() -> None:
    """Completion offers such values unchanged."""
    found = exchange()
    found.rule, found.client = "[slow] layers", "[::1]:4711"
    assert parse_filter('rule:"[slow] layers" client:[::1] -client:[::2]')(found)


def test_filters_for_an_exchange_in_flight() -> None:
    held = exchange(status=None, ended=None, held_since=1.0, faults=(), rule=None)
    for text in ("held:true", "status:none", "ended:no", "-fault:*", "-rule:*"):
        assert parse_filter(text)(held), text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("endpont:layer", "did you mean endpoint?"),
        ("colour:red", "use endpoint, repository"),
        ("endpoint:kitchen", "manifest"),
        ("endpoint:", "needs a value"),
        ("status:5", "4xx"),
        ("held:yes", "use true or false"),
        ("ended:well", "disconnected"),
        ("protocol:spdy", "h2"),
        ("a |", "beside"),
        ("| a", "beside"),
        ("a || b", "beside"),
        ('client:"open', "quotation mark"),
        ("x" * 5000, "4096"),
    ],
)
def test_invalid_filters(text: str, told: str) -> None:
    with pytest.raises(FilterError, match=None) as caught:
        parse_filter(text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        matches = parse_filter(text)
    except FilterError:
        return
    assert matches(exchange()) in (True, False)


@given(st.sampled_from(sorted(KEYS)), st.from_regex(r"[a-z0-9*/]{1,8}", fullmatch=True))
def test_a_negated_term_matches_the_others(key: str, value: str) -> None:
    try:
        plain, negated = parse_filter(f"{key}:{value}"), parse_filter(f"-{key}:{value}")
    except FilterError:
        return
    assert plain(exchange()) != negated(exchange())


@pytest.mark.parametrize("value", ["a*" * 100 + "b", "*" * 500, "[" * 200])
def test_a_hostile_glob_is_quick(value: str) -> None:
    assert not parse_filter(f"path:{value}x")(exchange(path="/v2/" + "a" * 2000))


@pytest.mark.parametrize(
    ("text", "moment", "term"),
    [
        ("ended:complete", BEFORE_RESPONSE, "ended:complete"),
        ("endpoint:layer Ended:aborted | status:none", BEFORE_RESPONSE, "Ended:aborted"),
        ("-ended:no", BEFORE_RESPONSE, "-ended:no"),
        ("ep:connect", BEFORE_RESPONSE, "ep:connect"),
        ("endpoint:layer ended:no", AFTER_END, "ended:no"),
        ('held:"true"', AFTER_END, 'held:"true"'),
    ],
)
def test_filters_that_can_never_match(text: str, moment: Moment, term: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text, moment)
    assert str(caught.value) == f'"{term}" never matches {moment.name}'


@pytest.mark.parametrize(
    "text", ["ended:no", "status:5xx | ended:complete", "-ended:complete", "", "-status:none"]
)
def test_filters_that_can_match_before_a_response(text: str) -> None:
    assert parse_filter(text, BEFORE_RESPONSE)


def test_bodies_are_searched() -> None:
    one, other = exchange(), exchange()
    other.id = 2
    bodies = Bodies()
    bodies.keep(one, Kept(request=Body(b'{"a":1}', 7), response=Body(b'{"code": "DENIED"}', 18)))
    for text in (
        "body:denied",
        'body:"code"',
        "-body:x",
        "body:nothing | body:Denied",
        "-body:denied -body:x | status:503",
    ):
        assert parse_filter(text, bodies=bodies)(one), text
    assert not parse_filter("body:denied", bodies=bodies)(other), "it has no body"
    assert not parse_filter("body:granted", bodies=bodies)(one)


@pytest.mark.parametrize("moment", [ANY_TIME, BEFORE_RESPONSE, AFTER_END])
def test_bodies_are_not_searched_everywhere(moment: Moment) -> None:
    with pytest.raises(
        FilterError, match="body is not valid here: it searches the bodies of ended exchanges"
    ):
        parse_filter("status:503 | -body:denied", moment)
    with pytest.raises(FilterError, match="too many terms with body: use at most 4"):
        parse_filter("body:a|-body:b|body:c|body:d|body:e", bodies=Bodies())


def test_an_expectation_that_is_always_met_is_refused() -> None:
    """`ended:no` never matches, because expectations count only ended exchanges."""
    with pytest.raises(ValueError, match="never matches an exchange that has ended"):
        Expectation(filter="endpoint:layer ended:no", count=0)
    with pytest.raises(FilterError, match="never matches a response that is about to be sent"):
        Breakpoints().add("ended:disconnected")
