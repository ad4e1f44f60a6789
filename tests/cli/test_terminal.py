"""On a real terminal: hostile bytes never reach it, Ctrl-C ends a run cleanly, a second one at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect

ROOT = Path(__file__).parents[2]
# What we send ourselves: colours, and what the live region needs (cursor hidden, shown, up, line erased).
OURS = re.compile(rb"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\x1b\[2K")


def spawn(mode: str) -> pexpect.spawn[bytes]:
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    environment.pop("NO_COLOR", None)
    return pexpect.spawn(
        sys.executable,
        ["-m", "tests.cli.hostile_run", mode],
        env=environment,
        dimensions=(24, 80),
        cwd=str(ROOT),
        timeout=20,
    )


def test_no_byte_of_a_host_controls_the_terminal() -> None:
    """Live region, failures as they come, diffs, trace and closing line: only our own sequences, tab and newline."""
    child = spawn("plan")
    child.expect(pexpect.EOF)
    child.close()
    shown = child.before or b""
    assert child.exitstatus == 3, shown
    assert b"\x1b[?25l" in shown, "the live region was shown"
    rest = OURS.sub(b"", shown)
    assert set(rest) & set(range(0x20)) <= set(b"\t\r\n"), rest
    text = rest.decode()
    assert not re.search("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", text)
    assert "[bold red]markup[/] :smile:" in text
    assert r"\x1b]0;owned\x07" in text
    for line in shown.split(b"\n"):
        # A carriage return only ends a line or starts the live region's own redraw.
        assert b"over\rwritten" not in line


def test_ctrl_c_ends_cleanly_and_says_what_was_not_done() -> None:
    child = spawn("slow")
    child.expect(b"6/7")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    shown = OURS.sub(b"", child.before or b"").decode()
    assert child.exitstatus == 130, shown
    assert "interrupted: these hosts were not looked at" in shown
    assert "dev: h6-[bold red]markup" in shown
    assert "1 not begun or not finished" in shown


def test_a_second_ctrl_c_leaves_at_once_with_the_cursor_back() -> None:
    child = spawn("deaf")
    child.expect(b"6/7")
    child.sendintr()
    child.expect(b"Ctrl-C again leaves at once")
    began = time.monotonic()
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert time.monotonic() - began < 3
    assert child.exitstatus == 130
    assert (child.before or b"").rfind(b"\x1b[?25h") > (child.before or b"").rfind(b"\x1b[?25l")


def test_without_a_terminal_there_are_plain_lines_and_no_colours() -> None:
    """SIGTERM ends it like Ctrl-C."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.hostile_run", "slow"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stderr is not None
    first = child.stderr.readline()
    while b"h5" not in (line := child.stderr.readline()):
        assert line
    child.send_signal(signal.SIGTERM)
    out, rest = child.communicate(timeout=20)
    assert child.returncode == 130
    assert b"\x1b" not in out + first + rest
    assert b"interrupted: these hosts were not looked at" in out


def test_colours_go_when_somebody_says_so(tmp_path: Path) -> None:
    """On a terminal: NO_COLOR (no-color.org) and --no-color; an empty NO_COLOR says nothing."""
    for words, variables, coloured in [
        ((), {}, True),
        (("--no-color",), {}, False),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": ""}, True),
    ]:
        environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | variables
        call = f"{sys.executable} -m fleet.cli.main plam {' '.join(words)}"
        shown = pexpect.run(call, env=environment, cwd=str(tmp_path))
        assert isinstance(shown, bytes)
        assert b"there is no command" in shown
        assert (b"\x1b[" in shown) is coloured, (words, variables)
