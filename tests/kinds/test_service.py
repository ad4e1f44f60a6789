"""service without systemd: transcripts in the format of systemctl(1), and the calls that follow from a change.

The blocks are written from the documented format; a host that runs systemd has not answered these.
"""

from __future__ import annotations

from typing import Any

import pytest

from fleet.kinds.service import KIND, unit
from fleet.model.change import Change, Unreadable
from fleet.model.step import Outcome, Script, Status
from tests.describe import resource


def block(load: str = "loaded", active: str = "active", sub: str = "running", file: str = "enabled") -> str:
    lines = (f"LoadState={load}", f"ActiveState={active}", f"SubState={sub}", f"UnitFileState={file}")
    return "\n".join((*lines, "NeedDaemonReload=no", ""))


def observed(text: str, *names: str) -> list[Any]:
    found = KIND.observe([resource("service", name) for name in names])
    return list(found.read(Outcome("look:0", Status.OK, 0, text.encode())).values())


@pytest.mark.parametrize(
    ("said", "running", "enabled", "masked", "exists"),
    [
        (block(), True, True, False, True),
        (block(active="inactive", sub="dead", file="disabled"), False, False, False, True),
        (block(active="failed", sub="failed"), False, True, False, True),
        (block(active="activating", sub="start"), True, True, False, True),
        (block(active="activating", sub="auto-restart"), False, True, False, True),
        (block(active="reloading", sub="reload"), True, True, False, True),
        (block(active="deactivating", sub="stop-sigterm"), False, True, False, True),
        (block("masked", "inactive", "dead", "masked"), False, False, True, True),
        (block("not-found", "inactive", "dead", ""), False, False, False, False),
        (block(file="alias"), True, True, False, True),
        (block(file="enabled-runtime"), True, False, False, True),
        (block(file="linked"), True, False, False, True),
    ],
)
def test_a_block_is_a_state(said: str, running: bool, enabled: bool, masked: bool, exists: bool) -> None:
    (found,) = observed(f"{said}\nEND\n", "nginx")
    assert found == {"running": running, "enabled": enabled, "masked": masked, "stale": False, "found": exists}


@pytest.mark.parametrize("file", ["static", "indirect", "generated", "transient"])
@pytest.mark.parametrize("wanted", [True, False, None])
def test_where_nothing_can_be_enabled_nothing_is_tried(file: str, wanted: bool | None) -> None:
    """systemctl(1): enable and disable change nothing there, so it would differ for ever."""
    one = resource("service", "nginx", enabled=wanted)
    found = KIND.observe([one]).read(Outcome("look:0", Status.OK, 0, f"{block(file=file)}\nEND\n".encode()))[one.id]
    assert isinstance(found, dict) and found["enabled"] is wanted


def test_blocks_come_in_the_order_of_the_units() -> None:
    """One call for all; a unit that does not exist has a block, too."""
    text = "\n".join((block(), block("not-found", "inactive", "dead", ""), block(active="failed")))
    assert [one["running"] for one in observed(f"{text}\nEND\n", "a", "b.timer", "c.service")] == [True, False, False]


def test_a_block_too_few_is_not_shifted_to_another_unit() -> None:
    with pytest.raises(ValueError, match="shorter"):
        observed(f"{block()}\nEND\n", "a", "b")


def test_without_systemd_nothing_is_said_about_services() -> None:
    assert observed("NONE\n", "a") == [Unreadable("systemd does not run on this host")]


RIGHT = {"running": True, "enabled": True, "masked": False, "stale": False, "found": True}


def calls(before: dict[str, Any], due: str = "", **attributes: Any) -> list[str]:
    """Verbs of systemctl, in order; the look for a stale unit file, which always comes, is left out."""
    one = resource("service", "nginx", **attributes)
    (steps,) = KIND.fix([Change(one, before, one.desired, (), due)]).values()
    words = [step.args for step in steps if isinstance(step, Script)]
    assert len(words) == len(steps) and words.count(("nginx.service",)) == 1
    return [args[0] for args in words if len(args) == 2]


@pytest.mark.parametrize(
    ("before", "due", "attributes", "verbs"),
    [
        (RIGHT | {"running": False}, "", {}, ["start"]),
        (RIGHT, "", {"running": False}, ["stop"]),
        (RIGHT | {"running": False, "enabled": False}, "", {"enabled": True}, ["enable", "start"]),
        (RIGHT, "", {"running": False, "enabled": False}, ["disable", "stop"]),
        (RIGHT, "reload", {}, ["reload-or-restart"]),
        (RIGHT, "restart", {}, ["restart"]),
        # What starts in this very change has read its settings; what does not run has nothing to reload.
        (RIGHT | {"running": False}, "restart", {}, ["start"]),
        (RIGHT | {"running": False}, "reload", {"running": False}, []),
        (RIGHT | {"running": False}, "reload", {"running": None}, []),
        (RIGHT, "restart", {"running": None}, ["restart"]),
        (RIGHT | {"running": False, "masked": True}, "", {"masked": False}, ["unmask", "start"]),
        (RIGHT, "", {"running": False, "enabled": False, "masked": True}, ["disable", "stop", "mask"]),
        (RIGHT | {"stale": True}, "", {}, []),
    ],
)
def test_a_change_is_few_calls(before: dict[str, Any], due: str, attributes: dict[str, Any], verbs: list[str]) -> None:
    assert calls(before, due, **attributes) == verbs


@pytest.mark.parametrize(
    ("name", "full"), [("nginx", "nginx.service"), ("a.timer", "a.timer"), ("getty@tty1", "getty@tty1.service")]
)
def test_a_name_without_a_suffix_is_a_service(name: str, full: str) -> None:
    assert unit(name) == full
    assert KIND.owns(name, KIND.Spec()) == (f"unit:{full}",)
    assert f"package:{name}" in KIND.wants(name, KIND.Spec())
