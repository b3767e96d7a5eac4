"""The GitHub Action: its steps are executed as a runner does, actionlint and zizmor find nothing in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.docs.pages import read
from tests.server import clean_environment

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
PAGE = ROOT / "docs/how-to/ci-systems.md"
WORKFLOW = ROOT / "examples/github-actions/brokenreg.yml"
TOOLS = Path(sys.executable).parent

_INPUT = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")

URL = "$BROKENREG_REGISTRY_URL/v2/$BROKENREG_REPOSITORY/manifests/$BROKENREG_TAG"
GET = f'curl --fail --silent --output /dev/null $OPTIONS "{URL}"'

TWICE = """\
rules:
  - {name: fails twice, match: {endpoint: manifest}, fault: {type: error, status: 503}, times: 2}
"""


class Runner:
    """What a runner has for one job: a folder, and files for outputs."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "temporary"
        self.workspace = folder / "workspace"
        self.outputs = folder / "outputs"
        self.temporary.mkdir()
        self.workspace.mkdir()

    def run(self, step: dict[str, Any], inputs: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Execute a step of the action as a runner does."""
        defaults = {name: each.get("default", "") for name, each in ACTION["inputs"].items()}
        values = {**defaults, "python": sys.executable, **inputs}

        def filled(text: str) -> str:
            return _INPUT.sub(lambda found: values[found[1]], text)

        script = self.temporary / "step.sh"
        script.write_text(step["run"])
        self.outputs.write_text("")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            env=clean_environment(
                **{name: filled(value) for name, value in step["env"].items()},
                # Dependencies come from this environment: nothing is downloaded.
                PYTHONPATH=next(path for path in sys.path if path.endswith("site-packages")),
                PIP_NO_DEPS="1",
                PIP_NO_INDEX="1",
                PIP_NO_BUILD_ISOLATION="0",
                GITHUB_ACTION_PATH=str(ROOT),
                GITHUB_OUTPUT=str(self.outputs),
                RUNNER_TEMP=str(self.temporary),
                BROKENREG_OFFLINE="1",
            ),
            cwd=self.workspace / filled(step.get("working-directory", ".")),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def reports(self) -> Path:
        return Path(self.outputs.read_text().removeprefix("reports=").rstrip("\n"))


INSTALL, RUN, UPLOAD = ACTION["runs"]["steps"]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A runner on which the action has installed brokenreg."""
    runner = Runner(tmp_path_factory.mktemp("runner"))
    done = runner.run(INSTALL, {})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("brokenreg")
    (runner.workspace / "twice.yaml").write_text(TWICE)
    (runner.workspace / "two words.yaml").write_text(TWICE)
    return runner


@pytest.mark.slow
def test_a_client_that_retries_passes(runner: Runner) -> None:
    command = f"OPTIONS='--retry 3'\n{GET}\necho done"
    done = runner.run(RUN, {"command": command, "scenarios": "*.yaml\n", "jobs": "2"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 scenarios as expected" in done.stdout
    suites = ElementTree.parse(runner.reports / "junit.xml").getroot()
    assert len(suites.findall("testsuite")) == 2
    assert {path.name for path in runner.reports.iterdir()} == {"report.html", "junit.xml", "exchanges.har"}


@pytest.mark.slow
def test_a_client_that_gives_up_fails_and_has_reports(runner: Runner) -> None:
    done = runner.run(RUN, {"command": f"{GET}\ntouch not-reached", "scenarios": "two words.yaml"})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "✗ fails twice: applied" in done.stdout
    assert not (runner.workspace / "not-reached").exists()
    assert "failure" in (runner.reports / "junit.xml").read_text()
    assert "fails twice" in (runner.reports / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("scenarios", "status"), [("", 2), ("no-such-*.yaml", 2)])
def test_without_scenarios_nothing_passes(runner: Runner, scenarios: str, status: int) -> None:
    done = runner.run(RUN, {"command": GET, "scenarios": scenarios})
    assert done.returncode == status, done.stdout + done.stderr
    assert (scenarios or "no scenario") in done.stdout + done.stderr


@pytest.mark.slow
def test_a_client_that_is_out_of_time(runner: Runner) -> None:
    done = runner.run(RUN, {"command": "sleep 30", "scenarios": "twice.yaml", "timeout": "500ms"})
    assert done.returncode == 124, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scenarios", "timeout", "jobs", "python"])
def test_an_input_is_never_evaluated(runner: Runner, name: str) -> None:
    value = "$(touch evaluated)`touch evaluated`\"; touch evaluated; '; touch evaluated; #"
    step = INSTALL if name == "python" else RUN
    done = runner.run(step, {"command": GET, "scenarios": "twice.yaml", name: value})
    assert done.returncode != 0
    assert not list(runner.workspace.rglob("evaluated"))


def test_no_expression_is_in_a_script() -> None:
    """An input that a script contains could end the string around it."""
    for step in (INSTALL, RUN):
        assert "${{" not in step["run"]
        assert step["run"].startswith('"$GITHUB_ACTION_PATH/')
        script = ROOT / step["run"].strip('"').removeprefix("$GITHUB_ACTION_PATH/")
        assert os.access(script, os.X_OK)
        assert "eval " not in script.read_text()


def test_every_input_is_used_and_every_script_has_its_inputs() -> None:
    steps = yaml.safe_dump(ACTION["runs"])
    for name in ACTION["inputs"]:
        assert f"inputs.{name}" in steps
    for step in (INSTALL, RUN):
        script = (ROOT / step["run"].strip('"').removeprefix("$GITHUB_ACTION_PATH/")).read_text()
        assert set(re.findall(r"INPUT_\w+", script)) == set(step["env"])


def test_other_actions_are_pinned_by_commit() -> None:
    used = [UPLOAD["uses"], *re.findall(r"uses: (\S+)", WORKFLOW.read_text())]
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each) for each in used)


@pytest.mark.parametrize("path", [ROOT / "action.yml", WORKFLOW], ids=lambda path: path.name)
def test_zizmor_finds_nothing(path: Path) -> None:
    run_tool("zizmor", "--offline", "--no-progress", "--persona=pedantic", path)


def test_actionlint_finds_nothing_and_knows_the_inputs(tmp_path: Path) -> None:
    """In a repository that has the action, so that actionlint compares inputs with `action.yml`."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "action.yml").write_text((ROOT / "action.yml").read_text())
    workflow = tmp_path / ".github/workflows/brokenreg.yml"
    workflow.parent.mkdir(parents=True)
    text = re.sub(r"OWNER/brokenreg@0+", "./", WORKFLOW.read_text())
    workflow.write_text(text)
    run_tool("actionlint", "-shellcheck", TOOLS / "shellcheck", workflow, folder=tmp_path)
    workflow.write_text(text.replace("scenarios:", "scenarois:"))
    with pytest.raises(AssertionError, match="scenarois"):
        run_tool("actionlint", workflow, folder=tmp_path)


def test_the_workflow_of_the_page_is_valid(tmp_path: Path) -> None:
    (text,) = [text for text in blocks_of_the_page() if text.startswith("jobs:")]
    workflow = tmp_path / "workflow.yml"
    pinned = text.replace("example.com/brokenreg", "example.com/brokenreg@sha256:" + "0" * 64)
    workflow.write_text(f"name: page\non: push\npermissions: {{contents: read}}\n{pinned}")
    run_tool("actionlint", "-shellcheck", TOOLS / "shellcheck", workflow)
    run_tool("zizmor", "--offline", "--no-progress", workflow)


def test_the_page_shows_the_inputs_and_the_workflow() -> None:
    (text,) = [text for text in blocks_of_the_page() if text.startswith("steps:")]
    assert yaml.safe_load(text)["steps"] == yaml.safe_load(WORKFLOW.read_text())["jobs"]["client"]["steps"]
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE.read_text(), re.MULTILINE) == list(ACTION["inputs"])


def blocks_of_the_page() -> list[str]:
    return [block.text for block in read(PAGE.relative_to(ROOT).as_posix()).blocks]


def test_shellcheck_finds_nothing() -> None:
    run_tool("shellcheck", *(ROOT / "action").glob("*.sh"), *(ROOT / "examples/shell").glob("*.sh"))


def run_tool(name: str, *arguments: str | Path, folder: Path = ROOT) -> None:
    done = subprocess.run(
        [TOOLS / name, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
