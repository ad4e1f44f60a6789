"""Progress of hundreds of hosts: right counts, within 80 columns, and nothing that controls a terminal."""

from __future__ import annotations

import pytest

from fleet.cli.printable import keep_colours
from fleet.cli.progress import finished, frame_lines, status_line
from fleet.cli.tally import Tally
from fleet.model.change import PassResult, Verdict
from fleet.model.step import Outcome, Status
from tests.cli.samples import change, result, unreachable


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def tally_of_500() -> tuple[Tally, Clock]:
    """300 done in 10 seconds, 100 running, the first of which began at second 1."""
    clock = Clock()
    tally = Tally(500, clock)
    for i in range(400):
        clock.now = 1.0 + i / 100
        tally.stage(f"dev/web-{i}", "connect")
    for i in range(100, 400):
        tally.stage(f"dev/web-{i}", "observe")
        tally.done(unreachable(f"web-{i}") if i % 100 == 0 else result(f"web-{i}", Verdict.IN_SYNC))
    clock.now = 10.0
    return tally, clock


def test_counts_rate_and_slowest() -> None:
    tally, _ = tally_of_500()
    assert tally.counts() == {Verdict.IN_SYNC: 297, Verdict.UNREACHABLE: 3}
    assert tally.rate() == 30.0
    assert tally.slowest(2) == [("dev/web-0", "connect", 9.0), ("dev/web-1", "connect", pytest.approx(8.99))]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_live_region_fits_the_terminal(width: int) -> None:
    tally, _ = tally_of_500()
    tally.stage("dev/" + "x\x1b[2J" * 50, "connect")
    lines = frame_lines(tally, "looking at", width)
    assert len(lines) <= 7
    assert max(len(line) for line, _ in lines) <= width
    assert all(keep_colours(line) == line for line, _ in lines)


def test_the_live_region_says_how_far_it_is() -> None:
    tally, _ = tally_of_500()
    text = "\n".join(line for line, _ in frame_lines(tally, "looking at", 80))
    assert "looking at 500 hosts" in text
    assert "300/500  30 hosts/s  0:10" in text
    assert "297 in sync, 3 unreachable; 100 running" in text
    assert "dev/web-0  connect 9.0 s" in text


def test_elsewhere_it_is_one_line() -> None:
    tally, _ = tally_of_500()
    assert status_line(tally, "looking at") == (
        "looking at: 300 of 500 hosts after 0:10 (297 in sync, 3 unreachable); slowest: dev/web-0 (connect 9 s)"
    )


def test_one_host_is_one_host() -> None:
    assert frame_lines(Tally(1), "changing", 80)[0][0] == "changing 1 host"
    assert status_line(Tally(1), "changing").startswith("changing: 0 of 1 host after")


def test_a_host_that_did_not_go_well_is_one_line_with_its_reason() -> None:
    changed = change("package:nginx", None, {"version": "1"})
    failed = result("w", Verdict.FAILED, [changed], [Outcome("package:nginx", Status.FAILED, 1)])
    assert finished(failed) == "dev/w failed: package:nginx failed"
    assert finished(result("w", Verdict.FAILED, unreadable={"file:/x": "?"})).endswith("file:/x could not be observed")
    assert finished(unreachable("w")) == "dev/w unreachable: timeout"


def test_results_are_heard_as_they_come() -> None:
    heard: list[PassResult] = []
    tally = Tally(1, heard=heard.append)
    tally.done(unreachable("w"))
    assert [r.host for r in heard] == ["w"]
