"""The file environments/ENV/known_hosts: its text and scanned keys in, what is new or changed and the next text out.

The format is that of sshd(8). Pure, but for `write_atomically`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from fleet.errors import UsageError


@dataclass(frozen=True, slots=True, order=True)
class HostKey:
    """One public key that a host showed. name: as in known_hosts ("10.0.0.1", "[10.0.0.1]:2222"). key: base64."""

    name: str
    algorithm: str
    key: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.key)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.name} {self.algorithm} {self.key}"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a scan means for the file. Keys by name: fresh (never pinned), same, changed (pinned otherwise)."""

    fresh: tuple[HostKey, ...]
    same: tuple[HostKey, ...]
    changed: tuple[HostKey, ...]


def known_hosts_name(address: str, port: int) -> str:
    """How known_hosts names a host at a port."""
    return address if port == 22 else f"[{address}]:{port}"


def compare(text: str, scanned: Iterable[HostKey]) -> Enrolment:
    """A name one of whose pinned keys was shown again is the same; one that shows none of them has changed."""
    sorts: dict[str, list[HostKey]] = {"fresh": [], "same": [], "changed": []}
    by_name: dict[str, list[HostKey]] = {}
    for key in scanned:
        by_name.setdefault(key.name, []).append(key)
    for name, keys in sorted(by_name.items()):
        pinned = _pinned(text, name)
        sort = "fresh" if not pinned else "same" if pinned & {(k.algorithm, k.key) for k in keys} else "changed"
        sorts[sort].extend(sorted(keys))
    return Enrolment(tuple(sorts["fresh"]), tuple(sorts["same"]), tuple(sorts["changed"]))


def enrolled(text: str, add: Sequence[HostKey], replace: Sequence[HostKey] = ()) -> str:
    """The file with keys added, and with those of `replace` in the place of whatever pinned their names.

    Raises UsageError when a wildcard pins such a name, since that would go on to vouch for the old key.
    """
    gone = {key.name for key in replace}
    kept = [left for line in text.splitlines() if (left := _without(line, gone)) is not None]
    return "".join(f"{line}\n" for line in [*kept, *map(str, [*replace, *add])])


def write_atomically(path: Path, text: str) -> None:
    """The old file or the new one, never half; synced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".known_hosts.", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _pinned(text: str, name: str) -> set[tuple[str, str]]:
    """(algorithm, key) of the plain lines that match this name."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and not line.startswith(("#", "@")) and _matches(words[0], name):
            found.add((words[1], words[2]))
    return found


def _without(line: str, gone: set[str]) -> str | None:
    """The line without these names; None when nothing is left of it."""
    words = line.split(maxsplit=1)
    if len(words) < 2 or line.startswith(("#", "@")) or not any(_matches(words[0], name) for name in gone):
        return line
    left = [] if words[0].startswith("|1|") else [one for one in words[0].split(",") if one not in gone]
    if any(_matches(one, name) for one in left for name in gone):
        raise UsageError(f"{words[0]!r} in known_hosts pins a changed key by a wildcard; take that line out by hand")
    return f"{','.join(left)} {words[1]}" if left else None


def _matches(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        _, _, salt, digest = patterns.split("|")[:4]
        return hmac.compare_digest(hmac.digest(base64.b64decode(salt), name.encode(), "sha1"), base64.b64decode(digest))
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns.split(","))
