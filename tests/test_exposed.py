"""Who leaves a file with secrets open to everybody is told, as ssh tells of keys."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from fleet.exposed import FILES, exposed
from fleet.settings import Settings

MODES = [(0o644, 0o755, True), (0o602, 0o755, True), (0o640, 0o755, False), (0o644, 0o750, False)]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("mode", "above", "told"), MODES)
def test_what_everybody_can_read_or_write_is_told(name: str, mode: int, above: int, told: bool) -> None:
    with TemporaryDirectory() as folder:  # pytest's own are shut to others
        file = Path(folder) / "one"
        file.write_text("a secret\n")
        file.chmod(mode)
        file.parent.chmod(above)
        assert list(exposed(Settings(**{name: file}, age_dir=Path(folder) / "none"))) == (
            [(name, file)] if told else []
        )


@pytest.mark.parametrize(("mode", "above", "told"), MODES)
def test_so_are_the_identities_that_open_an_environment_s_secrets(mode: int, above: int, told: bool) -> None:
    with TemporaryDirectory() as folder:
        for name in ("production.txt", "dev.txt"):
            (Path(folder) / name).write_text("AGE-SECRET-KEY-1\n")
            (Path(folder) / name).chmod(mode if name == "production.txt" else 0o600)
        Path(folder).chmod(above)
        found = list(exposed(Settings(age_dir=Path(folder))))
        assert found == ([("age_dir", Path(folder) / "production.txt")] if told else [])


def test_a_file_that_is_not_there_is_told_by_who_needs_it(tmp_path: Path) -> None:
    assert list(exposed(Settings(token_file=tmp_path / "none", age_dir=tmp_path / "none"))) == []
