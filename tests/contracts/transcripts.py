"""What real hosts answered, kept beside each case as WHAT.json: before and after the apply, by userland.

`python -m tests.contracts.transcripts` plays all cases again and writes them; the tests only read.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fleet.model.step import Outcome, Status
from tests.contracts.cases import Case, cases
from tests.contracts.play import Host, host

# bash differs from dash in the shell only: its answers are compared in the cases on real hosts.
USERLANDS = {"gnu": "dash", "busybox": "busybox"}
Answers = Mapping[str, Mapping[str, str]]


def read(case: Case, userland: str, when: str) -> dict[str, Outcome]:
    """Probe task → what the host answered then."""
    said: Answers = json.loads(_path(case).read_text())[userland]
    return {
        task: Outcome(task, Status.OK, 0, answer.encode(errors="surrogateescape"))
        for task, answer in said[when].items()
    }


def userlands(case: Case) -> list[str]:
    return [userland for userland, flavour in USERLANDS.items() if flavour in case.flavours]


def _path(case: Case) -> Path:
    return case.path.with_suffix(".json")


async def _record(case: Case, userland: str, directory: Path) -> dict[str, dict[str, str]]:
    async with host(USERLANDS[userland], directory) as one:
        await one.shell(f"set -e\n{case.before}")
        before = await _answers(one, case)
        await one.apply(case.spec())
        return {"before": before, "after": await _answers(one, case)}


async def _answers(one: Host, case: Case) -> dict[str, str]:
    outcomes = await one.look(case.spec())
    return {task: outcome.output.decode(errors="surrogateescape") for task, outcome in outcomes.items()}


def main() -> None:
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        for case in cases():
            if not wanted or case.id in wanted or case.kind in wanted:
                said = {one: asyncio.run(_record(case, one, Path(name))) for one in userlands(case)}
                _path(case).write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
