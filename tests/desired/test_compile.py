"""What compiling promises: equal bytes whatever the order, no word of another environment, digests that hold still."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.desired.compile import Compiler, Fleet
from fleet.desired.diff import diff
from fleet.desired.explain import explain
from fleet.desired.impact import impact
from fleet.desired.load import load
from fleet.desired.source import memory_tree
from fleet.errors import UsageError
from fleet.kinds import KINDS
from fleet.model.host import HostSpec

BASE = {
    "base/environment.yaml": """\
vars: {domain: example.org, workers: 2, twice: "{{ workers * 2 }}", tls: {port: 443, on: yes}}
roles:
  common: {}
  web: {match: {tier: [web, edge]}}
connection: {user: deploy, become: sudo}
""",
    "base/roles/common.yaml": "resources:\n  file:\n    /etc/motd: {content: 'welcome'}\n",
    "base/roles/web.yaml": """\
vars: {listen: 80}
resources:
  directory:
    /etc/web: {}
  file:
    /etc/web/peers:
      template: web/peers.j2
      mode: "0644"
    /etc/web/name: {content: "{{ host.name }} {{ twice }}"}
    /etc/web/raw: {content: !raw "{{ not rendered }}"}
""",
    "base/files/web/peers.j2": "{% for p in hosts(role='web') %}\n{{ p.name }}:{{ listen }}\n{% endfor %}\n",
    "staging/hosts.yaml": "hosts:\n  web-1: {labels: {tier: web}}\n",
    "production/environment.yaml": "vars: {workers: 8}\n",
    "production/hosts.yaml": """\
hosts:
  web-[1:3]:
    address: "10.2.0.{{ index }}"
    labels: {tier: web}
  db-[a,b]:
    vars: {workers: 1}
    connection: {via: web-1}
""",
    "production/roles/web.yaml": 'resources:\n  file:\n    /etc/web/peers: {mode: "0640"}\n',
    "production/hosts/web-2.yaml": """\
vars: {workers: 9}
resources:
  file:
    /etc/web/raw: !remove
    /etc/only: {content: here}
