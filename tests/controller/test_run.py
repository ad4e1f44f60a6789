"""A run over many hosts: what goes wrong on one stays with that one, and a cut run says what it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleet.controller.one import Parts
from fleet.controller.run import Run, run_all
from fleet.controller.sessions import Sessions
from fleet.errors import Failure, TransportError
from fleet.masking import Masker
from fleet.model.change import PassResult, Plan, Verdict
from fleet.model.host import HostSpec, Target
from fleet.model.made import Made
from fleet.model.port import Session
from fleet.model.step import Batch, Outcome, Report
from fleet.model.traffic import Traffic
from fleet.secrets.identities import Identities
from fleet.secrets.vault import Vault
from fleet.telemetry import Telemetry
from tests.converge.world import KINDS, Deaf, World, host, resource


@dataclass
class Memo:
    """A Journal that only remembers."""

    intents: list[str] = field(default_factory=list)
    records: dict[str, PassResult] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    both: asyncio.Event = field(default_factory=asyncio.Event)
    intended: asyncio.Event = field(default_factory=asyncio.Event)
    settled: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def _heard(self) -> None:
        if self.intents:
            self.intended.set()
        if "stuck" in self.intents and "good" in self.records:
            self.both.set()

    async def start_run(self, command: str, environment: str, revision: str, trace_id: str) -> int:
        return 1

    async def intend(self, run: int, plan: Plan, attempt: str) -> None:
        self.intents.append(plan.host)
        self._heard()

    async def record(self, run: int, result: PassResult, trace_id: str) -> None:
        self.records[result.host] = result
        self._heard()

    async def looked(self, environment: str, host: str, in_sync: float | None = None) -> None: ...

    async def settle(
        self, environment: str, host: str, digests: Mapping[str, str], withheld: Collection[str] = ()
    ) -> None:
        self.settled[host] = digests

    async def keep_made(self, environment: str, host: str, made: Sequence[Made], gone: Collection[Made] = ()) -> None:
        pass

    async def finish_run(self, run: int, verdicts: Sequence[str]) -> None:
        self.finished = [str(verdict) for verdict in verdicts]


class Worlds:
    """A Transport: host name → its world, an error, or a world that never answers a write."""

    def __init__(self, worlds: Mapping[str, object]) -> None:
        self.worlds = worlds

    async def connect(self, target: Target) -> Session:
        found = self.worlds[target.host]
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, World)
        return found

    async def halt(self) -> None: ...

    async def aclose(self) -> None: ...

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        return {}

    @property
    def breakers(self) -> Mapping[str, str]:
        return {}


class Stuck(World):
    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        if batch.write is not None:
            await asyncio.Event().wait()
        return await super().perform(batch, report)


class Broken(World):
    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        raise RuntimeError("a mistake of ours")


def hosts(names: Sequence[str]) -> list[HostSpec]:
    spec = host([resource("file:a")])
    return [replace(spec, name=name, target=Target(name, "dev")) for name in names]


def parts(worlds: Mapping[str, object], journal: Memo) -> Parts:
    telemetry, masker = Telemetry(), Masker()
    vault = Vault(Identities(Path("/nonexistent")), masker, lambda source: b"", telemetry.span)
    return Parts(KINDS, Sessions({"ssh": lambda: Worlds(worlds)}), journal, telemetry, vault, masker)


def test_what_goes_wrong_on_one_host_stays_with_that_host() -> None:
    lost = TransportError(Failure.REFUSED, "nothing listens")
    worlds = {"good": World(), "gone": lost, "broken": Broken()}
    journal, run = Memo(), Run(1, write=True)
    asyncio.run(run_all(run, hosts(list(worlds)), parts(worlds, journal), Deaf()))
    verdicts = {name: result.verdict for (_, name), result in run.results.items()}
    assert verdicts == {"good": Verdict.CHANGED, "gone": Verdict.UNREACHABLE, "broken": Verdict.FAILED}
    assert set(journal.records) == set(worlds) and sorted(journal.finished) == ["changed", "failed", "unreachable"]


def test_a_cancelled_run_returns_with_what_it_knows() -> None:
    """One host is done, one was being changed (unknown), one not begun: it has no result."""
    worlds = {"good": World(), "stuck": Stuck()}
    journal, run = Memo(), Run(1, write=True)

    async def cancelled() -> None:
        task = asyncio.create_task(run_all(run, hosts(list(worlds)), parts(worlds, journal), Deaf()))
        await journal.both.wait()
        task.cancel()
        await task

    asyncio.run(cancelled())
    assert run.interrupted
    assert {n: r.verdict for (_, n), r in run.results.items()} == {"good": Verdict.CHANGED, "stuck": Verdict.UNKNOWN}
    assert sorted(journal.finished) == ["changed", "unknown"]


def test_drift_that_is_only_reported_is_not_corrected_the_second_time_either() -> None:
    world, journal = World(), Memo()
    spec = replace(host([resource("file:a", drift="report")]), name="h", target=Target("h", "dev"))

    def again() -> Verdict:
        run = Run(1, write=True, settled={("dev", name): one for name, one in journal.settled.items()})
        asyncio.run(run_all(run, [spec], parts({"h": world}, journal), Deaf()))
        return run.results["dev", "h"].verdict

    assert again() is Verdict.CHANGED
    world.state["file:a"] = {"v": 2}
    assert [again() for _ in range(3)] == [Verdict.DRIFTED] * 3 and world.state["file:a"] == {"v": 2}
