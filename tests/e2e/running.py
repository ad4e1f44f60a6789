"""A controller that runs on the hosts of a test: as a child process, or under its unit on a machine with systemd."""

from __future__ import annotations

import json
import signal
import socket as socket_module
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fleet.transports.controller import ControllerClient
from tests.desired.remotes import smart_http
from tests.e2e.conftest import Field
from tests.e2e.seat import Seat

AT_ONCE = "rollout: {waves: [100%]}\n"


def role(content: str) -> str:
    return json.dumps({"resources": {"file": {"/etc/app.conf": {"content": content}}}})


def everywhere(lab: Field, content: str) -> bool:
    return all(lab.on(one.name, "cat /etc/app.conf", check=False) == content for one in lab.sandbox.hosts)


def verdicts(client: ControllerClient) -> set[str]:
    return {one["verdict"] for one in client.hosts()}


def until(what: Callable[[], object], seconds: float = 20.0, client: ControllerClient | None = None) -> None:
    """Wait until it is so: somebody else's process decides when. client: says how it stood when that did not happen."""
    end = time.monotonic() + seconds
    while not what():
        late = time.monotonic() > end
        assert not late, ("it did not come to be so in time", client and client.hosts(), client and client.status())
        time.sleep(0.02)


def answers(path: Path) -> bool:
    with socket_module.socket(socket_module.AF_UNIX) as one:
        try:
            one.connect(str(path))
        except OSError:
            return False
    return True


@contextmanager
def serving(lab: Field, **settings: str) -> Iterator[ControllerClient]:
    """Its client, until it has ended in order. Every host is looked at each second unless the test says otherwise."""
    path = lab.repository / "environments/base/environment.yaml"
    if "sweep" not in path.read_text():
        lab.write({"base/environment.yaml": path.read_text() + "sweep: 1s\n"})
    run = _as_child if lab.seat is None else _under_the_unit
    with run(lab, {"FLEET_POLL": "1", **settings}) as client:
        yield client


@contextmanager
def killed(lab: Field, seconds: float) -> Iterator[None]:
    """One that was killed so long after it was started, if it had not ended by itself."""
    if lab.seat is not None:
        with smart_http(lab.repository) as web:
            _begin(lab, lab.seat, {"FLEET_POLL": "1", "FLEET_REMOTE": f"{web.url}/.git"})
            time.sleep(seconds)
            lab.seat.kill()
    else:
        lab.lines |= {"FLEET_POLL": "1", "FLEET_SOCKET": str(lab.root / "fleet.sock")}
        process = lab.start("serve")
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    yield


@contextmanager
def _as_child(lab: Field, settings: dict[str, str]) -> Iterator[ControllerClient]:
    socket = lab.root / "fleet.sock"
    lab.lines |= {"FLEET_SOCKET": str(socket), **settings}
    process = lab.start("serve")
    try:
        until(lambda: process.poll() is not None or answers(socket))  # a killed one left its socket behind
        yield ControllerClient(socket)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=25) == 0
    finally:
        if process.poll() is None:
            process.kill()
        print(*process.communicate(timeout=30))


@contextmanager
def _under_the_unit(lab: Field, settings: dict[str, str]) -> Iterator[ControllerClient]:
    """It follows the repository over HTTP: it sees nothing of the directory where the test has it."""
    assert lab.seat is not None
    with ExitStack() as stack:
        if "FLEET_REMOTE" not in settings:
            settings = {**settings, "FLEET_REMOTE": f"{stack.enter_context(smart_http(lab.repository)).url}/.git"}
        try:
            socket = _begin(lab, lab.seat, settings)
            until(lambda: answers(socket) or lab.seat is None or lab.seat.failed)
            yield ControllerClient(socket)
            lab.seat.stop()
        finally:
            print(lab.seat.journal())
            lab.seat.kill()


def _begin(lab: Field, seat: Seat, settings: dict[str, str]) -> Path:
    seat.take(lab.root, lab.sandbox.key_file)
    lab.seated = True
    given = {name: value for name, value in settings.items() if name != "FLEET_REMOTE"}
    seat.start(settings["FLEET_REMOTE"], given)
    return seat.root / "run/fleet/fleet.sock"
