"""Settings: which place wins, and that what is wrong is told with its place. Real files and variables."""

import os
from pathlib import Path

import pytest

from fleet import settings
from fleet.errors import ConfigError, UsageError
from fleet.settings import Settings


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the caller, files only below tmp_path."""
    for name in list(os.environ):
        if name.startswith(("FLEET_", "XDG_")) or name in ("STATE_DIRECTORY", "CACHE_DIRECTORY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "etc.yaml")


def write_user_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "home/.config/fleet/config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    return path


def test_flags_win_over_the_environment_over_the_user_over_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each place is heard only where the stronger ones are silent."""
    (tmp_path / "etc.yaml").write_text("scripts: 1\nhandshakes: 1\ncolor: never\nlog_level: error\n")
    write_user_file(tmp_path, "scripts: 2\nhandshakes: 2\ncolor: always\n")
    monkeypatch.setenv("FLEET_SCRIPTS", "3")
    monkeypatch.setenv("FLEET_HANDSHAKES", "3")
    found = Settings(scripts=4)
    assert (found.scripts, found.handshakes, found.color, found.log_level) == (4, 3, "always", "error")
    assert found.trace is False


def test_state_and_cache_follow_systemd_then_xdg_then_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative XDG path is ignored, as its specification demands; systemd may name several directories."""
    assert Settings().state_dir == tmp_path / "home/.local/state/fleet"
    assert Settings().history_file == tmp_path / "home/.local/state/fleet/history.db"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert Settings().cache_dir == tmp_path / "home/.cache/fleet"
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert Settings().state_dir == Path("/x/fleet")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    assert Settings().state_dir == Path("/var/lib/one")
    monkeypatch.setenv("FLEET_STATE_DIR", "~/mine")
    assert Settings().state_dir == tmp_path / "home/mine"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("FLEET_SCRIPTS", "many", "FLEET_SCRIPTS: input should be a valid integer"),
        ("FLEET_HANDSHAKES", "0", "FLEET_HANDSHAKES: input should be greater than or equal to 1, not '0'"),
        ("FLEET_COLOR", "blue", "FLEET_COLOR: input should be 'auto', 'always' or 'never', not 'blue'"),
        ("FLEET_KEY_SERVICES", "https://x", "FLEET_KEY_SERVICES: value error, 'https://x' is not ENVIRONMENT=SERVICE"),
        ("FLEET_STATEDIR", "/x", "unknown variable FLEET_STATEDIR in the environment; did you mean FLEET_STATE_DIR?"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message begins with what the user wrote."""
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        Settings()
    assert str(caught.value).startswith(expected)


def test_other_variables_with_the_prefix_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet of something else may have its variables."""
    monkeypatch.setenv("FLEET_MANAGER_URL", "x")
    assert Settings().scripts == 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scripts: 3\nhand-shakes: 4\n", ":2:1: unknown setting `hand-shakes`"),
        ("hand-shakes: 4\n", "did you mean `handshakes`?"),
        ("scripts: 3\nscripts: 4\n", ":2:1: `scripts` stands here twice"),
        ("scripts: [1]\n", ":1:10: `scripts` is one value"),
        ("- scripts\n", ":1:1: settings are a map"),
        ("scripts: 'x\n", "this is not YAML"),
        ("color: never\nscripts: lots\n", ":2:1: scripts: input should be a valid integer"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(text: str, expected: str, tmp_path: Path) -> None:
    """File, line and column, what is wrong, and the near miss."""
    path = write_user_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Settings()
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_an_unreadable_file_is_an_error_and_an_empty_one_is_not(tmp_path: Path) -> None:
    """Silence where somebody wrote something would be a lie."""
    write_user_file(tmp_path, "# nothing\n")
    (tmp_path / "etc.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        Settings()
    (tmp_path / "etc.yaml").unlink()
    assert Settings().handshakes == 32


def test_an_unknown_flag_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"no setting 'script'; did you mean `scripts`\?"):
        Settings(script=1)


def test_every_setting_is_documented() -> None:
    """The reference is made from the fields."""
    rows = settings.reference()
    assert [row.name for row in rows] == list(Settings.model_fields)
    assert all(row.doc.endswith(".") and row.variable == "FLEET_" + row.name.upper() for row in rows)


@pytest.mark.parametrize(("content", "found"), [("-----BEGIN\n", True), ("", False), ("\n", False)])
def test_a_blank_credential_is_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, found: bool
) -> None:
    """The unit gives a blank one where the machine has none."""
    (tmp_path / "ssh_key").write_text(content)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Settings().key_file == (tmp_path / "ssh_key" if found else None)
