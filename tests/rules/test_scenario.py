"""Scenario files: valid ones, the errors for invalid ones, and hostile ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.rules.rule import FieldError, Rule, rule_of
from brokenreg.rules.scenario import Scenario, ScenarioError
from brokenreg.rules.scenario_text import load_scenario, read_scenario, write_scenario
from tests.hang_guard import hang_guard
from tests.server import Brokenreg, brokenreg, clean_environment

WHOLE = """\
name: an afternoon at the hub
seed: 7
rules:
  - name: layers break twice, then work
    match: {endpoint: layer, repository: "library/*", method: get, client: "docker/*"}
    fault: {type: truncate, after: 64KiB, end: rst}
    times: 2
    probability: 0.5
  # a comment
  - fault: [latency, {type: header, header: X-Odd, value: "yes"}]
    match:
      reference: 1.10
      header: {Accept: "*json*"}
"""


def test_a_whole_one() -> None:
    read = read_scenario(WHOLE, "rules.yaml")
    first, second = read.scenario.rules
    assert (read.scenario.name, read.scenario.seed) == ("an afternoon at the hub", 7)
    assert (first.name, first.times, first.probability) == ("layers break twice, then work", 2, 0.5)
    assert first.match.method == "GET"
    assert first.fault[0].parameters() == {"after": 65536, "end": "rst"}
    assert [fault.name for fault in second.fault] == ["latency", "header"]
    assert second.match.reference == "1.10"  # a tag, not a number
    assert read.sources == ("rules.yaml:4", "rules.yaml:10")


def test_written_and_read_again() -> None:
    scenario = read_scenario(WHOLE, "rules.yaml").scenario
    assert read_scenario(write_scenario(scenario), "again").scenario == scenario


@pytest.mark.parametrize("text", ["rules: []", "{}", "name: x", '{"rules": [{"fault": {"type": "error"}}]}'])
def test_small_ones(text: str) -> None:
    assert isinstance(read_scenario(text, "x").scenario, Scenario)


@pytest.mark.parametrize(
    "image",
    [
        "broken/image:layer-gzip-members",
        "broken/random:layers-1_size-1kib",
        "broken/truncate:after-1kib",
        "broken/prepared/app:v1",
        "broken/as/ghcr-hangs/broken/image:layer-none",
        "broken/with/throttle_rate-64kib/team/app:latest",
        "broken/in/job/team/app:v1",
        f"broken/error@sha256:{'0' * 64}",
        "quay.io/broken/image:v1",
    ],
)
def test_the_image_for_the_client(image: str) -> None:
    client = read_scenario(f"client: {{image: '{image}'}}", "x").scenario.client
    assert client is not None
    assert client.image == image


ANY = "expected alphabetic or numeric character"
QUOTE = 'put globs in quotes, such as "*/app"'


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (
            "rules:\n  - fault: {type: truncat}",
            2,
            'rules[0].fault.type: no fault "truncat": did you mean',
        ),
        (
            "rules:\n - fault:\n    type: truncate\n    after: lots",
            4,
            'rules[0].fault.after: invalid size "lots"',
        ),
        ("rules:\n - fault: error\n   tims: 2", 3, "rules[0].tims: unknown field"),
        ("rules:\n - fault: {type: error, status: 99}", 2, "rules[0].fault.status"),
        ("rules:\n - fault: error\n\n   times: -1", 4, "rules[0].times"),
        ("rules:\n - fault: error\n - match: {endpoint: layer}", 3, "rules[1].fault: required"),
        ("rules:\n - fault: error\n   match: {endpoint: kitchen}", 3, '"kitchen"'),
        ("rules:\n - match: {protocol: h2}\n   fault: malformed", 2, "malformed needs protocol http/1.1"),
        (
            "rules:\n - fault: [error, {type: latency, dur: soon}]",
            2,
            "rules[0].fault[1].dur: invalid duration",
        ),
        ("rules:\n - fault: error\n   probability: 2", 3, "rules[0].probability"),
        ("rules:\n - error", 2, "a rule is a mapping"),
        ("rules: 3", 1, "rules: use a list"),
        ("- fault: error", 1, "a scenario is a mapping"),
        ("", 1, "a scenario is a mapping"),
        ("seed: often", 1, "seed"),
        ("name: a\nname: b", 2, 'duplicate key "name"'),
        ("name: a\n---\nname: b", 2, "a second document"),
        ("name: [", 2, "invalid YAML"),
        ("rules:\n - match: {repository: *}", 2, f"invalid YAML: did not find {ANY}: {QUOTE}"),
        ("rules:\n - match:\n    repository: *", 3, QUOTE),
        ("rules:\n - match: {repository: */app}", 2, QUOTE),
        ("rules:\n - match: {repository: *app*}", 2, QUOTE),
        ("rules:\n - match: {repository: *app}", 2, f"aliases (*) are not supported: {QUOTE}"),
        ("rules:\n - match: {repository: [ab]*}", 2, QUOTE),
        ("rules:\n - match: {repository: ?}", 2, QUOTE),
        ("rules:\n - match: {header: {accept: !*oci*}}", 2, QUOTE),
        ("rules:\n - match:\n    header: {accept: !a*, via: b}", 3, f'tag "!a*": remove it, or {QUOTE}'),
        ("client: {output: %d}", 1, QUOTE),
        ("client: {image: 'broken/image:layer-gzip-trailng'}", 1, "client.image: no kind of image "),
        ("name: a\nclient:\n  image: broken/image:layer-gzip-members_x-1", 3, 'unknown parameter "x"'),
        ("client: {image: 'broken/random:layers-1_siz-1'}", 1, 'unknown parameter "siz"'),
        (
            "rules:\n - name: a\n   fault: error\n - fault: error\n   after: aa",
            5,
            'rules[1].after: no rule has the name "aa": ',
        ),
        ("client: {image: 'broken/eror:404'}", 1, 'no fault "eror": did you mean broken/error?'),
        ("client: {image: 'broken/error:stat-404'}", 1, 'unknown parameter "stat"'),
        ("client: {image: 'broken/as/docker-hub/a:v1'}", 1, 'no profile "docker-hub": did you mean'),
        ("client: {image: 'broken/with/throtle/a:v1'}", 1, "did you mean broken/with/throttle?"),
        ("client: {image: 'broken/with/throttle_rate-x/a:v1'}", 1, 'rate: invalid size "x"'),
        ("\tname: a", 1, "invalid YAML"),
        ("name: a\n b: c", 2, "invalid YAML"),
    ],
)
def test_an_error_has_line_and_field(text: str, line: int, told: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, "bad.yaml")
    message = str(caught.value)
    assert message.startswith(f"bad.yaml:{line}: "), message
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["name: [", "a: {x: 1 y: 2}", "a: - b", "name: a\n b: c"])
def test_quotes_are_suggested_only_where_they_may_help(text: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, "bad.yaml")
    assert QUOTE not in str(caught.value)


_HOSTILE = {
    "huge": "rules: [" + "{fault: error}, " * 100_000 + "]",
    "many rules": "rules:\n" + " - fault: error\n" * 1001,
    "deep lists": "[" * 50_000,
    "deep mappings": "{a: " * 50_000,
    "deep rules": "rules: " + "[" * 100 + "]" * 100,
    "aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nrules: *c",
    "recursion": "rules: &r\n - *r",
    "an object": "name: !!python/object/apply:os.system ['touch /tmp/owned']",
    "laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{chr(99 + n)}: &{chr(99 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(8)),
    "not a number": "rules:\n - fault: error\n   probability: .nan",
    "no number at all": "rules:\n - fault: {type: latency, dur: nan}",
    "infinite": "rules:\n - fault: {type: latency, dur: .inf}",
    "an endless spread": "rules:\n - fault: {type: latency, sigma: inf}",
    "a million digits": "rules:\n - fault: error\n   times: " + "9" * 1_000_000,
    "an endless size": "rules:\n - fault: {type: truncate, after: " + "9" * 1_000_000 + "}",
    "an endless duration": "rules:\n - fault: {type: latency, dur: " + "9" * 900_000 + "s}",
    "keys twice": "rules:\n - fault: error\n   fault: error",
    "merge keys": "rules:\n - <<: {fault: error}",
    "a long number": "seed: " + "9" * 100_000,
    "a mapping as key": "{[a, b]: c}",
    "surrogates": 'name: "\\ud800"',
    "control characters": "name: \x00\x1b[2J",
    "a bell in a name": 'name: "\\a"\nrules: 1',
}


@pytest.mark.parametrize("name", sorted(_HOSTILE))
def test_a_hostile_one_is_refused_at_once(name: str) -> None:
    with hang_guard(), pytest.raises(ScenarioError) as caught:
        read_scenario(_HOSTILE[name], "hostile")
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        read = read_scenario(text, "x")
    except ScenarioError:
        return
    assert read_scenario(write_scenario(read.scenario), "x").scenario == read.scenario


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*Rule.model_fields, "x"]), _JSON))
def test_any_document_is_a_rule_or_refused(document: dict[str, Any]) -> None:
    try:
        rule = rule_of(document)
    except FieldError:
        return
    assert rule_of(rule.written()) == rule


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("seed: 1\nname: caf\xe9".encode("latin-1"))
    huge, fifo = tmp_path / "huge.yaml", tmp_path / "fifo"
    huge.write_text("é" * 2**20)
    os.mkfifo(fifo)
    for path, told in [
        (latin, "latin.yaml:2: byte 17 is not UTF-8"),
        (huge, "too long"),
        (fifo, "is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "no", "No such file"),
    ]:
        with pytest.raises(ScenarioError, match=told):
            load_scenario(path)


def test_at_the_start(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("seed: 1\nrules:\n - fault: {type: error, status: 418}\n   match: {repository: a}\n")
    second.write_text("rules:\n - fault: {type: error, status: 503}\n")
    with brokenreg(tmp_path / "data", "--scenario", str(first), "--scenario", str(second)) as running:
        assert httpx.get(f"{running.url}/v2/a/manifests/v1").status_code == 418
        assert httpx.get(f"{running.url}/v2/b/manifests/v1").status_code == 503
        assert httpx.get(f"{running.url}/v2/b/tags/list").status_code == 404


def test_a_bad_one_at_the_start(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("rules:\n  - fault: {type: truncate, after: much}\n")
    command = [sys.executable, "-m", "brokenreg", "serve", "--headless", "--listen", "127.0.0.1:0"]
    command += ["--control", "off", "--data", str(tmp_path / "data"), "--scenario", str(bad)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=20)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f'{bad}:2: rules[0].fault.after: invalid size "much"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", sorted(_HOSTILE))
def test_a_hostile_one_by_the_control_api_changes_nothing(registry: Brokenreg, name: str) -> None:
    with httpx.Client(base_url=registry.control, timeout=10) as control:
        kept = "name: kept\nrules:\n- fault: {type: error, status: 503}\n  match: {repository: none}\n"
        assert control.put("/v1/scenario", content=kept).status_code == 200
        before = control.get("/v1/scenario").text
        answer = control.put("/v1/scenario", content=_HOSTILE[name].encode("utf-8", "surrogatepass"))
        assert answer.status_code in (400, 413), answer.text
        assert len(answer.text) < 2000
        assert control.get("/v1/scenario").text == before


def test_a_fifo_at_the_start_ends_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "brokenreg", "serve", "--headless", "--listen", "127.0.0.1:0"]
    command += ["--control", "off", "--data", str(tmp_path / "data"), "--scenario", str(fifo)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=20)
    assert done.returncode == 3
    assert f"{fifo}: is not a regular file" in done.stderr
