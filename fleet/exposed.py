"""Files with secrets that settings name and everybody on this machine can read."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fleet.settings import Settings

FILES = ("key_file", "token_file", "hook_secret_file", "notify_file", "status_token_file")


def exposed(settings: Settings) -> Iterator[tuple[str, Path]]:
    """(setting, file) of each, unless it is in a directory that others may not enter. What cannot be asked is none."""
    named = [(name, getattr(settings, name)) for name in FILES]
    identities = [("age_dir", path) for path in sorted(settings.age_dir.glob("*.txt"))]
    for name, path in (*named, *identities):
        with suppress(OSError):
            if path is not None and _open(path.resolve()):
                yield name, path


def _open(path: Path) -> bool:
    mode = path.stat().st_mode
    return bool(mode & (stat.S_IROTH | stat.S_IWOTH)) and all(one.stat().st_mode & stat.S_IXOTH for one in path.parents)
