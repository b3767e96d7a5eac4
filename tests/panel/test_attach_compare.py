"""An attached panel that may only look compares two pulls, and saves the comparison at its own side."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from attaching import attached

from tests.process import brokenreg_process

pytestmark = [pytest.mark.terminal, pytest.mark.usefixtures("terminal")]

TOKENS = "--control-token", "s3cret", "--control-read-token", "l00k"
PATH = "/v2/broken/random"


def pull(registry: str, tag: str) -> None:
    """Request a manifest, its config and its layers."""
    with httpx.Client(base_url=registry) as client:
        manifest = client.get(f"{PATH}/manifests/{tag}").json()
        for each in (manifest["config"], *manifest["layers"]):
            client.get(f"{PATH}/blobs/{each['digest']}")


def test_with_the_read_token(tmp_path: Path) -> None:
    where = tmp_path / "client"
    where.mkdir()
    with brokenreg_process(tmp_path / "data", *TOKENS) as server:
        for tag in ("layers-2_size-1kib", "layers-3_size-1kib"):
            pull(str(server.ready["registry"]), tag)
        with attached(server.control, "--token", "l00k", size=(80, 24), folder=where) as terminal:
            terminal.wait_for("layers-3_size-1kib")
            terminal.press("g", "m", "G", "=")
            screen = terminal.wait_for("▶ not requested +│GET layer 3")
            assert "Compare two pulls" in screen
            assert "GET layer 2" in screen
            terminal.press("x")
            terminal.wait_for("Export comparison")
            terminal.press("s")
            terminal.wait_for("on your machine")
            terminal.press("Enter")
            terminal.wait_for("saved to")
    assert "▶ GET layer 3, right only\n" in (where / "comparison.txt").read_text()
