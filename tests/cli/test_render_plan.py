"""What people see of a run: hosts with the same change said once, every line safe and within the screen."""

from __future__ import annotations

import click
import pytest

from fleet.cli.grouping import group
from fleet.cli.printable import keep_colours
from fleet.cli.render_change import Detail
from fleet.cli.render_plan import closing, render
from fleet.errors import Failure, IdentityError
from fleet.model.change import Change, PassResult, Plan, Verdict
from fleet.model.step import Outcome, Status
from tests.cli.samples import change, file_change, result, unreachable


def text(*results: PassResult, lines: int = 40) -> str:
    return click.unstyle(render(results, Detail(lines=lines)))


def one(change: Change) -> str:
    """A single change as it is shown."""
    return text(result("web-1", Verdict.PENDING, [change]))


def test_hundreds_of_hosts_with_the_same_change_are_one_group() -> None:
    """237 hosts in two environments: one title, the names as ranges, the diff once."""
    same = [result(f"web-{i}", Verdict.PENDING, [file_change()]) for i in range(1, 201)]
    same += [result(f"web-{i}", Verdict.PENDING, [file_change()], environment="staging") for i in range(1, 38)]
    shown = text(*same)
    assert shown.startswith("237 hosts, same change: would change\n  dev: web-[1:200] · staging: web-[1:37]\n")
    assert shown.count("file:/etc/motd") == 1


def test_where_only_values_differ_the_rest_is_still_said_once() -> None:
    """20 hosts whose motd holds their name, and one other file: one group; of the 20 variants one is shown."""
    hosts = [
        result(f"web-{i}", Verdict.PENDING, [file_change("/etc/same"), file_change(new=b"I am web-%d\n" % i)])
        for i in range(1, 21)
    ]
    shown = text(*hosts)
    assert shown.startswith("20 hosts, same resources, some values differ: would change\n  dev: web-[1:20]\n")
    assert shown.count("file:/etc/same") == 1
    assert shown.count("+I am web-") == 1
    assert "on dev: web-1; 19 other variants, -v shows them:" in shown
    other = [file_change("/etc/same"), file_change(new=b"I am a database\n")]
    few = text(hosts[0], *(result(f"db-{i}", Verdict.PENDING, other) for i in (1, 2)))
    assert "on dev: db-1, db-2:" in few
    assert "on dev: web-1:" in few


def test_different_changes_are_different_groups_the_largest_first() -> None:
    hosts = [result("db-1", Verdict.PENDING, [file_change("/etc/other")])]
    hosts += [result(f"web-{i}", Verdict.PENDING, [file_change()]) for i in (1, 2)]
    assert [len(g.hosts) for g in group(hosts)] == [2, 1]


def test_text_is_shown_as_a_unified_diff_and_the_rest_by_attribute() -> None:
    shown = one(file_change(old=b"a\nb\nc\n", new=b"a\nB\nc\n", mode=("644", "640"), owner=("root", "root")))
    assert "mode 0644 → 0640" in shown
    assert "owner" not in shown
    assert "\n       a\n      -b\n      +B\n       c" in shown


CASES = [
    (change("package:nginx", None, {"version": "1.22"}), ["+ package:nginx", "version 1.22"]),
    (change("user:bob", {"groups": ["adm"]}, {"groups": ["adm", "sudo"]}), ["~ user:bob", "[adm] → [adm, sudo]"]),
    (change("service:x", {"running": False}, {"running": True}), ["running no → yes"]),
    (change("service:x", {"running": None}, {"running": ""}), ['running (none) → ""']),
    (change("file:/x", {"mode": "644"}, None), ["- file:/x"]),
    (change("service:x", {"a": 1}, {"a": 1}, due="reload"), ["↻ service:x  reload, still due from an earlier run"]),
    (file_change(old=None, new=b"hello\n"), ["+ file:/etc/motd", "+hello"]),
    (file_change(old=b"\x00", new=b"\x00\x01"), ["binary content differs; 2 bytes after"]),
    (file_change(old=b"gr\xfcn\n", new="grün\n".encode()), [r"-gr\xfcn", "+grün"]),
    (file_change(old=b"a\n", new=b"a"), ["only the line endings differ"]),
    (file_change(old=b"", new=b"x" * 300_000), ["content differs; 300,000 bytes after"]),
    (file_change(old=b"pw1", new=b"pw22", sensitive=True), ["secret changed (3 → 4 bytes)"]),
    (file_change(old=None, new=b"pw22", sensitive=True, mode=("", "600")), ["secret set (4 bytes)", "mode 0600"]),
    (file_change(path="/x\x1b[2J\n", old=None), [r"file:/x\x1b[2J\n"]),
    (file_change(new=b"[red]\x1b]0;owned\x07\x9b1m\n"), [r"+[red]\x1b]0;owned\x07\x9b1m"]),
]


@pytest.mark.parametrize(("change", "said"), CASES)
def test_each_sort_of_change(change: Change, said: list[str]) -> None:
    shown = one(change)
    assert [part for part in said if part not in shown] == [], shown


