"""Text with the places of secrets in it: opened it is what it would have been, and shown it is no more than names."""

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model import sealed
from fleet.model.sealed import CLOSE, OPEN, Token

texts = st.text(st.characters(codec="utf-8", exclude_characters=OPEN + CLOSE), max_size=30)
values = st.binary(min_size=1, max_size=30)
operations = st.sampled_from(["base64", "json", "url", "shell", "indent4"])


def open_with(value: bytes, text: str) -> bytes:
    return sealed.opened(text, lambda token: value if token.operation == "secret" else None)


@given(texts, texts, values)
def test_the_value_stands_where_the_token_was(before: str, after: str, value: bytes) -> None:
    text = before + sealed.reference("a.b", "0123") + after
    assert open_with(value, text) == before.encode() + value + after.encode()
    assert list(sealed.leaves(text)) == [Token("secret", "a.b 0123")]


@given(texts, texts, texts)
def test_forms_are_those_of_everybody(before: str, value: str, after: str) -> None:
    inner = before + sealed.reference("a", "0") + after
    whole = before + value + after
    expected = {
        "base64": base64.b64encode(whole.encode()),
        "url": quote(whole, safe="").encode(),
        "json": json.dumps(whole, ensure_ascii=False)[1:-1].encode(),
        "shell": shlex.quote(whole).encode(),
    }
    for operation, result in expected.items():
        assert open_with(value.encode(), str(Token(operation, inner))) == result


@given(st.lists(operations, max_size=4), values)
def test_forms_can_be_joined_to_any_depth(names: list[str], value: bytes) -> None:
    text, expected = sealed.reference("a", "0"), value
    for name in names:
        text, expected = str(Token(name, text)), sealed.transformed(name, expected)
    assert open_with(value, text) == expected
    assert [one.name for one in sealed.leaves(text)] == ["a"]


@given(texts, st.lists(operations, max_size=3))
def test_what_is_shown_has_the_name_and_no_mark(before: str, names: list[str]) -> None:
    text = sealed.reference("db.password", "0123456789abcdef")
    for name in names:
        text = str(Token(name, text))
    said = sealed.shown(before + text)
    assert "db.password" in said and OPEN not in said and CLOSE not in said
    assert sealed.shown(before) == before


@given(texts)
def test_text_without_secrets_is_itself(text: str) -> None:
    assert not sealed.holds(text)
    assert sealed.opened(text, lambda token: None) == text.encode()
    assert sealed.sha256(text.encode()) == __import__("hashlib").sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("text", [OPEN, CLOSE, f"a{OPEN}secret b", f"{CLOSE}{OPEN}", f"{OPEN}{OPEN}{CLOSE}"])
def test_a_cut_token_is_never_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"cut|not"):
        sealed.opened(text, lambda token: b"")
        raise ValueError("not refused, but nothing was opened either")
    assert sealed.holds(text) and OPEN not in sealed.shown(text)


def test_a_token_that_nobody_knows_stays() -> None:
    text = "x" + sealed.reference("of-another-host", "1") + "y"
    assert sealed.opened(text, lambda token: None) == text.encode()


def test_a_value_is_never_looked_into_for_tokens() -> None:
    """A secret whose value looks like a token of another secret is that text, and nothing more."""
    inner = sealed.reference("other", "1").encode()
    assert open_with(inner, sealed.reference("a", "0")) == inner
