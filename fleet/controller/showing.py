"""What the parts of a controller know, as the plain values of view.py. Reads, changes nothing, waits for nobody."""

from __future__ import annotations

from collections import Counter

from fleet.controller.environments import Place
from fleet.controller.loop import Loop
from fleet.controller.orders import Orders
from fleet.controller.standing import Standing
from fleet.controller.view import EnvironmentView, HostView
from fleet.model.host import HostSpec

_SHOW_DRIFT = ("drifted", "pending", "failed", "conflict")


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
