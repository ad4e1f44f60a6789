"""Who may come in, and where: settings in, what `application` and `serving` need out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fleet.errors import UsageError
from fleet.settings import Settings
from fleet.web.access import Access, Asker, Role, Token
from fleet.web.deliveries import listener
from fleet.web.peer import Peer
from fleet.web.routes import Hook


@dataclass(frozen=True, slots=True)
class Door:
    """address: over TCP as well; None: over the unix socket alone."""

    access: Access
    hook: Hook | None
    address: tuple[str, int] | None
    secrets: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(slots=True)
class Doorman:
    """Lets in whom the door that stands now lets in; another may take its place while connections are open."""

    door: Door

    def asker(self, peer: Peer | None, authorization: str) -> Asker:
        return self.door.access.asker(peer, authorization)

    def refused(self, peer: Peer | None, headers: Mapping[str, str]) -> str:
        return self.door.access.refused(peer, headers)

    def hook(self, headers: Mapping[str, str], body: bytes) -> bool | None:
        return None if self.door.hook is None else self.door.hook(headers, body)


def door_of(settings: Settings, wall: Callable[[], float]) -> Door:
    """Raises UsageError, which names the file and the line. Root and whoever runs the controller may operate it."""
    address = _address(settings.listen)
    names = frozenset({settings.listen}) if address is not None else frozenset()
    tokens = () if settings.tokens_file is None else _tokens(settings.tokens_file)
    if address is not None and not tokens and settings.hook_secret_file is None:
        raise UsageError("listen: nobody could ask anything over TCP without tokens_file or hook_secret_file")
    secrets = () if settings.hook_secret_file is None else _secrets(settings.hook_secret_file)
    access = Access(frozenset({0, os.geteuid()}), tokens, names)
    return Door(access, listener(secrets, wall) if secrets else None, address, secrets)


def reopened(old: Door, settings: Settings, wall: Callable[[], float]) -> Door:
    """The door as the files say now. What was heard before stays known while the secrets are the same."""
    new = door_of(settings, wall)
    return replace(new, hook=old.hook) if new.secrets == old.secrets else new


def _address(said: str) -> tuple[str, int] | None:
    if not said:
        return None
    host, _, port = said.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"listen: expected ADDRESS:PORT, such as 127.0.0.1:8080, not {said!r}")
    return host.strip("[]"), int(port)


def _tokens(path: Path) -> tuple[Token, ...]:
    found = []
    for number, line in enumerate(_lines(path), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        roles: dict[str, Role] = {"reader": "reader", "operator": "operator"}
        if len(words) != 3 or words[1] not in roles or not re.fullmatch(r"[0-9a-f]{64}", words[2]):
            raise UsageError(f"{path}:{number}: expected NAME, reader or operator, and 64 hex digits: its sha256")
        found.append(Token(words[0], roles[words[1]], words[2]))
    return tuple(found)


def _secrets(path: Path) -> tuple[bytes, ...]:
    found = tuple(line.strip().encode() for line in _lines(path) if line.strip())
    if not found or any(len(one) < 16 for one in found):
        raise UsageError(f"{path}: expected secrets of 16 characters at least, one a line")
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
