"""The file that names who is told: what it may say, who may read it, and that no error repeats a URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.controller.notices import memory
from fleet.controller.notices.destinations import of_url, read_destinations
from fleet.controller.notices.memory import Remembered
from fleet.controller.notices.statuses import Sent
from fleet.controller.notices.values import USUAL, Key, Told
from fleet.errors import HistoryError, UsageError
from fleet.masking import Masker

TOKEN = "T0kenT0kenT0ken"
GOOD = f"""
- slack://bot@AbCdEfGhIjKl/{TOKEN}/%23ops
- url: json://hooks.example.org/{TOKEN}
  name: on call
  events: [failure, stopped, recovery]
  environments: [production]
  per_hour: 6
  window: 1m
  remind: 4h
"""
WRONG = {
    "no list": f"url: json://x/{TOKEN}",
    "no YAML": f"- [json://x/{TOKEN}",
    "no URL": f"- {{name: x, key: {TOKEN}}}",
    "no scheme": f"- hooks.example.org/{TOKEN}",
    "unknown event": f"- {{url: 'json://x/{TOKEN}', events: [failures]}}",
    "no duration": f"- {{url: 'json://x/{TOKEN}', remind: {TOKEN}}}",
    "no number": f"- {{url: 'json://x/{TOKEN}', per_hour: 0}}",
    "twice": f"- json://x/{TOKEN}\n- json://x/{TOKEN}\n",
    "one name for two": f"- {{url: 'json://x/{TOKEN}', name: a}}\n- {{url: 'json://y/{TOKEN}', name: a}}\n",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notify.yaml"
    path.touch(0o600)
    return path


def test_urls_and_maps_are_read_with_their_wishes(file: Path) -> None:
    file.write_text(GOOD)
    first, second = read_destinations(file)
    assert first.name == "slack 1" and first.policy.events == USUAL
    assert second.name == "on call" and second.policy.events == {"failure", "stopped", "recovery"}
    assert second.policy.environments == {"production"} and second.policy.per_hour == 6
    assert (second.policy.window, second.policy.remind) == (60, 14400)
    assert TOKEN not in repr(first) + repr(second) and first.id != second.id


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_the_file_and_without_the_url(file: Path, name: str) -> None:
    file.write_text(WRONG[name])
    with pytest.raises(UsageError) as told:
        read_destinations(file)
    assert str(file) in str(told.value) and TOKEN not in str(told.value)


def test_an_empty_file_tells_nobody(file: Path) -> None:
    assert read_destinations(file) == ()


def test_a_file_that_others_can_read_is_refused_unless_systemd_guards_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(GOOD)
    file.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        read_destinations(file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    assert len(read_destinations(file)) == 2


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=str(path)):
            read_destinations(path)


SECRETS = {
    f"slack://AbCdEfGhIjKl/{TOKEN}/x": ["AbCdEfGhIjKl", TOKEN],
    f"json://user:{TOKEN}@hooks.example.org/path": [TOKEN],
    f"json://hooks.example.org/?+key={TOKEN}": [TOKEN],
    "mailto://me:pass%20word@mail.example.org": ["pass%20word", "pass word"],
}


@pytest.mark.parametrize("url", SECRETS)
def test_every_part_of_a_url_that_may_be_a_secret_is_masked_and_hosts_are_not(url: str) -> None:
    masker = Masker()
    masker.add(of_url(url).secrets)
    for secret in SECRETS[url]:
        assert secret not in masker.text(f"error: {secret} was refused")
    assert masker.text("hooks.example.org and mail.example.org") == "hooks.example.org and mail.example.org"


def test_what_was_told_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    assert memory.read(path) == Remembered()
    told = {"1a2b": {Key("failure", "dev", "h1\ud800"): Told("mark", "text", 1.0, 2.0)}}
    kept = Remembered(told, {"dev": Sent("c" * 40, "success")})
    memory.write(path, kept)
    assert memory.read(path) == kept and path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["told.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "told": {"x": [[1]]}}', "{" * 9000])
def test_a_memory_that_cannot_be_understood_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "told.json").write_text(text)
    assert memory.read(tmp_path / "told.json") == Remembered()


def test_a_memory_that_cannot_be_kept_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "none" / "told.json"
    with pytest.raises(HistoryError, match=r"told\.json"):
        memory.write(path, Remembered())
