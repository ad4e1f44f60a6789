"""`python -m benchmarks`: every figure of fleet beside the floor that was measured in the same run on the same hosts.

Prints one table, and what each figure means; writes JSON to benchmarks/results/DATE.json, or where --json says.
Ends with 1 when a figure misses its target.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks import apply, compile, day, faults, http, look, secrets, serve, soak
from benchmarks.figure import Figure, table
from benchmarks.fixture import RESOURCES, Fixture, fixture

PARTS = ("apply", "look", "faults", "serve", "day", "soak", "compile", "secrets", "http")
WITHOUT_HOSTS = {"compile", "secrets", "http"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--hosts", type=int, default=200, help="throw-away hosts with real sshd (default: 200)")
    parser.add_argument("--resources", type=int, default=RESOURCES, help=f"on each host, at least {RESOURCES}")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be given several times")
    parser.add_argument("--sweep", type=float, default=10.0, help="of `day`: seconds between two looks (default: 10)")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions of what is cheap; the median counts")
    parser.add_argument("--json", type=Path, help="where the figures go as JSON")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stopped)  # so that the hosts are ended then too
    chosen = options.only or PARTS
    figures = list[Figure]()
    if set(chosen) - WITHOUT_HOSTS:
        for one in _on_hosts(fixture(options.hosts, options.resources), chosen, options):
            print(f"{one.name}: {one.value:.3f} {one.unit}", file=sys.stderr, flush=True)
            figures.append(one)
    if "compile" in chosen:
        figures += compile.measure(1000)
    if "secrets" in chosen:
        figures += secrets.measure(options.repeat)
    if "http" in chosen:
        figures += http.measure(options.repeat)
    print(f"{options.hosts} hosts x {options.resources} resources, {os.cpu_count()} cores that the hosts share\n")
    print(table(figures))
    document = {"hosts": options.hosts, "resources": options.resources, "figures": [one.document() for one in figures]}
    target = options.json or Path(__file__).parent / "results" / time.strftime("%Y-%m-%d.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=2) + "\n")
    return 1 if any(one.met is False for one in figures) else 0


def _on_hosts(
    hosts: AbstractContextManager[Fixture], chosen: Sequence[str], options: argparse.Namespace
) -> Iterator[Figure]:
    with hosts as made:
        first = apply.measure(made)  # in any case: the others need hosts that are in sync
        if "apply" in chosen:
            yield from first
        if "look" in chosen:
            yield from look.measure(made, options.repeat)
        if "faults" in chosen:
            yield from faults.measure(made)
        if "serve" in chosen:
            yield from serve.measure(made, options.repeat)
        if "day" in chosen:
            yield from day.measure(made, options.sweep)
        if "soak" in chosen:
            yield from soak.measure(made)


def _stopped(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
