"""Masking by value: every form of every secret goes, everything else stays."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import shutil
import string
import subprocess
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.masking import Masker
from fleet.model.secret import Secret

words = st.text(string.ascii_letters + string.digits + string.punctuation + " äß漢", min_size=4, max_size=40)
# Nothing a form could end up as part of by chance.
PADDING = "\u2603 " * 3


def masker(*values: str | bytes) -> Masker:
    made = Masker()
    made.add(Secret(f"s{n}", v if isinstance(v, bytes) else v.encode()) for n, v in enumerate(values))
    return made


@given(words)
def test_eight_forms_of_a_secret_go(value: str) -> None:
    value = "x" + value.strip() + "y"
    data = value.encode()
    forms = [value, base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode(), data.hex(),
             data.hex().upper(), quote(value, safe=""), json.dumps(value)[1:-1], shlex.quote(value),
             value.replace("'", "'\\''"), repr(value)[1:-1], repr(data)[2:-1]]  # fmt: skip
    for form in forms:
        said = masker(value).text(f"{PADDING}{form}{PADDING}")
        assert form not in said, form
        assert said.startswith(PADDING) and said.endswith(PADDING) and "(secret s0)" in said


@given(words)
def test_forms_of_other_programs_go_too(value: str) -> None:
    value = "x" + value.strip() + "y"
    data = value.encode()
    escaped = html.escape(value)
    forms = [base64.b32encode(data).decode(), base64.b32encode(data).decode().rstrip("="), escaped,
             html.escape(value, quote=False), escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
             data.hex(" "), data.hex(" ").upper(), data.hex(":")]  # fmt: skip
    for form in forms:
        said = masker(value).text(f"{PADDING}{form}{PADDING}")
        assert said == f"{PADDING}(secret s0){PADDING}", form
    wide = value.encode("utf-16-le")
    assert masker(value).data(b"\xff\xfe" + wide + b"\n\0") == b"\xff\xfe(secret s0)\n\0"


@pytest.mark.parametrize("words", [["od", "-An", "-v", "-tx1"], ["xxd", "-p"], ["xxd", "-p", "-u"]])
def test_what_programs_print_of_bytes_goes(words: list[str]) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"no {words[0]} here")
    value = "correct horse battery staple\u00e4\n" * 3
    content = f"password = {value}and more\n".encode()
    dump = subprocess.run(words, input=content, capture_output=True, check=True).stdout.decode()
    said = masker(value).text(dump)
    kept = re.sub(r"\(secret s0\)|\s", "", said).lower()
    assert "(secret s0)" in said and kept == content.replace(value.encode(), b"").hex()


def test_what_is_no_dump_of_a_secret_stays() -> None:
    text = "at 12:34:56 de ad be ef\n70 61 73 73 77 6f 72\n70 61 73 73 77 6f 7264 00"
    assert masker("password").text(text) == text
    assert masker("password").text(text + " 70 61 73 73 77 6f 72 64") == text + " (secret s0)"


@given(st.binary(min_size=9, max_size=30), st.binary(max_size=5), st.binary(max_size=5))
def test_what_is_in_the_middle_of_base64_goes(value: bytes, before: bytes, after: bytes) -> None:
    """As in `Authorization: Basic`: at whichever of the three places it begins, at most its edges stay."""
    whole = base64.b64encode(before + value + after).decode()
    said = masker(value).text(whole)
    assert len(said.replace("(secret s0)", "")) <= len(base64.b64encode(before + after)) + 8


@given(
    st.binary(min_size=30, max_size=90), st.binary(max_size=60), st.sampled_from([64, 76]), st.text("ab\n", max_size=9)
)
def test_what_goes_on_in_the_next_line_goes(value: bytes, before: bytes, width: int, around: str) -> None:
    """As base64(1) and openssl write it."""
    value = b"\0" + value  # so that no part of it is what stands before
    whole = base64.b64encode(before + value).decode()
    lines = [whole[at : at + width] for at in range(0, len(whole), width)]
    said = masker(value).text("\n".join([around, *lines, around]))
    kept = said.replace("(secret s0)", "").replace("\n", "")
    assert len(kept) <= len((around * 2).replace("\n", "")) + len(base64.b64encode(before)) + 8
    assert said.startswith(around + "\n") and said.endswith("\n" + around)


def test_lines_that_are_no_secret_together_stay() -> None:
    assert masker("longer-than-it-must-be").text("longer-than-it-must\n be\nabc\n") == "longer-than-it-must\n be\nabc\n"
    assert masker("short-one").text("short\n-one") == "short\n-one"


def test_words_that_are_no_utf_8_go_too() -> None:
    value = b"\xff\xfeSECRET-1234"
    said = masker(value).text(f"owner {value.decode(errors='surrogateescape')} is gone")
    assert said == "owner (secret s0) is gone"


@given(words, st.text(max_size=60))
def test_other_text_stays(value: str, text: str) -> None:
    made = masker("q\u2603" + value)
    if "\u2603" not in text:
        assert made.text(text) == text
        assert made.data(text.encode(errors="surrogatepass")) == text.encode(errors="surrogatepass")


@given(st.lists(words, min_size=2, max_size=6, unique=True))
def test_the_longest_of_several_goes_as_a_whole(values: list[str]) -> None:
    """One secret that begins like another never leaves its own end behind."""
    values = [one.strip() + "!" for one in values]
    longest = max(values, key=len)
    every = [*values, longest + "-and-more"]
    said = masker(*every).text(f"<{longest}-and-more>")
    assert said.startswith("<(secret s") and said.endswith(")>") and "-and-more" not in said


@given(st.lists(st.text("ab", min_size=4, max_size=12), min_size=1, max_size=5), st.text("ab", max_size=40))
def test_nothing_is_left_of_secrets_that_overlap(values: list[str], text: str) -> None:
    said = masker(*values).text(text)
    assert not any(value in said for value in values)
    if said == text:
        assert not any(value in text for value in values)


def test_a_secret_that_ends_within_a_character_breaks_nothing() -> None:
    assert "(secret s0)" in masker(b"value\xc3").text("a value\u00e9 b")


def test_a_long_value_goes_in_parts_and_costs_no_more_than_its_beginning() -> None:
    value = "".join(chr(33 + (n * 7 + n // 90) % 90) for n in range(200_000))
    said = masker(value).text(value[:60_000])
    assert said.replace("(secret s0)", "") == value[:60_000][-(60_000 % 2048) :]
    assert masker(value).data(b"x" * 100) == b"x" * 100


def test_each_line_of_a_key_goes_by_itself() -> None:
    key = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA7\nbW9yZSBvZiBpdA==\n-----END KEY-----\n"
    said = masker(key).text("error near line 2: 'bW9yZSBvZiBpdA==' is wrong\n")
    assert said == "error near line 2: '(secret s0)' is wrong\n"


def test_what_is_shorter_than_four_characters_stays() -> None:
    assert masker("abc").text("abc abcd") == "abc abcd"
    assert masker("abcd").text("abc abcd") == "abc (secret s0)"


def test_plain_values_keep_their_keys_and_types() -> None:
    found = masker("value").value({"value": ["a value", b"value", 7, None, {"x": "value"}]})
    assert found == {"value": ["a (secret s0)", b"(secret s0)", 7, None, {"x": "(secret s0)"}]}


def test_without_secrets_nothing_is_touched() -> None:
    text = "anything"
    assert Masker().text(text) is text
