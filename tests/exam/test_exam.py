"""`brokenreg exam`: stub clients get exactly the outcomes that they deserve."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from brokenreg.cli.main import main
from brokenreg.exam.cases import ACTIONS, Action, cases
from brokenreg.exam.outcomes import RANKS, Outcome
from tests.exam.running import assert_nothing_left, environment

pytestmark = pytest.mark.slow

STUBS = Path(__file__).parent / "stubs"


def exam(tmp_path: Path, stub: str, *options: str, action: str = "pull") -> subprocess.CompletedProcess[str]:
    """Examine a stub, and check that nothing is left."""
    command = [sys.executable, "-m", "brokenreg", "exam", "--timeout", "5s", *options]
    env = environment(tmp_path, PYTHONPATH=str(STUBS.parents[2]))
    client = ["--", sys.executable, str(STUBS / f"{stub}.py")]
    if stub.startswith("push") or action != "pull":
        client = ["--push" if stub.startswith("push") else f"--{action}", shlex.join(client[1:])]
    done = subprocess.run(
        [*command, *client], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120
    )
    assert_nothing_left(tmp_path)
    return done


def outcomes(tmp_path: Path, stub: str, *options: str, action: Action = "pull") -> dict[str, str]:
    path = tmp_path / f"{stub}.json"
    exam(tmp_path, stub, "--json", str(path), *options, action=action)
    return {each["name"]: each["outcome"] for each in json.loads(path.read_text())["cases"]}


@pytest.mark.parametrize(
    ("stub", "deserved"),
    [
        ("pull", {"layer-cut": "recovered", "manifest-503": "recovered", "layer-corrupt": "failed cleanly"}),
        ("gives_up", {"manifest-404": "suspected"}),
        ("impatient", {"manifest-503": "gave up too soon", "layer-cut": "gave up too soon"}),
        ("keeps_wrong_bytes", {"layer-corrupt": "accepted wrong bytes", "layer-cut": "recovered"}),
        ("accepts_wrong_bytes", {"layer-corrupt": "suspected", "manifest-503": "recovered"}),
        ("manifest_only", {"layer-cut": "not examined", "manifest-503": "suspected"}),
        ("leaks", {"redirect-credentials": "leaked a credential"}),
        ("hammers", {"manifest-always-503": "hammered"}),
        ("hangs", {"manifest-503": "hung"}),
        ("never_times_out", {"manifest-stall": "hung", "manifest-503": "recovered"}),
        ("backs_off", {"manifest-always-503": "still retrying", "manifest-404": "failed cleanly"}),
        ("one_platform", {"image-index-variants": "recovered", "image-index-many": "recovered"}),
        ("crashes", {"manifest-503": "crashed", "layer-corrupt": "failed cleanly"}),
        (
            "push",
            {
                "tag-503": "recovered",
                "upload-lost": "recovered",
                "upload-location-foreign": "failed cleanly",
                "mount-202": "not examined",
            },
        ),
        ("push_of_a_part", {"tag-no-digest": "not examined", "upload-503": "suspected"}),
        ("push_with_mounts", {"mount-202": "recovered", "mount-404": "recovered"}),
        ("never_asks", {"manifest-503": "not examined", "layer-corrupt": "not examined"}),
    ],
)
def test_a_stub_gets_what_it_deserves(tmp_path: Path, stub: str, deserved: dict[str, str]) -> None:
    found: dict[str, str] = {}
    for name in deserved:
        found |= outcomes(tmp_path, stub, "--only", name)
    assert found == deserved


def test_a_perfect_client_is_good_in_all_cases_of_a_kind(tmp_path: Path) -> None:
    done = exam(tmp_path, "pull", "--only", "token-[a-r]*", "--jobs", "2")
    assert done.returncode == 0, done.stdout


def test_a_perfect_client_is_good_in_cases_with_tls(tmp_path: Path) -> None:
    done = exam(tmp_path, "pull", "--only", "[th]*-*[det]", "--jobs", "2", action="pull-tls")
    assert done.returncode == 0, done.stdout
    assert "✓ tls-untrusted                    failed cleanly" in done.stdout
    assert "✓ http2-reset                      recovered" in done.stdout


def test_the_report_and_what_repeats_it(tmp_path: Path) -> None:
    files = ("--junit", "exam.xml", "--html", "exam.html", "--json", "exam.json")
    done = exam(tmp_path, "impatient", "--only", "manifest-503", "--seed", "7", *files)
    assert done.returncode == 1
    line = "✗ manifest-503                     gave up too soon"
    assert done.stdout.startswith(line), done.stdout
    assert "A registry that is restarted responds like this for a second" in done.stdout
    repeat = f"brokenreg exam --only manifest-503 --seed 7 --timeout 5s -- {sys.executable}"
    assert repeat in done.stdout
    (case,) = ElementTree.parse(tmp_path / "exam.xml").getroot().iter("testcase")
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "got gave up too soon, want recovered"
    page = (tmp_path / "exam.html").read_text()
    assert "gave up too soon" in page
    for each in (page, failure.text or ""):
        assert "A registry that is restarted responds like this for a second" in each


@pytest.mark.parametrize(
    ("stub", "reason"),
    [
        ("manifest_only", 'not examined (never applied: rule "the cut")'),
        ("never_asks", "not examined (no request in its namespace, broken/in/run-"),
    ],
)
def test_why_a_case_was_not_examined(tmp_path: Path, stub: str, reason: str) -> None:
    done = exam(tmp_path, stub, "--only", "layer-cut", "--junit", "exam.xml")
    assert reason in done.stdout
    failure = ElementTree.parse(tmp_path / "exam.xml").find(".//failure")
    assert failure is not None
    assert reason in failure.attrib["message"]


@pytest.mark.parametrize(
    ("stub", "case", "words"),
    [
        ("never_times_out", "manifest-stall", r"hung \(GET manifest in flight for [345]\.\d s\)"),
        (
            "hangs",
            "manifest-503",
            r"hung \(no request in flight, and none to repeat; GET manifest ended .* s .*\)",
        ),
        (
            "backs_off",
            "manifest-always-503",
            r"still retrying \(4 requests, the last ended [12]\.\d s before the limit\)",
        ),
        ("crashes", "manifest-503", r"crashed \(ended by SIGABRT\)"),
        (
            "leaks",
            "redirect-credentials",
            r"leaked a credential \(to another host: 3 credentials \(Authorization Bearer\)\)",
        ),
    ],
)
def test_the_words_say_what_was_seen(tmp_path: Path, stub: str, case: str, words: str) -> None:
    found = exam(tmp_path, stub, "--only", case, "--junit", "exam.xml", "--json", "exam.json")
    line = found.stdout.splitlines()[0]
    assert re.search(words, line), line
    failure = ElementTree.parse(tmp_path / "exam.xml").find(".//failure")
    (result,) = json.loads((tmp_path / "exam.json").read_text())["cases"]
    assert re.fullmatch(words, result["words"])
    assert failure is None or result["words"] in failure.attrib["message"]


def test_the_same_seed_gives_the_same_outcomes(tmp_path: Path) -> None:
    first = outcomes(tmp_path, "pull", "--seed", "3", "--only", "manifest-*", "--jobs", "2")
    assert outcomes(tmp_path, "pull", "--seed", "3", "--only", "manifest-*") == first


def test_with_a_baseline_only_what_got_worse_fails(tmp_path: Path) -> None:
    only = ("--only", "manifest-503")
    assert exam(tmp_path, "impatient", "--json", "before.json", *only).returncode == 1
    again = exam(tmp_path, "impatient", "--baseline", "before.json", "--junit", "same.xml", *only)
    assert again.returncode == 0
    assert again.stdout.startswith("= manifest-503 "), again.stdout
    assert "<failure" not in (tmp_path / "same.xml").read_text(), "all reports say the same"
    crash = exam(tmp_path, "crashes", "--baseline", "before.json", "--junit", "worse.xml", *only)
    assert crash.returncode == 1
    said = "got crashed (ended by SIGABRT), and gave up too soon in the baseline, want recovered"
    assert said in crash.stdout
    assert said in (tmp_path / "worse.xml").read_text()


def test_an_exam_goes_on_where_it_was(tmp_path: Path) -> None:
    only = ("--json", "exam.json", "--only")
    assert exam(tmp_path, "pull", *only, "manifest-40*", "--seed", "5").returncode == 0
    done = exam(tmp_path, "pull", *only, "manifest-[45]0[0-3]*", "--resume")
    assert "manifest-404" not in done.stdout
    document = json.loads((tmp_path / "exam.json").read_text())
    assert [each["name"] for each in document["cases"]] == [
        *("manifest-403", "manifest-404", "manifest-405-html", "manifest-408"),
        *("manifest-500", "manifest-502-html", "manifest-503"),
    ]
    assert document["seed"] == 5
    assert not (tmp_path / "exam.json.part").exists()
    done = exam(tmp_path, "impatient", *only, "manifest-404", "--resume")
    assert done.returncode == 2
    assert "has the results of another command to pull" in done.stderr


def test_results_of_others_are_merged(tmp_path: Path) -> None:
    only = ("--only", "manifest-503")
    assert exam(tmp_path, "impatient", "--json", "old.json", *only).returncode == 1
    more = ("--merge", "old.json", "--json", "exam.json", "--html", "exam.html")
    assert exam(tmp_path, "pull", *only, *more).returncode == 0
    merged = json.loads((tmp_path / "exam.json").read_text())["merged"]
    assert merged["old"]["cases"][0]["outcome"] == "gave up too soon"
    page = (tmp_path / "exam.html").read_text()
    assert "manifest-503 · old" in page
    own, merged_count = re.findall(r"<dt>Exchanges</dt>\s*<dd>(.*?)</dd>", page)
    assert int(own) > 0
    assert merged_count == "–"
    assert "got gave up too soon, want recovered" in page
    assert page.count("neither the requests nor the client's output") == 1


def test_the_files_of_an_exam_that_was_stopped_say_so(tmp_path: Path) -> None:
    stop = f"sh -c 'kill -INT $(cat {tmp_path}/pid); sleep 1'"
    files = ("--junit", "exam.xml", "--html", "exam.html", "--json", "exam.json")
    words = [sys.executable, "-m", "brokenreg", "exam", *files, "--only", "manifest-50*", "--cleanup", stop]
    env = environment(tmp_path, PYTHONPATH=str(STUBS.parents[2]))
    client = ["--", sys.executable, str(STUBS / "pull.py")]
    with subprocess.Popen([*words, *client], cwd=tmp_path, env=env, stdout=subprocess.DEVNULL) as process:
        (tmp_path / "pid").write_text(str(process.pid))
        assert process.wait(60) == 3
    assert_nothing_left(tmp_path)
    done = len(json.loads((tmp_path / "exam.json").read_text())["cases"])
    said = f"{4 - done} of 4 cases not run, because the exam was stopped"
    assert f"{said}</h1>" in (tmp_path / "exam.html").read_text()
    root = ElementTree.parse(tmp_path / "exam.xml").getroot()
    assert [each.attrib["message"] for each in root.iter("error")] == [said]
    assert (root.attrib["errors"], root.attrib["tests"]) == ("1", str(done + 1))


def test_the_cleanup_runs_after_each_case(tmp_path: Path) -> None:
    cleanup = f"sh -c 'echo {{image}} >> {tmp_path}/removed; ls {{workdir}} >> {tmp_path}/left; exit 1'"
    done = exam(tmp_path, "pull", "--only", "manifest-50[03]", "--cleanup", cleanup)
    assert done.returncode == 0, done.stdout
    assert len((tmp_path / "removed").read_text().splitlines()) == 2
    assert (tmp_path / "left").read_text() == "copy\ncopy\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--only", "zzz*"),
            '--only: no case for pull has a name like "zzz*": run "brokenreg exam --cases" for the list',
        ),
        (("--only", "layer-*", "--only", "manifest-530"), 'like "manifest-530": did you mean manifest-503?'),
        (("--baseline", "absent.json"), "--baseline: absent.json: No such file or directory"),
        (("--pull", "x"), "use one of them"),
        (("--resume",), "name it with --json"),
        (("--merge", "absent.json"), "--merge: absent.json: No such file or directory"),
        (("--html", "absent/exam.html"), "the folder does not exist"),
    ],
)
def test_a_mistake(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    done = exam(tmp_path, "pull", *options)
    assert done.returncode in (2, 3)
    assert words in done.stderr


def test_the_cases_are_listed() -> None:
    lines = CliRunner().invoke(main, ["exam", "--cases"]).output.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert listed == [each.name for each in cases()]
    assert [line for line in lines if not line.startswith(" ")] == list(ACTIONS)
    some = (
        CliRunner().invoke(main, ["exam", "--cases", "--only", "manifest-503", "--only", "layer-c?t"]).output
    )
    assert [line.split()[0] for line in some.splitlines()] == ["pull", "layer-cut", "manifest-503"]
    assert some.splitlines()[2].endswith(" The manifest fails twice with 503.")


def test_without_a_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "brokenreg", "exam"], capture_output=True, text=True, env=environment(tmp_path)
    )
    assert done.returncode == 2
    assert "no command" in done.stderr


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_each_case_says_why_it_matters(case: Any) -> None:
    assert case.about.summary.endswith(".")
    assert case.about.why.endswith(".")
    assert "{seed}" not in str(case.scenario(5).client)
    names = {each.name for each in case.scenario(5).expect}
    assert names <= {Outcome.HAMMERED.value, Outcome.GAVE_UP.value, "leaks"}
    assert (
        any(not rule.optional for rule in case.scenario(5).rules)
        or "broken/" in case.document["client"]["image"]
    )


def test_the_ranks_are_in_order() -> None:
    assert list(RANKS.values()) == list(range(len(Outcome)))
