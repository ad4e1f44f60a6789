"""Who is told: the file that `notify_file` names, since its URLs hold secrets. YAML: a list of URLs as Apprise knows
them, or of maps with `url` and any of name, events, environments, per_hour, window, remind."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fleet.controller.notices.teller import Policy
from fleet.controller.notices.values import USUAL, EventName
from fleet.errors import UsageError
from fleet.model.duration import seconds
from fleet.model.secret import Secret

LONGEST = 64 * 1024  # bytes of the file
SHORTEST = 8  # characters of a part of a URL that may be a secret
# There the part after :// is a host; elsewhere it may be a token.
_HOSTED = re.compile(r"(json|xml|form|mailto|ntfy|gotify|mmost|rocket|matrix|apprise|syslog)s?", re.IGNORECASE)
Duration = Annotated[float, BeforeValidator(seconds)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = Field(min_length=1, pattern=r"^[A-Za-z0-9]+://")
    name: str = Field("", max_length=80)
    events: frozenset[EventName] = USUAL
    environments: frozenset[str] = frozenset()
    per_hour: float = Field(20.0, gt=0, le=3600)
    window: Duration = 30.0
    remind: Duration = 86_400.0


@dataclass(frozen=True, slots=True)
class Destination:
    """name: for people, without a secret. id: the same for the same URL, and says nothing of it."""

    url: str = field(repr=False)
    name: str
    policy: Policy = field(default_factory=Policy)

    @property
    def id(self) -> str:
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def secrets(self) -> list[Secret]:
        """The URL, and each part of it that may be one."""
        scheme, _, rest = self.url.partition("://")
        place, _, path = rest.partition("/")
        user, _, address = place.rpartition("@")
        password = user.partition(":")[2]
        found = {*re.split("[/?&=]", path)} | (set() if _HOSTED.fullmatch(scheme) else {address, user})
        said = {self.url, password, *(one for one in found if len(one) >= SHORTEST)}
        return [Secret(f"of {self.name}", one.encode()) for one in sorted(said | {*map(unquote, said)}) if one]


def of_url(url: str, number: int = 1) -> Destination:
    """Raises UsageError, which does not say the URL."""
    try:
        return _made(_Entry(url=url), number)
    except ValidationError as error:
        raise UsageError(f"a notification URL begins with its service, as slack://…: {_said(error)}") from None


def read_destinations(path: Path) -> tuple[Destination, ...]:
    """Raises UsageError, which names the file and the entry and never a URL."""
    entries = _list(path, _text(path))
    found, problems = [], []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(_made(_Entry.model_validate({"url": entry} if isinstance(entry, str) else entry), number))
        except ValidationError as error:
            problems.append(f"{path}: entry {number}: {_said(error)}")
    if problems:
        raise UsageError("\n".join(problems))
    repeated = {one.name for one in found if [other.name for other in found].count(one.name) > 1}
    if repeated or len({one.id for one in found}) < len(found):
        raise UsageError(
            f"{path}: the same name or URL stands there twice{': ' if repeated else ''}{', '.join(repeated)}"
        )
    return tuple(found)


def _made(entry: _Entry, number: int) -> Destination:
    name = entry.name or f"{entry.url.partition('://')[0].lower()} {number}"
    policy = Policy(entry.events, entry.environments, entry.window, entry.remind, entry.per_hour)
    return Destination(entry.url, name, policy)


def _said(error: ValidationError) -> str:
    """Without what was given: it may be the URL."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg'][:1].lower()}{one['msg'][1:]}"
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            _private(path, os.fstat(file.fileno()))
            data = file.read(LONGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > LONGEST:
        raise UsageError(f"{path} is longer than {LONGEST:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8") from error


def _private(path: Path, found: os.stat_result) -> None:
    """Raises UsageError. What systemd handed over it guards itself, by an access list that looks like a group's."""
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is not a file")
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if given and path.parent == Path(given):
        return
    if found.st_mode & 0o077:
        raise UsageError(f"{path} holds secrets and others can read it: chmod 600 {path}")
    if found.st_uid not in (0, os.geteuid()):
        raise UsageError(f"{path} holds secrets and belongs to somebody else: chown it to who runs fleet")


def _list(path: Path, text: str) -> list[Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        place = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{path}{place}: this is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UsageError(f"{path} is not YAML") from None
    if found is None:
        return []
    if not isinstance(found, list):
        raise UsageError(f"{path}: expected a list, of URLs or of maps with `url:`")
    return found
