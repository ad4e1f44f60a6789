"""What systemd hands over is found without a word, and an empty credential is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.settings import Settings

CREDENTIALS = {"notify_file": "notify", "status_token_file": "status_token", "key_file": "ssh_key"}


@pytest.mark.parametrize("setting", CREDENTIALS)
def test_a_credential_is_the_default_unless_it_is_empty(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / CREDENTIALS[setting]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert getattr(Settings(), setting) is None
    path.touch()
    assert getattr(Settings(), setting) is None
    path.write_text("something")
    assert getattr(Settings(), setting) == path
    monkeypatch.setenv(f"FLEET_{setting.upper()}", str(tmp_path / "other"))
    assert getattr(Settings(), setting) == tmp_path / "other"