def test_a_secret_is_never_shown() -> None:
    """Neither the content nor an attribute nor what the step said."""
    changed = file_change(old=b"hunter2", new=b"hunter3", sensitive=True, token=("hunter4", "hunter5"))
    outcome = Outcome(changed.resource.id, Status.FAILED, 1, b"cannot write hunter6")
    assert "hunter" not in text(result("web-1", Verdict.FAILED, [changed], [outcome]))


def test_a_long_diff_is_cut_and_says_so() -> None:
    shown = text(result("w", Verdict.PENDING, [file_change(old=b"x\n", new=b"line\n" * 100)]), lines=14)
    assert shown.count("+line") == 10
    assert "… 90 more lines; -v shows them" in shown
    assert text(result("w", Verdict.PENDING, [file_change(old=None, new=b"line\n" * 100)])).count("+line") == 8


def test_a_watcher_says_what_made_it_due_and_a_provisional_change_says_that_it_may_differ() -> None:
    file = file_change("/etc/nginx/nginx.conf")
    service = change("service:nginx", {"a": 1}, {"a": 1}, "reload", {"reload": ("file:/etc/nginx/nginx.conf",)})
    plan = Plan("web-1", (file, service), {}, frozenset({"service:nginx"}), "d")
    shown = text(PassResult("web-1", "dev", Verdict.PENDING, plan))
    assert "↻ service:nginx  reload, since file:/etc/nginx/nginx.conf changes; provisional" in shown


def test_unreachable_hosts_are_a_group_of_their_own_and_never_failed() -> None:
    """Same reason, same group, whatever each host's own message says; with the next step."""
    shown = text(*(unreachable(f"web-{i}") for i in range(1, 31)), result("db-1", Verdict.IN_SYNC))
    assert "30 hosts unreachable: timeout; not looked at, nothing changed\n  dev: web-[1:30]\n" in shown
    assert "next: is it up? try `ssh web-1`" in shown
    assert "failed" not in shown
    assert shown.startswith("1 host in sync")


def test_different_reasons_are_different_groups() -> None:
    assert len(group([unreachable("a"), unreachable("b", Failure.HOST_KEY)])) == 2


def test_a_failed_step_shows_the_end_of_its_output_as_the_hosts_words() -> None:
    changed = change("package:nginx", None, {"version": "1"})
    output = b"".join(b"line %d\n" % i for i in range(50)) + b"E: \x1b[31mno space left\n"
    outcome = Outcome("package:nginx", Status.FAILED, 100, output)
    shown = text(result("web-1", Verdict.FAILED, [changed], [outcome], remaining={"package:nginx": "is still absent"}))
    assert "+ package:nginx  ✗ failed (exit code 100)" in shown
    assert "| … 39 lines before" in shown
    assert r"| E: \x1b[31mno space left" in shown
    assert "after the last look: is still absent" in shown


def test_hosts_that_fail_in_the_same_way_are_one_group_whatever_each_said() -> None:
    changed = change("package:nginx", None, {"version": "1"})
    hosts = [
        result(f"web-{i}", Verdict.FAILED, [changed], [Outcome(changed.resource.id, Status.FAILED, 1, b"pid %d" % i)])
        for i in range(50)
    ]
    shown = text(*hosts)
    assert shown.startswith("50 hosts, same change: failed")
    assert "dev/web-0 said:\n      | pid 0" in shown


def test_what_could_not_be_observed_is_named_and_never_planned() -> None:
    shown = text(result("web-1", Verdict.FAILED, unreadable={"file:/etc/shadow": "permission denied"}))
    assert "? file:/etc/shadow  could not be observed, so it stays\n      permission denied" in shown


def test_another_environments_host_is_a_conflict_in_its_own_words() -> None:
    shown = text(result("web-1", Verdict.CONFLICT, error=IdentityError("web-1 belongs to 'production'")))
    assert "1 host: refused" in shown
    assert "web-1 belongs to 'production'" in shown


def test_everything_fits_eighty_columns_and_has_no_control_characters() -> None:
    """Host names of all sorts wrap; only our own colours are escape sequences."""
    hosts = [
        result(f"very-long-host-name-{i * 7}.rack.example.org", Verdict.PENDING, [file_change()]) for i in range(99)
    ]
    shown = render(hosts, Detail())
    assert max(map(len, click.unstyle(shown).splitlines())) <= 80
    assert keep_colours(shown) == shown


def test_the_closing_line_counts_and_says_what_to_do_next() -> None:
    found = [result("a", Verdict.PENDING, [file_change()]), result("b", Verdict.IN_SYNC), unreachable("c")]
    said = click.unstyle(closing(found, applied=False, again=" -e dev"))
    assert said.splitlines() == [
        "3 hosts: 1 in sync, 1 pending, 1 unreachable; 1 change",
        "next: run `fleet apply -e dev` to make these changes",
        "next: run `fleet plan -e dev` again once they can be reached",
    ]


@pytest.mark.parametrize("failure", list(Failure))
def test_trying_again_is_advised_only_where_it_may_help(failure: Failure) -> None:
    """A refused key or login waits for a person; sshd punishes who repeats it."""
    said = closing([unreachable("a", failure)], applied=False, again="")
    assert ("again once they can be reached" in said) is failure.retryable
