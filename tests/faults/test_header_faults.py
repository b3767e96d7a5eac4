"""header, content-type, no-digest and range change the specified headers and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.raw_http import Answer
from tests.registry.pushing import OCI_MANIFEST, digest_of
from tests.running_registry import Pushed, Registry

SIZE = 1000


@pytest.fixture(scope="module")
def image(each: Registry) -> Pushed:
    return each.push(SIZE)


def ask_both(registry: Registry, path: str, fault: Any, **match: Any) -> tuple[Answer, Answer]:
    """Return the responses to GET and HEAD of a manifest on one connection, with a rule in effect."""
    with (
        registry.rule(fault=fault, match={"endpoint": "manifest", **match}),
        registry.connect() as connection,
    ):
        return connection.ask(path), connection.ask(path, "HEAD")


def others(answer: Answer, *names: str) -> list[tuple[str, str]]:
    """Return all headers except those names and Date."""
    return [pair for pair in answer.headers if pair[0] not in (*names, "date")]


@pytest.mark.parametrize(
    ("parameters", "name", "values"),
    [
        ({}, "docker-content-digest", []),
        ({"value": "sha256:0"}, "docker-content-digest", ["sha256:0"]),
        ({"header": "X-Of-Ours", "value": "two words"}, "x-of-ours", ["two words"]),
        ({"header": "X-Of-Ours", "value": ""}, "x-of-ours", [""]),
        ({"header": "Etag", "value": '"e"', "add": True}, "etag", None),
        ({"header": "content-type", "value": "text/plain"}, "content-type", ["text/plain"]),
        ({"header": "docker-distribution-api-version"}, "docker-distribution-api-version", []),
    ],
)
def test_header(
    each: Registry, image: Pushed, parameters: dict[str, Any], name: str, values: list[str] | None
) -> None:
    path = image.manifest_path()
    honest = each.ask(path)
    if values is None:
        values = [*honest.all(name), parameters["value"]]
    for answer in ask_both(each, path, {"type": "header", **parameters}):
        assert answer.all(name) == values
        assert others(answer, name) == others(honest, name)
        assert (answer.status, answer.is_whole) == (200, True)
    assert answer.body == b""
    exchange = each.exchange(path)
    assert (exchange["faults"], exchange["ended"]) == (["header"], "complete")
    assert [value for key, value in exchange["response_headers"] if key == name] == values


def test_header_of_head_alone(each: Registry, image: Pushed) -> None:
    get, head = ask_both(each, image.manifest_path(), "header", method="HEAD")
    assert get.header("docker-content-digest") == digest_of(image.manifest)
    assert head.header("docker-content-digest") is None


@pytest.mark.parametrize("name", ["content-length", "Transfer-Encoding", "connection"])
def test_framing_is_for_other_faults(each: Registry, name: str) -> None:
    with each.control() as control:
        refused = control.post("/v1/rules", json={"fault": {"type": "header", "header": name, "value": "1"}})
    assert refused.status_code == 400
    assert "frames the body" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("told", "value"), [(None, "text/html"), ("none", None), ("application/json", "application/json")]
)
def test_content_type(each: Registry, image: Pushed, told: str | None, value: str | None) -> None:
    fault = {"type": "content-type"} | ({} if told is None else {"value": told})
    for answer in ask_both(each, image.manifest_path(), fault):
        assert answer.header("content-type") == value
        assert answer.header("docker-content-digest") == digest_of(image.manifest)
        assert answer.header("content-length") == str(len(image.manifest))
    assert each.ask(image.manifest_path()).header("content-type") == OCI_MANIFEST


@pytest.mark.parametrize("form", ["absent", "wrong", "malformed"])
def test_no_digest(each: Registry, image: Pushed, form: str) -> None:
    for answer in ask_both(each, image.manifest_path(), {"type": "no-digest", "form": form}):
        told = answer.header("docker-content-digest")
        assert answer.header("etag") is None
        assert answer.status == 200
        if form == "wrong":
            assert told is not None
            assert told.startswith("sha256:")
            assert len(told) == 71
            assert told != digest_of(image.manifest)
        else:
            assert told == (None if form == "absent" else "sha256:not-a-digest")


@pytest.mark.parametrize("fault", ["no-digest", "header"])
def test_no_effect_without_a_digest(each: Registry, image: Pushed, fault: str) -> None:
    path = image.manifest_path(reference="missing")
    with each.rule(fault=fault) as rule:
        assert each.ask(path).status == 404
        assert each.rule_state(rule)["applied"] == 0
    assert each.exchange(path)["faults"] == []


# range


def ask_range(registry: Registry, path: str, asked: str | None, method: str = "GET", **told: Any) -> Answer:
    headers = [] if asked is None else [("Range", f"bytes={asked}")]
    with registry.rule(fault={"type": "range", **told}):
        return registry.ask(path, method, headers)


@pytest.mark.parametrize("asked", ["100-199", "100-", "-100"])
def test_range_is_ignored(each: Registry, image: Pushed, asked: str) -> None:
    answer = ask_range(each, image.layer_path(), asked)
    assert (answer.status, answer.body, answer.is_whole) == (200, image.layers[0], True)
    assert answer.header("content-range") is None
    assert answer.header("content-length") == str(SIZE)
    assert each.exchange(image.layer_path())["faults"] == ["range"]


@pytest.mark.parametrize(
    ("asked", "told", "first", "end"),
    [
        ("100-199", "100-199", 110, 210),
        ("100-", f"100-{SIZE - 11}", 110, SIZE),
        ("0-0", "0-0", 10, 11),
        ("-100", f"{SIZE - 100}-{SIZE - 11}", SIZE - 90, SIZE),
    ],
)
def test_range_is_shifted(each: Registry, image: Pushed, asked: str, told: str, first: int, end: int) -> None:
    """The bytes start later than Content-Range says."""
    answer = ask_range(each, image.layer_path(), asked, form="shift", by=10)
    assert (answer.status, answer.body, answer.is_whole) == (206, image.layers[0][first:end], True)
    assert answer.header("content-range") == f"bytes {told}/{SIZE}"
    assert answer.header("content-length") == str(end - first)


def test_content_range_is_wrong(each: Registry, image: Pushed) -> None:
    answer = ask_range(each, image.layer_path(), "100-199", form="header", by=5)
    assert (answer.status, answer.body) == (206, image.layers[0][100:200])
    assert answer.header("content-range") == f"bytes 105-204/{SIZE}"
    assert answer.header("content-length") == "100"


@pytest.mark.parametrize("form", ["ignore", "shift", "header"])
def test_head_has_no_range(each: Registry, image: Pushed, form: str) -> None:
    """Range applies only to GET (RFC 9110, section 14.2), so HEAD describes the whole content."""
    answer = ask_range(each, image.layer_path(), "100-199", "HEAD", form=form)
    assert (answer.status, answer.header("content-length")) == (200, str(SIZE))
    assert answer.header("content-range") is None


@pytest.mark.parametrize(("asked", "status"), [("995-", 416), ("-2000", 206), ("0-9,20-29", 200)])
def test_what_cannot_be_shifted(each: Registry, image: Pushed, asked: str, status: int) -> None:
    answer = ask_range(each, image.layer_path(), asked, form="shift", by=10)
    assert answer.status == status
    applied = each.exchange(image.layer_path())["faults"]
    assert applied == (["range"] if status == 416 else [])


def test_range_is_refused(each: Registry, image: Pushed) -> None:
    answer = ask_range(each, image.layer_path(), "100-", form="refuse")
    assert (answer.status, answer.is_whole) == (416, True)
    assert b"RANGE_INVALID" in answer.body


@pytest.mark.parametrize("form", ["ignore", "shift", "header", "refuse"])
def test_a_request_without_range(each: Registry, image: Pushed, form: str) -> None:
    with each.rule(fault={"type": "range", "form": form}) as rule:
        answer = each.ask(image.layer_path())
        assert each.rule_state(rule)["applied"] == 0
    assert (answer.status, answer.body) == (200, image.layers[0])
    assert each.exchange(image.layer_path())["faults"] == []


@pytest.mark.parametrize("form", ["ignore", "shift", "header"])
def test_a_range_of_what_is_missing(each: Registry, image: Pushed, form: str) -> None:
    path = image.blob_path(b"never pushed")
    with each.rule(fault={"type": "range", "form": form}) as rule:
        assert each.ask(path, headers=[("Range", "bytes=0-9")]).status == 404
        assert each.rule_state(rule)["applied"] == 0


def test_two_headers_faults_of_one_rule(each: Registry, image: Pushed) -> None:
    faults = ["no-digest", {"type": "content-type", "value": "none"}]
    for answer in ask_both(each, image.manifest_path(), faults):
        assert answer.header("docker-content-digest") is None
        assert answer.header("content-type") is None
    assert each.exchange(image.manifest_path())["faults"] == ["no-digest", "content-type"]


def test_several_ranges_are_refused(each: Registry, image: Pushed) -> None:
    path = image.layer_path("broken/with/range_form-refuse-several/")
    several = [("range", "bytes=0-1,5-6")]
    assert each.ask(path, headers=several).status == 416
    assert each.ask(image.layer_path(), headers=several).body == image.layers[0]
    one = each.ask(path, headers=[("range", "bytes=0-1")])
    assert (one.status, one.body) == (206, image.layers[0][:2])
    assert each.ask(path).status == 200
    assert each.exchange(path)["faults"] == []
