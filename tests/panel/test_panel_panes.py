"""The panes of the detail: the recorded body, and which rule was applied or why none was."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from exchanges import NOON, answer, end, exchange, passed
from hypothesis import given
from hypothesis import strategies as st
from screen import look, shown, text

from brokenreg.rules.active_rule import ActiveRule
from brokenreg.rules.path_rules import PathRule
from brokenreg.rules.rule import rule_of
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.traffic.bodies import Body, Kept
from brokenreg.traffic.exchange import Exchange
from brokenreg.traffic.log import TrafficLog
from brokenreg.traffic.timeline_events import FaultInapplicable
from brokenreg.tui.text import indented
from brokenreg.tui.traffic.detail.panes import LINES, SHOWN, body
from brokenreg.tui.traffic.detail.why import why

TALL = (100, 60)


def kept(
    log: TrafficLog, content: bytes, size: int | None = None, path: str = "/v2/a/manifests/b"
) -> Exchange:
    """One that has passed, whose body was kept."""
    seen = passed(log, path, size=size or len(content))
    log.bodies.keep(seen, Kept(response=Body(content, size or len(content))))
    return seen


@pytest.mark.slow
async def test_the_panes_follow_each_other_and_keep_their_place() -> None:
    log = TrafficLog()
    kept(log, b'{"schemaVersion":2,"layers":[]}')
    async with shown(log, size=TALL) as (_, pilot):
        await look(pilot)
        assert "Request headers" in await look(pilot, "enter")
        screen = await look(pilot, "l")
        assert '  "schemaVersion": 2,' in screen
        assert '  "layers": []' in screen
        assert "headers" not in screen.replace("Headers", "")
        assert "4.0 ms  end" in await look(pilot, "right")
        assert "No rules in this namespace" in await look(pilot, "l")
        assert "Request headers" in await look(pilot, "l")
        assert "No rules in this namespace" in await look(pilot, "h")
        assert "4.0 ms  end" in await look(pilot, "left")
        passed(log, "/v2/a/manifests/c")
        await look(pilot, "escape", "j")
        assert "4.0 ms  end" in await look(pilot, "enter")


async def test_panes_have_keys_only_while_they_are_visible() -> None:
    log = TrafficLog()
    passed(log, "/v2/")
    async with shown(log, size=(80, 24)) as (panel, pilot):
        assert "l Next pane" not in await look(pilot)
        assert "l Next pane" in await look(pilot, "enter")
        assert panel.is_running
    async with shown(log, size=(140, 40)) as (_, pilot):
        await look(pilot)
        assert "4.0 ms  end" in await look(pilot, "l", "l")


def words(seen: Exchange, log: TrafficLog) -> str:
    return "".join(
        part[0] if isinstance(part, tuple) else f"{part.plain}\n" for part in body(seen, log.bodies.of(seen))
    )


def test_why_there_is_no_body() -> None:
    log = TrafficLog()
    flying = exchange(log, "/v2/a/manifests/b")
    assert "after the exchange ends" in words(flying, log)
    assert "\n  none\n" in words(passed(log, "/v2/a/manifests/b", size=0), log)
    assert "not recorded: only manifests, lists and errors are recorded" in words(
        passed(log, "/v2/a/blobs/sha256:" + "0" * 64), log
    )
    assert "may contain a token" in words(passed(log, "/token"), log)
    assert "the limit is 64 KiB per body and 16 MiB in total" in words(passed(log, "/v2/a/manifests/b"), log)


@pytest.mark.parametrize(
    ("content", "length"),
    [(b"[" + b"1," * 32_000, 5 * LINES), (b"x" * 65_536, 65_536), (b'["' + b"\xff" * 65_000, SHOWN)],
)
def test_the_beginning_of_a_long_body_is_shown(content: bytes, length: int) -> None:
    log = TrafficLog()
    told = words(kept(log, content, size=200_000), log)
    assert "195.3 KiB; only the beginning is shown" in told
    assert length - 10 < len(told) < length + 10 * 1024


async def test_all_of_a_manifest_that_is_kept_can_be_read() -> None:
    layer = {"digest": "sha256:" + "a" * 64, "size": 1, "mediaType": "application/vnd.oci.image.layer.v1.tar"}
    content = json.dumps({"layers": [layer] * 350, "last": "the end"}).encode()
    assert 50_000 < len(content) < 65_536
    log = TrafficLog()
    kept(log, content)
    async with shown(log, size=(80, 24)) as (_, pilot):
        await look(pilot)
        assert "its beginning" not in await look(pilot, "enter", "l")
        screen = await look(pilot, "G")
        assert '"last": "the end"' in screen
        assert "│ Body │" in screen, "the line of panes stays"


def test_binary_bodies_are_escaped() -> None:
    log = TrafficLog()
    told = words(kept(log, b"\xff\x00\x1b[31mx\nsecond"), log)
    assert "\\xff\\x00\\x1b[31mx\nsecond" in told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_indenting_changes_no_value(document: Any) -> None:
    spelled = json.dumps(document)
    assert json.loads(indented(spelled, 10**6)) == document
    assert indented(json.dumps(document, separators=(",", ":")), 10**6) == indented(spelled, 10**6)


@given(st.text(alphabet='{}[]",:\\a1 \n'), st.integers(0, 50))
def test_indenting_changes_only_spaces(spelled: str, most: int) -> None:
    whole = indented(spelled, 10**6)
    assert "".join(whole.split()) == "".join(spelled.split())
    assert indented(spelled, most) == whole[:most]


HOSTILE = "[bold]x[/] [@click=app.quit]y[/] \x1b[2J\x9b31m \r\t \u202eabc\u0301\u200b"


@pytest.mark.parametrize("pane", [1, 2, 3])
async def test_panes_escape_input_of_clients(pane: int) -> None:
    log = TrafficLog()
    seen = kept(log, ('{"a":"' + HOSTILE + '"}').encode())
    seen.timeline.add(FaultInapplicable("error", HOSTILE), 0.1)
    seen.faults, seen.rule = (HOSTILE,), HOSTILE
    seen.revision += 1
    async with shown(log, size=TALL) as (panel, pilot):
        await look(pilot)
        await look(pilot, "enter", *["l"] * pane)
        screen = text(panel)
        assert "[bold]x[/] [@click=app.quit]y[/] \\x1b[2J\\x9b31m \\r\\t" in screen
        for character in screen.replace("\n", ""):
            assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Mn"), repr(character)
        assert panel.is_running


def rules(*documents: dict[str, Any], since: float = NOON - 1) -> RuleBooks:
    """Rules, as a scenario file at some lines has them."""
    books = RuleBooks(7, lambda target: (2,))
    for line, document in enumerate(documents, start=1):
        books.book("").add(rule_of(document), f"faults.yaml:{line}").since = since
    return books


def reasons(books: RuleBooks, seen: Exchange, path: list[PathRule] | None = None) -> str:
    """What Why tells once the rules were asked."""
    for hit in books.evaluate(seen, path or []):
        seen.faults = (hit.faults[0].name,)
        seen.rule = hit.active.label
    return told(books, seen)


def told(books: RuleBooks, seen: Exchange) -> str:
    return "".join(part for part, _ in why(seen, books))


def test_the_applied_rule_is_shown_with_its_source_and_counters() -> None:
    log = TrafficLog()
    books = rules(
        {"fault": {"type": "error", "status": 418}, "match": {"repository": "other/*"}},
        {"name": "teapot", "fault": {"type": "error", "status": 418}, "times": 2},
        {"fault": "error"},
    )
    seen = exchange(log, "/v2/a/manifests/b")
    said = reasons(books, seen)
    assert 'Fault error, by "teapot"' in said
    assert "source   faults.yaml:2" in said
    assert "outcome  applied to match 1, 1 of at most 2 times so far" in said
    assert "total    matched 1, applied 1" in said
    assert "fault    error status=418" in said
    assert "rule 1  faults.yaml:1\n    did not match: repository is a, not other/*" in said
    assert "rule 3  faults.yaml:3\n    not evaluated: another rule matched first" in said
    reasons(books, exchange(log, "/v2/a/manifests/b"))
    said = told(books, seen)
    assert "outcome  applied to match 1, 1 of at most 2 times so far" in said
    assert "total    matched 2, applied 2" in said


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"skip": 1}, "skipped: match 1, skip 1"),
        ({"probability": 1e-9}, "not drawn: match 1, probability 1e-09"),
        ({"enabled": False}, "disabled"),
        ({"match": {"endpoint": "tags"}}, "did not match: endpoint layer is not tags"),
        ({"match": {"endpoint": "layer", "method": "put"}}, "did not match: method is GET, not PUT"),
        ({"match": {"endpoint": "layer", "attempt": 2}}, "did not match: attempt 1 is not 2"),
        ({"match": {"endpoint": "layer", "layer": 1}}, "did not match: not layer 1 of its manifest"),
        (
            {"match": {"endpoint": "layer", "client": "skopeo/*"}},
            "did not match: client is docker/27.3.1 go/go1.22.7 git-commit/41ca978 kernel/6.8.0 os/linux "
            "arch/amd64 Up…, not skopeo/*",
        ),
        ({"match": {"endpoint": "layer", "header": {"x": "y"}}}, "did not match: header x is not y"),
        (
            {"match": {"endpoint": "layer", "reference": "sha256:1*"}},
            f"did not match: reference is sha256:{'0' * 64}, not sha256:1*",
        ),
        ({"match": {"endpoint": "layer", "protocol": "h2"}}, "did not match: protocol is http/1.1, not h2"),
    ],
)
def test_why_a_rule_was_not_applied(document: dict[str, Any], reason: str) -> None:
    books = rules({"match": {"endpoint": "layer"}, "fault": "error", **document})
    said = reasons(books, exchange(TrafficLog(), "/v2/a/blobs/sha256:" + "0" * 64))
    assert said.startswith("No fault was applied\n")
    assert f"rule 1  faults.yaml:1\n    {reason}\n" in said


def test_exhausted_rules_are_shown() -> None:
    books = rules({"fault": "error", "times": 1})
    assert "Fault error" in reasons(books, exchange(TrafficLog(), "/v2/a/manifests/b"))
    said = reasons(books, exchange(TrafficLog(), "/v2/a/manifests/b"))
    assert "rule 1  faults.yaml:1\n    exhausted: match 2, applied 1 of at most 1 time\n" in said


def test_later_rules_are_shown() -> None:
    books = rules({"fault": "error"}, since=NOON + 1)
    assert "rule 1  faults.yaml:1\n    added later\n" in told(
        books, exchange(TrafficLog(), "/v2/a/manifests/b")
    )


def test_path_faults_are_shown() -> None:
    books = rules({"fault": "error"})
    path = [PathRule(rule_of({"fault": {"type": "error", "status": 418}}), "error:418")]
    said = reasons(books, exchange(TrafficLog(), "/v2/broken/error/manifests/418"), path)
    assert "source   path: error:418" in said
    assert "    not evaluated: another rule matched first" in said


async def test_the_counters_are_updated() -> None:
    log = TrafficLog()
    passed(log, "/v2/a/manifests/b")
    async with shown(log, size=TALL) as (panel, pilot):
        book = panel._runtime.rules.book("")
        active = book.add(rule_of({"fault": "error", "name": "late"}), "panel")
        active.since = NOON - 1
        seen = exchange(log, "/v2/a/manifests/c")
        book.evaluate(seen)
        answer(log, seen, 503)
        end(log, seen, fault="error")
        await look(pilot)
        await look(pilot, "enter", "h")
        assert "total    matched 1, applied 1" in await look(pilot)
        book.evaluate(exchange(TrafficLog(), "/v2/a/manifests/c"))
        assert "total    matched 2, applied 2" in await look(pilot)


def test_outcomes_of_a_thousand_rules_are_limited() -> None:
    books = rules(*[{"fault": "error", "skip": 1}] * 999, {"name": "last", "fault": "error"})
    seen = exchange(TrafficLog(), "/v2/a/manifests/b")
    assert 'Fault error, by "last"' in reasons(books, seen)
    assert len(seen.rule_outcomes) == 17
    assert isinstance(next(iter(books.book(""))), ActiveRule)
