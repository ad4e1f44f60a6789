"""What was told, from one life of the controller to the next: one small JSON file in the state directory, written
whole or not at all. One that cannot be read costs no more than that things are told once more."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from fleet.controller.notices.statuses import Sent
from fleet.controller.notices.values import EVENTS, Key, Told
from fleet.errors import HistoryError

VERSION = 1


@dataclass(frozen=True, slots=True)
class Remembered:
    """told: by id of a destination. statuses: by environment, the last that the Git server took."""

    told: Mapping[str, Mapping[Key, Told]] = field(default_factory=dict)
    statuses: Mapping[str, Sent] = field(default_factory=dict)


def read(path: Path) -> Remembered:
    """Nothing, where there is no such file or it says something else. Raises HistoryError: it may not be read."""
    try:
        said: Any = json.loads(path.read_bytes())
        if said["version"] != VERSION:
            return Remembered()
        told = {
            str(one): {_key(row[:3]): Told(str(row[3]), str(row[4]), float(row[5]), float(row[6])) for row in rows}
            for one, rows in said["told"].items()
        }
        return Remembered(told, {str(name): Sent(str(row[0]), row[1]) for name, row in said["statuses"].items()})
    except FileNotFoundError:
        return Remembered()
    except OSError as error:
        raise HistoryError(f"{path}, which says what was told, cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Remembered()


def write(path: Path, remembered: Remembered) -> None:
    """On disk when it returns; blocks. Raises HistoryError."""
    told = {one: [[*key, *astuple(said)] for key, said in rows.items()] for one, rows in remembered.told.items()}
    statuses = {name: [*astuple(sent)] for name, sent in remembered.statuses.items()}
    text = json.dumps({"version": VERSION, "told": told, "statuses": statuses})
    own = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        own.replace(path)
    except OSError as error:
        raise HistoryError(f"{path}, which says what was told, cannot be written: {error.strerror}") from error


def _key(row: list[Any]) -> Key:
    event = row[0]
    if event not in EVENTS:
        raise ValueError("no event")
    return Key(event, str(row[1]), str(row[2]))
