"""A case of a profile, played without a network: look, plan and fix as in a pass, answered by what the case says.

Fields that an API never tells are taken for written before where the object is there, as after a first apply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fleet.converge.look import look
from fleet.converge.plan import plan
from fleet.model.change import Observed
from fleet.model.host import Graph, HostSpec, Resource, Target
from fleet.model.kind import Kind
from fleet.model.rehearsal import Case, Rehearsed, Sent
from fleet.model.step import Check, Outcome, Request, Status


def rehearse(case: Case, kind: Kind) -> Rehearsed:
    """What apply would send when the server answers as the case says."""
    resource, kinds = case.resource, {kind.name: kind}
    seen = _look(case, kinds)
    if isinstance(seen, Mapping):
        written = {name: (resource.desired or {})[name] for name in kind.unseen(resource.spec) if resource.desired}
        seen = {**seen, **written}
    found = plan(_host(resource), {resource.id: seen}, {}, kinds)
    if resource.id in found.unreadable:
        return Rehearsed("unreadable", found.unreadable[resource.id].reason)
    if resource.id in found.waiting:
        return Rehearsed("waiting", found.waiting[resource.id])
    if not found.changes:
        return Rehearsed("in sync")
    steps = kind.fix(found.changes)[resource.id]
    sent = tuple(_sent(one) for one in steps if isinstance(one, Request))
    if not sent:
        return Rehearsed("refused", _why(steps[0], case))
    return Rehearsed(sent)


def differs(case: Case, found: Rehearsed) -> str:
    """ "" when it went as expected, else both sides in a few lines."""
    if _plain(case.expect) == _plain(found.end):
        return ""
    reason = f" ({found.reason})" if found.reason else ""
    return f"expected {_told(case.expect)}\nfound    {_told(found.end)}{reason}"


def _look(case: Case, kinds: Mapping[str, Kind]) -> Observed:
    wanted = look([case.resource], kinds)
    outcomes = {}
    for task in wanted.tasks:
        answers = tuple(case.answer_to(step) for step in task.steps if isinstance(step, Request))
        outcomes[task.id] = Outcome(task.id, Status.OK, answers=answers)
    return wanted.read(outcomes)[case.resource.id]


def _host(resource: Resource) -> HostSpec:
    graph = Graph((resource.id,), {}, {resource.id: 0})
    return HostSpec("api", "case", Target("api", "case", "http"), (), {}, (resource,), graph, "")


def _sent(request: Request) -> Sent:
    text = request.body.decode(errors="surrogateescape")
    if not text:
        return Sent(request.method, request.path)
    plain = dict(request.headers).get("content-type", "").startswith("text/")
    return Sent(request.method, request.path, text if plain else json.loads(text))


def _why(step: Any, case: Case) -> str:
    return step.agrees(case.answer_to(step.request)) if isinstance(step, Check) else ""


def _plain(end: str | tuple[Sent, ...]) -> str:
    """As JSON has it: true is not 1."""
    said: Any = end if isinstance(end, str) else [[one.method, one.path, one.body] for one in end]
    return json.dumps(said, sort_keys=True)


def _told(end: str | tuple[Sent, ...]) -> str:
    if isinstance(end, str):
        return end
    bodies = ["" if one.body is None else " " + json.dumps(one.body, sort_keys=True) for one in end]
    return "\n         ".join(f"{one.method} {one.path}{body}" for one, body in zip(end, bodies, strict=True))
