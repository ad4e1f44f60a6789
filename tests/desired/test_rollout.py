"""What environment.yaml says of rollouts, windows and sweeps, merged from base to overlay; what is broken is data."""

from __future__ import annotations

import pytest

from fleet.desired.assemble import EnvironmentSpec
from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.source import memory_tree
from fleet.kinds import KINDS
from fleet.model.rollout import RolloutPolicy, Share, Window

BASE = """\
rollout: {waves: [1, 25%, 100%], max_failed: 2, pause: 30s}
windows:
  night: {cron: 0 22 * * 1-5, duration: 4h, timezone: Europe/Berlin}
  noon: {cron: "0  12 * * *", duration: 90}
sweep: 5m
"""


def _compiled(**settings: str) -> EnvironmentSpec:
    files = {f"{layer}/environment.yaml": text.encode() for layer, text in settings.items()}
    compiled = Compiler(KINDS).compile(load(memory_tree(files | {"dev/hosts.yaml": b"hosts: {web: {}}"}), KINDS))
    assert compiled.problems == ()
    return compiled.environments["dev"]


def test_nothing_said_is_safe() -> None:
    found = _compiled()
    assert (found.rollout, found.windows, found.sweep) == (RolloutPolicy(), (), 60.0)
    assert [str(share) for share in found.rollout.waves] == ["1", "10%", "100%"]


def test_what_is_said_is_had() -> None:
    found = _compiled(base=BASE)
    assert found.rollout == RolloutPolicy(
        (Share(1), Share(25, percent=True), Share(100, percent=True)), max_failed=Share(2), pause=30.0
    )
    night = Window("night", "0 22 * * 1-5", 4 * 3600.0, "Europe/Berlin")
    assert found.windows == (night, Window("noon", "0 12 * * *", 90.0))
    assert found.sweep == 300.0


def test_an_overlay_changes_one_key_alone() -> None:
    found = _compiled(
        base=BASE,
        dev="rollout: {waves: [100%], order: rank, max_unreachable: 0}\n"
        "windows: {noon: !remove , night: {duration: 1h}}\nsweep: 1\n",
    )
    assert found.rollout == RolloutPolicy((Share(100, percent=True),), Share(2), Share(0), pause=30.0, order="rank")
    assert found.windows == (Window("night", "0 22 * * 1-5", 3600.0, "Europe/Berlin"),)
    assert found.sweep == 1.0


def test_they_are_no_change_of_any_host() -> None:
    assert _compiled().hosts["web"].digest == _compiled(base=BASE).hosts["web"].digest


@pytest.mark.parametrize(
    "zone",
    ["Europe", "/etc/localtime", "Europe/../Europe/Berlin", "\\0", "\\u0007", "é", "localtime", "right/UTC", "berlin"],
)
def test_a_zone_is_a_name_and_no_path(zone: str) -> None:
    text = f'windows: {{"w\\u0007": {{cron: 0 0 * * *, duration: 1h, timezone: "{zone}"}}}}\n'
    files = {"dev/environment.yaml": text.encode(), "dev/hosts.yaml": b"hosts: {}"}
    (problem,) = Compiler(KINDS).compile(load(memory_tree(files), KINDS)).problems
    assert problem.message.startswith("there is no time zone") and problem.message.isprintable()
    assert problem.origin.line == 1
