"""A process that records without end, and says on standard output what was acknowledged. Killed by the tests."""

import asyncio
import sys
from pathlib import Path

from fleet.history import History
from tests.history.samples import plan, result

HOSTS = 4


async def main(path: Path, name: str, rounds: int) -> None:
    async with await History.open(path) as history:
        run = await history.start_run("apply", "dev", "abc", "")
        print("run", run, flush=True)

        async def host(host: str) -> None:
            for n in range(rounds):
                attempt = f"{host}-{run}-{n}"
                await history.intend(run, plan(f"{host}-{n}"), attempt)
                print("intended", attempt, flush=True)
                await history.record(run, result(f"{host}-{n}"), "")

        async with asyncio.TaskGroup() as group:
            for number in range(HOSTS):
                group.create_task(host(f"{name}{number}"))
        await history.finish_run(run, [])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
