"""Bodies that come from files, and the values of JSON members in YAML."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from brokenreg.faults.catalogue.body import Body
from brokenreg.rules.scenario import ScenarioError
from brokenreg.rules.scenario_text import load_scenario, read_scenario, write_scenario
from tests.process import run_here
from tests.running_registry import Registry


def written(folder: Path, fault: str) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(f"rules:\n  - {{match: {{endpoint: manifest}}, fault: {fault}}}\n")
    return path


@pytest.mark.parametrize("content", ["<h1>é</h1>".encode(), bytes(range(256))])
@pytest.mark.parametrize(
    "fault", ["{type: body, file: pages/page}", "[latency, {type: body, file: pages/page}]"]
)
def test_a_file_is_relative_to_the_scenario(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/page").write_bytes(content)
    read = load_scenario(written(tmp_path, fault)).scenario
    body = read.rules[0].fault[-1]
    assert isinstance(body, Body)
    assert body.replacement()[1] == content
    again = read_scenario(write_scenario(read), "again").scenario
    assert again == read


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", '"absent": No such file or directory'),
        (".", "Is a directory"),
        ("large", "is too large: use at most 1048576 bytes"),
        ("fifo", "is not a regular file"),
        ('""', "use the path of a file"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "large").write_bytes(bytes(1024 * 1024 + 1))
    os.mkfifo(tmp_path / "fifo")
    path = written(tmp_path, f"{{type: body, file: {name}}}")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}:2: rules[0].fault.file: ")
    assert words in str(caught.value)


def test_the_control_api_reads_no_files(http1: Registry) -> None:
    text = "rules: [{fault: {type: body, file: /etc/hostname}}]"
    with http1.control() as control:
        headers = {"content-type": "application/yaml"}
        refused = control.put("/v1/scenario?namespace=files", content=text, headers=headers)
    assert refused.status_code == 400
    assert "file is only for scenario files that are given on the command line" in refused.text


def test_scenario_load_sends_the_content(http1: Registry, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("from a file")
    path = written(tmp_path, "{type: body, file: page}")
    url = http1.running.control
    done = run_here("scenario", "load", str(path), "--url", url, "--namespace", "loaded")
    assert done.returncode == 0, done.stderr
    pushed = http1.push(10)
    answer = http1.ask(f"/v2/broken/in/loaded/{pushed.repository}/manifests/v1")
    assert answer.status == 404
    assert answer.body == b"from a file"


def test_values_of_members(tmp_path: Path) -> None:
    fault = "{type: body, members: {a: 5, b: '\"5\"', c: null, d: five, e: [1, true], f.g: {h: 1.5}}}"
    read = load_scenario(written(tmp_path, fault)).scenario
    (body,) = read.rules[0].fault
    assert isinstance(body, Body)
    assert body.members == {"a": 5, "b": "5", "c": None, "d": "five", "e": [1, True], "f.g": {"h": 1.5}}
    assert read_scenario(write_scenario(read), "again").scenario == read
