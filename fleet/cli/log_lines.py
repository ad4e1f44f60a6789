"""Log lines of a service: records in, JSON for programs or text for people out, one line each.

What others say (hosts, Git, libraries) is escaped, so that a line is one line and a terminal obeys nobody. Secrets of
this process are masked. Lines are written by a thread of its own: a reader who stops reading delays no pass.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import click

from fleet.cli.printable import one_line
from fleet.cli.times import iso, moment
from fleet.masking import Masker
from fleet.settings import Settings

WAITING = 10_000  # lines that wait for their reader at most; then they are counted and lost
LONGEST = 4000  # characters of a line of text
_COLORS = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_LOST = {
    "name": "lost",
    "levelno": logging.WARNING,
    "levelname": "WARNING",
    "msg": "%d log lines were lost: nobody read them in time",
}


class JsonLines(logging.Formatter):
    """time (UTC), level, event, message, and the fields of what happened. See fleet/cli/json_output.md."""

    def __init__(self, masker: Masker) -> None:
        super().__init__()
        self._masker = masker

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": iso(record.created),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", record.name),
            "message": record.getMessage(),
        }
        said |= {name: value for name, value in _fields(record).items() if name not in said}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(self._masker.value(said), default=str)


class TextLines(logging.Formatter):
    """Local time, level, sentence."""

    def __init__(self, masker: Masker, color: bool) -> None:
        super().__init__()
        self._masker, self._color = masker, color

    def format(self, record: logging.LogRecord) -> str:
        level, trace = record.levelname.lower(), _fields(record).get("trace_id")
        if self._color and record.levelno in _COLORS:
            level = click.style(f"{level:7}", fg=_COLORS[record.levelno])
        said = one_line(self._masker.text(record.getMessage()), LONGEST) + (f" [trace {trace}]" if trace else "")
        if record.exc_info:
            said += " " + one_line(self._masker.text(self.formatException(record.exc_info)), LONGEST)
        return f"{moment(record.created)} {level:7} {said}"


class Writer(logging.Handler):
    """prioritized: each line begins with its priority, which systemd takes off again (sd-daemon(3))."""

    def __init__(self, stream: IO[str], prioritized: bool = False) -> None:
        super().__init__()
        self._stream, self._prioritized, self._lost = stream, prioritized, 0
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._lost and not self._lines.full():
                lost, self._lost = self._lost, 0
                self._put(logging.makeLogRecord({**_LOST, "args": (lost,), "created": record.created}))
            self._put(record)
        except queue.Full:
            self._lost += 1
        except Exception:
            self.handleError(record)

    def _put(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        self._lines.put_nowait(f"<{_PRIORITY.get(record.levelno, 6)}>{line}" if self._prioritized else line)

    def close(self) -> None:
        """What waits is written, if anybody reads it within two seconds."""
        try:
            self._lines.put(None, timeout=1)
            self._thread.join(1)
        except queue.Full:
            pass
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                continue  # nobody reads any more; what happens goes on


def is_json(settings: Settings, environ: Mapping[str, str], stream: IO[str]) -> bool:
    """Under systemd, but not on a terminal: what was started from a desktop inherits its variables."""
    if settings.log_format == "auto":
        return "JOURNAL_STREAM" in environ and not stream.isatty()
    return settings.log_format == "json"


@contextmanager
def log_lines(settings: Settings, environ: Mapping[str, str], stream: IO[str], masker: Masker) -> Iterator[None]:
    """Whatever this process logs goes to that stream until the block ends. Of libraries only what is wrong."""
    writer = Writer(stream, _is_journal(environ, stream))
    if is_json(settings, environ, stream):
        writer.setFormatter(JsonLines(masker))
    else:
        writer.setFormatter(TextLines(masker, stream.isatty() and settings.color != "never"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(writer)
    root.setLevel(logging.WARNING)
    set_level(settings)
    try:
        yield
    finally:
        root.removeHandler(writer)
        root.setLevel(before)
        writer.close()


def set_level(settings: Settings) -> None:
    """From now on."""
    logging.getLogger("fleet").setLevel(settings.log_level.upper())


def _is_journal(environ: Mapping[str, str], stream: IO[str]) -> bool:
    """Whether this very stream is the journal's: systemd.exec(5), JOURNAL_STREAM."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    found = getattr(record, "fields", {})
    return found if isinstance(found, Mapping) else {}
