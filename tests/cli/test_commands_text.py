"""What the smaller commands print, as pure functions of model values."""

from __future__ import annotations

from dataclasses import replace

import click
from ruamel.yaml import YAML

from fleet.cli.commands.history import changes_text, runs_text
from fleet.cli.commands.hosts import table
from fleet.cli.commands.show import describe
from fleet.cli.commands.status import render
from fleet.cli.times import ago, iso
from fleet.cli.yaml_text import to_yaml
from fleet.errors import Origin
from fleet.history import ChangeRecord, PassRecord, RunRecord
from fleet.model.api import Api
from fleet.model.host import Graph, HostSpec, Resource, Target


def spec(name: str, *resources: Resource, environment: str = "dev") -> HostSpec:
    graph = Graph(tuple(r.id for r in resources), {}, {})
    target = Target(name, environment, address="10.0.0.1")
    return HostSpec(name, environment, target, ("common", "web"), {"tier": "web"}, resources, graph, "d" * 64)


def seen(name: str, verdict: str, ended: float = 0.0) -> PassRecord:
    left = {"file:/x": "differs in mode"} if verdict == "failed" else {}
    return PassRecord(1, 1, "dev", name, verdict, 0, ended, {}, 1, "d", (), left, "", "", "abcdef1234567890")


def test_hosts_are_a_table_with_columns_as_wide_as_needed() -> None:
    lines = click.unstyle(table([spec("web-1"), spec("a-much-longer-name")])).splitlines()
    assert lines[0].split() == ["HOST", "REACHED", "AT", "ROLES", "LABELS"]
    assert lines[1].split() == ["dev/web-1", "root@10.0.0.1:22", "common,web", "tier=web"]
    assert lines[1].index("root@") == lines[2].index("root@")
    api = Target("dns", "dev", "http", api=Api("https://dns.example.org/api"))
    assert "https://dns.example.org/api" in table([replace(spec("dns"), target=api)])


def test_show_is_yaml_that_reads_back_and_withholds_secrets() -> None:
    """Several lines stay readable; a secret is told by its size, and nothing of it by digest either."""
    plain = Resource("file:/etc/motd", "file", "/etc/motd", None, {"sha256": "aa", "mode": "644"}, content=b"a\nb\n")
    secret = Resource("file:/k", "file", "/k", None, {"sha256": "bb", "mode": "600"}, content=b"pw", sensitive=True)
    gone = Resource("file:/old", "file", "/old", None, None, origin=Origin("base/roles/common.yaml", 3, 5))
    text = to_yaml(describe(spec("web-1", plain, secret, gone)))
    assert "content: |\n        a\n        b\n" in text
    back = YAML(typ="safe", pure=True).load(text)
    files = back["resources"]["file"]
    assert files["/etc/motd"]["content"] == "a\nb\n"
    assert files["/k"]["content"] == "(secret, 2 bytes)"
    assert "sha256" not in files["/k"]
    assert files["/old"] == {"ensure": "absent", "role": "", "from": "base/roles/common.yaml:3:5"}


def test_yaml_never_carries_a_control_character() -> None:
    text = to_yaml({"a": "x\x1b[2J\ny\u202e", "b": b"\xff\n", "tab": "a\tb\nc"})
    assert all(c == "\n" or c >= " " for c in text)
    assert YAML(typ="safe", pure=True).load(text)["a"] == "x\x1b[2J\ny\u202e"


def test_status_groups_hosts_by_how_they_were_last_seen() -> None:
    hosts = [spec(f"web-{i}") for i in range(1, 6)]
    known = {("dev", f"web-{i}"): seen(f"web-{i}", "in sync", ended=i * 60) for i in (1, 2, 3)}
    known["dev", "web-4"] = seen("web-4", "failed", ended=100)
    shown = click.unstyle(render(hosts, known, [], 3660.0, each=False)).splitlines()
    assert shown == [
        "3 in sync",
        "  dev: web-[1:3]",
        "  looked at 1 hour ago at the earliest",
        "1 failed",
        "  dev: web-4",
        "  looked at 59 minutes ago at the earliest",
        "1 never looked at",
        "  dev: web-5",
    ]
    each = click.unstyle(render(hosts, known, [], 3660.0, each=True))
    assert "  dev/web-4  59 minutes ago, at abcdef123456  1 not right" in each


def change(status: str) -> ChangeRecord:
    return ChangeRecord(
        1, 7, "dev", "web-1", "file:/x\x1b[2J", "update", "", ("mode",), {}, {}, "base/a.yaml:1:1", "web", "d", "a",
        1.0, None, status, None, -1, 0.0, b"", 0, "", "abc", "",
    )  # fmt: skip


def test_status_names_changes_whose_process_ended_without_a_result() -> None:
    shown = render([spec("web-1")], {}, [change("unknown")], 0.0, each=False)
    assert r"dev/web-1: file:/x\x1b[2J was being changed when fleet ended" in shown


def test_history_is_one_line_an_entry() -> None:
    run = RunRecord(7, "apply", "dev", "abcdef1234567890", 0.0, None, "", "ann@host", {}, alive=False)
    done = RunRecord(8, "plan", "", "abcdef1234567890", 0.0, 1.0, "", "ann@host", {"in sync": 1200})
    assert "apply dev at abcdef123456 by ann@host: cut off" in runs_text([run])
    assert "plan all environments at abcdef123456 by ann@host: 1,200 in sync" in runs_text([done])
    assert r"dev/web-1  update file:/x\x1b[2J (mode)  base/a.yaml:1:1" in changes_text([change("ok")])
    assert "`fleet plan` makes the first entry" in runs_text([])
    assert runs_text([], "prod") == "nothing yet of prod; `fleet history` shows all"


def test_times_are_told_in_their_largest_unit() -> None:
    assert [ago(0, n) for n in (-5, 1, 59, 60, 7200, 200_000)] == [
        "0 seconds ago", "1 second ago", "59 seconds ago", "1 minute ago", "2 hours ago", "2 days ago",
    ]  # fmt: skip
    assert iso(0.0) == "1970-01-01T00:00:00.000Z"
    assert iso(None) is None
