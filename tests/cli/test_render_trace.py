"""Where the time went, in a table that fits the screen."""

from __future__ import annotations

from fleet.cli.render_trace import document, render
from fleet.telemetry import HostTime


def times(count: int) -> list[HostTime]:
    """Slowest first; the first took 3 s, of which 0.5 s waiting."""
    stages = {"connect": 1.0, "observe": 0.5, "apply": 0.75, "verify": 0.25}
    rest = [HostTime(f"dev/web-{i}", 0.5, {"connect": 0.25, "observe": 0.25}, "in sync", 1) for i in range(count - 1)]
    return [HostTime("production/very-long-name.rack-17.example.org", 3.0, stages, "changed", 3), *rest]


def test_the_slowest_hosts_stage_by_stage_and_the_median() -> None:
    lines = render(times(200)).splitlines()
    assert lines[0].split() == [
        "slowest",
        "hosts",
        "total",
        "connect",
        "observe",
        "apply",
        "verify",
        "waiting",
        "trips",
    ]
    assert lines[1].split()[1:] == ["3.00", "1.00", "0.50", "0.75", "0.25", "0.50", "3"]
    assert lines[-1].split()[1:] == ["0.50", "0.25", "0.25", "0.00", "0.00", "0.00", "1"]
    assert len(lines) == 12
    assert max(map(len, lines)) <= 80


def test_nothing_contacted_is_said() -> None:
    assert render([]) == "no host was contacted"


def test_programs_get_every_host() -> None:
    found = document(times(200), "ab" * 16)
    assert len(found["hosts"]) == 200
    assert found["hosts"][0]["stages"]["apply"] == 0.75
