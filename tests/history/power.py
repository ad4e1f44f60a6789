"""Power cuts on a real file system: the record lies on an ext4 of its own, in an image mounted by a loop device,
and a cut is a copy of that image as it stands beneath the file system, while a process writes.

Nothing is flushed before: what the kernel had not yet handed to the device is not in the copy, and is lost. The device
itself keeps what it was given (that it is told to is shown by test_power.py). A copy counts when a second one taken
after it is the same, byte by byte: then it is one moment's. Every other cut tries that in full flight first; otherwise
the process is held between two system calls meanwhile. The copy is mounted (ext4 replays its journal), SQLite recovers,
all that was ever acknowledged is looked for, and the next life goes on in that copy. By hand, as root:

    python -m tests.history.power 50
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.history import History

ROOT = Path(__file__).resolve().parents[2]
SIZE, MORE = 16 * 1024 * 1024, 1024 * 1024  # bytes of the image, and for each life
FLIGHT, HELD = 5, 200  # attempts at two copies that are the same


class NoImageError(Exception):
    """Why this machine mounts no image."""


@dataclass
class Cuts:
    """What some cuts showed. acknowledged: sort and name of all that was, over all lives. flying: cuts without holding
    the process. lost: of what was acknowledged; wrong: what SQLite or the audit's chain says."""

    cuts: int = 0
    flying: int = 0
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {sort: sum(1 for one, _ in self.acknowledged if one == sort) for sort, _ in self.acknowledged}
        said = ", ".join(f"{count} {sort}" for sort, count in sorted(counts.items()))
        return (
            f"{self.cuts} cuts ({self.flying} in full flight), {len(self.acknowledged)} acknowledged ({said}): "
            f"{len(self.lost)} lost {self.lost[:5]}, {len(self.wrong)} wrong {self.wrong[:5]}"
        )


def run(folder: Path, cuts: int, seed: int = 1) -> Cuts:
    """Raises NoImageError: this machine does not let us."""
    dice, found = random.Random(seed), Cuts()
    image = folder / "0.img"
    with image.open("wb") as file:
        file.truncate(SIZE + cuts * MORE)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    for life in range(cuts + 1):
        with mounted(image, folder / f"m{life}") as at:
            if life:
                _check(at / "history.db", found)
            if life == cuts:
                break
            copy = folder / f"{life + 1}.img"
            with _Writer(at / "history.db", life) as writer:
                writer.wait(20 + dice.randrange(200))
                # What is on its way to us now was acknowledged as well, but only this is sure to have been.
                sure, content, flying = _cut(image, writer, life % 2 == 0)
            copy.write_bytes(content)
            found.cuts, found.flying = found.cuts + 1, found.flying + flying
            found.acknowledged += sure
        image.unlink()
        image = copy
    return found


def _cut(image: Path, writer: _Writer, fly: bool) -> tuple[list[tuple[str, str]], bytes, bool]:
    """What had been acknowledged, the image a moment later, and whether nothing was held."""
    for attempt in range(FLIGHT if fly else 0, -HELD, -1):
        if attempt == 0:
            os.kill(writer.pid, signal.SIGSTOP)
        sure, content = writer.acknowledged(), image.read_bytes()
        if content == image.read_bytes():
            return sure, content, attempt > 0
    raise AssertionError("the image does not come to rest though nobody writes")


class _Writer:
    """The process that writes; killed when the block ends."""

    def __init__(self, path: Path, life: int) -> None:
        command = [sys.executable, "-m", "tests.history.power_writer", str(path), str(life)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True)
        self.pid = self._process.pid
        self._said: list[tuple[str, str]] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> _Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                sort, _, name = line.strip().partition(" ")
                self._said.append((sort, name))
                self._more.notify_all()

    def acknowledged(self) -> list[tuple[str, str]]:
        with self._more:
            return [one for one in self._said if one[0] not in ("begun", "ordered")]

    def wait(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self._said) >= count, 60), "it writes nothing"


def _check(path: Path, found: Cuts) -> None:
    async def opened() -> None:
        async with await History.open(path) as history:
            await history.control.audited()  # raises where the chain is broken

    try:
        asyncio.run(opened())
        with sqlite3.connect(path) as database:
            found.wrong += [one for (one,) in database.execute("PRAGMA integrity_check") if one != "ok"]
            there = {
                "order": _column(database, "SELECT scope FROM orders"),
                "audit": _column(database, "SELECT action FROM audit"),
                "intent": _column(database, "SELECT attempt FROM changes"),
                "pass": _column(database, "SELECT host FROM passes"),
            }
            newest = max(_column(database, "SELECT revision FROM taken"), default="")
        database.close()
    except Exception as error:  # whatever it is, it is what a person would find after the cut
        found.wrong.append(repr(error))
        return
    for sort, name in found.acknowledged:
        if sort == "lift":
            kept = name not in there["order"]
        elif sort == "take":
            kept = newest >= name
        else:
            kept = name in there[sort]
        if not kept:
            found.lost.append(f"{sort} {name} after cut {found.cuts}")


def _column(database: sqlite3.Connection, sql: str) -> set[str]:
    return {one for (one,) in database.execute(sql)}


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir()
    _run("mount", "-t", "ext4", "-o", "loop", str(image), str(at))
    try:
        yield at
    finally:
        _run("umount", str(at))


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoImageError(f"there is no {words[0]} here") from None
    if done.returncode != 0:
        raise NoImageError(f"{words[0]}: {done.stderr.strip()}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        shown = run(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 50)
    print(shown)
    sys.exit(1 if shown.lost or shown.wrong else 0)
