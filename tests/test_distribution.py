"""What the wheel and the sdist contain. Both are built without the network."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from brokenreg import __version__

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return folder


def test_the_wheel_has_the_package_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(built / f"brokenreg-{__version__}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    information = f"brokenreg-{__version__}.dist-info/"
    assert {name.partition("/")[0] + "/" for name in names} == {"brokenreg/", information}
    report = {f"brokenreg/exam/html_report/report.{kind}" for kind in ("html", "css")}
    assert report <= names
    assert {"brokenreg/py.typed", "brokenreg/__main__.py", f"{information}licenses/LICENSE"} <= names
    source = ROOT / "brokenreg"
    modules = {str(path.relative_to(ROOT)) for path in source.rglob("*.py")}
    assert modules <= names


def test_the_sdist_has_sources_tests_and_docs_but_no_site_and_no_pictures(built: Path) -> None:
    with tarfile.open(built / f"brokenreg-{__version__}.tar.gz") as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames()]
    folders = {name.partition("/")[0] for name in names}
    assert {"brokenreg", "tests", "docs", "deploy", "README.md", "LICENSE", "Makefile"} <= folders
    assert not folders & {"site", "screenshots", "dist", ".venv", ".git", ".ci"}
    size = (built / f"brokenreg-{__version__}.tar.gz").stat().st_size
    assert size < 3 * 1024 * 1024
