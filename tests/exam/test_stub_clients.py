"""Clients that misbehave in one way each are red for the right reason, and the reports say so in words."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from brokenreg.exam.client_process import ClientResult
from brokenreg.exam.judging import client_verdicts
from brokenreg.rules.scenario_text import load_scenario
from tests.docs.pages import ROOT
from tests.exam.running import run
from tests.server import brokenreg

pytestmark = pytest.mark.slow

STUBS = Path(__file__).parent / "stubs"
SCENARIOS = ROOT / "examples/scenarios"


class Reports:
    """The verdicts of a run that are red: as lines of the summary, and as the messages of JUnit."""

    def __init__(self, output: str, junit: Path) -> None:
        self.output = output
        self.lines = [each.strip() for each in output.splitlines() if each.startswith(("  ✗ ", "  ? "))]
        cases = ElementTree.parse(junit).getroot().iter("testcase")
        self.failures = {
            case.attrib["name"]: (failure.attrib["type"], failure.attrib["message"])
            for case in cases
            if (failure := case.find("failure")) is not None
        }
        marks = [f"{name}  {message}" for name, (_, message) in self.failures.items()]
        assert [each[2:] for each in self.lines] == marks, "both reports say the same"

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.failures.values()]

    def says(self, line: str) -> bool:
        return line in self.lines


def judged(tmp_path: Path, stub: str, scenario: Path | str, *options: str, **more: str) -> Reports:
    file = scenario if isinstance(scenario, Path) else tmp_path / "scenario.yaml"
    if isinstance(scenario, str):
        file.write_text(scenario)
    command = [sys.executable, str(STUBS / f"{stub}.py")]
    more["PYTHONPATH"] = str(ROOT)
    done = run(tmp_path, "--scenario", str(file), "--junit", "junit.xml", *options, "--", *command, **more)
    assert done.returncode in (0, 1), done.stderr
    found = Reports(done.stdout, tmp_path / "junit.xml")
    assert done.returncode == bool(found.failures)
    return found


def test_a_client_that_does_everything_right_meets_all_scenarios(tmp_path: Path) -> None:
    first, *others = sorted(SCENARIOS.iterdir())
    more = [word for each in others for word in ("--scenario", str(each))]
    found = judged(tmp_path, "pull", first, *more, "--jobs", "3")
    assert not found.failures, found.output
    assert "11 of 11 scenarios as expected" in found.output


def test_one_that_ignores_retry_after(tmp_path: Path) -> None:
    found = judged(tmp_path, "ignores_retry_after", SCENARIOS / "rate-limit.yaml")
    assert found.kinds == ["filter", "filter"]
    assert found.says("✗ the client does not come too early: retry-after:ignored  got 1, want exactly 0")


def test_one_that_gives_up_and_exits_with_0(tmp_path: Path) -> None:
    found = judged(tmp_path, "gives_up", SCENARIOS / "manifest-fails-twice.yaml")
    assert found.kinds == ["order", "rule", "client-intact"]
    wanted = "status:503 then status:503 then endpoint:manifest method:GET status:200"
    assert found.says(
        f"✗ the client gets the manifest in the end: {wanted}  "
        "got 1 in this order, then none of status:503, want all 3, in this order"
    )
    assert found.says("✗ the page of the gateway: applied  got 1: no other request matched, want at least 2")


def test_one_that_keeps_wrong_bytes(tmp_path: Path) -> None:
    found = judged(tmp_path, "keeps_wrong_bytes", SCENARIOS / "wrong-bytes.yaml")
    assert found.kinds == ["client-exit", "client-output", "client-intact"]
    assert found.says("✗ the client's exit status  got exit status 0, want any exit status but 0")
    (copy,) = (each for each in found.lines if "the client's copy" in each)
    assert copy.startswith("✗ the client's copy  got copy: sha256:")
    assert " has other bytes (" in copy
    assert copy.endswith(", want a copy in {workdir} whose bytes match their digests")


def test_one_that_accepts_wrong_bytes_and_keeps_nothing(tmp_path: Path) -> None:
    found = judged(tmp_path, "accepts_wrong_bytes", SCENARIOS / "wrong-bytes.yaml")
    assert found.kinds == ["client-exit", "client-output", "client-intact"]
    (copy,) = (each for each in found.lines if "the client's copy" in each)
    assert copy.startswith(
        "? the client's copy  got suspected: no copy in {workdir}, but the client exited with 0, "
        "and it got sha256:"
    )
    assert " only with wrong bytes, want " in copy


MESSAGES = {
    "not-found.yaml": (
        ["curl: (22) The requested URL returned error: 404", "HTTP Error 404: Not Found", "404 Not Found",
         "reading manifest v1: manifest unknown", "image not found"],
        ["failed", "HTTP 500", "127.0.0.1:40412: refused", "unknown error"],
    ),
    "wrong-bytes.yaml": (
        ["sha256:1f: wrong bytes", "Digest did not match", "checksum mismatch", "hash of layer 2 differs"],
        ["failed", "unexpected EOF"],
    ),
}  # fmt: skip
"""For scenarios that judge what a client prints: what clients print, and what does not name the reason."""


@pytest.mark.parametrize("file", MESSAGES)
def test_the_words_of_clients(file: str) -> None:
    client = load_scenario(SCENARIOS / file).scenario.client
    assert client is not None
    for texts, is_good in zip(MESSAGES[file], (True, False), strict=True):
        for text in texts:
            result = ClientResult(1, 1.0, f"pulling\n{text}\n", 0)
            (verdict,) = (
                each for each in client_verdicts(client, result, 60) if each.kind == "client-output"
            )
            assert verdict.met is is_good, text


def test_one_that_leaks_its_token_on_a_redirect(tmp_path: Path) -> None:
    found = judged(tmp_path, "leaks", SCENARIOS / "redirect.yaml")
    assert found.kinds == ["leaks"]
    leak = "✗ its credentials do not follow: leaks  got 1 credential (Authorization Bearer), want exactly 0"
    assert found.says(leak)


def test_one_that_leaks_its_token_outside_of_its_namespace(tmp_path: Path) -> None:
    found = judged(tmp_path, "leaks_elsewhere", SCENARIOS / "redirect.yaml")
    assert found.kinds == ["leaks"]
    name = "no credential leaks outside of its namespace: leaks"
    assert found.says(f"✗ {name}  got 1 credential (Authorization Bearer), want exactly 0")


def test_without_a_login_there_is_nothing_to_leak(tmp_path: Path) -> None:
    text = (SCENARIOS / "redirect.yaml").read_text().replace("registry: {auth: token}", "")
    found = judged(tmp_path, "leaks", text)
    assert found.says("✗ the client logs in: endpoint:token status:200  got 0, want at least 1")


def test_one_that_ignores_its_namespace_on_a_shared_server(tmp_path: Path) -> None:
    cut = SCENARIOS / "cut-layer.yaml"
    with brokenreg(tmp_path / "data", "--offline") as running:
        bad = judged(tmp_path, "ignores_namespace", cut, "--url", running.control)
        good = judged(tmp_path, "pull", "rules: [{fault: {type: error, status: 503}, times: 1}]",
                      "--url", running.control)  # fmt: skip
    assert not good.failures, good.output
    assert bad.kinds == ["requests", "order", "rule"]
    (asks,) = (each for each in bad.lines if "the client sends requests" in each)
    assert asks.startswith("✗ the client sends requests  got no request in its namespace, broken/in/run-")
    assert asks.endswith("the client never asked, or it ignores {image}, want at least 1 request")
    assert bad.says("✗ the reset: applied  got 0: there was no request in its namespace, want at least 1")


def test_one_that_never_asks(tmp_path: Path) -> None:
    found = judged(tmp_path, "never_asks", "name: nothing is broken")
    assert found.kinds == ["requests"]
    (asks,) = found.lines
    assert "the client never asked" in asks


_NEAREST = "nearest: repository is broken/random, not brkn/*"
NEVER = {
    "match: {endpoint: layer, repository: brkn/*}": f"no request matched ({_NEAREST})",
    "match: {endpoint: layer, layer: 4}": "not layer 4 of its manifest",
    "match: {endpoint: layer}, skip: 5": "skip has not passed",
}
"""Rules that a healthy pull never meets, the first because of a typo, and the reason that is given."""


def test_rules_that_are_never_applied(tmp_path: Path) -> None:
    fault = "fault: {type: error, status: 503}"
    rules = [f"  - {{name: rule {place}, {fault}, {each}}}" for place, each in enumerate(NEVER)]
    found = judged(tmp_path, "pull", "\n".join(["rules:", *rules]))
    assert found.kinds == ["rule"] * len(NEVER)
    for place, reason in enumerate(NEVER.values()):
        assert found.says(f"✗ rule {place}: applied  got 0: {reason}, want at least 1")


def test_rules_that_times_keeps_from_being_applied(tmp_path: Path) -> None:
    """The first is applied less often than it says, and leaves nothing to the second."""
    text = """
        rules:
        - {name: twice, fault: {type: latency, dur: 1ms}, match: {endpoint: manifest}, times: 2}
        - {name: late, fault: {type: latency, dur: 1ms}, match: {endpoint: manifest}, times: 1}
    """
    found = judged(tmp_path, "pull", text)
    assert found.kinds == ["rule", "rule"]
    assert found.says("✗ twice: applied  got 1: no other request matched, want at least 2")
    assert found.says('✗ late: applied  got 0: the rule "twice" was applied instead, want at least 1')
