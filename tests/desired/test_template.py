"""Templates: typed, strict, and without a way out or an end that does not come."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.desired.bounds import TemplateFailure
from fleet.desired.jinja import Fields, Function
from fleet.desired.template import Engine
from fleet.model import sealed

KNOWN: dict[str, Any] = {
    "workers": 3,
    "l": [1, 2],
    "m": {"a": 1},
    "s": "x",
    "host": Fields(("name",), lambda field: {"name": "web-1"}[field]),
}


class Names:
    def value(self, name: str) -> Any:
        return KNOWN[name]

    def names(self) -> Iterable[str]:
        return KNOWN


def value(text: str) -> Any:
    return Engine().value(text, Names())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ workers }}", 3),
        ("{{ workers }} ", "3 "),
        ("{{ workers * 2 }}", 6),
        ("{{ l }}", [1, 2]),
        ("{{ m }}", {"a": 1}),
        ("{{ l[0] }}", 1),
        ("{{ l[0:1] }}", [1]),
        ("{{ true }} {{ none is none }}", "true true"),
        ("{{ m.items() | list }}", [["a", 1]]),
        ("{{ 'a,b'.split(',') }}", ["a", "b"]),
        ("{{ l | map('string') | join('-') }}", "1-2"),
        ("{{ m | tojson }}", '{"a": 1}'),
        ("{{ zz | default(5) }}", 5),
        ("{{ zz is defined }}", False),
        ("{{ host.name ~ '.' ~ workers }}", "web-1.3"),
        ("{% for k in l %}{{ loop.index }}{{ k }}{% if not loop.last %},{% endif %}{% endfor %}", "11,22"),
        ("{{ range(3) | list }}", [0, 1, 2]),
        ("{{ 'a-b' | replace('-', '+') }}", "a+b"),
    ],
)
def test_what_templates_can_say(text: str, expected: Any) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


DOUBLED = "{% set x = 'aaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 60


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ l.append }}",
        "{{ m.pop('a') }}",
        "{{ s.format(1) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ host }}",
        "{{ host.__class__ }}",
        "{{ host._read }}",
        "{{ range }}",
        "{{ range.call }}",
        "{{ self }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{{ namespace() }}",
        "{% macro a() %}{% endmacro %}",
        "{% include 'a' %}",
        "{% import 'a' as b %}",
        "{% extends 'a' %}",
        "{% block a %}{% endblock %}",
        "{% for x in l recursive %}{% endfor %}",
        "{% for x in range(10 ** 9) %}{% endfor %}",
        "{% for x in range(9999) %}{% for y in range(9999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ 10 ** 9 * 'a' }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ 2 ** 99999999 }}",
        "{{ 9 ** 9 ** 9 ** 9 ** 9 }}",
        DOUBLED,
        "{% set x = 'aaaa' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40,
        "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x }}",
        "{% set x = 'a' * 100000 %}{{ x | replace('a', x) }}",
        "{% set x = 'a' * 1000000 %}{{ range(100) | map('default', x) | map('upper') | join(x) }}",
        "{{ 'a' | indent(10 ** 9, true) }}",
        "{{ 'a' | center(10 ** 9) }}",
        "{{ " + "(" * 500 + ")" * 500 + " }}",
        "{{ 1 / 0 }}",
        "{{ workers",
        "{% if %}",
    ],
)
def test_what_ends_in_an_error(text: str) -> None:
    with pytest.raises(TemplateFailure):
        value(text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("{{ wrkers }}", "`wrkers` is not defined", "did you mean `workers`?"),
        ("{{ host.nam }}", "there is no `nam` in it; did you mean `name`?", ""),
        ("{{ m.b }}", "there is no `b` in it", ""),
    ],
)
def test_near_misses_are_suggested(text: str, message: str, hint: str) -> None:
    with pytest.raises(TemplateFailure) as caught:
        value(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_the_line_is_the_templates() -> None:
    with pytest.raises(TemplateFailure) as caught:
        Engine().file("one\n{# two\n#}\n{% if true %}\n  {{ nothing }}\n{% endif %}\n", Names())
    assert caught.value.line == 5


def test_files_keep_their_last_newline_and_lines_of_tags_leave_nothing() -> None:
    assert Engine().file("a\n  {% if true %}\nb\n  {% endif %}\nc\n", Names()) == "a\nb\nc\n"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["{{", "}}", "{%", "%}", " ", "for", "in", "l", "m", ".", "|", "(", ")", "[", "]", "x",
                                 "if", "endif", "endfor", "set", "=", "1", "'", "~", "*", "\n", "host", "range"]),
                max_size=14).map("".join))  # fmt: skip
def test_whatever_people_write_is_a_plain_value_or_a_told_mistake(text: str) -> None:
    try:
        found = value(text)
    except TemplateFailure as failure:
        assert failure.message and failure.line >= 1
    else:
        assert found is None or isinstance(found, str | int | float | bool | list | dict)


class Holding(Names):
    """One secret, there or to come."""

    def __init__(self, value: str) -> None:
        self.secret = Function(lambda name: value)

    def value(self, name: str) -> Any:
        return self.secret if name == "secret" else super().value(name)


awkward = st.text(st.sampled_from("ab \"'\\\n\u00e4%{}"), max_size=6)
chains = st.lists(st.sampled_from(["base64", "tojson", "urlencode", "quote", "indent(2)", "string"]), max_size=4)


@given(awkward, awkward.filter(lambda text: text.strip("\n") == text != ""), awkward, chains)
def test_filters_make_of_a_secret_to_come_what_they_make_of_its_value(
    before: str, value: str, after: str, chain: list[str]
) -> None:
    """Whatever stands around it, and in whatever order."""
    around = (f"{json.dumps(before, ensure_ascii=False)}", f"{json.dumps(after, ensure_ascii=False)}")
    text = f"{{{{ {' | '.join([f'({around[0]} ~ secret(0) ~ {around[1]})', *chain])} }}}}"
    token = sealed.reference("a", "0")
    later = sealed.opened(Engine().file(text, Holding(token)), lambda one: value.encode())
    assert later.decode() == Engine().file(text, Holding(value))


@pytest.mark.parametrize("text", ["{{ [secret(0)] }}", "{{ [secret(0)] | string }}", "{{ 'a' ~ {'k': secret(0)} }}"])
def test_a_list_with_a_secret_is_not_written_out_as_python_does(text: str) -> None:
    """What would reach the host is the secret's name, in marks nobody fills."""
    with pytest.raises(TemplateFailure, match="a secret in a list or map"):
        Engine().file(text, Holding(sealed.reference("a", "0")))
