"""A process that writes all that a controller must not lose, and says on standard output what was acknowledged: until
its machine loses power. See power.py."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from fleet.history import History
from fleet.history.records import Ordered, Taken
from tests.history.samples import plan, result


def say(*words: object) -> None:
    print(*words, flush=True)


async def main(path: Path, life: int) -> None:
    dice = random.Random(life)
    async with await History.open(path) as history:
        run = await history.start_run("serve", "dev", "abc", "")

        async def orders(n: int) -> None:
            scope = f"{life}-{n}"
            await history.control.order(Ordered(scope, "ann", "", float(n)))
            say("order" if n % 2 else "ordered", scope)  # every second one is lifted
            if n % 2 == 0:
                await history.control.lift(scope, "rob")
                say("lift", scope)

        async def audit(n: int) -> None:
            await history.control.audit("ann", f"{life}-{n}", {})
            say("audit", f"{life}-{n}")

        async def takes(n: int) -> None:
            await history.control.take(Taken("dev", f"{life:06}-{n:06}", "", 0.0, "x" * dice.randrange(3000)))
            say("take", f"{life:06}-{n:06}")

        async def changes(n: int) -> None:
            host = f"{life}-{n}"
            await history.intend(run, plan(host), host)
            say("intent", host)
            await history.record(run, result(host), "")
            if n % 5 == 0:
                await history.flush()
                say("pass", host)

        async def again(work: Callable[[int], Awaitable[None]]) -> None:
            for n in range(100_000):
                await work(n)
                await asyncio.sleep(dice.random() * 0.004)

        say("begun", life)
        await asyncio.gather(*(again(one) for one in (orders, audit, takes, changes)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
