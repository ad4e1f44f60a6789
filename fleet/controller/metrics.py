"""Numbers for Prometheus (its text format, with units as its naming rules ask). Its own registry: no global state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics_format

from fleet.controller.view import ControllerView, HostView
from fleet.model.change import PassResult
from fleet.model.traffic import Traffic

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
TARGETS = 100  # breakers that are named: in a network that is down each device is one
_BREAKERS = {"half open": 1, "open": 2}
_TRIES = {"ssh": "handshake", "http": "request"}


class _Carried:
    """Counts that transports keep, read when somebody asks."""

    def __init__(self) -> None:
        self.traffic: Mapping[tuple[str, str], Traffic] = {}
        self.passes: Mapping[str, int] = {}

    def collect(self) -> Iterable[Metric]:
        labels = ["environment", "transport", "direction"]
        size = CounterMetricFamily("fleet_bytes", "Sent to hosts and received from them.", labels=labels)
        retries = CounterMetricFamily("fleet_retries", "Tries after one that failed.", labels=["environment", "of"])
        for (transport, environment), one in self.traffic.items():
            size.add_metric([environment, transport, "sent"], one.sent)
            size.add_metric([environment, transport, "received"], one.received)
            if transport in _TRIES:
                retries.add_metric([environment, _TRIES[transport]], one.retries)
        for environment, count in self.passes.items():
            retries.add_metric([environment, "pass"], count)
        return [size, retries]


class Metrics:
    """Counts as things happen; what stands now is read when somebody asks."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own = self._registry
        each = ["environment"]
        self._passes = Counter("fleet_passes", "Passes that ended.", [*each, "verdict"], registry=own)
        self._seconds = Histogram("fleet_pass_seconds", "How long passes took.", each, buckets=SECONDS, registry=own)
        self._trips = Counter("fleet_round_trips", "Batches sent to hosts.", each, registry=own)
        self._carried = _Carried()
        own.register(self._carried)
        self._changes = Counter(
            "fleet_changes", "Changes made, by what became of them.", [*each, "status"], registry=own
        )
        self._hosts = Gauge("fleet_hosts", "Hosts by how they were found.", [*each, "verdict"], registry=own)
        self._age = Gauge("fleet_revision_age_seconds", "Since when the revision is followed.", each, registry=own)
        self._lag = Gauge("fleet_sweep_lag_seconds", "How late the latest host is looked at.", each, registry=own)
        self._stopped = Gauge("fleet_rollout_stopped", "1 while a rollout has stopped.", each, registry=own)
        self._breakers = Gauge(
            "fleet_breaker_state", "2 while nothing is sent there, 1 while it is tried.", ["target"], registry=own
        )
        self._left_alone = Gauge("fleet_breakers_open", "How many are not closed, named or not.", registry=own)
        self._queue = Gauge("fleet_queue_depth", "Hosts that are due.", registry=own)
        self._running = Gauge("fleet_passes_running", "Passes under way.", registry=own)
        self._git = Gauge("fleet_git_age_seconds", "Since Git answered last, or the start.", registry=own)
        self._frozen = Gauge("fleet_frozen", "1 while all changes are frozen.", registry=own)
        self._delay = Gauge("fleet_event_loop_delay_seconds", "The longest of the last minute.", registry=own)

    def passed(self, result: PassResult) -> None:
        environment = result.environment
        self._passes.labels(environment, str(result.verdict)).inc()
        exemplar = {"trace_id": result.trace_id} if result.trace_id else None
        self._seconds.labels(environment).observe(sum(result.seconds.values()), exemplar)
        self._trips.labels(environment).inc(result.round_trips)
        for one in result.outcomes.values():
            self._changes.labels(environment, str(one.status)).inc()

    def carried(self, traffic: Mapping[tuple[str, str], Traffic], passes: Mapping[str, int]) -> None:
        """traffic: (type of transport, environment) → so far. passes: environment → passes that were tried again."""
        self._carried.traffic, self._carried.passes = traffic, passes

    def delayed(self, seconds: float) -> None:
        """The longest that the event loop was late, lately."""
        self._delay.set(seconds)

    def text(self, view: ControllerView, hosts: Sequence[HostView], wall: float, openmetrics: bool = False) -> str:
        """openmetrics: in that format, which has a trace beside each bucket of fleet_pass_seconds."""
        for gauge in (self._hosts, self._age, self._lag, self._stopped, self._breakers):
            gauge.clear()
        late: dict[str, float] = {}
        for host in hosts:
            if not host.running:
                late[host.environment] = max(late.get(host.environment, 0.0), -host.next)
        for one in view.environments:
            for verdict, count in one.verdicts.items():
                self._hosts.labels(one.name, verdict or "not looked at").set(count)
            self._age.labels(one.name).set(max(wall - one.since, 0.0))
            self._stopped.labels(one.name).set(one.rollout is not None and one.rollout.state == "stopped")
            self._lag.labels(one.name).set(late.get(one.name, 0.0))
        for target, state in list(view.breakers.items())[:TARGETS]:
            self._breakers.labels(target).set(_BREAKERS.get(state, 0))
        self._left_alone.set(len(view.breakers))
        self._queue.set(view.queue)
        self._running.set(view.running)
        self._git.set(max(wall - (view.fetched or view.started), 0.0))
        self._frozen.set(view.frozen is not None)
        make = openmetrics_format.generate_latest if openmetrics else generate_latest
        return make(self._registry).decode()
