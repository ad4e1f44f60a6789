"""One breaker for each environment: while most of its hosts cannot be reached, its network is down and not they.

Then those are tried one at a time, ever less often up to `REST.cap`; the first that answers opens the way for all.
Hosts that can be reached, those that nobody has looked at yet, and what a person or a new revision asks for go on as
ever. Input: how passes ended; output: how long a next try has to wait. Pure: the clock is the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fleet.controller.queue import HostKey, Priority, Turn
from fleet.controller.standing import Moment, phase
from fleet.model.change import Verdict
from fleet.pacing.backoff import Backoff
from fleet.pacing.breaker import Breaker

MOST = 0.5  # share of the hosts that were looked at that may be down before it is taken for the network
LEAST = 5  # and so many of them at least: a few hosts are what their own back-off is for
REST = Backoff(base=5.0, cap=30.0)
SPREAD = 10.0  # seconds within which all have their turn once one has answered again
WHY = "most of its environment cannot be reached"


@dataclass(slots=True)
class _Network:
    """Of one environment. down, up: hosts that were looked at, by whether they could be reached. trial: the one that is
    tried for all."""

    breaker: Breaker = field(default_factory=lambda: Breaker(3, REST))
    down: set[str] = field(default_factory=set)
    up: set[str] = field(default_factory=set)
    trial: HostKey | None = None

    def most(self) -> bool:
        return len(self.down) >= LEAST and len(self.down) > MOST * (len(self.down) + len(self.up))


@dataclass(slots=True)
class Outages:
    _networks: dict[str, _Network] = field(default_factory=dict)

    def wait(self, turn: Turn, at: Moment) -> float:
        """Seconds that this turn has to wait; 0: it may begin, and `begin` is to be told."""
        network = self._concerned(turn)
        if network is None:
            return 0.0
        # Not all at the same moment, nor always the same one first: it may be the one that is really dead. And not each
        # at a moment of its own: thousands that only wait are to cost nothing.
        pause = network.breaker.wait(at.now) * (1 + at.chance / 2)
        return math.ceil(at.now + pause) - at.now if pause > 0 else 0.0

    def begin(self, turn: Turn, now: float) -> None:
        network = self._concerned(turn)
        if network is not None and network.breaker.state(now) == "half open":
            network.breaker.begin(now)
            network.trial = turn.key

    def ended(self, key: HostKey, verdict: Verdict | None, at: Moment) -> list[Turn]:
        """Turns of those that were held back, once there is no reason any more. verdict None: nobody knows."""
        network = self._networks.setdefault(key[0], _Network())
        was, known = network.breaker.state(at.now) != "closed", key[1] in network.down
        tried = network.trial == key
        if tried:
            network.trial = None
        if verdict is Verdict.UNREACHABLE:
            network.down.add(key[1])
            network.up.discard(key[1])
        elif verdict is not None:
            network.down.discard(key[1])
            network.up.add(key[1])
        if verdict is None or verdict is Verdict.UNREACHABLE:
            if network.most():
                if verdict is not None or tried:
                    network.breaker.failed(at.now, at.chance)
            else:
                network.breaker.succeeded()
        elif known or not network.most():
            network.breaker.succeeded()
        if not was or network.breaker.state(at.now) != "closed":
            return []
        keys = [(key[0], name) for name in sorted(network.down - {key[1]})]
        return [Turn(one, at.now + SPREAD * phase(one), Priority.RETRY, "its network is back") for one in keys]

    def forget(self, keys: Iterable[HostKey]) -> None:
        """They are no hosts of ours any more."""
        for environment, name in keys:
            network = self._networks.get(environment)
            if network is None:
                continue
            network.down.discard(name)
            network.up.discard(name)
            if not network.down and not network.up:
                del self._networks[environment]

    def states(self, now: float) -> Mapping[str, str]:
        """Name → open | half open; each as "environment NAME"."""
        found = {name: one.breaker.state(now) for name, one in self._networks.items()}
        return {f"environment {name}": state for name, state in found.items() if state != "closed"}

    def _concerned(self, turn: Turn) -> _Network | None:
        """Only tries that nobody waits for, of hosts that are known to be down."""
        network = self._networks.get(turn.key[0])
        held = network is not None and turn.priority >= Priority.RETRY and turn.key[1] in network.down
        return network if held else None
