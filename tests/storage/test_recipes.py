"""Recipes on disk: found by digest through an index, and bounded in number."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from brokenreg import storage
from brokenreg.storage.database import Database, Engine, SQLite
from brokenreg.storage.database.postgresql import PostgreSQL
from brokenreg.storage.recipes import _NAMING, _TRIM, Recipes

MEMORY = SimpleNamespace(load=lambda _: lambda: None, apply=lambda _: None)
"""Recipes are in no memory."""


def layer(number: int, size: int = 1) -> tuple[str, str]:
    return f"layer:{size}:{number:04}", json.dumps({"digest": f"sha256:{size}-{number}", "size": size})


def image(number: int, size: int = 1) -> tuple[str, str]:
    body = {"manifest": f"sha256:m{size}-{number}", "config": f"sha256:c{size}-{number}", "size": size}
    return f"image:{size}:{number:04}", json.dumps(body)


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(SQLite(tmp_path / "index.sqlite3")) as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        engine: Engine = SQLite(tmp_path / "index.sqlite3")
    else:
        engine = PostgreSQL(request.getfixturevalue("database_url"), "aaaaaaaa")
    async with opened(engine) as database:
        yield database


@contextlib.asynccontextmanager
async def opened(engine: Engine) -> AsyncIterator[Database]:
    database = Database(engine, MEMORY)
    await database.open()
    yield database
    await database.close()


async def test_records_are_found_by_key_and_by_digest(database: Database) -> None:
    recipes = Recipes(database)
    await recipes.put([layer(1), layer(2), image(1), ("odd", "not JSON"), ("older", '{"x": 1}')])
    assert await recipes.get([layer(2)[0], "missing"]) == dict([layer(2)])
    assert await recipes.naming("sha256:1-2") == [layer(2)]
    assert await recipes.naming("sha256:m1-1") == await recipes.naming("sha256:c1-1") == [image(1)]
    assert await recipes.naming("sha256:x") == []
    assert await recipes.beginning_with("layer:", 1) == [layer(1)]
    assert await recipes.beginning_with("image:", 9) == [image(1)]


async def test_beyond_the_limit_the_cheapest_are_deleted(database: Database) -> None:
    recipes = Recipes(database, most=128)
    await recipes.put([layer(number, size=1000) for number in range(20)])
    for seed in range(60):
        await recipes.put([image(seed), *(layer(seed * 8 + number) for number in range(8))])
        assert (
            len(await recipes.beginning_with("layer:", 999))
            + len(await recipes.beginning_with("image:", 999))
            <= 128
        )
    assert len(await recipes.beginning_with("layer:1000:", 999)) == 20
    assert len(await recipes.beginning_with("image:", 999)) == 60


async def test_the_limit_is_that_of_all_processes(database: Database) -> None:
    """Each adds fewer records than the limit, but together they add more."""
    several = [Recipes(database, most=128) for _ in range(3)]
    for number in range(300):
        await several[number % 3].put([layer(number)])
    assert len(await several[0].beginning_with("layer:", 999)) <= 128 + 3 * (128 // 64)


async def test_replaced_records_evict_nothing(database: Database) -> None:
    recipes = Recipes(database, most=128)
    for _ in range(20):
        await recipes.put([layer(number) for number in range(100)])
    assert len(await recipes.beginning_with("layer:", 999)) == 100


async def test_records_of_an_older_version_are_found_by_digest(tmp_path: Path) -> None:
    """An older version can still write to the file afterwards."""
    path = tmp_path / "index.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as older, older:
        older.execute("CREATE TABLE recipes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        older.execute("CREATE INDEX recipes_by_digest ON recipes (json_extract(value, '$.digest'))")
        older.execute("INSERT INTO recipes VALUES (?, ?)", layer(1))
        for table in ("manifests", "tags", "links"):
            older.execute(f"CREATE TABLE {table} (namespace, repository, digest)")
        older.execute("PRAGMA user_version = 2")
    for number in (1, 2):
        async with opened(SQLite(path)) as database:
            assert await Recipes(database).naming(f"sha256:1-{number}") == [layer(number)]
        with contextlib.closing(sqlite3.connect(path)) as older, older:
            older.execute("INSERT OR REPLACE INTO recipes VALUES (?, ?)", layer(2))


@pytest.mark.parametrize(
    ("statement", "parameters"), [(_NAMING, ("sha256:x", "sha256:x")), (_TRIM, (1,))], ids=["naming", "trim"]
)
async def test_no_statement_reads_all_records(
    sqlite: Database, statement: str, parameters: tuple[object, ...]
) -> None:
    plan = await sqlite.read(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    )
    steps = [row[3] for row in plan if "recipes" in row[3]]
    assert steps
    assert all("INDEX recipes_of" in step or "PRIMARY KEY" in step for step in steps), steps


def test_no_statement_has_numbered_placeholders() -> None:
    """With a sequence of parameters, they are an error in Python 3.14."""
    sources = Path(storage.__path__[0]).rglob("*.py")
    assert [each.name for each in sources if re.search(r"\?[0-9]", each.read_text())] == []
