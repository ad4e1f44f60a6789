"""Who may come in is read from files, whose mistakes are told by line; what was heard before costs nothing."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import UsageError
from fleet.settings import Settings
from fleet.web.deliveries import Deliveries, listener
from fleet.web.door import door_of

SECRET = b"a secret of the hooks"
DIGEST = hashlib.sha256(b"token").hexdigest()


@given(st.lists(st.integers(0, 30), max_size=200))
def test_what_was_heard_lately_is_known(numbers: list[int]) -> None:
    heard: list[int] = []
    deliveries = Deliveries(8)
    for number in numbers:
        assert deliveries.known(str(number)) == (number in heard)
        heard = [*(one for one in heard if one != number), number][-8:]


def test_a_message_is_new_once_and_a_forged_one_never() -> None:
    listen = listener([SECRET], lambda: 0.0)
    body = b'{"ref": "refs/heads/main"}'
    signed = {"X-Hub-Signature-256": "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()}
    assert [listen(signed, body) for _ in range(3)] == [True, False, False]
    assert listen(signed, body + b" ") is None and listen({}, body) is None


def test_files_say_who_may_come_in(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"# people\nann operator {DIGEST}\n\nrob reader {DIGEST}\n")
    (tmp_path / "hooks").write_bytes(SECRET + b"\n")
    door = door_of(
        Settings(listen="127.0.0.1:8080", tokens_file=tmp_path / "tokens", hook_secret_file=tmp_path / "hooks"),
        lambda: 0,
    )
    assert [(one.name, one.role) for one in door.access.tokens] == [("ann", "operator"), ("rob", "reader")]
    assert door.address == ("127.0.0.1", 8080) and door.access.names == {"127.0.0.1:8080"} and door.hook is not None
    alone = door_of(Settings(), lambda: 0)
    assert alone.address is None and alone.hook is None and alone.access.tokens == ()


@pytest.mark.parametrize(
    ("listen", "tokens", "hooks", "words"),
    [
        ("8080", "", "", "expected ADDRESS:PORT"),
        ("127.0.0.1:99999", "", "", "expected ADDRESS:PORT"),
        ("127.0.0.1:80", "", "", "nobody could ask anything"),
        ("127.0.0.1:80", f"ann admin {DIGEST}", "", "tokens:1: expected NAME, reader or operator"),
        ("127.0.0.1:80", f"ann reader {DIGEST}\nrob reader {DIGEST[:-1]}", "", "tokens:2: expected"),
        ("127.0.0.1:80", "", "short", "16 characters at least"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, listen: str, tokens: str, hooks: str, words: str) -> None:
    files: dict[str, Path] = {}
    for name, text in (("tokens", tokens), ("hooks", hooks)):
        if text:
            (tmp_path / name).write_text(text)
            files[{"tokens": "tokens_file", "hooks": "hook_secret_file"}[name]] = tmp_path / name
    with pytest.raises(UsageError, match=words):
        door_of(Settings(listen=listen, **files), lambda: 0)
