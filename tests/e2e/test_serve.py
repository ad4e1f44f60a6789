"""The controller on real hosts: it follows the repository, heals what others change, and ends in order."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import Field

pytestmark = pytest.mark.hosts
ROLE = {"resources": {"file": {"/etc/app.conf": {"content": "one\n"}, "/etc/other.conf": {"content": "other\n"}}}}


def role(content: str) -> str:
    return json.dumps({"resources": {"file": {"/etc/app.conf": {"content": content}}}})


def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until it is so: somebody else's process decides when."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to be so in time"
        time.sleep(0.02)


@contextmanager
def serving(lab: Field, **settings: str) -> Iterator[subprocess.Popen[str]]:
    lab.lines |= {"FLEET_POLL": "1", "FLEET_SWEEP": "1", "FLEET_SOCKET": str(lab.root / "fleet.sock"), **settings}
    process = lab.start("serve")
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        print(out, err)


def test_a_commit_reaches_every_host_and_what_is_changed_by_hand_is_healed(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    names = [host.name for host in lab.sandbox.hosts]
    with serving(lab) as process:
        until(lambda: all(lab.on(name, "cat /etc/app.conf", check=False) == "one\n" for name in names))
        lab.write({"base/roles/all.yaml": role("two\n")})
        until(lambda: all(lab.on(name, "cat /etc/app.conf") == "two\n" for name in names))
        lab.on("h-1", "echo by hand > /etc/app.conf")
        until(lambda: lab.on("h-1", "cat /etc/app.conf") == "two\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=25) == 0
    changes = lab.fleet("history", "--json").json
    assert changes
    status = lab.fleet("status", "--json").json
    assert {host["verdict"] for host in status["hosts"]} <= {"in sync", "changed"}