""",
}


def compiled(files: dict[str, str], compiler: Compiler | None = None, facts: Any = None) -> Fleet:
    tree = memory_tree({path: text.encode() for path, text in files.items()})
    return (compiler or Compiler(KINDS)).compile(load(tree, KINDS), facts=facts)


def host(fleet: Fleet, label: str) -> HostSpec:
    return next(one for one in fleet if one.label == label)


def content(fleet: Fleet, label: str, resource: str) -> str:
    found = host(fleet, label).resource(f"file:{resource}")
    assert found is not None and found.content is not None
    return found.content.decode()


def digests(fleet: Fleet) -> dict[str, str]:
    return {one.label: one.digest for one in fleet}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    one, other = digests(compiled(before)), digests(compiled(after))
    return {label for label in {*one, *other} if one.get(label) != other.get(label)}


def test_layers_roles_ranges_and_overlays_come_together() -> None:
    fleet = compiled(BASE)
    assert not fleet.problems
    assert [one.label for one in fleet] == [
        *(f"production/{name}" for name in ("db-a", "db-b", "web-1", "web-2", "web-3")),
        "staging/web-1",
    ]
    assert content(fleet, "production/web-1", "/etc/web/peers") == "web-1:80\nweb-2:80\nweb-3:80\n"
    assert content(fleet, "staging/web-1", "/etc/web/peers") == "web-1:80\n"
    assert content(fleet, "production/web-1", "/etc/web/name") == "web-1 16"
    assert content(fleet, "production/web-2", "/etc/web/name") == "web-2 18"
    assert content(fleet, "staging/web-1", "/etc/web/name") == "web-1 4"
    assert content(fleet, "production/web-1", "/etc/web/raw") == "{{ not rendered }}"
    assert host(fleet, "production/web-2").resource("file:/etc/web/raw") is None
    assert content(fleet, "production/web-2", "/etc/only") == "here"
    assert host(fleet, "production/db-a").roles == ("common",)
    assert host(fleet, "production/web-3").target.address == "10.2.0.3"
    via = host(fleet, "production/db-b").target.via
    assert via is not None and (via.host, via.user, via.become) == ("web-1", "deploy", "sudo")
    peers = host(fleet, "production/web-1").resource("file:/etc/web/peers")
    assert peers is not None and peers.desired is not None and peers.desired["mode"] == "640"


def test_the_directory_comes_before_what_is_in_it() -> None:
    graph = host(compiled(BASE), "production/web-1").graph
    assert graph.needs["file:/etc/web/name"] == ("directory:/etc/web",)
    assert graph.wave["directory:/etc/web"] == 0 and graph.wave["file:/etc/web/name"] == 1
    assert graph.order.index("directory:/etc/web") < graph.order.index("file:/etc/web/name")


def test_hosts_share_what_is_the_same() -> None:
    fleet = compiled(BASE)
    one, other = host(fleet, "production/web-1"), host(fleet, "production/web-3")
    assert one.resource("file:/etc/web/peers") is other.resource("file:/etc/web/peers")
    assert one.graph is other.graph
    assert host(fleet, "staging/web-1").resource("file:/etc/motd") is one.resource("file:/etc/motd")


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_files_says_nothing(chance: random.Random) -> None:
    paths = list(BASE)
    chance.shuffle(paths)
    tree = memory_tree({path: BASE[path].encode() for path in paths})
    loaded = load(tree, KINDS)
    layers = list(loaded.layers.items())
    chance.shuffle(layers)
    fleet = Compiler(KINDS).compile(type(loaded)(tree, dict(layers), loaded.problems))
    assert digests(fleet) == digests(compiled(BASE))


WORDS = st.text(st.sampled_from("ab{}%:- \n'\"!&*"), max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["environment.yaml", "hosts.yaml", "roles/web.yaml", "files/web/peers.j2"]), WORDS)
def test_an_environment_never_depends_on_anothers_files(path: str, text: str) -> None:
    """Whatever stands in staging, production is the same to the byte, and so is what is wrong with it."""
    fleet = compiled(BASE | {f"staging/{path}": text})
    expected = compiled(BASE)
    mine = {label: digest for label, digest in digests(fleet).items() if label.startswith("production/")}
    assert mine == {label: digest for label, digest in digests(expected).items() if label.startswith("production/")}
    assert all(problem.origin.file.startswith(("staging/", "base/")) for problem in fleet.problems)


@pytest.mark.parametrize(
    ("edit", "concerned"),
    [
        ({"base/README.md": "words"}, set()),
        ({"base/roles/common.yaml": "# a comment\n\n" + BASE["base/roles/common.yaml"]}, set()),
        ({"base/environment.yaml": "# a comment\n" + BASE["base/environment.yaml"]}, set()),
        ({"base/files/unused": "x"}, set()),
        ({"base/roles/unused.yaml": "vars: {a: 1}\n"}, set()),
        ({"staging/environment.yaml": "vars: {workers: 3}\n"}, {"staging/web-1"}),
        ({"production/environment.yaml": "vars: {workers: 8, new: 1}\n"}, set()),
        (
            {"production/hosts/web-2.yaml": BASE["production/hosts/web-2.yaml"].replace("here", "there")},
            {"production/web-2"},
        ),
        (
            {"production/environment.yaml": "vars: {workers: 7}\n"},
            {"production/web-1", "production/web-3"},  # web-2 says 9 itself
        ),
        ({"staging/files/web/peers.j2": "shadowed\n"}, {"staging/web-1"}),
        ({"production/known_hosts": "web-1 ssh-ed25519 AAAA\n"}, set()),
    ],
)
def test_a_commit_concerns_only_the_hosts_it_changes(edit: dict[str, str], concerned: set[str]) -> None:
    assert changed(BASE, BASE | edit) == concerned


@pytest.mark.parametrize("path", sorted(BASE))
def test_a_compiler_that_remembers_says_the_same_as_a_new_one(path: str) -> None:
    """For each file: without it, with it, edited: the digests and the problems are those of a fresh Compiler."""
    compiler = Compiler(KINDS)
    compiled(BASE, compiler)
    for files in (
        {one: text for one, text in BASE.items() if one != path},
        BASE,
        BASE | {path: BASE[path].replace("80", "81").replace("web-", "wob-").replace("8", "7")},
        BASE,
    ):
        again, fresh = compiled(files, compiler), compiled(files)
        assert digests(again) == digests(fresh)
        assert again.problems == fresh.problems


def test_a_default_depends_on_what_is_not_defined_too() -> None:
    files = BASE | {
        "base/roles/common.yaml": BASE["base/roles/common.yaml"].replace("welcome", '{{ greeting | default("none") }}'),
        "production/hosts/db-b.yaml": "vars: {greeting: hello}\n",
    }
    fleet = compiled(files)
    assert content(fleet, "production/db-a", "/etc/motd") == "none"
    assert content(fleet, "production/db-b", "/etc/motd") == "hello"


def test_what_reads_facts_waits_for_them() -> None:
    files = BASE | {
        "base/roles/common.yaml": """\
