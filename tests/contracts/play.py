"""Play a case on a real host: set up, plan, apply, look again, look with other eyes, take it all back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.converge.drive import Intent, run_pass
from fleet.converge.look import look
from fleet.kinds import KINDS
from fleet.model.change import PassResult
from fleet.model.host import HostSpec
from fleet.model.port import Session
from fleet.model.step import Batch, Command, Outcome, Status, Task, Write
from fleet.transports.local import LocalTransport
from tests.contracts.cases import TARGET, Case
from tests.contracts.rooms import words
from tests.converge.world import Deaf
from tests.describe import ENVIRONMENT


@dataclass
class Host:
    """A real host, and the tokens for writing to it."""

    session: Session
    tokens: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def shell(self, text: str) -> Outcome:
        """Shell text of the case, run as a user's own command is."""
        token = next(self.tokens)
        task = Task("command:case", (Command(shell=text),))
        outcomes = await self.session.perform(Batch((task,), Write(ENVIRONMENT, token, f"case-{token}")))
        return outcomes["command:case"]

    async def plan(self, spec: HostSpec) -> PassResult:
        return await run_pass(spec, self.session, KINDS, Intent(), Deaf())

    async def apply(self, spec: HostSpec) -> PassResult:
        def write(fence: int) -> Write:
            token = next(self.tokens)
            return Write(ENVIRONMENT, max(token, fence + 1), f"apply-{token}")

        return await run_pass(spec, self.session, KINDS, Intent(write=write), Deaf())

    async def look(self, spec: HostSpec) -> Mapping[str, Outcome]:
        """The bare answers of all probes: what a transcript keeps."""
        return await self.session.perform(Batch(look(spec.resources, KINDS).tasks))


@asynccontextmanager
async def host(flavour: str, directory: Path) -> AsyncIterator[Host]:
    session = await LocalTransport(words(flavour, directory)).connect(TARGET)
    try:
        yield Host(session)
    finally:
        await session.aclose()


def changes(result: PassResult) -> dict[str, list[str]]:
    """A plan in the words of a case."""
    assert result.plan is not None, result.error
    return {c.resource.id: [c.action, *c.attributes] for c in result.plan.changes}


def play(case: Case, flavour: str, directory: Path) -> None:
    asyncio.run(_play(case, flavour, directory))


async def _play(case: Case, flavour: str, directory: Path) -> None:
    async with host(flavour, directory) as one:
        await _must(one, case.before)
        kept = await _must(one, case.given_back)
        spec = case.spec()
        planned = await one.plan(spec)
        assert planned.plan is not None, planned.error
        assert changes(planned) == (case.changes or {})
        unreadable = {name: why.reason for name, why in planned.plan.unreadable.items()}
        assert unreadable == (case.unreadable or {})
        applied = await one.apply(spec)
        said = b"\n".join(outcome.output for outcome in applied.outcomes.values()).decode(errors="replace")
        said += "\n".join(unreadable.values())
        assert str(applied.verdict) == case.verdict, (said, applied.remaining)
        assert case.says in said
        await _must(one, case.after)
        if case.verdict in ("changed", "in sync"):
            again = await one.apply(spec)
            assert str(again.verdict) == "in sync", (changes(again), again.remaining)
            assert not again.outcomes
        if case.given_back or case.gone:
            undone = await one.apply(case.absent())
            assert str(undone.verdict) in ("changed", "in sync"), (undone.outcomes, undone.remaining)
            assert not changes(await one.plan(case.absent()))
            assert await _must(one, case.given_back) == kept
            await _must(one, case.gone)


async def _must(one: Host, text: str) -> bytes:
    if not text:
        return b""
    outcome = await one.shell(f"set -e\n{text}")
    assert outcome.status is Status.OK, f"{outcome.status}: {outcome.output.decode(errors='replace')}"
    return outcome.output
