"""What is asked often is answered from an index, however long the record is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet.history import History, execs, retention, statements

LATEST: Mapping[str, tuple[str, str]] = {
    "changes": (statements.CHANGES, "changes"),
    "passes": (statements.PASSES, "passes"),
}


def plan(tmp_path: Path, sql: str, asked: Mapping[str, Any]) -> str:
    """What SQLite would do, a line each; see https://www.sqlite.org/eqp.html."""

    async def make() -> None:
        await (await History.open(tmp_path / "history.db")).aclose()

    asyncio.run(make())
    with sqlite3.connect(tmp_path / "history.db") as database:
        return "\n".join(row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", asked))


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        (statements.OPEN_INTENTS, {}),
        (retention.OLD["passes"], {"before": 1}),
        (retention.OLD["changes"], {"before": 1}),
        (execs.EXECS, {"run": None, "environment": "", "host": "", "calls": 5}),
    ],
)
def test_no_table_is_read_whole(tmp_path: Path, sql: str, asked: Mapping[str, Any]) -> None:
    steps = plan(tmp_path, sql, asked).splitlines()
    assert steps and not [step for step in steps if step.startswith("SCAN") and "INDEX" not in step], steps


@pytest.mark.parametrize("table", LATEST)
@pytest.mark.parametrize("asked", [{}, {"environment": "p"}, {"environment": "p", "host": "h"}], ids=str)
def test_the_latest_are_not_sorted_first(tmp_path: Path, table: str, asked: Mapping[str, Any]) -> None:
    asked = {**asked, "limit": 100}
    steps = plan(tmp_path, statements.latest(*LATEST[table], asked), asked)
    assert "runs" in steps and "TEMP B-TREE" not in steps
    assert all(f"{name}=?" in steps for name in asked if name != "limit"), steps
