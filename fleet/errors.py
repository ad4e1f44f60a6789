"""The error tree, drawn once. Everything fleet raises on purpose is a `FleetError`.

    FleetError
    ├── ConfigError        what users wrote is wrong: one or many `Problem`s, each with its Origin   (exit 1)
    ├── UsageError         the command line is wrong: nothing selected, no such host                  (exit 1)
    ├── TransportError     a host could not be reached or talked to; carries a `Failure`, "again?"    (exit 4)
    ├── IdentityError      the host belongs to another environment                                    (exit 5)
    ├── SecretError        a secret cannot be decrypted: no key, a damaged file, no sops               (exit 1)
    ├── GitError           a remote does not answer, or is refused; RewrittenError: its history changed  (exit 1)
    ├── HistoryError       the record could not be written or read                                    (exit 1)
    └── SandboxError       throw-away hosts cannot be had here, and why                               (exit 1)

A step that fails on a host is not an exception: it is an `Outcome`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a value stands in the repository: path below its root, line and column from 1 (0: the file as a whole)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the repository, told so that it can be mended without asking anybody.

    message: what is wrong, one sentence without a full stop.
    expected: what would be right. hint: what to do next ("did you mean `template`?"). excerpt: the line itself.
    also: other places that belong to it (the first of two duplicate keys, the other owner).
    severity: a "warning" is no mistake that stops anything: what is said there is valid, and does nothing.
    """

    origin: Origin
    message: str
    expected: str = ""
    hint: str = ""
    excerpt: str = ""
    also: tuple[Origin, ...] = ()
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        lines = [f"{self.origin}: {'warning: ' if self.severity == 'warning' else ''}{self.message}"]
        if self.excerpt:
            lines.append(f"    {self.excerpt}")
            if 0 < self.origin.column <= len(self.excerpt):
                lines.append("    " + " " * (self.origin.column - 1) + "^")
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        lines.extend(f"  see also: {place}" for place in self.also)
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class FleetError(Exception):
    """Base of all that fleet raises on purpose. `exit_code` is what the command ends with."""

    exit_code = 1


class ConfigError(FleetError):
    """The repository says something wrong. Holds every problem found, not the first only, in order of place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda p: (p.origin, p.message)))
        super().__init__("\n".join(map(str, self.problems)))


class UsageError(FleetError):
    """The command line asks for something that cannot be."""


class GitError(FleetError):
    """A remote repository does not answer, or what it says is refused. What was fetched before stays."""


class RewrittenError(GitError):
    """The remote's newest commit does not descend from the last good one, which stays until somebody accepts it."""

    def __init__(self, remote: str, before: str, newest: str) -> None:
        self.before = before
        self.newest = newest
        super().__init__(
            f"the history of {remote} was rewritten: {newest[:12]} does not descend from {before[:12]}, which stays; "
            f"restore the branch, or accept what is there if it is meant: fleet accept {newest}"
        )


class Failure(StrEnum):
    """Why a host could not be reached. `retryable` names the ones where trying again helps."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    HOST_KEY = "host key"
    AUTH = "auth"
    BANNER = "banner"
    CHANNEL = "channel"
    SHELL = "shell"
    BECOME = "become"
    LOST = "lost"
    # Of HTTP APIs.
    ADDRESS = "address"  # it leads to where nobody may connect
    TLS = "tls"
    ANSWER = "answer"  # it came, and cannot be used
    REJECTED = "rejected"  # it says that the request is wrong, and did nothing
    LIMITED = "limited"
    SERVER = "server"

    @property
    def retryable(self) -> bool:
        """Host key, auth, shell and become never get better by repeating; sshd punishes who repeats them."""
        return self in _RETRYABLE


_RETRYABLE = frozenset({
    Failure.REFUSED, Failure.TIMEOUT, Failure.BANNER, Failure.CHANNEL, Failure.LOST, Failure.LIMITED, Failure.SERVER,
})  # fmt: skip


class TransportError(FleetError):
    """A host cannot be reached or talked to. What happened on it is *unknown*, never *ok*."""

    exit_code = 4

    def __init__(self, failure: Failure, message: str, hint: str = "") -> None:
        self.failure = failure
        self.message = message
        self.hint = hint
        super().__init__(f"{failure}: {message}" + (f" ({hint})" if hint else ""))


class IdentityError(FleetError):
    """The host says that it belongs to another environment. Nothing is changed on it."""

    exit_code = 5


class SecretError(FleetError):
    """A secret cannot be decrypted. Says which file and why, and never what is in it."""


class HistoryError(FleetError):
    """The record cannot be read or written; without a written intent nothing is changed."""


class SandboxError(FleetError):
    """Throw-away hosts cannot be had here."""
