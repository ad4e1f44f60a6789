"""Nothing to change: the whole `fleet plan` process, the full look and the witness sweep, each against its floor.

Takes turns with the floor on the same hosts, so that what else the machine does weighs on both.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import asyncssh
import uvloop

from benchmarks.figure import Figure, median
from benchmarks.fixture import Fixture, Quiet
from benchmarks.floor import END, Shell, Work, all_run, connect
from fleet.app import App
from fleet.converge.look import look, state_task
from fleet.converge.memory import Memory
from fleet.converge.witness import witness_task
from fleet.desired.compile import Fleet
from fleet.kinds import KINDS
from fleet.model.change import Verdict
from fleet.model.host import HostSpec, Target
from fleet.model.step import Batch, Task, Witness
from fleet.transports.prelude import PRELUDE
from fleet.transports.shell import script

Shells = Sequence[tuple[asyncssh.SSHClientConnection, Shell]]


def measure(made: Fixture, repeat: int) -> list[Figure]:
    """Hosts must be in sync already."""
    cold = _cold(made, min(repeat, 3))
    return [*cold, *uvloop.run(_warm(made, repeat))]


def _cold(made: Fixture, repeat: int) -> list[Figure]:
    _, _, hosts = made.open()
    work = made.directory / "floor.pickle"
    handshakes = made.settings().handshakes
    work.write_bytes(pickle.dumps(Work(tuple(_target(made, host) for host in hosts), handshakes)))
    whole, inside, ours = list[float](), list[float](), list[float]()
    for _ in range(repeat):
        seconds, said = _process([sys.executable, "-m", "benchmarks.floor", str(work)], {})
        whole.append(seconds)
        inside.append(float(said))
        fleet = str(Path(sys.executable).with_name("fleet"))
        ours.append(_process([fleet, "plan"], made.words())[0])
    says = "whole `fleet plan` process, nothing to change; floor: a whole process that connects and sends one line"
    again = "the same; floor: only connecting and one line, without starting Python and importing asyncssh"
    return [
        Figure("plan, cold", median(ours), "s", says, median(whole), 1.5),
        Figure("plan, cold, bare floor", median(ours), "s", again, median(inside)),
    ]


def _process(words: Sequence[str], variables: dict[str, str]) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **variables}, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{words[0]} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return seconds, done.stdout


async def _warm(made: Fixture, repeat: int) -> list[Figure]:
    app, fleet, hosts = made.open()
    shells: list[tuple[asyncssh.SSHClientConnection, Shell]] = []
    try:
        before = resident()
        await _pass(app, fleet, hosts)
        memory = (resident() - before) / len(hosts) / 1024
        shells = await connect(Work(tuple(_target(made, host) for host in hosts), made.settings().handshakes))
        await all_run(shells, [_ended(_prelude())] * len(hosts))
        looks = await _looks(app, fleet, hosts, shells, repeat)
        sweeps = await _sweeps(app, fleet, hosts, shells, repeat)
    finally:
        for connection, _ in shells:
            connection.abort()
        await app.aclose()
    return [*looks, *sweeps, Figure("memory of a host", memory, "kB", _MEMORY)]


async def _looks(app: App, fleet: Fleet, hosts: Sequence[HostSpec], shells: Shells, repeat: int) -> list[Figure]:
    texts = [_ended(script(_full(host))) for host in hosts]
    ours, floor, cpu = list[float](), list[float](), list[float]()
    gc.collect()
    for _ in range(repeat):
        floor.append(await all_run(shells, texts))
        app.memories.clear()
        used = time.process_time()
        ours.append(await _pass(app, fleet, hosts))
        cpu.append((time.process_time() - used) / len(hosts) * 1000)
    return [
        Figure("full look, warm", median(ours), "s", _LOOK, median(floor), 1.15),
        Figure("CPU of a full look", median(cpu), "ms", "controller's own CPU time per host and pass"),
    ]


async def _sweeps(app: App, fleet: Fleet, hosts: Sequence[HostSpec], shells: Shells, repeat: int) -> list[Figure]:
    stats = [_ended(_stat(host)) for host in hosts]
    app.memories.update({(host.environment, host.name): Memory() for host in hosts})
    await asyncio.sleep(1.1)  # so that no witness is as young as the look that remembers it
    for _ in range(3):  # from the third on nothing is started on a host
        await _pass(app, fleet, hosts)
    floor, ours = list[float](), list[float]()
    for _ in range(repeat):
        floor.append(await all_run(shells, stats))
        ours.append(await _pass(app, fleet, hosts))
    return [Figure("witness sweep", median(ours), "s", _SWEEP, median(floor), 1.3)]


_MEMORY = "growth by connections, first looks and records, per host"
_LOOK = "one pass over all hosts, connections open, recorded; floor: the same script through plain asyncssh shells"
_SWEEP = "the same with what is remembered of the last look; floor: one `stat` of the same paths, same shells"


async def _pass(app: App, fleet: Fleet, hosts: Sequence[HostSpec]) -> float:
    started = time.perf_counter()
    done = await app.run(fleet, hosts, False, Quiet())
    seconds = time.perf_counter() - started
    for result in done.results:
        if result.verdict is not Verdict.IN_SYNC:
            raise SystemExit(f"{result.host} is {result.verdict}: {result.error or result.plan}")
    return seconds


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _target(made: Fixture, host: HostSpec) -> Target:
    return replace(host.target, key_file=str(made.sandbox.key_file))


def _full(host: HostSpec) -> Batch:
    return Batch((state_task(), *look(host.resources, KINDS).tasks))


def _prelude() -> bytes:
    return b"fl_m=0123456789abcdef0123456789abcdef\n" + PRELUDE.encode() + b"\n"


def _stat(host: HostSpec) -> bytes:
    """One process for all that vouches for anything, the files of the kernel too."""
    (step,) = witness_task(Memory().paths(host.resources, KINDS)).steps
    assert isinstance(step, Witness)
    return script(Batch((Task("look:stat", (Witness((*step.paths, *step.contents)),)),)))


def _ended(text: bytes) -> bytes:
    return text + b"echo " + END + b"\n"
