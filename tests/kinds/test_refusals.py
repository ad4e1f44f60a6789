"""What the Specs of the kinds that run or set something refuse, and that they say what would be right."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fleet.kinds import KINDS

NAMES = [
    ("package", "Nginx", "lower-case letters"),
    ("package", "nginx-", "a package name"),
    ("package", "nginx*", "a package name"),
    ("package", "-y", "a package name"),
    ("package", "nginx=1.0", "a package name"),
    ("user", "Alice", "an account name"),
    ("user", "-r", "an account name"),
    ("user", "a:b", "an account name"),
    ("user", "a" * 33, "an account name"),
    ("group", "0wheel", "an account name"),
    ("service", "-H", "name of a unit"),
    ("service", "a b", "name of a unit"),
    ("service", "nginx*", "name of a unit"),
    ("service", "../x", "name of a unit"),
    ("sysctl", "net/ipv4/ip_forward", "a name with dots"),
    ("sysctl", "net.ipv4.*", "a name with dots"),
    ("sysctl", "net..x", "a name with dots"),
    ("sysctl", "net.//.x", "a name with dots"),
    ("sysctl", "net./x", "a name with dots"),
    ("sysctl", "net.x/", "a name with dots"),
    ("command", "", "empty"),
]


@pytest.mark.parametrize(("kind", "name", "says"), NAMES)
def test_a_name_that_cannot_be_is_refused(kind: str, name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        KINDS[kind].check(name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("package", "g++"),
        ("package", "libstdc++6:i386"),
        ("user", "_apt"),
        ("user", "machine$"),
        ("service", "getty@tty1"),
        ("service", "dev-disk-by\\x2dlabel.mount"),
        ("sysctl", "net.ipv4.conf.eth0.rp_filter"),
        ("sysctl", "net.ipv4.conf.bond0/10.rp_filter"),
    ],
)
def test_an_odd_name_that_can_be_is_taken(kind: str, name: str) -> None:
    KINDS[kind].check(name)


SPECS: list[tuple[str, dict[str, Any], str]] = [
    ("package", {"version": "1.0 -y"}, "a version such as"),
    ("package", {"version": 1}, "valid string"),
    ("package", {"recommends": "yes"}, "valid boolean"),
    ("package", {"ensure": "latest"}, "'present' or 'absent'"),
    ("user", {"uid": -1}, "greater than or equal to 0"),
    ("user", {"uid": "0"}, "valid integer"),
    ("user", {"shell": "bash"}, "absolute path"),
    ("user", {"home": "/home/../root"}, "cannot hold"),
    ("user", {"comment": "a:b"}, "colons"),
    ("user", {"groups": ["a,b"]}, "an account name"),
    ("user", {"password": "x"}, "not permitted"),
    ("group", {"gid": True}, "valid integer"),
    ("service", {"ensure": "absent"}, "not permitted"),
    ("service", {"masked": True}, "say running: false"),
    ("service", {"running": False, "enabled": True, "masked": True}, "neither run nor be enabled"),
    ("command", {}, "exactly one of argv and shell"),
    ("command", {"argv": ["true"], "shell": "true"}, "exactly one of argv and shell"),
    ("command", {"argv": []}, "names no program"),
    ("command", {"argv": ["a\0b"]}, "NUL"),
    ("command", {"argv": ["true"], "timeout": 0}, "greater than or equal to 1"),
    ("command", {"argv": ["true"], "creates": "x"}, "absolute path"),
    ("command", {"argv": ["true"], "environment": {"A B": "x"}}, "not the name of a variable"),
    ("sysctl", {}, "expected a value"),
    ("sysctl", {"value": True}, "a number or text"),
    ("sysctl", {"value": " "}, "a value of one line"),
    ("sysctl", {"value": 1, "ensure": "absent"}, "unless the setting is absent"),
    ("cron", {"schedule": "* * *", "command": "x"}, "five fields"),
    ("cron", {"schedule": "@Daily", "command": "x"}, "five fields"),
    ("cron", {"schedule": "60 * * * *", "command": "x"}, "between 0 and 59"),
    ("cron", {"schedule": "٣ * * * *", "command": "x"}, "no part of a schedule"),
    ("cron", {"schedule": "*/0 * * * *", "command": "x"}, "no part of a schedule"),
    ("cron", {"schedule": "5/2 * * * *", "command": "x"}, "no part of a schedule"),
    ("cron", {"schedule": "*-5 * * * *", "command": "x"}, "no part of a schedule"),
    ("cron", {"schedule": "10-5 * * * *", "command": "x"}, "would never come"),
    ("cron", {"schedule": "* * * * sat-sun", "command": "x"}, "would never come"),
    ("cron", {"schedule": "@daily", "command": "x", "user": 0}, "by name"),
    ("cron", {"schedule": "@daily", "command": "x" * 999}, "998 bytes"),
    ("cron", {"schedule": "@daily", "command": "%" * 500}, "998 bytes"),
    ("cron", {"schedule": "@daily", "command": "x", "environment": {"A": "x" * 997}}, "998 bytes"),
    ("cron", {"schedule": "@daily", "command": "x", "environment": {"A": "\"x'"}}, "quotes"),
]


@pytest.mark.parametrize(("kind", "attributes", "says"), SPECS)
def test_attributes_that_cannot_be_are_refused(kind: str, attributes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KINDS[kind].Spec(**attributes)


def test_a_block_cannot_hold_the_line_that_ends_it() -> None:
    spec = KINDS["block"].Spec(content="a\n# END fleet: x\nb\n")
    with pytest.raises(ValueError, match="ends there"):
        KINDS["block"].state("/etc/hosts#x", spec, b"a\n# END fleet: x\nb\n")
    assert KINDS["block"].state("/etc/hosts#y", spec, b"a\n# END fleet: x\nb\n")
