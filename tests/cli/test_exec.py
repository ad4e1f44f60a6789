"""What people ran by hand, as it is told: every host once, the same said once, and nothing of a host taken for ours."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli import main
from fleet.cli.exit_codes import exit_code
from fleet.cli.printable import printable
from fleet.cli.render_exec import beside, closing, records_text, render
from fleet.history import ExecRecord
from fleet.model.executed import Ended, Executed

WHY = ("--reason", "incident 42")
TOUCH = ("--", "touch", "/tmp/never")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*WHY, *TOUCH), "which hosts? name them: fleet exec -e ENV --host NAME --reason 'incident 42' -- …"),
        (("-e", "lab", "--yes", *TOUCH), "why? it stays on record: fleet exec -e lab --reason WHY -- …"),
        (("-e", "lab", "--reason", "  ", *TOUCH), "why? it stays on record"),
        (("--host", "h-1", "--reason", "a\nb", *TOUCH), "expected a reason of one line"),
        (("--host", "h-1", "--reason", "\x1b[2J", *TOUCH), "expected a reason of one line"),
        (("-e", "lab", *WHY, "touch", "/tmp/never"), "put -- before what is to be run"),
        (("-e", "lab", *WHY), "put -- before what is to be run"),
        (("-e", "lab", "touch", *WHY, *TOUCH), "stands after -- and nowhere else"),
        (("--host", "h-1", *WHY, "--"), "Missing argument"),
        (("--host", "h-1", *WHY, "--", " "), "the command after -- is empty"),
        (("--host", "h-1", *WHY, "--timeout", "2d", *TOUCH), "from 1s to 1d"),
        (("--host", "h-1", *WHY, "--timeout", "0", *TOUCH), "from 1s to 1d"),
        (("--host", "h-1", *WHY, "--timeout", "soon", *TOUCH), "expected seconds, or text such as 30s"),
        (("--host", "h-1", *WHY, "--parallel", "0", *TOUCH), "0 is not in the range"),
    ],
)
def test_it_says_what_to_type(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["exec", *words]) == 1
    assert told in " ".join(capsys.readouterr().err.split())


def test_options_of_the_other_command_are_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--json", "--no-color", "--help", "-vvv", "--yes"):
        assert main.run(["exec", "--", "inspect", option]) == 1
        assert capsys.readouterr().err.startswith("error: which hosts?"), option
    assert main.run(["exec", "--json", "--", "x"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "usage"
    assert main.run(["exec", "--help"]) == 0


def done(host: str, status: Ended = Ended.OK, code: int | None = 0, output: bytes = b"", **more: object) -> Executed:
    return Executed("lab", host, status, code, output, bool(more.get("cut")), str(more.get("error", "")))


def plain(results: list[Executed], width: int = 100) -> str:
    return click.unstyle(render(results, width))


def test_the_same_is_said_once_and_what_matters_most_comes_last() -> None:
    results = [done(f"web-{n}", output=b"one\n\ttwo\n\n") for n in range(1, 13)]
    results += [
        done("db-1", Ended.FAILED, 7, b"no\r\n"),
        done("db-2", Ended.CONFLICT, None, error="this host belongs to environment prod, not lab"),
        done("db-3", Ended.UNKNOWN, None, b"half", cut=True, error="the connection was lost"),
        done("db-4", Ended.OK, 0, b"another"),
    ]
    assert plain(results) == (
        "12 hosts: web-[1:12]  exit 0\n    | one\n    |     two\n\n"
        "1 host: db-4  exit 0\n    | another\n\n"
        "1 host: db-1  exit 7\n    | no\\r\n\n"
        "1 host: db-3  unknown: nobody knows how it ended\n    the connection was lost\n    | half\n"
        "    (its beginning and its end only; the record has no more)\n\n"
        "1 host: db-2  refused; not run\n    this host belongs to environment prod, not lab"
    )
    assert click.unstyle(closing(results)) == "16 hosts: 13 ok, 1 failed, 1 unknown, 1 conflict"
    other = Executed("dev", "web-1", Ended.OK, 0, b"another")
    assert plain([results[-1], other]).startswith("2 hosts: dev: web-1 · lab: db-4  exit 0\n")


ENDS = st.sampled_from(Ended)
OUTPUTS = st.sampled_from([b"", b"a\n", b"b", b"\x1b[2J\xff"])


@given(st.dictionaries(st.integers(0, 40).map("h{}".format), st.tuples(ENDS, st.none() | st.integers(0, 255), OUTPUTS)))
def test_every_host_is_told_exactly_once(hosts: dict[str, tuple[Ended, int | None, bytes]]) -> None:
    results = [done(name, *said) for name, said in hosts.items()]
    text = plain(results, 10_000)
    heads = re.findall(r"^(\d+) hosts?: (.*?)  \S", text, re.MULTILINE)
    assert sum(int(number) for number, _ in heads) == len(hosts)
    assert len(heads) == len(set(hosts.values()))
    assert printable(text) == text


@pytest.mark.parametrize(
    ("statuses", "interrupted", "code"),
    [
        ([Ended.OK], False, 0),
        ([Ended.OK, Ended.FAILED], False, 3),
        ([Ended.OK, Ended.UNKNOWN], False, 4),
        ([Ended.UNREACHABLE, Ended.FAILED], False, 3),
        ([Ended.CONFLICT, Ended.FAILED], False, 5),
        ([Ended.OK, Ended.SKIPPED], True, 130),
    ],
)
def test_the_exit_code_is_that_of_what_matters_most(statuses: list[Ended], interrupted: bool, code: int) -> None:
    assert exit_code((one.verdict for one in statuses), interrupted) == code


RECORD = ExecRecord(1, 7, "lab", "h1", "ann@box", "why", "rm /x", 100.0, 101.0, "ok", 0, b"", False, "", 1.0)


def record(host: str, run: int = 7, **more: Any) -> ExecRecord:
    return replace(RECORD, host=host, run=run, **more)


def test_a_record_says_who_where_what_and_why() -> None:
    records = [record("h1"), record("h2"), record("h3", status="failed", code=2, output=b"no\x07\n"), record("h1", 6)]
    short = click.unstyle(records_text(records, False)).split("\n")
    assert re.fullmatch(r" +7  \S+ \S+  ann@box: rm /x \(why\)", short[0])
    assert [line.strip() for line in short[1:3]] == ["lab: h1, h2  ok", "lab: h3  failed, exit 2"]
    assert len(short) == 5 and "no" not in short
    assert "    | no\\x07" in click.unstyle(records_text(records, True))
    assert records_text([], False) == "nobody ran anything by hand"


def test_beside_drift_each_call_is_told_once_with_its_hosts_the_latest_first() -> None:
    def told(run: int, **more: Any) -> dict[str, Any]:
        said = {"run": run, "who": "ann@box", "at": 40.0, "reason": "why", "command": "rm /x\x1b[2J"}
        return {**said, "status": "ok", "code": 0, **more}

    hosts: list[tuple[tuple[str, str], list[dict[str, Any]]]] = [
        (("lab", "h1"), [told(7), told(6, status="failed", code=2), *(told(n) for n in range(5, 0, -1))]),
        (("lab", "h2"), [told(7)]),
        (("lab", "h3"), []),
    ]
    lines = [click.unstyle(line) for line in beside(hosts, 100.0, most=2)]
    assert lines == [
        "run there by hand since these hosts were last in sync (`fleet history RUN` has what it printed):",
        "  lab: h1, h2",
        "      ann@box, 1 minute ago: rm /x\\x1b[2J (why)  run 7",
        "  lab: h1",
        "      ann@box, 1 minute ago: rm /x\\x1b[2J (why), exit 2  run 6",
        "  and 5 calls before; see `fleet history --exec`",
    ]
    assert list(beside([hosts[2]], 100.0)) == []
