"""Faults that respond in place of the registry, after it has carried out the request."""

from __future__ import annotations

import pytest

from tests.registry.pushing import digest_of
from tests.running_registry import Registry

BLOB = b"a blob that is stored"


def push(each: Registry, repository: str, content: bytes) -> tuple[int | None, int | None]:
    """Push a blob; the statuses of the PUT and of a HEAD after it."""
    location = each.ask(f"/v2/{repository}/blobs/uploads/", "POST").header("location")
    assert location is not None
    put = each.ask(f"{location}?digest={digest_of(content)}", "PUT", content=content)
    return put.status, each.ask(f"/v2/{repository}/blobs/{digest_of(content)}", "HEAD").status


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"type": "error", "status": 502}, 502),
        ({"type": "timeout", "dur": "10ms"}, 408),
        ({"type": "not-found"}, 404),
        ({"type": "challenge"}, 401),
        ({"type": "reset"}, None),
        ({"type": "empty-reply"}, None),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("processed", [True, False])
def test_a_push_is_stored_and_fails(
    each: Registry, fault: dict[str, object], status: int | None, processed: bool
) -> None:
    name = f"{fault['type']}-{processed}".lower()
    content = f"{name} {each.protocol} {each.is_tls}".encode()
    match = {"endpoint": "upload", "method": "PUT"}
    with each.rule(fault={**fault, "processed": processed}, match=match) as rule:
        assert push(each, f"processed/{name}", content) == (status, 200 if processed else 404)
        assert each.rule_state(rule)["applied"] == 1


def test_the_timeline_says_what_the_client_does_not_know(http1: Registry) -> None:
    fault = {"type": "error", "status": 500, "processed": True}
    path = "/v2/processed/timeline/blobs/uploads/"
    with http1.rule(fault=fault, match={"endpoint": "upload", "method": "POST"}):
        assert http1.ask(path, "POST").status == 500
    (note,) = [each for each in http1.timeline(path, "POST") if "carried out" in each]
    assert "status 202" in note


def test_a_read_is_not_carried_out(http1: Registry) -> None:
    pushed = http1.push(10)
    with http1.rule(fault={"type": "error", "status": 500, "processed": True}):
        assert http1.ask(pushed.manifest_path()).status == 500
    assert not any("carried out" in each for each in http1.timeline(pushed.manifest_path()))


def test_a_fault_inside_is_applied_to_what_is_carried_out(http1: Registry) -> None:
    """The registry is asked through the other fault, which loses the session."""
    outer = {"type": "error", "status": 500, "processed": True}
    with http1.rule(fault=[outer, "upload-lost"], match={"endpoint": "upload", "method": "PUT"}):
        assert push(http1, "processed/nested", b"nested") == (500, 404)


def test_a_redirect_without_a_login_is_not_applied_twice(http1: Registry) -> None:
    match = {"endpoint": "upload", "method": "POST"}
    with http1.rule(fault={"type": "redirect", "processed": True}, match=match):
        assert http1.ask("/v2/processed/redirect/blobs/uploads/", "POST").status == 307
