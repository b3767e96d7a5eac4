"""The panel in headless Chromium."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from web_walk import TOKEN, walk

from tests.clients.programs import missing


def test_pull_hold_and_resume_by_keys_in_a_browser(tmp_path: Path) -> None:
    if reason := missing("chromium", "skopeo"):
        if os.environ.get("BROKENREG_REQUIRE_CLIENTS"):
            pytest.fail(reason)
        pytest.skip(reason)
    requests = walk(tmp_path)
    assert {urlsplit(url).hostname for url in requests} == {"127.0.0.1"}
    assert not any(TOKEN in url for url in requests)
