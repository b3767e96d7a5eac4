"""Rules that wait for another one (`after`), and headers that a request must not have (`!glob`)."""

from __future__ import annotations

import pytest

from tests.running_registry import Registry


def test_a_rule_waits_for_another(http1: Registry) -> None:
    path = http1.push(10).manifest_path()
    second = {"name": "second", "after": "first", "fault": {"type": "error", "status": 503}, "times": 1}
    first = {"name": "first", "fault": {"type": "error", "status": 502}, "match": {"endpoint": "layer"}}
    layer = http1.push(10).layer_path()
    with http1.rule(**first, times=1), http1.rule(**second):
        assert http1.ask(path).status == 200
        (why,) = [each for each in http1.exchange(path)["rules"] if each["rule"] == "second"]
        assert (why["outcome"], why["reason"]) == (
            "waiting",
            "waiting: rule first has not been applied yet",
        )
        assert [http1.ask(layer).status for _ in range(2)] == [502, 200]
        assert [http1.ask(path).status for _ in range(2)] == [503, 200]


@pytest.mark.parametrize(
    ("rules", "field", "words"),
    [
        ([{"fault": "error", "after": "firs"}], "rules[0].after", "give the other rule a name"),
        (
            [{"name": "first", "fault": "error"}, {"fault": "error", "after": "firs"}],
            "rules[1].after",
            "did you mean first?",
        ),
    ],
)
def test_a_rule_that_waits_for_nobody(
    http1: Registry, rules: list[dict[str, object]], field: str, words: str
) -> None:
    with http1.control() as control:
        refused = control.put("/v1/scenario?namespace=states", json={"rules": rules})
        assert (refused.status_code, refused.json()["field"]) == (400, field)
        assert words in refused.json()["detail"]
        alone = control.post("/v1/rules?namespace=states", json=rules[-1])
        assert (alone.status_code, alone.json()["field"]) == (400, "after")


def test_a_rule_whose_other_rule_is_removed_waits_on(http1: Registry) -> None:
    path = http1.push(10).manifest_path()
    with http1.control() as control:
        first = control.post("/v1/rules", json={"name": "first", "fault": "error"}).json()["id"]
        with http1.rule(after="first", fault="error"):
            assert control.delete(f"/v1/rules/{first}").status_code == 204
            assert http1.ask(path).status == 200


@pytest.mark.parametrize(
    ("glob", "header", "is_matched"),
    [
        ("!*oci*", "application/vnd.docker.x", True),
        ("!*oci*", "application/vnd.oci.x", False),
        ("!*oci*", None, True),
        ("!*", None, True),
        ("!*", "x", False),
        ("*", None, False),
    ],
)
def test_a_header_that_a_request_must_not_have(
    http1: Registry, glob: str, header: str | None, is_matched: bool
) -> None:
    path = http1.push(10).manifest_path()
    headers = [] if header is None else [("accept", header)]
    with http1.rule(fault="error", match={"header": {"accept": glob}}):
        assert http1.ask(path, headers=headers).status == (500 if is_matched else 200)
    if not is_matched:
        return
    with http1.rule(fault={"type": "challenge"}, match={"header": {"authorization": "!*"}}):
        assert http1.ask(path).status == 401
