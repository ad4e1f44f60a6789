"""Objects behind APIs, beside the same requests made with bare httpx, in turns, against a little server of our own in
a process of its own on loopback. A pass of fleet is timed (look, plan, and where there is something to do: write and
look again); no process start, no record.

`python -m benchmarks --only http`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx

from benchmarks.figure import Figure, median
from fleet.converge.drive import Intent, run_pass
from fleet.converge.memory import Memory
from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.profiles import every_kind
from fleet.desired.source import memory_tree
from fleet.model.change import PassResult, Verdict
from fleet.model.host import HostSpec
from fleet.model.secret import Secret
from fleet.model.step import Outcome, Write
from fleet.transports.http_client import untraced
from fleet.transports.http_transport import HttpTransport

OBJECTS, APIS, EACH = 2000, 200, 20
TLS = ssl.create_default_context()  # once: to load what everybody trusts takes longer than a request
RATE, LIMITED = 50, 500
Timed = Callable[[], Awaitable[None]]


def measure(repeat: int) -> list[Figure]:
    """All figures, of one server."""
    return asyncio.run(_measure(repeat))


async def _measure(repeat: int) -> list[Figure]:
    with _server(OBJECTS) as url:
        (host,) = _hosts([url], OBJECTS)
        look = await _turns(repeat, lambda: _fleet([host], Verdict.IN_SYNC), lambda: _bare([url], "GET"))
        memory = Memory()
        again = await _turns(
            repeat, lambda: _fleet([host], Verdict.IN_SYNC, memory=memory), lambda: _bare([url], "GET")
        )
        before = await _count(url)
        await _fleet([host], Verdict.IN_SYNC)
        asked = await _count(url) - before
    with _server(0) as url:
        (host,) = _hosts([url], OBJECTS)
        made = await _turns(repeat, lambda: _made(host, url), lambda: _put(url))
    with _server(EACH) as url:
        port = url.rpartition(":")[2]
        urls = [f"http://127.40.{n // 250}.{n % 250 + 1}:{port}" for n in range(APIS)]
        hosts = _hosts(urls, EACH)
        many = await _turns(repeat, lambda: _fleet(hosts, Verdict.IN_SYNC), lambda: _bare(urls, "GET"))
    with _server(LIMITED, RATE) as url:
        (host,) = _hosts([url], LIMITED, rate=RATE, alone=True)
        began = time.perf_counter()
        await _fleet([host], Verdict.IN_SYNC)
        seconds = time.perf_counter() - began
        refused = (await _ask(url, "/refused"))["refused"]
    what = f"{OBJECTS} objects of one API, in sync, one list call"
    return [
        Figure("http, look", look[0], "s", what, look[1], 1.2),
        Figure("http, sweep", again[0], "s", f"{what}, once more, as the controller asks", again[1], 1.2),
        Figure("http, requests of a look", asked, "requests", what, 1.0, 1.0),
        Figure("http, make", made[0], "s", f"{OBJECTS} objects made by PUT, 32 at a time", made[1], 1.2),
        Figure("http, many", many[0], "s", f"{APIS} APIs x {EACH} objects at once, in sync", many[1], 1.2),
        Figure("http, limited", seconds, "s", f"{LIMITED} requests to an API of {RATE}/s; {refused} were refused",
               (LIMITED - 1) / RATE, 1 / 0.95),
    ]  # fmt: skip


async def _turns(repeat: int, ours: Timed, floor: Timed) -> tuple[float, float]:
    """Medians of both, in turns; the first of each is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(2 * repeat + 1):
        for work, found in zip((ours, floor), times, strict=True):
            began = time.perf_counter()
            await work()
            found.append(time.perf_counter() - began)
    return median(times[0][1:]), median(times[1][1:])


def _hosts(urls: Sequence[str], count: int, rate: int = 0, alone: bool = False) -> Sequence[HostSpec]:
    """API hosts, each with that many objects; alone: each is read by a request of its own."""

    def read(n: int) -> Mapping[str, Any]:
        return {"path": f"/items/o{n}"} if alone else {"path": "/items", "items": "$.items", "match": {"name": f"o{n}"}}

    objects = {
        f"o{n}": {"read": read(n), "body": body(n), "write": {"method": "PUT", "path": f"/items/o{n}"}}
        for n in range(count)
    }
    more = {"rate": rate} if rate else {}
    said = {"type": "http", "networks": ["127.0.0.0/8"], "concurrency": 32, **more}
    hosts = {f"api-{n}": {"connection": {**said, "url": url}} for n, url in enumerate(urls)}
    files = {"base/environment.yaml": {"roles": {"all": {}}}, "lab/hosts.yaml": {"hosts": hosts},
             "base/roles/all.yaml": {"resources": {"http_object": objects}}}  # fmt: skip
    tree = memory_tree({path: json.dumps(text).encode() for path, text in files.items()})
    found = Compiler(every_kind()).compile(load(tree, every_kind()))
    assert not found.problems, found.problems[0]
    return found.hosts


