"""Many names in few words: web-1 … web-37 becomes web-[1:37], as hosts.yaml writes them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fleet.model.natural import natural


def compress(names: Iterable[str]) -> str:
    """Names in natural order, runs of three or more as PREFIX[FIRST:LAST]SUFFIX; zero padding is kept."""
    runs: list[list[tuple[str, int, str, str, int]]] = []
    for name in sorted(set(names), key=natural):
        part = _split(name)
        if runs and _follows(runs[-1][-1], part):
            runs[-1].append(part)
        else:
            runs.append([part])
    said = []
    for run in runs:
        prefix, _, suffix, first, width = run[0]
        if len(run) >= 3 and width:
            said.append(f"{prefix}[{first}:{run[-1][3]}]{suffix}")
        else:
            said.extend(prefix + digits + suffix for prefix, _, suffix, digits, _ in run)
    return ", ".join(said)


def by_environment(hosts: Iterable[tuple[str, str]]) -> str:
    """(environment, name) pairs as "dev: web-[1:3] · staging: db-1"."""
    environments: dict[str, list[str]] = {}
    for environment, name in hosts:
        environments.setdefault(environment, []).append(name)
    return " · ".join(f"{environment}: {compress(names)}" for environment, names in sorted(environments.items()))


def _split(name: str) -> tuple[str, int, str, str, int]:
    """prefix, number, suffix, digits, and their width; width 0 when there is no number."""
    match = re.fullmatch(r"(.*?)([0-9]{1,18})([^0-9]*)", name, re.DOTALL)
    if match is None:
        return name, 0, "", "", 0
    return match[1], int(match[2]), match[3], match[2], len(match[2])


def _follows(one: tuple[str, int, str, str, int], then: tuple[str, int, str, str, int]) -> bool:
    same = one[0] == then[0] and one[2] == then[2] and one[4] and then[4]
    padded = one[3].startswith("0") or then[3].startswith("0")
    return bool(same and then[1] == one[1] + 1 and (one[4] == then[4] or not padded))
