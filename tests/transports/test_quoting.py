"""Data becomes words for a shell and nothing else, in every shell."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.model.port import Session
from fleet.transports.local import LocalTransport
from fleet.transports.quoting import assignment, encoded, quote, words
from tests.transports.shells import SHELLS, TARGET, in_each_shell, see

HELL = [
    "",
    " ",
    "a b",
    "'",
    "''\\''",
    '"',
    "$(touch canary)",
    "`touch canary`",
    "; touch canary #",
    "\n touch canary \n",
    "-rf",
    "--",
    "*",
    "~",
    "\\",
    "\\n",
    "%s%n",
    "a\tb",
    "ä€😀",
    "\udcff\udcfe",
    "!$!!",
    "${IFS}",
    "x'; touch canary; '",
]
NASTY = st.text(st.sampled_from("'\"\\$`;&|()<>*?[]{}~#!%- \t\naä\udcff"), max_size=20)
BYTES = st.binary(max_size=40).map(lambda raw: raw.replace(b"\0", b""))


def _echo(shell: Sequence[str], many: Sequence[str | bytes], where: Path) -> bytes:
    script = b"printf '%s|' " + words(many) + b"\n"
    done = subprocess.run([*shell, "-s"], input=script, capture_output=True, check=True, cwd=where)
    return done.stdout


@in_each_shell
def test_words_from_hell_arrive_as_they_are(shell: str, tmp_path: Path) -> None:
    expected = b"".join(word.encode("utf-8", "surrogateescape") + b"|" for word in HELL)
    assert _echo(SHELLS[shell], HELL, tmp_path) == expected
    assert list(tmp_path.iterdir()) == []


@in_each_shell
@settings(max_examples=30)
@given(many=st.lists(st.one_of(NASTY, BYTES), min_size=1, max_size=8))
def test_any_words_arrive_as_they_are(
    shell: str, many: list[str | bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = tmp_path_factory.getbasetemp()
    raw = [word.encode("utf-8", "surrogateescape") if isinstance(word, str) else word for word in many]
    assert _echo(SHELLS[shell], many, where) == b"".join(word + b"|" for word in raw)


@pytest.mark.timeout(300)
@in_each_shell
def test_arguments_of_a_probe_are_never_run(shell: str, tmp_path: Path) -> None:
    """Through the whole protocol, many sets of words in one session; the canary is never created."""
    canary = tmp_path / "canary"
    hostile = [word.replace("canary", str(canary)) for word in HELL]

    async def run() -> None:
        session = await LocalTransport((*SHELLS[shell], "-s")).connect(TARGET)
        try:
            assert await see(session, 'printf "%s|" "$@"', *hostile) == b"".join(
                word.encode("utf-8", "surrogateescape") + b"|" for word in hostile
            )
            await _properties(session)
        finally:
            await session.aclose()

    async def _properties(session: Session) -> None:
        loop = asyncio.get_running_loop()

        @settings(max_examples=40)
        @given(st.lists(NASTY, max_size=6))
        def check(many: list[str]) -> None:
            future = asyncio.run_coroutine_threadsafe(see(session, 'printf "%s|" "$@"', "start", *many), loop)
            assert future.result(60) == b"".join(w.encode("utf-8", "surrogateescape") + b"|" for w in ["start", *many])

        await asyncio.to_thread(check)

    asyncio.run(run())
    assert not canary.exists()


def test_a_nul_byte_is_refused_in_a_word_and_carried_in_content() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")
    assert encoded(b"a\0b") == (b"base64", b"'YQBi'")
    assert encoded(b"a'b") == (b"text", b"'a'\\''b'")


@pytest.mark.parametrize("name", ["", "1a", "a b", "a;b", "a=b", "ä", "$(x)"])
def test_what_is_no_variable_is_refused_as_one(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a variable"):
        assignment(name, "x")
