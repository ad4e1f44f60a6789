"""Who wrote a line: `git blame`, one process per file. Input: a Tree and origins; output: a Blame by origin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from fleet.desired import git
from fleet.desired.source import Tree
from fleet.desired.whereabouts import ROOT
from fleet.errors import Origin, UsageError


@dataclass(frozen=True, slots=True)
class Blame:
    """The commit that wrote a line. commit: full id, "" while uncommitted. date: ISO 8601 with its offset."""

    commit: str
    author: str
    date: str
    summary: str


def blame(repository: Path, tree: Tree, lines: Collection[Origin]) -> Mapping[Origin, Blame]:
    """By origin; lines that Git knows nothing of (a new file, a line past the end) are left out."""
    wanted: dict[str, list[Origin]] = defaultdict(list)
    for origin in lines:
        if origin.line and origin.file in tree.entries:
            wanted[origin.file].append(origin)
    found: dict[Origin, Blame] = {}
    for path, origins in wanted.items():
        with suppress(UsageError):
            said = _file(repository, tree, path, {origin.line for origin in origins})
            found.update({origin: said[origin.line] for origin in origins if origin.line in said})
    return found


def _file(repository: Path, tree: Tree, path: str, lines: set[int]) -> dict[int, Blame]:
    ranges = [word for line in sorted(lines) for word in ("-L", f"{line},{line}")]
    revision = [] if tree.uncommitted else [tree.revision]
    # Paths are relative to where git runs, so that a fleet in a subdirectory of a repository works.
    words = ("-c", "blame.ignoreRevsFile=", "blame", "--porcelain", "--no-textconv", *ranges, *revision)
    return dict(_read(git.run(repository, *words, "--", f"{ROOT}/{path}").decode(errors="replace")))


def _read(porcelain: str) -> Iterator[tuple[int, Blame]]:
    """git-blame(1), "the porcelain format": a commit's facts are said only where it comes first."""
    facts: dict[str, dict[str, str]] = defaultdict(dict)
    commit, line = "", 0
    for text in porcelain.split("\n"):
        word, _, rest = text.partition(" ")
        if text.startswith("\t"):
            yield line, _blame(commit, facts[commit])
        elif len(word) >= 40 and set(word) <= set("0123456789abcdef"):
            commit, line = word, int(rest.split()[1])
        else:
            facts[commit][word] = rest


def _blame(commit: str, facts: Mapping[str, str]) -> Blame:
    sign, offset = facts["author-tz"][0], facts["author-tz"][1:]
    zone = timezone(timedelta(hours=int(offset[:2]), minutes=int(offset[2:])) * (-1 if sign == "-" else 1))
    moment = datetime.fromtimestamp(int(facts["author-time"]), UTC).astimezone(zone)
    if not commit.strip("0"):
        return Blame("", "not committed yet", moment.isoformat(), "")
    return Blame(commit, facts["author"], moment.isoformat(), facts.get("summary", ""))
