"""Whole bare repositories, one after the other, in a folder: a link names the one that counts, and moves at once.

current -> COMMIT-8HEX.git     the link says both where to read and which commit was good
new-…                          being filled; whatever is found of it at the next start is removed
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CURRENT, CONFIG = "current", "config"
PACKS = 50  # from so many on they are made one
_NAME = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})-[0-9a-f]{8}\.git")


class Generations:
    """folder: ours alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._previous = ""  # kept until the next one takes over: somebody may be reading in it

    @property
    def current(self) -> Path:
        return self._folder / CURRENT

    def open(self) -> str:
        """Remove what an earlier life left; the commit that counts, or ""."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = self._target()
        for one in self._folder.iterdir():
            if one.name not in (CURRENT, CONFIG, kept):
                _remove(one)
        name = _NAME.fullmatch(kept)
        return name[1] if name is not None else ""

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """An empty directory; gone after the block, unless it took over."""
        made = Path(tempfile.mkdtemp(prefix="new-", dir=self._folder))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def share(self, fresh: Path) -> None:
        """What is here already need not come again: files of Git's store are never changed, so that a second name for
        each is as good as a copy."""
        for at in ("objects/pack", "refs/fleet/kept"):
            (fresh / at).mkdir(parents=True, exist_ok=True)
            for one in (self.current / at).glob("*"):
                # No half packs, and none that another process wants kept.
                if one.is_file() and not one.name.startswith("tmp_") and one.suffix != ".keep":
                    _link(one, fresh / at / one.name)

    @staticmethod
    def many(repository: Path) -> bool:
        return sum(1 for _ in (repository / "objects/pack").glob("*.pack")) > PACKS

    def swap(self, fresh: Path, commit: str) -> None:
        """It counts from here on, also after the power fails."""
        old, name = self._target(), f"{commit}-{os.urandom(4).hex()}.git"
        fresh.rename(self._folder / name)
        link = self._folder / f"new-{name}"
        link.symlink_to(name)
        _to_disk(self._folder)
        link.replace(self.current)
        _to_disk(self._folder)
        if self._previous:
            shutil.rmtree(self._folder / self._previous, ignore_errors=True)
        self._previous = old

    def _target(self) -> str:
        try:
            return str(self.current.readlink())
        except OSError:  # none yet, or something that is no link
            return ""


def _link(one: Path, other: Path) -> None:
    try:
        other.hardlink_to(one)
    except OSError:  # a file system without them
        shutil.copy2(one, other)


def _remove(one: Path) -> None:
    with suppress(OSError):
        one.unlink() if one.is_symlink() or not one.is_dir() else shutil.rmtree(one)


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
