"""Every command in the how-to pages runs, and prints what they show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.docs import pages
from tests.docs.conftest import ShellFor
from tests.docs.running import run_page
from tests.server import brokenreg, clean_environment


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in pages.with_commands() if "/how-to/" in name])
def test_commands(name: str, shell_for: ShellFor) -> None:
    run_page(name, shell_for)


SCRIPT = "test-client.sh"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script of a page, in a folder with its scenario."""
    blocks = pages.read("docs/how-to/run-in-ci.md").blocks
    for name in ("scenario.yaml", SCRIPT):
        (content,) = (
            each.text for each in blocks if (order := each.order("file")) is not None and order.text == name
        )
        (tmp_path / name).write_text(content)
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("is_valid", [True, False])
def test_the_script_for_ci_tests_its_own_registry(script: Path, shell: str, is_valid: bool) -> None:
    """Another registry that responds is not tested, even if that of the script does not start."""
    if not is_valid:
        (script / "scenario.yaml").write_text("rules: [{fault: unknown}]")
    folder = Path(sys.executable).parent
    with brokenreg(script / "other", "--offline") as other:
        environment = clean_environment(TMPDIR=str(script / "tmp"), BROKENREG_URL=other.control)
        environment["PATH"] = f"{folder}:{environment['PATH']}"
        command = [shell, SCRIPT]
        done = subprocess.run(
            command, cwd=script, env=environment, capture_output=True, text=True, timeout=30
        )
        asked = httpx.get(f"{other.control}/v1/exchanges").json()
    assert done.returncode == (0 if is_valid else 3), done.stderr
    assert ("✓ fails twice" in done.stdout) is is_valid
    assert asked == []
    assert list((script / "tmp").iterdir()) == []
