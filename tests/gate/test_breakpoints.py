"""Breakpoints, and editing a held response: through the control API, as the client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gate.test_hold import begin, held, order, read
from tests.running_registry import Registry

SIZE = 300_000


@pytest.fixture
def breaking(each: Registry) -> Iterator[Registry]:
    """A registry whose breakpoints are removed after the test."""
    yield each
    with each.control() as control:
        assert control.delete("/v1/breakpoints").status_code == 204


def add(registry: Registry, expression: str) -> int:
    with registry.control() as control:
        answer = control.post("/v1/breakpoints", json={"expression": expression})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])


def test_every_response_that_matches_is_held_with_its_status_known(breaking: Registry) -> None:
    """This includes a response that a rule has changed."""
    image = breaking.push(SIZE)
    path = image.layer_path()
    number = add(breaking, f"endpoint:layer status:5xx -method:HEAD repository:{image.repository}")
    assert breaking.ask(path).body == image.layers[0], "it is no 5xx"
    fault = {"type": "error", "status": 503}
    with breaking.rule(fault=fault, match={"endpoint": "layer"}), breaking.connect() as connection:
        stream = begin(connection, path)
        (exchange,) = held(breaking, path)
        assert exchange["held_by"] == (
            f"breakpoint endpoint:layer status:5xx -method:HEAD repository:{image.repository}"
        )
        order(breaking, exchange["id"], "resume")
        assert read(connection, stream).status == 503
        with breaking.control() as control:
            assert control.delete(f"/v1/breakpoints/{number}").status_code == 204
            assert control.delete(f"/v1/breakpoints/{number}").status_code == 404
        assert breaking.ask(path).status == 503, "the break is gone"


def test_breaks_are_switched_off_and_on(breaking: Registry) -> None:
    path = breaking.push(10).layer_path()
    number = add(breaking, "endpoint:layer")
    with breaking.control() as control:
        told = control.put("/v1/breakpoints", json={"on": False}).json()
        assert told == {"on": False, "breakpoints": [{"id": number, "expression": "endpoint:layer"}]}
        assert breaking.ask(path).is_whole
        control.put("/v1/breakpoints", json={"on": True})
        with breaking.connect() as connection:
            begin(connection, path)
            (exchange,) = held(breaking, path)
            control.delete("/v1/breakpoints")
            order(breaking, exchange["id"], "resume")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("endpont:layer", 'expression: unknown key "endpont": did you mean endpoint?'),
        ("  ", "expression: write what to hold, for example endpoint:layer status:5xx"),
    ],
)
def test_a_bad_expression_is_refused(each: Registry, expression: str, told: str) -> None:
    with each.control() as control:
        answer = control.post("/v1/breakpoints", json={"expression": expression})
    assert answer.status_code == 400
    assert told in str(answer.json())


def test_an_edited_head_arrives(breaking: Registry) -> None:
    image = breaking.push(SIZE)
    path = image.layer_path()
    add(breaking, "endpoint:layer")
    with breaking.connect() as connection, breaking.control() as control:
        stream = begin(connection, path)
        (exchange,) = held(breaking, path)
        headers = [["content-length", str(SIZE)], ["X-Edited", "by hand"]]
        edited = control.post(
            f"/v1/exchanges/{exchange['id']}/edit", json={"status": 418, "headers": headers}
        )
        assert edited.status_code == 200, edited.text
        assert edited.json()["held"]
        order(breaking, exchange["id"], "resume")
        answer = read(connection, stream)
        assert (answer.status, answer.header("x-edited"), answer.header("etag")) == (418, "by hand", None)
        assert answer.body == image.layers[0]
    done = breaking.exchange(path)
    assert done["edited"].startswith("status 200 to 418, docker-distribution-api-version removed, ")
    assert f"edited: {done['edited']}" in breaking.timeline(path)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            {"status": 199},
            'status: invalid status "199": use 200 to 599, '
            "because 1xx is not a final response (RFC 9110, 15.2)",
        ),
        ({"status": 600}, 'status: invalid status "600": use 200 to 599'),
        ({"status": 304}, "status: a 304 has no body (RFC 9110, 15.4.5), but this response does"),
        ({"headers": []}, "headers: content-length frames the body that follows: leave 10;"),
        (
            {"headers": [["content-length", "10"], ["transfer-encoding", "chunked"]]},
            "headers: transfer-encoding frames the body that follows: remove it;",
        ),
        ({"headers": [["content-length", "10"], ["a b", ""]]}, "headers: 'a b' is not a valid header name"),
        (
            {"headers": [["content-length", "10"], ["a", "b\nc"]]},
            "headers: a: the value has invalid characters",
        ),
        (
            {"headers": [["content-length", "10"], ["a", "\u2713"]]},
            "headers: a: the value has invalid characters",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(breaking: Registry, edit: dict[str, Any], told: str) -> None:
    path = breaking.push(10).layer_path()
    add(breaking, "endpoint:layer")
    with breaking.connect() as connection, breaking.control() as control:
        stream = begin(connection, path)
        (exchange,) = held(breaking, path)
        answer = control.post(f"/v1/exchanges/{exchange['id']}/edit", json=edit)
        assert answer.status_code == 400
        assert told in str(answer.json())
        order(breaking, exchange["id"], "resume")
        assert read(connection, stream).status == 200
    assert breaking.exchange(path)["edited"] is None


def test_nothing_is_edited_once_the_headers_are_sent(each: Registry) -> None:
    path = each.push(SIZE).layer_path()
    with (
        each.rule(fault={"type": "hold", "at": 10}, match={"endpoint": "layer"}),
        each.connect() as connection,
        each.control() as control,
    ):
        begin(connection, path)
        (exchange,) = held(each, path)
        refused = control.post(f"/v1/exchanges/{exchange['id']}/edit", json={"status": 503})
        assert (refused.status_code, "has already sent its headers" in refused.text) == (409, True)
        order(each, exchange["id"], "resume")
