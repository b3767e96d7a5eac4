"""The fixtures of tests with PostgreSQL use the server of `bench.postgresql`, if it is installed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from bench import postgresql
from bench.postgresql import PostgreSQLServer

__all__ = ["PostgreSQLServer", "running_server"]


@contextlib.contextmanager
def running_server(*, fsync: bool = False) -> Iterator[PostgreSQLServer]:
    """Yield a running server. Skip the test if PostgreSQL is not installed.

    With BROKENREG_REQUIRE_CLIENTS=1, fail it.
    """
    try:
        postgresql.programs()
    except FileNotFoundError as error:
        if os.environ.get("BROKENREG_REQUIRE_CLIENTS") == "1":
            pytest.fail(f"{error}, and BROKENREG_REQUIRE_CLIENTS=1 demands it", pytrace=False)
        pytest.skip(str(error))
    with postgresql.running_server(fsync=fsync) as server:
        yield server
