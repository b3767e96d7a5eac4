"""A clock that is wrong by centuries: everything that writes a time still works."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from brokenreg.faults.catalogue.status import RateLimit
from brokenreg.registry.auth.token_issuer import TokenIssuer
from brokenreg.registry.auth.token_service import Terms, TokenService
from brokenreg.registry.auth.users import Users
from tests.process import brokenreg_process

pytestmark = pytest.mark.slow

YEAR = 31_556_952
AHEAD = 31_000 * YEAR
SHIFTED = "import time\nreal = time.time\ntime.time = lambda: real() + {}\n"


@pytest.mark.parametrize(("shift", "year"), [(AHEAD, "9999-12-31T23:59:59"), (-60 * YEAR, "19")])
def test_any_time_of_the_clock(tmp_path: Path, shift: int, year: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(SHIFTED.format(shift))
    with (
        brokenreg_process(tmp_path / "data", "--auth", "token", PYTHONPATH=str(tmp_path)) as running,
        httpx.Client(base_url=running.url) as http,
    ):
        told = http.get("/token", params={"scope": "repository:app:pull"})
        assert (told.status_code, told.json()["issued_at"][: len(year)]) == (200, year)
        for path in ("exchanges", "exchanges.har", "exchanges/1", "status", "blobs", "repositories"):
            assert httpx.get(f"{running.control}/v1/{path}").status_code == 200
        (entry,) = httpx.get(f"{running.control}/v1/exchanges.har").json()["log"]["entries"]
        assert entry["startedDateTime"].startswith(year)
        assert running.stop() == 0


def test_retry_after_and_a_token_of_a_clock_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: float(AHEAD))
    refusal = RateLimit.of({"retry_after": "date"})._refusal(60.0)
    assert refusal.headers["retry-after"] == "Fri, 31 Dec 9999 23:59:59 GMT"
    for skew in (1e12, -1e12):
        token = TokenService(Users({}), TokenIssuer(bytes(32)), 60.0).answer(
            "", [], is_offline=False, terms=Terms(skew=skew)
        )
        assert token["issued_at"].endswith("Z")
