"""Files that are broken, incomplete, hostile or of another kind: the rest is read, and the problem named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from brokenreg.traffic.exchange import Ended
from brokenreg.traffic.har import har_pieces
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.saved.formats import UnreadableFileError
from brokenreg.traffic.saved.traffic_file import TrafficFile
from brokenreg.traffic.timeline_events import EXCHANGE_ENDED
from tests.traffic import making


def own_har(count: int) -> str:
    log = TrafficLog()
    for number in range(1, count + 1):
        made = making.exchange(f"/v2/app/manifests/v{number}", id=number, started=1000.0 + number, status=200)
        made.timeline.add(EXCHANGE_ENDED, 0.1)
        made.ended = Ended.COMPLETE
        log.opened(made)
        log.closed(made)
    return "".join(har_pieces(log, log.bodies, "http://127.0.0.1:8080"))


def har_of(*entries: Any) -> str:
    return json.dumps(
        {"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": entries}}
    )


def entry(url: str = "http://reg/v2/", **more: Any) -> dict[str, Any]:
    return {
        "startedDateTime": "2026-01-01T12:00:00.000Z",
        "time": 1,
        "request": {"method": "GET", "url": url, "headers": [], "httpVersion": "HTTP/1.1"},
        "response": {"status": 200, "headers": [], "content": {}},
        **more,
    }


def read(tmp_path: Path, text: str | bytes, **more: Any) -> TrafficFile:
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    file = TrafficFile(path, TrafficLog(), **more)
    asyncio.run(file.read())
    return file


def tags(file: TrafficFile) -> list[str]:
    return [each.target.reference for each in file.log]


def test_each_beginning_of_a_file_gives_its_complete_entries(tmp_path: Path) -> None:
    text = own_har(3)
    start = text.index("\n{") + 1
    for length in range(start + 1, len(text) - 3, 97):
        file = read(tmp_path, text[:length])
        begun = text[:length].count("\n{")
        assert len(file.log) in (begun - 1, begun)
        assert "incomplete" in file.unread.line, length


def test_an_incomplete_file_says_so(tmp_path: Path) -> None:
    text = own_har(3)
    file = read(tmp_path, text[: text.index('"v3"') if '"v3"' in text else text.rindex("manifests/v3")])
    assert tags(file) == ["v1", "v2"]
    assert file.unread.line == (
        "1 of 3 entries could not be read: entry 3 is incomplete, the file is incomplete"
    )


def test_what_an_entry_lacks_is_named(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        har_of(
            entry(),
            {**entry(), "request": {"method": "GET"}},
            {**entry(), "startedDateTime": "yesterday"},
            7,
            entry("http://reg/v2/app/manifests/v5"),
        ),
    )
    assert tags(file) == ["", "v5"]
    assert file.unread.line == (
        "3 of 5 entries could not be read: entry 2 has no request.url, "
        "entry 3 has no valid startedDateTime, and 1 more"
    )


def test_an_entry_that_is_not_json_is_skipped(tmp_path: Path) -> None:
    lines = own_har(3).split("\n")
    lines[2] = lines[2].replace('"_id":2', '"_id":2 oops "')  # a quote opens, and never closes
    file = read(tmp_path, "\n".join(lines))
    assert tags(file) == ["v1", "v3"]
    assert file.unread.line == "1 of 3 entries could not be read: entry 2 is not valid JSON"


# Deeper than the limit of Python, which other tests in the same process may raise.
@pytest.mark.parametrize("deep", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_deep_nesting_costs_one_entry(tmp_path: Path, deep: str) -> None:
    text = har_of(entry(_deep="DEEP"), entry("http://reg/v2/app/manifests/v2")).replace('"DEEP"', deep)
    file = read(tmp_path, text)
    assert tags(file) == ["v2"]
    assert file.unread.line == "1 of 2 entries could not be read: entry 1 is nested too deeply"


def test_a_huge_entry_costs_no_memory_and_a_huge_body_not_the_entry(tmp_path: Path) -> None:
    body = {"status": 200, "headers": [], "content": {"text": "\\x\u00e9" * 3_000_000, "size": 9_000_000}}
    huge = entry(_more=[{"name": "x"}] * 200_000)
    file = read(tmp_path, har_of(entry("http://reg/v2/app/manifests/v1", response=body), huge, entry()))
    assert tags(file) == ["v1", ""]
    assert file.unread.line == "1 of 3 entries could not be read: entry 2 is longer than 1024 KiB"
    kept = file.log.bodies.of(file.log[0]).response
    assert kept is not None
    assert kept.size == 9_000_000
    assert len(kept.data) > 50_000
    assert ("\\x\u00e9" * 30_000).encode().startswith(kept.data)


@pytest.mark.parametrize("number", ["1e999", "NaN", "-1", "9" * 400, "true", '"12"', "[]", "null"])
def test_numbers_of_any_kind(tmp_path: Path, number: str) -> None:
    members = ("status", "bodySize", "_id", "_started", "time", "_held_since", "_replay_of", "size", "at")
    made = entry(
        _id="?", _started="?", _held_since="?", _replay_of="?",
        time="?", response={"status": "?", "bodySize": "?", "content": {"size": "?"}},
        _timeline=[{"kind": "end", "at": "?"}, {"kind": "stepped", "at": 1, "data": {"size": "?"}}],
    )  # fmt: skip
    file = read(tmp_path, har_of(made).replace('"?"', number))
    assert len(file.log) == 1, (members, file.unread.line)
    assert file.log[0].summary()["path"] == "/v2/"


def test_secrets_and_odd_characters_are_replaced(tmp_path: Path) -> None:
    made = entry("http://user:hunter2@reg/v2/?token=hunter2&a=%1b")
    made["request"]["headers"] = [
        {"name": "Authorization", "value": "Bearer hunter2"},
        {"name": ":authority", "value": "reg"},
        {"name": "Cookie", "value": "hunter2"},
        {"name": "x", "value": "\ud800"},
    ]
    made["response"]["_error"] = "token=hunter2"
    file = read(tmp_path, har_of(made))
    (exchange,) = file.log
    assert "hunter2" not in repr(exchange)
    assert exchange.request_headers == (
        ("host", "reg"), ("authorization", "Bearer ***"), ("cookie", "***"), ("x", "?"),
    )  # fmt: skip


def test_names_are_checked(tmp_path: Path) -> None:
    made = entry(
        "http://reg/v2/app/manifests/v1",
        _timeline=[],
        _target={"repository": "../../etc", "name": "app", "reference": "v1", "endpoint": "manifest"},
    )
    (exchange,) = read(tmp_path, har_of(made)).log
    assert exchange.target.repository == "app"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"\x7fELF\x00\x00", "it is neither HAR nor a log with a line of JSON for each exchange"),
        (b'{"some": "json"}', "it is neither HAR nor a log with a line of JSON for each exchange"),
        (b"[" * 300_000, "it is neither HAR nor a log with a line of JSON for each exchange"),
    ],
)
def test_another_kind_of_file(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(UnreadableFileError, match=problem):
        read(tmp_path, content)


def test_neither_a_folder_nor_a_missing_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="not a file"):
        TrafficFile(tmp_path, TrafficLog())
    with pytest.raises(UnreadableFileError, match="No such file"):
        TrafficFile(tmp_path / "x", TrafficLog())


def test_har_cannot_be_followed(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="a HAR file does not grow"):
        read(tmp_path, own_har(1), follows=True)


def test_the_oldest_exchanges_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(own_har(50))
    log = TrafficLog(memory=20_000)
    file = TrafficFile(path, log)
    asyncio.run(file.read())
    assert log.size <= 20_000
    assert (log.end, tags(file)[-1]) == (50, "v50")
    assert len(log) < 20


def test_connections_of_a_wrong_type_are_skipped(tmp_path: Path) -> None:
    odd = [None, 0.5, "x", [], {"_started": 1000.0, "connection": "10.0.0.1:5"}]
    file = read(tmp_path, har_of(entry(_connections=odd)))
    assert [each.client for each in file.log] == ["10.0.0.1:5", "x"]