def body(n: int) -> dict[str, Any]:
    to = {"host": f"192.0.2.{n % 250}", "port": n}
    return {"name": f"o{n}", "ttl": 300, "enabled": True, "tags": ["a", "b"], "to": to}


class _Deaf:
    def stage(self, host: str, stage: str) -> None:
        """Nobody watches."""

    def outcome(self, host: str, outcome: Outcome) -> None:
        """Nobody watches."""

    def done(self, result: PassResult) -> None:
        """Nobody watches."""


async def _no_secrets(environment: str, sources: object) -> Mapping[str, Secret]:
    return {}


async def _fleet(
    hosts: Sequence[HostSpec], expected: Verdict, write: bool = False, memory: Memory | None = None
) -> None:
    transport = HttpTransport(lambda: 0.5, _no_secrets, untraced)
    intent = Intent(write=(lambda fence: Write("lab", fence + 1, "a")) if write else None, memory=memory)

    async def one(host: HostSpec) -> None:
        found = await run_pass(host, await transport.connect(host.target), every_kind(), intent, _Deaf())
        assert found.verdict is expected, (found.verdict, found.error, dict(list(found.remaining.items())[:3]))

    try:
        await asyncio.gather(*map(one, hosts))
    finally:
        await transport.aclose()


async def _made(host: HostSpec, url: str) -> None:
    await _ask(url, "/empty")
    await _fleet([host], Verdict.CHANGED, write=True)


async def _bare(urls: Sequence[str], method: str) -> None:
    async def one(url: str) -> None:
        async with httpx.AsyncClient(trust_env=False, verify=TLS) as client:
            json.loads((await client.request(method, f"{url}/items")).content)

    await asyncio.gather(*map(one, urls))


async def _put(url: str) -> None:
    """The same: a look, all writes, the compare before them, a look after them."""
    await _ask(url, "/empty")
    gate = asyncio.Semaphore(32)
    async with httpx.AsyncClient(trust_env=False, verify=TLS) as client:

        async def one(n: int) -> None:
            async with gate:
                json.loads((await client.put(f"{url}/items/o{n}", json=body(n))).content)

        for _ in range(2):
            json.loads((await client.get(f"{url}/items")).content)
        await asyncio.gather(*map(one, range(OBJECTS)))
        json.loads((await client.get(f"{url}/items")).content)


async def _ask(url: str, path: str) -> Any:
    async with httpx.AsyncClient(trust_env=False, verify=TLS) as client:
        return (await client.get(url + path)).json()


async def _count(url: str) -> int:
    return int((await _ask(url, "/asked"))["asked"])


@contextlib.contextmanager
def _server(count: int, rate: int = 0) -> Iterator[str]:
    words = [sys.executable, "-m", "benchmarks.http", str(count), str(rate)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.40.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


async def _serve(count: int, rate: int) -> None:
    """GET /items and /items/NAME, PUT /items/NAME; more than `rate` in any second are refused."""
    items: dict[str, Any] = {f"o{n}": body(n) for n in range(count)}
    times: list[float] = []
    counts = {"asked": 0, "refused": 0}

    def said(method: str, path: str, data: bytes) -> tuple[int, Any]:
        name = path.rpartition("/")[2]
        if path in ("/asked", "/refused"):
            return 200, counts
        if path == "/empty":
            items.clear()
            return 200, {}
        counts["asked"] += 1
        now = time.monotonic()
        while times and times[0] <= now - 1:
            times.pop(0)
        if rate and len(times) > rate:
            counts["refused"] += 1
            return 429, {}
        times.append(now)
        if method == "PUT":
            items[name] = json.loads(data)
            return 200, items[name]
        return (200, {"items": list(items.values())}) if path == "/items" else (200, items[name])

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while first := (await reader.readline()).split():
                length = 0
                while (line := await reader.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line[15:])
                status, document = said(first[0].decode(), first[1].decode(), await reader.readexactly(length))
                text = json.dumps(document).encode()
                head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                writer.write(head.encode() + text)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(one, "0.0.0.0", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("rate", type=int)
    options = parser.parse_args()
    asyncio.run(_serve(options.count, options.rate))
