"""What a host's shell says, cut into frames: bytes in arbitrary pieces in, Outcomes out. Nothing it says is trusted.

Everything before the session's first marker is login noise. A marker is 128 random bits, so output cannot fake one.
Memory is bounded by the limit, whatever comes: beyond it the beginning and the end of a task's output are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from fleet.model.step import Outcome, Report, Status, Task

# The end of an output that is too long: error messages come last.
TAIL = 4096
# A noisy program is heard out up to this many times the limit; what goes on after that has no end.
PATIENCE = 4
# No frame of ours is longer.
LONGEST_FRAME = 256


class Reader:
    """Reads one session's output; `expect` begins a batch, `done` is true once its last frame came.

    limit: bytes kept of one batch's output. `overflow`: the host sent several times that, and should be stopped.
    pid, session: the shell's process id and its session's, 0 until the shell said hello (0: has no session of its own).
    """

    def __init__(self, marker: str, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._mark = b"\n" + marker.encode() + b" "
        self._limit, self._clock = limit, clock
        self._buffer = bytearray(b"\n")  # as if a line had just ended: the first frame needs no newline before it
        self._output = _Output()
        self._room = limit
        self._received = 0
        self._tasks: Sequence[Task] = ()
        self._report: Report | None = None
        self._current: int | None = None
        self._began = 0.0
        self.pid = 0
        self.session = 0
        self.done = True
        self.overflow = False
        self.outcomes: dict[str, Outcome] = {}

    def expect(self, tasks: Sequence[Task], report: Report | None) -> None:
        """A batch was sent: its frames come next."""
        self._tasks, self._report, self.outcomes = tasks, report, {}
        self._current, self._room, self._received = None, self._limit, 0
        self.done, self.overflow = False, False

    @property
    def noise(self) -> bytes:
        """The last that was heard outside any frame: why there is no shell."""
        return bytes(self._output.join() + self._buffer)[-TAIL:]

    def feed(self, data: bytes) -> None:
        """Take what came. Sets `done`, or `overflow`, after which nothing is taken any more."""
        self._received += len(data)
        self.overflow = self.overflow or self._received > self._limit * PATIENCE
        if self.overflow:
            return
        buffer = self._buffer
        buffer += data
        while (at := buffer.find(self._mark)) >= 0:
            end = buffer.find(b"\n", at + len(self._mark))
            self._keep(at)
            if end >= 0:
                words = bytes(buffer[len(self._mark) : end - at]).decode("ascii", "replace").split()
                del buffer[: end - at + 1]
                self._frame(words)
            elif len(buffer) > LONGEST_FRAME:
                self._keep(len(self._mark))
            else:
                return
        # The beginning of a marker may stand at the end; all before it is output.
        self._keep(len(buffer) - len(self._mark) + 1)

    def _keep(self, size: int) -> None:
        """Move the buffer's first `size` bytes to the current output, as far as there is room."""
        if size > 0:
            self._room -= self._output.add(self._buffer[:size], self._room)
            del self._buffer[:size]

    def _frame(self, words: list[str]) -> None:
        match words:
            case ["H", pid, session] if pid.isdecimal() and session.isdecimal():
                self.pid, self.session = int(pid), int(session)
            case ["B", number] if number.isdecimal() and int(number) < len(self._tasks):
                self._current, self._began = int(number), self._clock()
                self._output = _Output()
            case ["E", number, status, code, step] if self._current is not None and number == str(self._current):
                self._tell(self._outcome(self._tasks[self._current], status, code, step))
                self._current = None
            case ["Z"]:
                self.unfinished()
                self.done = True
            case _:
                pass  # not a frame of ours: part of some output that quotes the protocol

    def _outcome(self, task: Task, status: str, code: str, step: str) -> Outcome:
        seconds = self._clock() - self._began
        failed = _number(step)
        return Outcome(
            task.id,
            _status(status),
            _number(code),
            self._output.join(),
            -1 if failed is None else failed,
            seconds,
            self._output.left_out > 0,
        )

    def unfinished(self) -> None:
        """No more will come: whoever has no outcome yet is unknown."""
        if self._current is not None:
            self._keep(len(self._buffer))
        for number, task in enumerate(self._tasks):
            if task.id not in self.outcomes:
                output = self._output if number == self._current else _Output()
                truncated = self.overflow or output.left_out > 0
                self._tell(Outcome(task.id, Status.UNKNOWN, None, output.join(), truncated=truncated))

    def _tell(self, outcome: Outcome) -> None:
        self.outcomes[outcome.id] = outcome
        if self._report is not None:
            self._report(outcome)


class _Output:
    """One task's output: all of it while there is room, then its end only."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self.left_out = 0

    def add(self, data: bytearray, room: int) -> int:
        """Take what came; the number of bytes of `room` that it used."""
        taken = 0
        if not self._tail:
            self._head += data[:room]
            taken = min(room, len(data))
        rest = data[taken:]
        self._tail += rest
        surplus = max(0, len(self._tail) - TAIL)
        self.left_out += surplus
        del self._tail[:surplus]
        return taken

    def join(self) -> bytes:
        if not self.left_out:
            return bytes(self._head + self._tail)
        return b"%s\n[%d bytes left out]\n%s" % (self._head, self.left_out, self._tail)


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
