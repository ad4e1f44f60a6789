"""A person's command on many hosts: what becomes of each, on record, whatever goes wrong and whenever it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.controller.executing import CAP, Asked, Call, clipped, execute, secrets_of
from fleet.controller.one import Parts
from fleet.controller.sessions import Sessions
from fleet.errors import Failure, TransportError
from fleet.history import History
from fleet.masking import Masker
from fleet.model.api import Api
from fleet.model.executed import Executed, Execution
from fleet.model.host import HostSpec, Target
from fleet.model.port import Session
from fleet.model.secret import Secret, SecretSource
from fleet.model.step import Batch, Command, Outcome, Report, Status
from fleet.model.traffic import Traffic
from fleet.secrets.identities import Identities
from fleet.secrets.vault import Vault
from fleet.telemetry import Telemetry
from tests.converge.world import host as spec_of

SECRET = Secret("db/password", b"hunter2hunter2")
Answers = Callable[[Target], Awaitable[Outcome]]


def host(name: str, environment: str = "dev", **more: Any) -> HostSpec:
    found = replace(spec_of([]), name=name, environment=environment, target=Target(name, environment))
    return replace(found, **more)


@dataclass
class Hosts:
    """A Transport whose hosts answer by a function. running: how many do at this moment; most: at once so far."""

    answer: Answers
    batches: list[Batch] = field(default_factory=list)
    running: int = 0
    most: int = 0
    stuck: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, target: Target) -> Session:
        if target.host == "down":
            raise TransportError(Failure.REFUSED, "nobody there")
        return _Host(self, target)

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        return {}

    @property
    def breakers(self) -> Mapping[str, str]:
        return {}

    async def aclose(self) -> None: ...


@dataclass
class _Host:
    hosts: Hosts
    target: Target
    round_trips: int = 0

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        self.hosts.batches.append(batch)
        self.hosts.running += 1
        self.hosts.most = max(self.hosts.most, self.hosts.running)
        try:
            return {"exec": await self.hosts.answer(self.target)}
        finally:
            self.hosts.running -= 1

    async def halt(self) -> None: ...

    async def aclose(self) -> None: ...


OUTCOMES = {
    "good": Outcome("exec", Status.OK, 0, b"fine\n"),
    "bad": Outcome("exec", Status.FAILED, 3, b"no\n", step=0),
    "refused": Outcome("exec", Status.CONFLICT, 75, b"this host belongs to environment prod, not dev\n"),
    "lost": Outcome("exec", Status.UNKNOWN, None, b"half"),
    "endless": Outcome("exec", Status.UNKNOWN, None, b"y\n" * CAP, truncated=True),
    "telling": Outcome("exec", Status.OK, 0, b"password=" + SECRET.reveal() + b"\n"),
}


async def answer(target: Target) -> Outcome:
    if target.host == "broken":
        raise ZeroDivisionError
    return OUTCOMES[target.host]


async def ran(tmp_path: Path, hosts: Hosts, names: list[str], asked: Asked, cut: asyncio.Event | None = None) -> Call:
    """One call with its record. cut: it is cancelled once this is set."""
    masker = Masker()
    masker.add([SECRET])
    async with await History.open(tmp_path / "history.db") as history:
        telemetry = Telemetry()
        vault = Vault(Identities(tmp_path), masker, lambda source: b"", telemetry.span)
        parts = Parts({}, Sessions({"ssh": lambda: hosts}), history, telemetry, vault, masker)
        number = await history.start_run("exec", "dev", "abc", "")
        keys = [("dev", name) for name in names]
        await history.execs.intend(number, Execution("ann", asked.reason, asked.text, keys))
        heard: list[Executed] = []
        call = Call(number, asked, heard.append)
        work = asyncio.create_task(execute(call, [host(name) for name in names], parts, history.execs))
        if cut is not None:
            await cut.wait()
            work.cancel()
        await work
        kept = {one.host: one for one in await history.execs.all(run=number)}
        for (_, name), one in call.results.items():
            assert (kept[name].status, kept[name].code, kept[name].output) == (one.status, one.code, one.output)
        record = await history.run(number)
        assert record is not None and record.finished is not None and sum(record.verdicts.values()) == len(names)
        assert cut is not None or {one.host for one in heard} == set(names)
        return call


def statuses(call: Call) -> dict[str, str]:
    return {name: str(one.status) for (_, name), one in call.results.items()}


def test_what_goes_wrong_on_one_host_stays_with_that_host(tmp_path: Path) -> None:
    call = asyncio.run(ran(tmp_path, Hosts(answer), [*OUTCOMES, "down", "broken"], Asked(("x",), "why")))
    assert statuses(call) == {
        "good": "ok", "bad": "failed", "refused": "conflict", "lost": "unknown", "endless": "unknown",
        "telling": "ok", "down": "unreachable", "broken": "unknown",
    }  # fmt: skip
    found = {name: one for (_, name), one in call.results.items()}
    assert found["bad"].code == 3 and found["bad"].output == b"no\n"
    assert found["refused"].error == "this host belongs to environment prod, not dev" and not found["refused"].output
    assert found["lost"].output == b"half" and "the connection was lost" in found["lost"].error
    assert found["endless"].truncated and "without end" in found["endless"].error
    assert found["telling"].output == b"password=(secret db/password)\n"
    assert "nobody there" in found["down"].error and "report" in found["broken"].error


def test_what_was_cut_short_is_unknown_and_what_was_not_begun_is_said_to_be_so(tmp_path: Path) -> None:
    async def scenario() -> Call:
        async def stuck(target: Target) -> Outcome:
            if target.host != "stuck":
                return await answer(target)
            hosts.stuck.set()
            await asyncio.Event().wait()
            raise AssertionError

        hosts = Hosts(stuck)
        return await ran(tmp_path, hosts, ["good", "stuck", "bad"], Asked(("x",), "why", parallel=1), hosts.stuck)

    call = asyncio.run(scenario())
    assert call.interrupted
    assert statuses(call) == {"good": "ok", "stuck": "unknown", "bad": "skipped"}


@pytest.mark.parametrize("parallel", [1, 3])
def test_never_more_at_a_time_than_asked_for(tmp_path: Path, parallel: int) -> None:
    async def slowly(target: Target) -> Outcome:
        for _ in range(5):
            await asyncio.sleep(0)
        return OUTCOMES["good"]

    hosts = Hosts(slowly)
    asyncio.run(ran(tmp_path, hosts, [f"h{n}" for n in range(9)], Asked(("x",), "why", parallel=parallel)))
    assert hosts.most == parallel


def test_silent_keeps_nothing_that_it_printed(tmp_path: Path) -> None:
    call = asyncio.run(ran(tmp_path, Hosts(answer), ["good", "endless"], Asked(("x",), "why", silent=True)))
    assert {one.output for one in call.results.values()} == {b""}
    assert statuses(call) == {"good": "ok", "endless": "unknown"}


def test_one_word_is_a_line_for_sh_and_several_are_a_program(tmp_path: Path) -> None:
    line, program = Asked(("df -h | tail",), "why", 7), Asked(("echo", "a b", "$(id)"), "why", 7)
    assert line.step == Command(shell="df -h | tail", timeout=7) and line.text == "df -h | tail"
    assert program.step == Command(argv=("echo", "a b", "$(id)"), timeout=7) and program.text == "echo 'a b' '$(id)'"
    hosts = Hosts(answer)
    asyncio.run(ran(tmp_path, hosts, ["good"], program))
    (batch,) = hosts.batches
    assert batch.deadline > 7 and batch.write is not None
    assert batch.write.environment == "dev" and not batch.write.keeps


@given(st.binary(max_size=64), st.integers(0, 5000))
def test_output_is_whole_or_its_beginning_and_its_end(piece: bytes, times: int) -> None:
    output = piece * times
    kept, cut = clipped(output)
    assert cut == (len(output) > CAP) and len(kept) <= CAP + 64
    assert kept == output if not cut else output.startswith(kept[: CAP // 2]) and output.endswith(kept[-CAP // 2 :])


def test_secrets_of_every_host_of_the_environment_are_looked_for() -> None:
    one, two, three, four = (SecretSource(name, name, "s.yaml", "b", "yaml", (name,)) for name in "abcd")
    api = Api("dns", environment="dns", secrets=(three,))
    hosts = [
        host("h1", secrets=(one, two), target=Target("h1", "dev", apis=(api,))),
        host("h2", secrets=(two,), target=Target("h2", "dev", apis=(api,))),
        host("h3", "prod", secrets=(four,)),
        host("h4", "prod"),
    ]
    assert secrets_of(hosts, {"dev"}) == {"dev": [one, two], "dns": [three]}
    assert secrets_of(hosts[3:], {"dev", "prod"}) == {}
