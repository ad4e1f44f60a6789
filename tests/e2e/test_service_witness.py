"""A service is not looked at while all that proves it stands: real systemd, and what people do to services by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.converge.look import look
from fleet.converge.memory import Memory
from fleet.converge.witness import Witnesses, read_witnesses, witness_task
from fleet.kinds import KINDS
from fleet.model.change import Observed
from fleet.model.host import Resource, Target
from fleet.model.port import Session
from fleet.model.step import Batch, Task
from fleet.transports.ssh import SSHTransport
from tests.describe import resource
from tests.e2e.conftest import Field, make_field

UNIT = "[Unit]\nDescription=a test\n[Service]\n{}\n[Install]\nWantedBy=multi-user.target\n"
UNITS = {
    "plain": UNIT.format("ExecStart=/bin/sleep 1001"),
    "again": UNIT.format("ExecStart=/bin/sleep 1002\nRestart=always\nRestartSec=1h"),
    "once": UNIT.format("Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true"),
    "broken": UNIT.format("ExecStart=/bin/false"),
    "many@": UNIT.format("ExecStart=/bin/sleep 1003"),
}
NAMES = ("plain", "again", "once", "broken", "many@one", "missing")
# What people do by hand, and whose look it changes. Each begins where the one before left the host.
BY_HAND = [
    ("systemctl stop plain", "plain"),
    ("systemctl start plain", "plain"),
    ("systemctl kill -s KILL plain; while systemctl -q is-active plain; do :; done", "plain"),
    ("systemctl start plain", "plain"),
    # It waits for an hour to be started again: it does not run.
    ("systemctl kill -s KILL again; until systemctl show -p SubState again | grep -q auto; do :; done", "again"),
    ("systemctl restart again", "again"),
    ("systemctl stop once", "once"),
    ("systemctl start once", "once"),
    ("systemctl stop many@one", "many@one"),
    ("systemctl start many@one", "many@one"),
    ("systemctl enable plain", "plain"),
    ("systemctl disable plain", "plain"),
    ("systemctl add-wants timers.target plain", "plain"),
    ("systemctl enable --runtime once", ""),  # which is not enabled, for who asks for that
    ("systemctl mask broken", "broken"),
    ("systemctl unmask broken", "broken"),
    ("systemctl mask --runtime broken", "broken"),
    ("systemctl unmask --runtime broken", "broken"),
    ("echo '#' >>/etc/systemd/system/plain.service; touch -d '1 hour' /etc/systemd/system/plain.service", "plain"),
    ("systemctl daemon-reload", "plain"),
    ("mkdir /etc/systemd/system/once.service.d; echo '[Unit]' >/etc/systemd/system/once.service.d/a.conf", ""),
    ("systemctl daemon-reload", ""),
    ("touch -d '2 hours' /etc/systemd/system/once.service.d/a.conf", "once"),
    ("systemctl daemon-reload", "once"),
    ("mkdir /run/systemd/system/service.d; echo '[Unit]' >/run/systemd/system/service.d/all.conf", ""),
    ("rm -r /run/systemd/system/service.d", ""),
    ("cp /etc/systemd/system/once.service /etc/systemd/system/missing.service; systemctl daemon-reload", "missing"),
    ("systemctl start missing", "missing"),
    (
        "mv /etc/systemd/system/once.service /srv/; ln -s /srv/once.service /etc/systemd/system/; touch -d '3 hours' "
        "/srv/once.service",
        "once",
    ),
    ("systemctl daemon-reload", "once"),
    ("touch -d '4 hours' /srv/once.service", "once"),  # where no link to it says so
    ("systemctl daemon-reload", "once"),
    (
        "mkdir /srv/d; touch /srv/d/a.conf; ln -s /srv/d /etc/systemd/system/plain.service.d; systemctl daemon-reload",
        "",
    ),
    ("touch -d '2 hours' /srv/d/a.conf", "plain"),
]


async def seen(
    session: Session, resources: list[Resource]
) -> tuple[Mapping[str, Observed], dict[str, tuple[str, ...]]]:
    wanted = look(resources, KINDS)
    outcomes = await session.perform(Batch(wanted.tasks, deadline=60))
    return wanted.read(outcomes), wanted.vouched(outcomes)


async def witnessed(session: Session, task: Task) -> Witnesses:
    """As if everything were old, so that the rule for what is young does not help."""
    found = read_witnesses(task, (await session.perform(Batch((task,), deadline=60)))[task.id])
    assert found is not None
    return replace(found, second=found.second + 86400)


@pytest.mark.hosts
def test_whatever_is_done_by_hand_its_proof_no_longer_holds(tmp_path: Path) -> None:
    field = make_field(tmp_path, 1, "systemd")
    try:
        for name, text in UNITS.items():
            folder = (
                "/usr/lib/systemd/system" if name == "broken" else "/etc/systemd/system"
            )  # so that it can be masked
            field.on("h-1", f"cat >{folder}/{name}.service <<'end'\n{text}end\n")
        field.on("h-1", "systemctl daemon-reload; systemctl start plain again once many@one; systemctl start broken; :")
        asyncio.run(_all_of_it(field))
    finally:
        field.sandbox.down()


async def _all_of_it(field: Field) -> None:
    resources = [resource("service", name, enabled=False) for name in NAMES]
    transport, host = SSHTransport(lambda: 0.5, key_file=str(field.sandbox.key_file)), field.host("h-1")
    pinned = f"{host.known_hosts_line}\n"
    session = await transport.connect(Target("h-1", "lab", "ssh", host.address, host.port, known_hosts=pinned))
    unchanged = 0
    try:
        for text, whose in BY_HAND:
            before, proof = await seen(session, resources)
            task = witness_task(path for paths in proof.values() for path in paths)
            memory = Memory()
            memory.keep(resources, before, proof, await witnessed(session, task))
            elsewhere = field.on("h-1", "find /etc/systemd/system -lname '/srv/*'")  # which proves nothing
            quiet = {one.id for one in resources if one.name != whose and _quiet(before[one.id])}
            assert elsewhere or set(proof) >= quiet
            assert memory.recall(resources, await witnessed(session, task)) == {i: before[i] for i in proof}
            field.on("h-1", text)
            now = memory.recall(resources, await witnessed(session, task))
            after, _ = await seen(session, resources)
            changed = {i for i in after if after[i] != before[i]}
            assert not changed & now.keys(), f"{text}: {changed & now.keys()} is otherwise, and was trusted"
            assert not whose or f"service:{whose}" in changed, f"{text}: nothing came of it: {after}"
            unchanged += len(now)
    finally:
        await session.aclose()
        await transport.aclose()
    assert unchanged > len(BY_HAND), "most of what was not touched is trusted still"


def _quiet(observed: Observed) -> bool:
    return isinstance(observed, Mapping) and observed["found"] and not (observed["stale"] or observed["masked"])
