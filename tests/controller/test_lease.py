"""One controller for one state, whatever becomes of the one that has it; and only in a place that is ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet.controller.lease import lease
from fleet.errors import UsageError

HOLD = "import sys\nfrom pathlib import Path\nfrom fleet.controller.lease import lease\n"
HOLD += "with lease(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"


@contextmanager
def held(state: Path) -> Iterator[subprocess.Popen[str]]:
    command, pipe = [sys.executable, "-c", HOLD, str(state)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_process_that_is_held_still_has_it_and_a_dead_one_has_not(tmp_path: Path) -> None:
    with held(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        with (
            pytest.raises(UsageError, match=f"another controller runs on .*: process {process.pid} on "),
            lease(tmp_path),
        ):
            pass
        process.kill()
        process.wait()
        with lease(tmp_path):
            assert str(os.getpid()) in (tmp_path / "controller.lock").read_text()


@pytest.mark.parametrize("content", ["", "{", '{"pid": "x", "since": 1e999}', "[1]", "\xff" * 2000])
def test_a_lock_file_that_says_nonsense_is_no_crash(tmp_path: Path, content: str) -> None:
    with held(tmp_path):
        (tmp_path / "controller.lock").write_text(content)
        with pytest.raises(UsageError, match="a process that does not say its name"), lease(tmp_path):
            pass


def test_a_link_that_somebody_put_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """Before, the file at its end was emptied and written over."""
    precious = tmp_path / "precious"
    precious.write_text("keep")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/controller.lock").symlink_to(precious)
    with pytest.raises(UsageError, match=r"controller\.lock"), lease(tmp_path / "state"):
        pass
    assert precious.read_text() == "keep"


def test_a_place_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(UsageError, match="chmod o-w"), lease(tmp_path / "state"):
        pass


def test_a_place_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a directory away")
    os.chown(tmp_path, 4711, 4711)
    with pytest.raises(UsageError, match=r"another user \(id 4711\): run the controller as that one"), lease(tmp_path):
        pass


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_made_is_told_in_words(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="FLEET_STATE_DIR"), lease(tmp_path / place):
        pass
