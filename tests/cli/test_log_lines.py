"""Log lines: one line each whatever others say, JSON that programs read, no secrets, and nobody waits for a reader."""

from __future__ import annotations

import io
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli.log_lines import WAITING, JsonLines, TextLines, Writer, is_json, log_lines
from fleet.controller.logged import write
from fleet.controller.view import Event
from fleet.masking import Masker
from fleet.model.secret import Secret
from fleet.settings import Settings

TEXT = st.text(st.characters(codec=None), max_size=60)


def record(message: str, **more: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": "%s", "args": (message,), "levelno": 30, "levelname": "WARNING", "created": 1})
    made.__dict__ |= more
    return made


def knowing(secret: str) -> Masker:
    masker = Masker()
    masker.add([Secret("db password", secret.encode())])
    return masker


@given(TEXT, TEXT)
def test_whatever_a_host_says_is_one_line_that_no_terminal_obeys(said: str, why: str) -> None:
    one = record(said, event="pass", fields={"host": said, "error": why})
    for line in (JsonLines(Masker()).format(one), TextLines(Masker(), False).format(one)):
        assert line.isprintable() or line.replace("\ufffd", "").isprintable() or not set(line) & set("\r\n\x1b\x7f\x9b")
        assert len(line.splitlines()) == 1 and "\x1b" not in line
    read = json.loads(JsonLines(Masker()).format(one))
    assert read["error"] == why and read["host"] == said and read["message"] == said


def test_a_json_line_says_when_how_bad_what_where_and_under_which_ids() -> None:
    fields = {"environment": "prod", "host": "web-1", "pass": "a1", "revision": "b" * 40, "trace_id": "c" * 32}
    read = json.loads(JsonLines(Masker()).format(record("prod/web-1: failed", event="pass", fields=fields)))
    expected = {
        "time": "1970-01-01T00:00:01.000Z",
        "level": "warning",
        "event": "pass",
        "message": "prod/web-1: failed",
    }
    assert read == expected | fields


def test_what_a_field_is_called_never_replaces_what_a_line_always_has() -> None:
    read = json.loads(JsonLines(Masker()).format(record("x", event="pass", fields={"level": "debug", "time": 0})))
    assert (read["level"], read["time"]) == ("warning", "1970-01-01T00:00:01.000Z")


@pytest.mark.parametrize("place", ["message", "field", "traceback"])
def test_no_secret_is_written(place: str) -> None:
    secret = 'hunter"2\\secret'
    one = record(secret if place == "message" else "x", event="e", fields={"error": secret if place == "field" else ""})
    if place == "traceback":
        try:
            raise RuntimeError(secret)
        except RuntimeError as error:
            one.exc_info = (RuntimeError, error, error.__traceback__)
    for line in (JsonLines(knowing(secret)).format(one), TextLines(knowing(secret), True).format(one)):
        assert secret not in line and json.dumps(secret)[1:-1] not in line
    assert "db password" in JsonLines(knowing(secret)).format(one)


def test_json_is_for_systemd_and_text_for_terminals_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    file, journal = io.StringIO(), {"JOURNAL_STREAM": "8:12345"}
    assert is_json(Settings(), journal, file) and not is_json(Settings(), {}, file)
    assert is_json(Settings(log_format="json"), {}, file) and not is_json(Settings(log_format="text"), journal, file)
    leader, follower = os.openpty()
    with os.fdopen(leader), os.fdopen(follower, "w") as terminal:
        assert not is_json(Settings(), journal, terminal), "a desktop's variables are inherited"


def test_the_journal_itself_is_told_how_bad_a_line_is() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as there, os.fdopen(writer, "w") as stream:
        found = os.fstat(writer)
        with log_lines(Settings(), {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, stream, Masker()):
            write(Event(1, 0.0, "pass", "prod", "web-1", {"verdict": "failed"}))
        stream.close()
        line = there.read()
    assert line.startswith("<3>{") and json.loads(line[3:])["host"] == "web-1"


@pytest.mark.parametrize(("level", "expected"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_decides_what_is_worth_a_line(level: Any, expected: int) -> None:
    stream = io.StringIO()
    with log_lines(Settings(log_level=level), {}, stream, Masker()):
        for verdict in ("failed", "unreachable", "changed"):
            write(Event(1, 0.0, "pass", "prod", "web-1", {"verdict": verdict}))
        write(Event(0, 0.0, "pass", "prod", "web-1", {"verdict": "in sync"}), quiet=True)
    assert len(stream.getvalue().splitlines()) == expected


def test_of_libraries_only_what_is_wrong_is_told() -> None:
    stream = io.StringIO()
    with log_lines(Settings(log_level="debug", log_format="json"), {}, stream, Masker()):
        logging.getLogger("asyncssh").info("a thousand lines")
        logging.getLogger("asyncio").error("\x1b[2Jsomething broke")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "asyncio" and "\x1b" not in line


def test_a_reader_who_stopped_delays_nobody_and_is_told_later_what_was_lost() -> None:
    reader, writer = os.pipe()
    logger, stream = logging.Logger("own"), os.fdopen(writer, "w")
    handler = Writer(stream)
    logger.addHandler(handler)
    for number in range(WAITING + 5000):  # more than a pipe and the queue hold
        logger.info("%06d %s", number, "x" * 40)
    with ThreadPoolExecutor() as pool, os.fdopen(reader) as there:
        read = pool.submit(there.readlines)
        while handler._lines.qsize() > WAITING - 2:  # room for what is told first, and for the line
            pass
        logger.info("and now this")
        handler.close()
        stream.close()
        lines = read.result()
    kept = [line for line in lines if line[:6].isdecimal()]
    assert kept == sorted(kept) and lines[-1] == "and now this\n"
    lost = [int(line.split()[0]) for line in lines if line.endswith(" log lines were lost: nobody read them in time\n")]
    assert lost and sum(lost) == WAITING + 5000 - len(kept)
