"""Run by test_terminal.py under a pty: `hostile_run.py MODE`, a run over hosts that say everything a terminal obeys.

MODE: plan | slow (never ends by itself) | deaf (does not even end when cancelled).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from fleet.cli.answer import show
from fleet.cli.options import Invocation
from fleet.cli.run_async import run_async
from fleet.cli.running import Job, answer, run_hosts
from fleet.errors import Failure, TransportError
from fleet.model.change import PassResult, Verdict
from fleet.model.host import Graph, HostSpec, Target
from fleet.model.port import Watcher
from fleet.model.step import Outcome, Status
from tests.cli.samples import change, file_change, result

PAYLOADS = [
    b"\x1b[2J\x1b[H\x1b[31m",
    b"\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07\x1b]8;;http://x/\x1b\\",
    b"\x1bP+q544e\x1b\\\x1bc\x1b[5n\x1b[21t",
    b"\xc2\x9b31m\xc2\x9d0;x\xc2\x9c\x9b2J",
    b"over\rwritten\x08\x08\x7f\x00\x0e\x0f\x0b\x0c",
    "a\u202eb\u2066c\u2069d\u200fe\u2028f\ufeff".encode(),
    b"[bold red]markup[/] :smile: [link=http://x]y[/link]",
]


@dataclass
class HostileApp:
    mode: str

    async def run(self, fleet: Any, hosts: Sequence[HostSpec], apply: bool, watcher: Watcher) -> Any:
        results = [hostile(i, host) for i, host in enumerate(hosts)]
        for host, one in zip(hosts, results, strict=True):
            watcher.stage(host.label, "observe")
            await asyncio.sleep(0.05)
            if self.mode != "plan" and host is hosts[-1]:
                await self.hang()
            watcher.done(one)
        return SimpleNamespace(results=tuple(results), interrupted=False, trace_id="", times=())

    async def hang(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if self.mode != "deaf":
                    raise


def hostile(i: int, host: HostSpec) -> PassResult:
    """Payloads as names, contents, attributes, outputs, reasons and errors."""
    data = PAYLOADS[i % len(PAYLOADS)]
    text = data.decode(errors="surrogateescape")
    changes = [
        file_change("/etc/" + text, old=data, new=b"x" + data, owner=(text, "root")),
        change("user:" + text, None, {"groups": [text], "more": {text: text}}),
    ]
    if i % 2:
        error = TransportError(Failure.BANNER, text, text)
        return result(host.name, Verdict.UNREACHABLE, environment=host.environment, error=error)
    outcome = Outcome(changes[0].resource.id, Status.FAILED, 1, data)
    unreadable, remaining = {"file:" + text: text}, {changes[1].resource.id: text}
    return result(host.name, Verdict.FAILED, changes, [outcome], unreadable=unreadable, remaining=remaining)


def main(mode: str) -> int:
    hosts = tuple(
        HostSpec(f"h{i}-{p.decode(errors='replace')}", "dev", Target("h", "dev"), (), {}, (), Graph((), {}, {}), "")
        for i, p in enumerate(PAYLOADS)
    )
    fleet = SimpleNamespace(revision="0" * 40, label="HEAD (000000000000)", working_tree=False)
    job = Job(cast(Any, HostileApp(mode)), cast(Any, fleet), hosts, Invocation(trace=True), " -e dev")
    said = answer(job, run_async(run_hosts(job, hosts, apply=False)), applied=False)
    show(said.text)
    return said.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
