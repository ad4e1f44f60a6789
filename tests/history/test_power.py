"""Power loss: what was acknowledged was handed to the disk before, as the system calls of a real process show."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.history import power

ROOT = Path(__file__).resolve().parents[2]


def test_an_intent_is_synced_before_it_is_acknowledged(tmp_path: Path) -> None:
    """For each acknowledgement: the write of its row into the WAL, then a finished fdatasync, then the word."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace, to see what is synced and when")
    log = tmp_path / "calls"
    command = [strace, "-f", "-y", "-s", "4200", "-e", "trace=write,pwrite64,fdatasync,fsync", "-o", str(log)]
    command += [sys.executable, "-m", "tests.history.writer_process", str(tmp_path / "history.db"), "host", "3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if "ptrace" in done.stderr and done.returncode != 0:
        pytest.skip(f"no process may be traced here: {done.stderr.strip()[:100]}")
    assert done.returncode == 0, done.stderr
    calls = log.read_text("ascii", "replace").splitlines()
    acknowledged = re.findall(r"intended (\S+)", done.stdout)
    assert len(acknowledged) == 12
    for attempt in acknowledged:
        said = next(n for n, call in enumerate(calls) if "write(1<" in call and attempt in call)
        written = next(n for n, call in enumerate(calls) if "history.db-wal" in call and attempt in call)
        synced = [n for n, call in enumerate(calls) if re.search(r"f(data)?sync.*= 0$", call)]
        assert any(written < n < said for n in synced), f"{attempt} was acknowledged before it was on disk"


def test_what_was_acknowledged_is_there_after_three_power_cuts(tmp_path: Path) -> None:
    """`python -m tests.history.power 50` does the same fifty times."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts an image, whose power can be cut")
    try:
        shown = power.run(tmp_path, 3)
    except power.NoImageError as error:
        pytest.skip(f"no image can be mounted here: {error}")
    assert (shown.cuts, shown.lost, shown.wrong) == (3, [], []), str(shown)
    assert len(shown.acknowledged) > 100


def test_a_record_that_forgets_is_noticed(tmp_path: Path) -> None:
    """The check itself: what was acknowledged and is not there is named, and so is a damaged file."""
    path = tmp_path / "history.db"
    shown = power.Cuts(1, 0, [("audit", "0-1"), ("order", "0-1"), ("take", "000000-000001"), ("lift", "0-2")])
    power._check(path, shown)
    assert [one.partition(" after")[0] for one in shown.lost] == ["audit 0-1", "order 0-1", "take 000000-000001"]
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40_000)
    path.with_name("history.db-wal").unlink(missing_ok=True)
    power._check(path, shown)
    assert shown.wrong
