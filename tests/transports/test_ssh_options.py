"""Options are built, and known hosts parsed, once, however many hosts ask at the same moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asyncssh
import pytest

from fleet.model.host import Target
from fleet.transports.ssh_options import OptionsCache


def test_forty_hosts_at_once_build_options_and_parse_known_hosts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built, parsed = list[Any](), list[str]()
    construct, read = asyncssh.SSHClientConnectionOptions.construct, asyncssh.import_known_hosts

    async def counted(**options: Any) -> Any:
        built.append(options)
        return await construct(**options)

    def parse(text: str) -> Any:
        parsed.append(text)
        return read(text)

    monkeypatch.setattr(asyncssh.SSHClientConnectionOptions, "construct", counted)
    monkeypatch.setattr(asyncssh, "import_known_hosts", parse)
    target = Target("h", "dev", agent=False, known_hosts="")
    hosts = [replace(target, host=f"h-{n}", address=f"127.0.0.{n}") for n in range(1, 41)]

    async def ask() -> list[Any]:
        cache = OptionsCache()
        return await asyncio.gather(*(cache.get(host) for host in hosts))

    options = asyncio.run(ask())
    assert len({id(one) for one in options}) == 1
    assert (len(built), len(parsed)) == (1, 1)
