"""Web proxies (HTTPS_PROXY and the like) are not obeyed, and that is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import brokenreg
from tests.proxy.chain import chain

NOWHERE = "http://robot:s3cret@127.0.0.1:1"
"""Where nobody listens: what went there would fail."""


@pytest.mark.parametrize("names", [("HTTPS_PROXY",), ("http_proxy", "all_proxy")])
def test_upstreams_are_asked_directly_and_that_is_told(
    tmp_path: Path, names: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with chain(tmp_path, **dict.fromkeys(names, NOWHERE)) as both:
        manifest = both.push_image("org/app", b"layer")
        assert both.get("/v2/org/app/manifests/v1").content == manifest
    told = [line for line in capfd.readouterr().err.splitlines() if "web proxy" in line]
    assert told == [f"brokenreg: upstreams are asked without a web proxy; not obeyed: {', '.join(names)}"]


@pytest.mark.parametrize("option", [("--offline",), ("--upstream", "quay.io=http://127.0.0.1:1")])
def test_nothing_is_told_where_there_is_nothing_to_tell(
    tmp_path: Path, option: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    variables = {"HTTPS_PROXY": NOWHERE} if "--offline" in option else {"HTTPS_PROXY": "", "NO_PROXY": "*"}
    with brokenreg(tmp_path / "data", *option, **variables):
        pass
    assert "web proxy" not in capfd.readouterr().err
