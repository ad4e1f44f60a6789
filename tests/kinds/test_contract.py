"""What every kind promises, whatever it is: its schema explains itself, it refuses what cannot be, it never guesses."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.kinds import KINDS
from fleet.kinds._spec import Spec
from fleet.model.api import Answered
from fleet.model.change import Observed, Unreadable
from fleet.model.host import Resource
from fleet.model.kind import Kind
from fleet.model.step import Outcome, Status
from tests.contracts.cases import cases
from tests.contracts.transcripts import read, userlands
from tests.describe import resource

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJA4YAtEp07M6bnBFsyNXNIL3blTBVnTk1yo9djwUMGO"
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))

# What systemd says of one unit; every other kind has recorded answers of real hosts (tests/cases).
SERVICE = b"LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n\nEND\n"


@cache
def sample(kind: str) -> Resource:
    """One that a look must ask the host about."""
    if kind == "service":
        return resource("service", "nginx", enabled=True)
    if KINDS[kind].over == "api":
        name, said = next(iter(example(KINDS[kind]).items()))
        return resource(kind, name, **said)
    there = (r for case in cases() if case.kind == kind for r in case.spec().resources if r.kind == kind)
    return next(r for r in there if r.desired)


@cache
def answers(kind: str) -> tuple[Sequence[Resource], bytes | tuple[Answered, ...]]:
    """Resources of a kind and the shortest recorded answer that shows one of them."""
    if kind == "service":
        return [sample(kind)], SERVICE
    if kind == "http_object":
        return [sample(kind)], (Answered(200, {}, [{"rrsets": [{"name": "www.example.org.", "type": "A"}]}]),)
    if kind == "http_check":
        return [sample(kind)], (Answered(200, {}, ['{"database": "ok"}']),)
    found = []
    for case in cases():
        if case.kind == kind:
            resources = [r for r in case.spec().resources if r.kind == kind]
            for outcome in read(case, userlands(case)[0], "after").values():
                if any(isinstance(one, dict) for one in _observed(KINDS[kind], resources, outcome.output).values()):
                    found.append((resources, outcome.output))
    return min(found, key=lambda one: len(one[1]))


def _observed(kind: Kind, resources: Sequence[Resource], said: bytes | tuple[Answered, ...]) -> Mapping[str, Observed]:
    """As the look takes it: a reader may raise, and then nothing is known."""
    try:
        outcome = Outcome("look:0", Status.OK, 0)
        whole = replace(outcome, output=said) if isinstance(said, bytes) else replace(outcome, answers=said)
        return kind.observe(resources).read(whole)
    except (ValueError, LookupError, TypeError):
        return {}


@every_kind
def test_every_kind_has_cases_on_every_flavour_it_makes_sense_on(kind: Kind) -> None:
    """service needs systemd: tests/e2e/test_service.py; those over an API need one: tests/e2e/test_apis.py. apt and
    useradd are no part of BusyBox."""
    if kind.name == "service" or kind.over == "api":
        return
    seen = {flavour for case in cases() if case.kind == kind.name for flavour in case.flavours}
    assert seen >= ({"dash", "bash"} if kind.name == "package" else {"dash", "bash", "busybox"})


@every_kind
def test_every_attribute_is_described(kind: Kind) -> None:
    """`fleet kinds KIND` and the JSON Schema are made of these."""
    properties = kind.Spec.model_json_schema()["properties"]
    assert [name for name, said in properties.items() if not said.get("description")] == []
    assert kind.doc.endswith(".") and issubclass(kind.Spec, Spec)


def example(kind: Kind) -> dict[str, Any]:
    """Name → attributes, of the docstring."""
    _, mark, text = textwrap.dedent((kind.Spec.__doc__ or "").split("\n", 1)[1]).partition(f"{kind.name}:\n")
    assert mark, "no example"
    found: dict[str, Any] = yaml.safe_load(text.replace("...", ""))
    return found


@every_kind
def test_the_example_in_the_docstring_is_right(kind: Kind) -> None:
    """People copy it."""
    for name, attributes in example(kind).items():
        kind.check(name)
        general = {k: v for k, v in (attributes or {}).items() if k not in ("reload_on", "restart_on", "only_on")}
        if kind.name == "authorized_key":
            general["key"] = KEY
        kind.Spec(**general)


@every_kind
@given(
    before=st.text("abz/.-#=", max_size=4),
    bad=st.sampled_from([chr(n) for n in range(32)] + ["\x7f"]),
    after=st.text("abz/.", max_size=4),
)
@settings(max_examples=40)
def test_a_name_with_a_control_character_is_refused(kind: Kind, before: str, bad: str, after: str) -> None:
    name = sample(kind.name).name
    for wrong in (before + bad + after, name + bad + after, f"{name}{bad}"):
        with pytest.raises(ValueError, match=r"."):
            kind.check(wrong)


@every_kind
def test_an_empty_name_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match=r"."):
        kind.check("")


def test_values_are_normalised_once() -> None:
    """What means the same is the same, before anything is compared."""

    def state(kind: str, name: str, **attributes: Any) -> Any:
        return KINDS[kind].state(name, KINDS[kind].Spec(**attributes), b"")

    assert state("file", "/a", content="", mode="644") == state("file", "/a", content="", mode="0644")
    assert state("file", "/a", content="", owner=0) == state("file", "/a", content="", owner="0")
    assert state("sysctl", "a.b", value="1\t2") == state("sysctl", "a.b", value=" 1  2 ")
    assert state("sysctl", "a.b", value=1) == state("sysctl", "a.b", value="1")
    assert state("user", "a", groups=["b", "a", "b"]) == state("user", "a", groups=["a", "b"])
    assert state("cron", "a", schedule="* *\t* *  *", command="x") == state(
        "cron", "a", schedule="* * * * *", command="x"
    )
    assert state("authorized_key", "a/b", key=KEY) == state(
        "authorized_key", "a/b", key=KEY.replace(" ", "  ") + " me\n"
    )


garbage = st.one_of(
    st.binary(max_size=200),
    st.text("alice:x:/\n |LXCDSUMBODE\0user\tkey\tlive kept END NONE=0 creates yes", max_size=120).map(str.encode),
)


@every_kind
@given(output=garbage)
def test_garbage_is_never_an_observation_of_absence(kind: Kind, output: bytes) -> None:
    """A reader raises what the look knows how to take, or says unreadable, or what stood there; *absent* needs a whole
    answer, which garbage is not."""
    one = sample(kind.name)
    assert _observed(kind, [one], output).get(one.id, Unreadable("not mentioned")) is not None, "taken for absent"


@every_kind
def test_a_whole_answer_is_read_and_a_cut_one_is_never_absence(kind: Kind) -> None:
    """Cut after every byte: the connection, the output limit or a full pipe may do that anywhere."""
    resources, answer = answers(kind.name)
    there = [name for name, one in _observed(kind, resources, answer).items() if isinstance(one, dict)]
    assert there
    for end in range(len(answer)):
        found = _observed(kind, resources, answer[:end])
        assert [name for name in there if found.get(name, Unreadable("")) is None] == [], answer[:end]
