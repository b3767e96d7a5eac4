"""error, rate-limit, not-found, head-differs and read-after-write: status, headers and body."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any

import pytest

from brokenreg.faults.catalogue.status.rate_limit import source_of
from tests.raw_http import Answer
from tests.running_registry import Registry


def error_of(answer: Answer) -> dict[str, Any]:
    """Return the error in a response in OCI form, which must have exactly one."""
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-length") == str(len(answer.body))
    (error,) = json.loads(answer.body)["errors"]
    return dict(error)


# error


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("body", ["json", "html", "empty"])
def test_error(each: Registry, method: str, body: str) -> None:
    """The connection stays open, Content-Length is right even for HEAD, and a push stores nothing."""
    image = each.push(10)
    path = image.manifest_path(reference="applied")
    fault = {"type": "error", "status": 503, "body": body, "message": "a < b", "retry_after": "7"}
    with each.rule(fault=fault) as rule, each.connect() as connection:
        answer = connection.ask(path, method, content=image.manifest if method == "PUT" else b"")
        whole = connection.ask(path)
        assert connection.ended is None
        assert each.rule_state(rule)["applied"] == 2
    assert (answer.status, answer.is_whole, answer.all("retry-after")) == (503, True, ["7"])
    assert answer.header("content-length") == whole.header("content-length") == str(len(whole.body))
    assert answer.body == (b"" if method == "HEAD" else whole.body)
    if body == "json":
        assert error_of(whole) == {"code": "UNAVAILABLE", "message": "a < b"}
    elif body == "html":
        assert whole.header("content-type") == "text/html"
        assert b"<p>a &lt; b</p>" in whole.body
    else:
        assert (whole.header("content-type"), whole.body) == (None, b"")
    exchange = each.exchange(path, method)
    assert (exchange["faults"], exchange["status"], exchange["ended"]) == (["error"], 503, "complete")
    assert exchange["response_bytes"] == len(answer.body)
    assert each.ask(path).status == 404


@pytest.mark.parametrize("status", [400, 401, 408, 413, 416, 418, 425, 429, 499, 500, 502, 504, 599])
def test_error_with_any_status(each: Registry, status: int) -> None:
    path = each.push(10).layer_path()
    with each.rule(fault={"type": "error", "status": status, "code": "OF_OURS"}, match={"endpoint": "layer"}):
        answer = each.ask(path)
    assert (answer.status, error_of(answer)["code"]) == (status, "OF_OURS")
    if not each.is_http2:
        assert answer.status_line.startswith(b"HTTP/1.1 %d" % status)


def test_error_at_an_upload_that_is_not_read(each: Registry) -> None:
    """The request is read, so that the client sees the response and can reuse the connection."""
    image = each.push(10)
    location = each.ask(f"/v2/{image.repository}/blobs/uploads/", "POST").header("location") or ""
    with (
        each.rule(fault={"type": "error", "status": 500}, match={"endpoint": "upload", "method": "PATCH"}),
        each.connect() as connection,
    ):
        assert connection.ask(location, "PATCH", content=bytes(60_000)).status == 500
        assert connection.ask(location).header("range") == "0-0"


# rate-limit


def test_rate_limit(each: Registry) -> None:
    """Two requests pass in each window, and every response says how many are left."""
    image = each.push(10)
    path = image.manifest_path()
    fault = {"type": "rate-limit", "quota": 2, "window": "1h"}
    with each.rule(fault=fault, match={"repository": image.repository}) as rule, each.connect() as connection:
        answers = [connection.ask(path, method) for method in ("GET", "HEAD", "GET", "HEAD")]
        assert each.rule_state(rule)["applied"] == 2
        assert [answer.status for answer in answers] == [200, 200, 429, 429]
        assert [answer.all("ratelimit-limit") for answer in answers] == [["2;w=3600"]] * 4
        assert [answer.header("ratelimit-remaining") for answer in answers] == [
            "1;w=3600",
            "0;w=3600",
            "0;w=3600",
            "0;w=3600",
        ]
        assert [answer.header("retry-after") for answer in answers[:2]] == [None, None]
        assert all(3500 < int(answer.header("retry-after") or 0) <= 3600 for answer in answers[2:])
        assert (answers[0].body, error_of(answers[2])["code"]) == (image.manifest, "TOOMANYREQUESTS")
        assert answers[3].header("content-length") == str(len(answers[2].body))
    assert each.exchange(path, "HEAD")["faults"] == ["rate-limit"]


def test_a_window_ends(http1: Registry) -> None:
    path = http1.push(10).manifest_path()
    fault = {"type": "rate-limit", "quota": 1, "window": "500ms"}
    with http1.rule(fault=fault), http1.connect() as connection:
        assert connection.ask(path).status == 200
        statuses = [200]
        deadline = time.monotonic() + 30
        while statuses[-2:] != [429, 200]:
            assert time.monotonic() < deadline, statuses
            statuses.append(connection.ask(path).status)


@pytest.mark.parametrize(
    ("by", "statuses"), [("client", [200, 429, 200, 429]), ("all", [200, 429, 429, 429])]
)
def test_whose_requests_count_together(each: Registry, by: str, statuses: list[int]) -> None:
    path = each.push(10).manifest_path()
    fault = {"type": "rate-limit", "quota": 1, "window": "1h", "by": by}
    with each.rule(fault=fault):
        seen = []
        for source in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"):
            with each.connect(source=source) as connection:
                seen.append(connection.ask(path).status)
    assert seen == statuses


@pytest.mark.parametrize("form", ["seconds", "date", "absent", "garbage", "huge"])
def test_retry_after(each: Registry, form: str) -> None:
    path = each.push(10).manifest_path()
    with each.rule(fault={"type": "rate-limit", "window": "100s", "retry_after": form}):
        answer = each.ask(path)
    told = answer.header("retry-after")
    assert answer.status == 429
    if form == "seconds":
        assert told == "100"
    elif form == "date":
        assert told is not None
        until = email.utils.parsedate_to_datetime(told).timestamp() - time.time()
        assert 97 < until < 102
        assert told.endswith(" GMT")
    else:
        assert told == {"absent": None, "garbage": "soon", "huge": "315360000"}[form]


# not-found


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [("manifest", "MANIFEST_UNKNOWN"), ("config", "BLOB_UNKNOWN"), ("layer", "BLOB_UNKNOWN")],
)
def test_not_found(each: Registry, endpoint: str, code: str) -> None:
    image = each.push(10)
    paths = {
        "manifest": image.manifest_path(),
        "config": image.blob_path(image.config),
        "layer": image.layer_path(),
    }
    with each.rule(fault="not-found", match={"endpoint": endpoint}), each.connect() as connection:
        for name, path in paths.items():
            answer, head = connection.ask(path), connection.ask(path, "HEAD")
            assert answer.status == head.status == (404 if name == endpoint else 200)
            assert head.header("content-length") == str(len(answer.body))
            if name == endpoint:
                error = error_of(answer)
                assert error["code"] == code
                assert error["detail"] == {"reference": path.rpartition("/")[2]}
                assert answer.header("docker-content-digest") is None


def test_the_second_layer_is_missing(each: Registry) -> None:
    image = each.push(10, 20, 30)
    with each.rule(fault="not-found", match={"endpoint": "layer", "layer": 2}):
        statuses = [each.ask(image.layer_path(number=number)).status for number in (1, 2, 3)]
    assert statuses == [200, 404, 200]


# head-differs


@pytest.mark.parametrize("status", [None, 200, 204, 403, 405, 500])
def test_head_differs(each: Registry, status: int | None) -> None:
    image = each.push(10)
    told = {} if status is None else {"status": status}
    with each.rule(fault={"type": "head-differs", **told}), each.connect() as connection:
        head = connection.ask(image.manifest_path(), "HEAD")
        whole = connection.ask(image.manifest_path())
    assert (head.status, head.body) == (status or 404, b"")
    assert head.header("docker-content-digest") is None
    assert (whole.status, whole.body) == (200, image.manifest)
    assert each.exchange(image.manifest_path(), "HEAD")["faults"] == ["head-differs"]
    assert each.exchange(image.manifest_path())["faults"] == []


# read-after-write


def test_read_after_write(each: Registry) -> None:
    """The first reads after a push, by tag or digest, get a 404. Another push starts again."""
    image = each.push(10)
    tag = image.manifest_path(reference="fresh")
    with each.rule(fault={"type": "read-after-write", "reads": 3}) as rule, each.connect() as connection:
        assert connection.ask(image.manifest_path()).status == 200
        for _ in range(2):
            pushed = connection.ask(tag, "PUT", content=image.manifest)
            assert pushed.status == 201
            digest = image.manifest_path(reference=pushed.header("docker-content-digest") or "")
            statuses = [connection.ask(tag).status, connection.ask(digest).status]
            statuses += [connection.ask(tag, "HEAD").status, connection.ask(tag).status]
            assert statuses == [404, 404, 404, 200]
        assert each.rule_state(rule)["applied"] == 6
        assert connection.ask(tag).body == image.manifest
    assert each.exchange(tag)["faults"] == []


def test_read_after_write_for_a_time(each: Registry) -> None:
    image = each.push(10)
    tag = image.manifest_path(reference="fresh")
    with each.rule(fault={"type": "read-after-write", "dur": "400ms"}), each.connect() as connection:
        began = time.monotonic()
        assert connection.ask(tag, "PUT", content=image.manifest).status == 201
        while (answer := connection.ask(tag)).status == 404:
            assert error_of(answer)["code"] == "MANIFEST_UNKNOWN"
            assert time.monotonic() < began + 5
        assert time.monotonic() - began >= 0.4
        assert answer.body == image.manifest


# how often


def test_twice_and_then_it_works(each: Registry) -> None:
    path = each.push(10).manifest_path()
    with each.rule(fault={"type": "error", "status": 502}, skip=1, times=2) as rule:
        assert [each.ask(path).status for _ in range(5)] == [200, 502, 502, 200, 200]
        state = each.rule_state(rule)
        assert (state["matched"], state["applied"]) == (5, 2)
    assert each.timeline(path).count("fault applied: error") == 0


def test_a_rate_limit_as_at_docker_hub(each: Registry) -> None:
    pushed = each.push(10)
    path = pushed.manifest_path()
    fault = {
        "type": "rate-limit",
        "quota": 2,
        "window": "6h",
        "retry_after": "absent",
        "headers": "docker-hub",
        "count_head": False,
        "message": "too many pulls",
    }
    with each.rule(fault=fault) as rule:
        assert [each.ask(path, "HEAD").status for _ in range(3)] == [200] * 3
        first, second, third = (each.ask(path) for _ in range(3))
        assert each.ask(path, "HEAD").status == 200
        assert each.rule_state(rule)["applied"] == 1
    assert [each.status for each in (first, second, third)] == [200, 200, 429]
    assert first.header("ratelimit-limit") == "2;w=21600"
    assert second.header("ratelimit-remaining") == "0;w=21600"
    assert second.header("docker-ratelimit-source") == "127.0.0.1"
    assert error_of(third) == {"code": "TOOMANYREQUESTS", "message": "too many pulls"}
    assert third.header("ratelimit-limit") is third.header("retry-after") is None


@pytest.mark.parametrize(
    ("address", "source"), [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64")]
)
def test_what_docker_hub_counts_by(address: str, source: str) -> None:
    assert source_of(address) == source


def test_a_blob_is_hidden_after_its_push(each: Registry) -> None:
    """Only a blob that was pushed after the rule was added."""
    old = each.push(10)
    with each.rule(
        fault={"type": "read-after-write", "reads": 2}, match={"endpoint": "blob"}, per="rule"
    ) as rule:
        assert each.ask(old.layer_path(), "HEAD").status == 200
        new = each.push(20)
        assert [each.ask(new.layer_path(), method).status for method in ("HEAD", "GET", "GET")] == [
            404,
            404,
            200,
        ]
        assert each.ask(old.layer_path()).status == 200
        assert each.rule_state(rule)["applied"] == 2
