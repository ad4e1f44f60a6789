"""A compiler that lives for years: what no revision in use needs any more is not kept."""

from __future__ import annotations

import gc

from fleet.desired.build import Built
from fleet.desired.compile import Compiler
from fleet.desired.load import load
from fleet.desired.profiles import every_kind
from fleet.desired.source import memory_tree

HOSTS = 30
FILES = {
    "base/environment.yaml": "roles: {all: {}}\nconnection: {type: local}\n",
    "dev/environment.yaml": "vars: {x: 0}\n",
    "dev/hosts.yaml": f"hosts: {{'h-[1:{HOSTS}]': {{}}}}\n",
    "prod/environment.yaml": "vars: {x: prod}\n",
    "prod/hosts.yaml": f"hosts: {{'p-[1:{HOSTS}]': {{}}}}\n",
}


def role(text: str) -> str:
    return f"resources: {{file: {{/a: {{content: '{text} {{{{ host.name }}}} {{{{ x }}}}'}}}}}}\n"


def alive() -> int:
    gc.collect()
    return sum(isinstance(one, Built) for one in gc.get_objects())


def compiled(compiler: Compiler, files: dict[str, str]) -> None:
    named = {name: text.encode() for name, text in files.items()}
    fleet = compiler.compile(load(memory_tree(named), every_kind()))
    assert not fleet.problems and len([*fleet.hosts]) == 2 * HOSTS, fleet.problems


def test_neither_a_role_nor_a_variable_that_changes_with_each_commit_piles_up() -> None:
    before, compiler = alive(), Compiler(every_kind())
    for number in range(25):
        compiled(compiler, FILES | {"base/roles/all.yaml": role(f"v{number}")})
    assert alive() - before <= 3 * 2 * HOSTS, "two revisions, and the one that is made"
    compiler = Compiler(every_kind())
    for number in range(25):
        vars_ = {"dev/environment.yaml": f"vars: {{x: {number}}}\n", "base/roles/all.yaml": role("same")}
        compiled(compiler, FILES | vars_)
    assert alive() - before <= 6 * 2 * HOSTS


def test_what_an_environment_made_is_found_again_while_only_another_changes() -> None:
    compiler = Compiler(every_kind())
    prod = {"prod/roles/all.yaml": role("prod")}
    for number in range(5):
        compiled(compiler, FILES | {"base/roles/all.yaml": role("v0"), **prod, "dev/roles/all.yaml": role(str(number))})
    before = {id(one) for one in gc.get_objects() if isinstance(one, Built)}
    more = {"prod/environment.yaml": "vars: {x: prod, y: 1}\n", "dev/roles/all.yaml": role("4")}
    compiled(compiler, FILES | {"base/roles/all.yaml": role("v0"), **prod, **more})
    made = [one for one in gc.get_objects() if isinstance(one, Built) and id(one) not in before]
    assert len(made) == 0, "its templates do not read what changed"
