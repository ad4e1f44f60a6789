"""Nothing that a host or a repository says can do anything to a terminal but be read."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli.answer import Answer, to_json
from fleet.cli.printable import keep_colours, one_line, printable

CORPUS = [
    (b"\x1b[2J\x1b[H", r"\x1b[2J\x1b[H"),
    (b"\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
    (b"\x1b]52;c;ZXZpbA==\x1b\\", r"\x1b]52;c;ZXZpbA==\x1b" + "\\"),
    (b"\x1bP+q544e\x1b\\", r"\x1bP+q544e\x1b" + "\\"),
    ("\x9b31m".encode(), r"\x9b31m"),
    (b"\x9b31m", r"\x9b31m"),
    (b"good\rbad", r"good\rbad"),
    (b"a\x08b\x7f", r"a\x08b\x7f"),
    (b"\x00\xff\xfe", r"\x00\xff\xfe"),
    ("a\u202eb\u2066c\u2069", r"a\u202eb\u2066c\u2069"),
    ("\ufeffx\u200b\u2028", r"\ufeffx\u200b\u2028"),
    ("\U000e0041", r"\U000e0041"),
    ("\udc80", r"\udc80"),
    ("a\tb\nc — ü", "a\tb\nc — ü"),
    ("[bold red]x[/]", "[bold red]x[/]"),
]


@pytest.mark.parametrize(("data", "said"), CORPUS)
def test_controls_become_visible_and_all_else_stays(data: str | bytes, said: str) -> None:
    assert printable(data) == said


@given(st.one_of(st.text(), st.binary()))
def test_no_control_character_is_left(data: str | bytes) -> None:
    left = {c for c in printable(data) if unicodedata.category(c) in ("Cc", "Cs")} - {"\t", "\n"}
    assert not left
    assert printable(printable(data)) == printable(data)
    printable(data).encode()


@given(st.text())
def test_the_last_guard_lets_only_colours_through(text: str) -> None:
    guarded = keep_colours(text + "\x1b[31mred\x1b[0m\x1b[2J")
    assert "\x1b[31mred\x1b[0m" in guarded
    assert guarded.endswith(r"\x1b[2J")


def test_one_line_is_one_line_and_short() -> None:
    assert one_line("a\nb\tc") == r"a\nb\tc"
    assert len(one_line("x" * 1000, 80)) == 80


@given(st.one_of(st.text(), st.binary()))
def test_json_is_plain_ascii_and_can_be_read(data: str | bytes) -> None:
    text = to_json("x", Answer(document={"output": data}))
    assert all(c == "\n" or " " <= c <= "~" for c in text)
    assert json.loads(text)["version"] == 1
