"""What cron makes of a file in /etc/cron.d is what was declared; measured against Debian's cron 3.0pl1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.kinds import cron

lines = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=80)


def read(text: bytes) -> tuple[dict[str, str], str]:
    """(environment, command), by the rules of load_env() and do_command(): a backslash takes the meaning of one after
    it, or of a percent sign, which otherwise ends the command. White space around a value goes, then its quotes."""
    *settings, job = text.decode().removesuffix("\n").split("\n")
    environment = {}
    for line in settings:
        name, _, value = line.partition("=")
        value = value.strip(" \t")
        if value[:1] in ("'", '"'):
            assert len(value) > 1 and value.index(value[0], 1) == len(value) - 1, "cron ignores this file"
            value = value[1:-1]
        else:
            assert value, "cron ignores this file"
        environment[name] = value
    command, rest = "", job.split(" ", 2)[2]  # after a nickname and the user
    while rest:
        if rest[0] == "\\" and rest[1:2] in ("\\", "%"):
            command, rest = command + rest[1], rest[2:]
            continue
        assert rest[0] != "%", "the command ends here"
        command, rest = command + rest[0], rest[1:]
    return environment, command


@given(command=lines.filter(str.strip), value=st.one_of(st.just(""), lines))
def test_what_is_declared_is_what_cron_runs(command: str, value: str) -> None:
    try:
        spec = cron.CronSpec(schedule="@daily", command=command, environment={"A": value})
    except ValueError as error:
        assert "quotes" in str(error) and {"'", '"'} <= set(value)
        return
    assert read(cron.written(spec)) == ({"A": value}, command)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (r"find /tmp -name \*.log -exec rm {} \;", r"find /tmp -name \*.log -exec rm {} \;"),
        ("date +%F", r"date +\%F"),
        (r"printf 'a\\nb'", r"printf 'a\\\\nb'"),
        (r"awk '{print \%}'", r"awk '{print \\\%}'"),
    ],
)
def test_only_what_cron_would_take_otherwise_is_escaped(command: str, file: str) -> None:
    assert cron.written(cron.CronSpec(schedule="@daily", command=command)) == f"@daily root {file}\n".encode()


@pytest.mark.parametrize(
    "schedule", ["*/5,7 * * * *", "5-10/2 0-23 1,15 jan-mar MON", "0 0 * * 5-7", "0 0 * * sun-tue", "00 08 * * *"]
)
def test_every_form_of_crontab_5_is_taken(schedule: str) -> None:
    assert cron.CronSpec(schedule=schedule, command="x").schedule == schedule
