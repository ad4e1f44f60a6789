"""What Specs share: the strict frozen base, normalised types, names that are refused, and claims."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Ensure = Literal["present", "absent"]
# What must not be shown is nobody's business on the host either: unless a mode is said, no wider than this.
CLOSED = "640"

_MODE = re.compile(r"[0-7]{1,4}\Z")
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,255}\$?\Z")


class Spec(BaseModel):
    """Frozen, strict, and closed: what is not named here is a mistake. Built when it is first used: few kinds are.

    secrets: attributes that may hold secrets: what they say never meets an argv, an environment or another's file.
    """

    secrets: ClassVar[frozenset[str]] = frozenset()
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


def _mode(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f'a mode is octal text: write it in quotes, such as "{value:04d}"')
    if not isinstance(value, str) or not _MODE.match(value):
        raise ValueError('expected an octal mode in quotes such as "0644"')
    return value.lstrip("0") or "0"


def _account(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not _ACCOUNT.match(value):
        raise ValueError("expected the name or the number of an account")
    return value


Mode = Annotated[str, BeforeValidator(_mode), Field(description='Octal mode in quotes, such as "0644".')]
Account = Annotated[str, BeforeValidator(_account, json_schema_input_type=str | int)]
EnsureField = Annotated[Ensure, Field(description="present, or absent to remove it.")]


def check_text(name: str, what: str = "name") -> None:
    """No name holds control characters: they could not be shown, and a newline could not be told apart."""
    if not name:
        raise ValueError(f"an empty {what}")
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise ValueError(f"a {what} cannot hold newlines, tabs or control characters")
    if any(0xD800 <= ord(c) < 0xE000 for c in name):
        raise ValueError(f"a {what} must be valid UTF-8")


def check_path(path: str) -> None:
    """An absolute path, written the one way it can be written."""
    check_text(path, "path")
    if not path.startswith("/"):
        raise ValueError("expected an absolute path, beginning with /")
    if ".." in path.split("/"):
        raise ValueError("a path cannot hold `..`")
    plain = posixpath.normpath(path).replace("//", "/", 1) if path.startswith("//") else posixpath.normpath(path)
    if path != plain:
        raise ValueError(f"write this path as {plain}")


def parents(path: str) -> tuple[str, ...]:
    """Claims on all directories above a path."""
    parts = path.strip("/").split("/")[:-1]
    return tuple("path:/" + "/".join(parts[: n + 1]) for n in range(len(parts)))


# Which numbers stand behind the names of accounts.
ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf")


def named(owner: str | None, group: str | None) -> tuple[str, ...]:
    """What witnesses that a path is theirs, besides the path: a name may come to stand for another number."""
    return ACCOUNTS if any(one is not None and not one.isdecimal() for one in (owner, group)) else ()


def owners(owner: str | None, group: str | None) -> tuple[str, ...]:
    """Claims on the accounts that a path is given to."""
    return (*((f"user:{owner}",) if owner else ()), *((f"group:{group}",) if group else ()))
