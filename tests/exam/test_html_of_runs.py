"""`brokenreg run --html`: the report of real runs, with what a hostile client and scenario put into it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.exam.running import GET, MANIFEST, run
from tests.exam.test_html_report import Page

pytestmark = pytest.mark.slow

_MARKUP = "<script>alert(1)</script>"
_HOSTILE = f"""
import http.client, sys
print("{_MARKUP}\\x1b[31m")
connection = http.client.HTTPConnection(sys.argv[1])
connection.putrequest("GET", sys.argv[2] + "%3C/pre>{_MARKUP}?a={_MARKUP}")
connection.putheader("User-Agent", "\\"'>{_MARKUP}")
connection.putheader("Authorization", "Bearer " + "hunter2" [::-1] * 9)
connection.putheader("X-Mine", "the password is " + sys.argv[3])
connection.endheaders()
connection.getresponse().read()
"""


def read(file: Path) -> Page:
    return Page(file.read_text(encoding="utf-8"))


def test_markup_of_a_client_and_of_a_scenario_is_text(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(
        f"name: 'a {_MARKUP}'\n"
        f"rules: [{{name: '{_MARKUP}', fault: {{type: error, status: 503, message: '{_MARKUP}'}}}}]\n"
        f"expect: [{{name: '{_MARKUP}', filter: 'status:200'}}]\n"
    )
    done = run(
        tmp_path, "--scenario", "scenario.yaml", "--html", "r.html", "--",
        sys.executable, "-c", _HOSTILE, "{registry}", "/v2/{repository}/manifests/x", "{password}",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    page = read(tmp_path / "r.html")
    assert not {"script", "img", "a:"} & {tag for tag, _ in page.elements}
    assert page.inside == []
    assert f"user-agent: \"'>{_MARKUP}" in page.words
    assert f"a {_MARKUP}: not as expected" in page.words
    assert "authorization: Bearer ***" in page.words
    assert "x-mine: the password is ***" in page.words
    assert "2retnuh" not in page.source


def test_why_a_rule_was_not_applied(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(
        "rules:\n"
        "  - {name: typo, fault: reset, match: {repository: brken/*, endpoint: manifest}}\n"
        "  - {name: slow, fault: {type: latency, dur: 50ms}, match: {endpoint: manifest}, times: 3}\n"
    )
    run(tmp_path, "--scenario", "scenario.yaml", "--scenario", "scenario.yaml", "--html", "r.html", "--",
        *GET, MANIFEST)  # fmt: skip
    page = read(tmp_path / "r.html")
    assert "2 of 2 scenarios not as expected" in page.words
    typo = r"– typo reset .*when .*repository=brken/\*.* #\d+ did not match: "
    assert re.search(f"{typo}repository is broken/random, not brken/", page.words)
    assert re.search(r"✓ slow latency dur=\S+ when endpoint=manifest times=3 #\d+ applied", page.words)
    assert "fault delay 50 ms" in page.words
    assert "latency: waits 0.05 s" in page.words
    assert "docker-content-digest: sha256:" in page.words


def test_a_layer_has_its_position(tmp_path: Path) -> None:
    script = (
        "import json, sys, urllib.request\n"
        "base, tag = sys.argv[1:]\n"
        "manifest = json.load(urllib.request.urlopen(f'{base}/manifests/{tag}'))\n"
        "for each in (manifest['config'], manifest['layers'][1]):\n"
        "    urllib.request.urlopen(f'{base}/blobs/{each[\"digest\"]}').read()\n"
    )
    run(tmp_path, "--html", "r.html", "--",
        sys.executable, "-c", script, "{registry_url}/v2/{repository}", "{tag}")  # fmt: skip
    words = read(tmp_path / "r.html").words
    assert re.search(r"GET …/broken/random/blobs/sha256:[0-9a-f]{12}… \(layer 2\)", words)
    assert "(layer 1)" not in words
    assert "(layer 3)" not in words


def test_a_run_without_a_request(tmp_path: Path) -> None:
    done = run(tmp_path, "--html", "r.html", "--", "true")
    assert done.returncode == 1
    assert (
        "✗ not met the client sends requests at least 1 request no request" in read(tmp_path / "r.html").words
    )


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    done = run(tmp_path, "--html", "missing/r.html", "--", "true")
    assert done.returncode == 3
    assert "the folder does not exist" in done.stderr
