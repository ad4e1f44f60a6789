"""What a host's shell says, cut into frames: bytes in arbitrary pieces in, Outcomes out. Nothing it says is trusted.

Everything before the session's first marker is login noise. A marker is 128 random bits, so output cannot fake one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from fleet.model.step import Outcome, Report, Status, Task


class Reader:
    """Reads one session's output; `expect` begins a batch, `done` is true once its last frame came.

    limit: bytes kept of one batch's output. `overflow` is true once the host sent more than that. sid: the session that
    can be ended, 0 when none can; greeted: the shell has answered at all.
    """

    def __init__(self, marker: str, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._mark = b"\n" + marker.encode() + b" "
        self._limit, self._clock = limit, clock
        self._buffer = bytearray()
        self._tasks: Sequence[Task] = ()
        self._report: Report | None = None
        self._current: int | None = None
        self._began = 0.0
        self._size = 0
        self.sid = 0
        self.greeted = False
        self.bash = False
        self.done = True
        self.overflow = False
        self.outcomes: dict[str, Outcome] = {}

    def expect(self, tasks: Sequence[Task], report: Report | None) -> None:
        self._tasks, self._report, self.outcomes = tasks, report, {}
        self._current, self._size = None, 0
        self.done, self.overflow = False, False

    def feed(self, data: bytes) -> None:
        """Take what came. Sets `done` or `overflow`."""
        self._size += len(data)
        if self._size > self._limit:
            self.overflow = True
            return
        start = max(0, len(self._buffer) - len(self._mark))
        self._buffer += data
        while (at := self._buffer.find(self._mark, start)) >= 0:
            end = self._buffer.find(b"\n", at + 1)
            if end < 0:
                return
            words = bytes(self._buffer[at + len(self._mark) : end]).decode("ascii", "replace").split()
            output = bytes(self._buffer[:at])
            del self._buffer[: end + 1]
            start = 0
            self._frame(words, output)

    def _frame(self, words: list[str], output: bytes) -> None:
        match words:
            case ["H", sid, *shell] if sid.isdecimal():
                self.sid, self.bash, self.greeted = int(sid), shell == ["bash"], True
            case ["B", number] if number.isdecimal() and int(number) < len(self._tasks):
                self._current, self._began = int(number), self._clock()
            case ["E", number, status, code, step] if self._current is not None and number == str(self._current):
                task = self._tasks[self._current]
                seconds = self._clock() - self._began
                self._tell(Outcome(task.id, _status(status), _number(code), output, _number(step) or 0, seconds))
                self._current = None
            case ["Z"]:
                self.done = True
            case _:
                pass  # not a frame of ours: part of some output that quotes the protocol

    def unfinished(self, truncated: bool = False) -> None:
        """The connection is gone: whoever has no outcome yet is unknown."""
        for number, task in enumerate(self._tasks):
            if task.id not in self.outcomes:
                current = number == self._current
                output = bytes(self._buffer[-65536:]) if current else b""
                self._tell(Outcome(task.id, Status.UNKNOWN, None, output, truncated=truncated and current))

    def _tell(self, outcome: Outcome) -> None:
        self.outcomes[outcome.id] = outcome
        if self._report is not None:
            self._report(outcome)


def _status(word: str) -> Status:
    try:
        return Status(word)
    except ValueError:
        return Status.UNKNOWN


def _number(word: str) -> int | None:
    try:
        return int(word)
    except ValueError:
        return None
