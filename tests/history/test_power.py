"""Power loss: what was acknowledged was handed to the disk before, as the system calls of a real process show."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
