"""What Prometheus reads is what stands, and what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families as families

from fleet.controller.metrics import Metrics
from fleet.controller.view import ControllerView, EnvironmentView, HostView, RolloutView
from fleet.history.records import Ordered
from fleet.model.change import PassResult, Verdict
from fleet.model.traffic import Traffic

open_families: Callable[[str], Iterable[Any]] = open_parser.text_string_to_metric_families
HOSTILE = 'dev"} 1\nfleet_evil{x="\\'
TRACE = "0af7651916cd43dd8448eb211c80319c"


def view(**more: Any) -> ControllerView:
    rollout = RolloutView("b" * 40, "stopped", 1, 2, 4, 1, 1, 0)
    environments = (
        EnvironmentView("prod", "a" * 40, 40.0, 3, {"in sync": 2, "": 1}, rollout=rollout),
        EnvironmentView(HOSTILE, "a" * 40, 90.0, 1, {"failed": 1}),
    )
    return ControllerView("1", 10.0, True, "a" * 40, 70.0, "", 5, 2, None, (), environments, **more)


HOSTS = [
    HostView("prod", "a", next=30.0),
    HostView("prod", "b", next=-7.0),
    HostView("prod", "c", next=-90.0, running=True),
    HostView(HOSTILE, "x", next=1.0),
]


def samples(found: Iterable[Any]) -> dict[tuple[str, ...], float]:
    """name and values of labels → value; without times of creation."""
    return {
        (one.name, *(one.labels[key] for key in sorted(one.labels))): one.value
        for family in found
        for one in family.samples
        if not one.name.endswith("_created")
    }


def test_what_stands_is_told() -> None:
    metrics = Metrics()
    metrics.delayed(0.25)
    said = samples(families(metrics.text(view(breakers={"api": "open", "gate": "half open"}), HOSTS, 100.0)))
    expected = {
        ("fleet_hosts", "prod", "in sync"): 2,
        ("fleet_hosts", "prod", "not looked at"): 1,
        ("fleet_hosts", HOSTILE, "failed"): 1,
        ("fleet_revision_age_seconds", "prod"): 60,
        ("fleet_sweep_lag_seconds", "prod"): 7,  # the one that is being looked at is not late
        ("fleet_sweep_lag_seconds", HOSTILE): 0,
        ("fleet_rollout_stopped", "prod"): 1,
        ("fleet_rollout_stopped", HOSTILE): 0,
        ("fleet_breaker_state", "api"): 2,
        ("fleet_breaker_state", "gate"): 1,
        ("fleet_queue_depth",): 5,
        ("fleet_passes_running",): 2,
        ("fleet_git_age_seconds",): 30,
        ("fleet_frozen",): 0,
        ("fleet_event_loop_delay_seconds",): 0.25,
    }
    assert {key: said.get(key) for key in expected} == expected
    assert not any(key[0] == "fleet_evil" for key in said)


def test_what_is_gone_is_told_no_more() -> None:
    metrics = Metrics()
    metrics.text(view(breakers={"api": "open"}), HOSTS, 100.0)
    now = ControllerView("1", 10.0, True, "", 0.0, "", 0, 0, Ordered("", "me", "x", 1.0), (), ())
    said = samples(families(metrics.text(now, [], 100.0)))
    assert not any(key[0] in ("fleet_hosts", "fleet_breaker_state", "fleet_sweep_lag_seconds") for key in said)
    assert said[("fleet_frozen",)] == 1 and said[("fleet_git_age_seconds",)] == 90  # since the start: never yet


def test_a_clock_that_was_put_back_makes_nothing_negative() -> None:
    said = samples(families(Metrics().text(view(), HOSTS, 5.0)))
    assert min(said.values()) >= 0


def test_passes_are_counted_and_lead_to_their_traces() -> None:
    metrics = Metrics()
    for seconds, trace in ((0.02, TRACE), (3.0, ""), (20.0, "f" * 32)):
        took = {"observe": seconds, "apply": 0.0}
        metrics.passed(PassResult("a", "prod", Verdict.CHANGED, seconds=took, round_trips=2, trace_id=trace))
    metrics.carried({("ssh", "prod"): Traffic(1000, 200, 3), ("local", "prod"): Traffic(1, 2, 0)}, {"prod": 4})
    said = samples(families(metrics.text(view(), HOSTS, 100.0)))
    assert said["fleet_passes_total", "prod", "changed"] == 3 and said["fleet_round_trips_total", "prod"] == 6
    assert said["fleet_pass_seconds_count", "prod"] == 3 and said["fleet_pass_seconds_bucket", "prod", "5.0"] == 2
    carried = {key[1:]: value for key, value in said.items() if key[0] == "fleet_bytes_total"}
    assert carried == {
        ("sent", "prod", "ssh"): 1000,
        ("received", "prod", "ssh"): 200,
        ("sent", "prod", "local"): 1,
        ("received", "prod", "local"): 2,
    }
    again = {key[1:]: value for key, value in said.items() if key[0] == "fleet_retries_total"}
    assert again == {("prod", "handshake"): 3, ("prod", "pass"): 4}
    traced = [one for family in open_families(metrics.text(view(), HOSTS, 100.0, True)) for one in family.samples]
    found = {one.labels["le"]: one.exemplar.labels["trace_id"] for one in traced if one.exemplar}
    assert found == {"0.05": TRACE, "30.0": "f" * 32}


def test_a_network_that_is_down_is_no_series_for_each_device() -> None:
    down = {f"https://bmc-{n}.example": "open" for n in range(1000)}
    said = samples(families(Metrics().text(view(breakers=down), HOSTS, 100.0)))
    assert sum(key[0] == "fleet_breaker_state" for key in said) == 100 and said["fleet_breakers_open",] == 1000


def test_two_controllers_of_one_process_count_each_for_itself() -> None:
    first, second = Metrics(), Metrics()
    first.passed(PassResult("a", "prod", Verdict.IN_SYNC))
    assert ("fleet_passes_total", "prod", "in sync") not in samples(families(second.text(view(), HOSTS, 100.0)))