resources:
  file:
    /etc/motd: {content: "{{ facts.os.id }}"}
    /etc/after: {content: x, needs: [file:/etc/motd]}
"""
    }
    before = host(compiled(files), "staging/web-1")
    assert before.uses_facts
    assert before.resource("file:/etc/motd") is None and before.resource("file:/etc/after") is None
    fleet = compiled(files, facts={("staging", "web-1"): {"os": {"id": "{{ debian }}"}}})
    assert host(fleet, "staging/web-1").uses_facts
    assert content(fleet, "staging/web-1", "/etc/motd") == "{{ debian }}", "data from hosts is never rendered"
    assert host(fleet, "production/db-a").resource("file:/etc/motd") is None


def test_a_broken_environment_does_not_hide_the_others() -> None:
    fleet = compiled(BASE | {"staging/environment.yaml": "vars: {twice: '{{ nothing }}'}\n"})
    assert [str(problem.origin) for problem in fleet.problems] == ["staging/environment.yaml:1:15"]
    assert "production/web-1" in digests(fleet)


def test_two_roles_may_say_the_same() -> None:
    fleet = compiled(
        {
            "base/environment.yaml": "roles: {a: {}, b: {}}\n",
            "base/roles/a.yaml": "resources:\n  file:\n    /etc/x: {content: same}\n",
            "base/roles/b.yaml": "resources:\n  file:\n    /etc/x: {content: same}\n",
            "dev/hosts.yaml": "hosts:\n  one: {}\n",
        }
    )
    assert not fleet.problems and len(fleet.hosts[0].resources) == 1


def test_explain_names_every_layer_and_the_variables_behind_a_value() -> None:
    fleet = compiled(BASE)
    (mode,) = explain(fleet, host(fleet, "production/web-1"), "file:/etc/web/peers", "mode")
    assert [(line.value, str(line.origin), line.layer, line.won) for line in mode.lines] == [
        ("0640", "production/roles/web.yaml:3:28", "production", True),
        ("0644", "base/roles/web.yaml:8:13", "base", False),
    ]
    (said,) = explain(fleet, host(fleet, "production/web-2"), "file:/etc/web/name", "content")
    assert said.value == "web-2 18"
    (twice,) = said.uses
    (workers,) = twice.uses
    assert [(line.value, line.layer, line.won) for line in workers.lines] == [
        (9, "production", True),
        (8, "production", False),
        (2, "base", False),
    ]
    with pytest.raises(UsageError, match="did you mean `file:/etc/motd`"):
        explain(fleet, host(fleet, "production/web-1"), "file:/etc/mtd")


def test_impact_is_the_reverse() -> None:
    fleet = compiled(BASE)
    workers = {(r.environment, r.host): r.resources for r in impact(fleet, "production/environment.yaml", 1)}
    assert workers == {("production", name): ("file:/etc/web/name",) for name in ("web-1", "web-3")}
    template = impact(fleet, "environments/base/files/web/peers.j2")
    assert {(r.environment, r.host) for r in template} == {
        *(("production", f"web-{n}") for n in (1, 2, 3)),
        ("staging", "web-1"),
    }
    mode = impact(fleet, "base/roles/web.yaml", 8)
    assert [(r.environment, r.host) for r in mode] == [("staging", "web-1")], "production overrules that line"


def test_diff_groups_hosts_with_the_same_change() -> None:
    edit = {"base/roles/web.yaml": BASE["base/roles/web.yaml"].replace("not rendered", "as it is")}
    groups = diff(compiled(BASE), compiled(BASE | edit))
    assert [(g.environment, g.sort, g.hosts) for g in groups] == [
        ("production", "changed", ("web-1", "web-3")),
        ("staging", "changed", ("web-1",)),
    ]
    (one,) = groups[0].changes
    assert one.change.attributes == ("sha256",)
    assert one.old is not None and one.new is not None
    assert (one.old.content, one.new.content) == (b"{{ not rendered }}", b"{{ as it is }}")


def test_diff_tells_hosts_that_come_and_go() -> None:
    edit = {"production/hosts.yaml": BASE["production/hosts.yaml"].replace("db-[a,b]", "db-[b,c]")}
    groups = diff(compiled(BASE), compiled(BASE | edit))
    assert {(g.sort, g.hosts, g.changes[0].change.action) for g in groups} == {
        ("added", ("db-c",), "create"),
        ("removed", ("db-a",), "remove"),
    }
