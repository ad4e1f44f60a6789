"""package: what dpkg-query says, and the one transaction that follows. Real apt: tests/cases/package."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.kinds.package import KIND
from fleet.model.change import Change, Unreadable
from fleet.model.step import Outcome, Script, Status
from tests.describe import resource

# Debian 12: removed packages whose settings are left; two architectures of one package.
SAID = """\
install ok installed|dpkg|amd64|1.21.22
install ok installed|adduser|all|3.134
deinstall ok config-files|apache2|amd64|2.4.62-1
install ok installed|libc6|amd64|2.36-9+deb12u10
install ok installed|libc6|i386|2.36-9+deb12u9
hold ok installed|linux-image-amd64|amd64|6.1.140-1
install ok half-configured|nginx|amd64|1.22.1-9
END
"""


def observed(said: str, *names: str) -> dict[str, Any]:
    probe = KIND.observe([resource("package", name) for name in names])
    found = probe.read(Outcome("look:0", Status.OK, 0, said.encode()))
    return {name: found[f"package:{name}"] for name in names}


def test_only_what_is_wholly_installed_counts() -> None:
    """Removed and unknown packages are absent, one that is held is there; one that is half there is neither."""
    found = observed(SAID, "adduser", "apache2", "linux-image-amd64", "nginx", "telnet", "nosuch")
    assert {name for name, one in found.items() if one and one["installed"]} == {"adduser", "linux-image-amd64"}
    assert {name for name, one in found.items() if one is None} == {"apache2", "telnet", "nosuch"}
    assert found["adduser"] == {"installed": True, "version": "3.134"}


def test_an_architecture_can_be_named() -> None:
    """Without one it is the host's own."""
    found = observed(SAID, "libc6:amd64", "libc6:i386", "adduser:armhf", "libc6")
    assert [one and one["version"] for one in found.values()] == [
        "2.36-9+deb12u10",
        "2.36-9+deb12u9",
        None,
        "2.36-9+deb12u10",
    ]


def test_a_version_that_apt_would_take_for_a_removal_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a version"):
        resource("package", "nginx", version="1.0-")


def test_without_dpkg_nothing_is_absent() -> None:
    (found,) = observed("NONE\n", "nginx").values()
    assert isinstance(found, Unreadable) and "dpkg" in found.reason


def words(*changes: Change) -> tuple[str, ...]:
    fixed = KIND.fix(changes)
    assert list(fixed) == [changes[0].resource.id], "all under the first one's id: its outcome is everybody's"
    (step,) = fixed[changes[0].resource.id]
    assert isinstance(step, Script)
    return step.args


def change(name: str, before: dict[str, Any] | None = None, **attributes: Any) -> Change:
    one = resource("package", name, **attributes)
    return Change(one, before, one.desired)


def test_all_changes_are_one_transaction() -> None:
    got = words(
        change("nginx"),
        change("curl", version="7.88.1-10"),
        change("telnet", {"installed": True, "version": "1"}, ensure="absent"),
    )
    assert got == ("false", "nginx", "curl=7.88.1-10", "telnet-")


def test_recommended_packages_come_only_for_those_that_ask() -> None:
    assert words(change("nginx"))[0] == "false"
    assert words(change("nginx", recommends=True))[0] == "true"
    changes = (change("nginx", recommends=True), change("curl"), change("telnet", {"installed": True}, ensure="absent"))
    steps = KIND.fix(changes)["package:nginx"]
    assert [step.args for step in steps if isinstance(step, Script)] == [
        ("false", "curl", "telnet-"),
        ("true", "nginx"),
    ]


def test_a_database_that_does_not_know_dpkg_is_damaged() -> None:
    with pytest.raises(ValueError, match="damaged"):
        observed("install ok installed|adduser|all|3.134\nEND\n", "nginx")
