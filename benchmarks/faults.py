"""Three hosts gone bad among many: one frozen, one dripping a byte a second, one printing without end.

Measured: how long the others take beside them, against how long they take alone; and how much memory grew meanwhile.
`python -m benchmarks.faults HOST PORT` is the dripping host's network: passes bytes on until told to drip.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import uvloop

from benchmarks.figure import Figure, median
from benchmarks.fixture import Fixture, Quiet
from benchmarks.look import resident
from fleet.app import App
from fleet.desired.compile import Fleet
from fleet.model.change import PassResult
from fleet.model.host import HostSpec
from fleet.sandbox import SandboxHost, processes

BAD = 3
DEADLINE = 8.0  # seconds that a look may take here, so that the bad hosts end the benchmark soon


class _Times(Quiet):
    """When the last host that is not bad was done, and the most memory held until then."""

    def __init__(self, bad: frozenset[str]) -> None:
        super().__init__()
        self._bad, self._started = bad, time.perf_counter()
        self.last, self.most = 0.0, 0

    def done(self, result: PassResult) -> None:
        if result.host not in self._bad:
            self.last = time.perf_counter() - self._started
        self.most = max(self.most, resident())


def measure(made: Fixture) -> list[Figure]:
    return uvloop.run(_measure(made))


async def _measure(made: Fixture) -> list[Figure]:
    app, fleet, every = made.open()
    hosts = [replace(host, target=replace(host.target, timeout=DEADLINE)) for host in every]
    frozen, dripping, printing = (made.sandbox.find(host.name) for host in hosts[:BAD])
    proxy = await _proxy(dripping)
    try:
        hosts[1] = _through(hosts[1], dripping, int(await _line(proxy)))
        bad = frozenset(host.name for host in hosts[:BAD])
        await app.run(fleet, hosts, False, Quiet())  # every connection open, every shell running
        alone = [(await _watched(app, fleet, hosts[BAD:], bad)).last for _ in range(5)]
        before = resident()
        _make_it_print(made, printing)
        stopped = _freeze(made, frozen)
        if proxy.stdin is not None:
            proxy.stdin.write(b"drip\n")
        beside = await _watched(app, fleet, hosts, bad)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    finally:
        proxy.kill()
        await proxy.wait()
    await app.aclose()
    grown = max(0, beside.most - before) / 1024 / 1024
    return [
        Figure("beside bad hosts", beside.last, "s", _BESIDE, median(alone), 1.2),
        Figure("memory beside them", grown, "MB", "growth of the controller meanwhile", target=16),
    ]


_BESIDE = "full look of the others beside one frozen, one dripping and one endlessly printing host; floor: without them"


async def _watched(app: App, fleet: Fleet, hosts: Sequence[HostSpec], bad: frozenset[str]) -> _Times:
    times = _Times(bad)
    await app.run(fleet, hosts, False, times)
    return times


def _freeze(made: Fixture, host: SandboxHost) -> list[int]:
    """Stop every process of the host's sshd and its sessions: the peer accepts bytes and never answers."""
    folder = made.sandbox.directory / "hosts" / host.label
    pids = list(processes.below(folder))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def _make_it_print(made: Fixture, host: SandboxHost) -> None:
    """On this host `stat` prints for ever."""
    text = "cd /usr/bin && mv stat stat.real && printf '#!/bin/sh\\nexec yes\\n' >stat && chmod 755 stat"
    subprocess.run([*made.sandbox.ssh_words(host), text], check=True, capture_output=True)


def _through(spec: HostSpec, host: SandboxHost, port: int) -> HostSpec:
    """The same host by way of the proxy."""
    known = f"{spec.target.known_hosts}\n[{host.address}]:{port} {host.host_key}\n"
    return replace(spec, target=replace(spec.target, port=port, known_hosts=known))


async def _proxy(host: SandboxHost) -> asyncio.subprocess.Process:
    words = (sys.executable, "-m", "benchmarks.faults", host.address, str(host.port))
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)


async def _line(proxy: asyncio.subprocess.Process) -> str:
    assert proxy.stdout is not None
    return (await proxy.stdout.readline()).decode()


async def _serve(address: str, port: int) -> None:
    """Prints its own port; from the line "drip" on standard input on, what the host says comes a byte a second."""
    drip = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), drip.set)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slow: bool) -> None:
        while data := await reader.read(1 if slow and drip.is_set() else 65536):
            for byte in data if slow and drip.is_set() else ():
                writer.write(bytes((byte,)))
                await asyncio.sleep(1)
            if not (slow and drip.is_set()):
                writer.write(data)
            await writer.drain()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(address, port)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, back, False))
            group.create_task(pump(there, writer, True))

    server = await asyncio.start_server(client, address, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await drip.wait()
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
