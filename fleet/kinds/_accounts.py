"""One look at users and groups for both kinds: the two files where there is nothing else, else getent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from fleet.model.step import Outcome, Script

# Only lines of the asked names leave the host, and root's, without which nothing was read; every group's line does,
# since a user may be in any. Where accounts come from files alone, one awk reads them in half the time of two getents.
TEXT = r"""
passwd=; for a do case $a in u:*) passwd="$passwd ${a#u:}" ;; esac; done
files=; command -v awk >/dev/null 2>&1 && files=1
if command -v getent >/dev/null 2>&1; then
  [ -r /etc/nsswitch.conf ] || files=
  # nsswitch.conf(5): blanks before and after the colon may be there or not, and so may the last newline.
  [ -z "$files" ] || while read -r l || [ -n "$l" ]; do
    case $l in passwd*|group*) ;; *) continue ;; esac
    for a in ${l#*:}; do case $a in files|systemd) ;; *) files= ;; esac; done
  done </etc/nsswitch.conf
fi
if [ -n "$files" ]; then
  awk -F: 'BEGIN { for (n = 3; n < ARGC; n++) { want[ARGV[n]] = 1; ARGV[n] = "" } }
    FILENAME == ARGV[1] { if ($1 in want || $3 == "0") print; next }
    !groups { groups = 1; print "GROUPS" }
    { print }' /etc/passwd /etc/group $passwd && printf 'END\n'
else
  # 2: some are not known. Anything else, and nobody can tell.
  getent passwd 0 $passwd; case $? in 0|2) printf 'GROUPS\n'; getent group && printf 'END\n' ;; esac
fi
"""

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?\Z")


@dataclass(frozen=True, slots=True)
class User:
    """A line of passwd(5)."""

    line: str
    uid: int
    gid: int
    comment: str
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class Group:
    """A line of group(5)."""

    line: str
    gid: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Users that were asked for, and all groups, by name."""

    users: dict[str, User]
    groups: dict[str, Group]

    def group_name(self, gid: int) -> str:
        return next((name for name, group in self.groups.items() if group.gid == gid), str(gid))


def probe(users: Iterable[str]) -> Script:
    return Script(TEXT, tuple(f"u:{name}" for name in users))


def read(outcome: Outcome) -> Accounts:
    """Raises ValueError when the answer was cut short."""
    return _parsed(outcome.output)


@lru_cache(maxsize=1)  # the kinds that share the look read the same bytes one after the other
def _parsed(output: bytes) -> Accounts:
    passwd, mark, group = output.decode(errors="surrogateescape").partition("\nGROUPS\n")
    if not mark or not group.endswith("\nEND\n"):
        raise ValueError("the look at accounts was cut short, or shows no account at all")
    users: dict[str, User] = {}
    for line in passwd.split("\n"):
        words = line.split(":")
        if len(words) == 7:
            users.setdefault(words[0], User(line, int(words[2]), int(words[3]), words[4], words[5], words[6]))
    groups: dict[str, Group] = {}
    for line in group.split("\n"):
        words = line.split(":")
        if len(words) == 4:
            groups.setdefault(words[0], Group(line, int(words[2]), tuple(m for m in words[3].split(",") if m)))
    return Accounts(users, groups)


def check_name(name: str) -> None:
    """What useradd(8) of Debian accepts."""
    if not _NAME.match(name):
        raise ValueError("expected an account name: lower-case letters, digits, - and _, at most 31, a letter first")
