"""What the parts of a controller know, as the plain values of view.py. Reads, changes nothing, waits for nobody."""

from __future__ import annotations

from collections import Counter

from fleet.controller.environments import Place
from fleet.controller.loop import Loop
from fleet.controller.orders import Orders
from fleet.controller.standing import Standing
from fleet.controller.view import ChangeView, EnvironmentView, ExecView, HostView
from fleet.converge.shown import CONTENT, attributes, content_diff
from fleet.history.records import ExecRecord
from fleet.model.change import Change
from fleet.model.host import HostSpec

_SHOW_DRIFT = ("drifted", "pending", "failed", "conflict")
LINES = 500  # of a diff
LINE = 1000  # characters of one of its lines


def environment_view(name: str, place: Place, loop: Loop) -> EnvironmentView:
    verdicts = Counter(loop.standings.get((name, host), Standing()).verdict for host in place.hosts)
    return EnvironmentView(
        name=name,
        revision=place.taken.revision,
        since=place.taken.since,
        hosts=len(place.spec.hosts),
        verdicts=dict(verdicts),
        problems=loop.environments.problems.get(name, ()),
        writes=loop.rules.closed(name),
        rollout=None if place.rollout is None else place.rollout.view(),
    )


def host_view(spec: HostSpec, loop: Loop, orders: Orders, now: float) -> HostView:
    """now: of the loop's clock."""
    key = (spec.environment, spec.name)
    stands, turn = loop.standings.get(key, Standing()), loop.queue.turn(key)
    place, last = loop.environments.places[key[0]], stands.last
    return HostView(
        environment=key[0],
        name=key[1],
        verdict=stands.verdict,
        since=stands.since,
        looked=stands.looked,
        next=turn.due - now if turn is not None else 0.0,
        reason=turn.reason if turn is not None else "",
        running=loop.queue.busy(key),
        revision=place.revisions[key[1]],
        wanted=place.taken.revision,
        roles=spec.roles,
        labels=spec.labels,
        drift={} if last is None or stands.verdict not in _SHOW_DRIFT else dict(last.causes),
        fought=tuple(sorted(stands.held(now))),
        failures=stands.failures,
        parked=stands.parked,
        paused=orders.over(spec) is not None,
        error="" if last is None or last.error is None else str(last.error),
        seconds=0.0 if last is None else sum(last.seconds.values()),
    )


def exec_view(one: ExecRecord) -> ExecView:
    return ExecView(one.run, one.who, one.intended, one.reason, one.command, one.status, one.code)


def change_views(stands: Standing) -> list[ChangeView]:
    """What differed at the last look, while it still does."""
    last = stands.last
    if last is None or last.plan is None or stands.verdict not in _SHOW_DRIFT:
        return []
    return [_change(one, last.causes.get(one.resource.id, "")) for one in last.plan.changes]


def _change(change: Change, cause: str) -> ChangeView:
    moved = change.resource.content is not None and {*CONTENT} & {*(change.attributes or change.after or ())}
    found = content_diff(change) if moved else []
    lines = [found] if isinstance(found, str) else [line[:LINE] for line in found[:LINES]]
    more = len(found) - len(lines) if not isinstance(found, str) else 0
    diff = (*lines, f"… {more:,} more lines") if more > 0 else (*lines,)
    return ChangeView(change.resource.id, change.action, cause, attributes(change), diff)
