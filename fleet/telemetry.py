"""Where the time goes: spans run → host → connect, decrypt, observe, plan, apply, verify, and below these each request
to an API. The only importer of OpenTelemetry.

Nothing is imported, and a span costs next to nothing, unless someone wants to know: `--trace` (`trace=True`: finished
spans are added up here, see `slowest`) or the standard variables (OTEL_EXPORTER_OTLP_ENDPOINT or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: exported over OTLP/HTTP in the background). OTEL_SDK_DISABLED=true turns all of it
off. An exporter that is down delays nothing but the end, by `CLOSE_SECONDS` at most, and fails nothing.
"""

# ruff: noqa: PLC0415 - OpenTelemetry is imported only by those who trace, since it takes longer than a short command
from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from fleet.errors import FleetError
from fleet.model.port import Session
from fleet.model.step import Batch, Outcome, Report

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

CLOSE_SECONDS = 2.0


class Span(Protocol):
    """What is being timed. Attributes are named without the prefix "fleet."; what is no plain value becomes text."""

    def set(self, **attributes: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class HostTime:
    """Where the time of one host went. stages: name → seconds, in the order of their first; seconds: the whole.

    What is not in a stage is waiting for other hosts, for the record and for this process.
    """

    host: str
    seconds: float
    stages: Mapping[str, float]
    verdict: str = ""
    round_trips: int = 0


class Telemetry:
    """The tracing of one process; a provider of its own, no global state. trace: add up spans for `slowest`.
    mask: takes secrets out of texts."""

    def __init__(self, trace: bool = False, mask: Callable[[str], str] = str) -> None:
        self._mask = mask
        disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        export = _wants_export(os.environ)
        self._totals = _Totals()
        self._exports: _Exports | None = None
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None
        if not disabled and (trace or export):
            self._provider = _provider(os.environ)
            if trace:
                self._provider.add_span_processor(_totals_processor(self._totals))
            if export:
                self._exports = _export_from(self._provider)
            self._tracer = self._provider.get_tracer("fleet")

    @property
    def enabled(self) -> bool:
        return self._tracer is not None

    @property
    def trace_id(self) -> str:
        """The current trace as 32 hex digits; "" while tracing is off or outside any span."""
        if self._tracer is None:
            return ""
        from opentelemetry import trace

        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else ""

    @property
    def lost(self) -> int:
        """Spans that the collector did not take."""
        return self._exports.lost if self._exports is not None else 0

    @contextmanager
    def span(self, name: str, **attributes: Any) -> Iterator[Span]:
        """Time the block, as a child of the span around it. An exception marks it as failed and goes on."""
        if self._tracer is None:
            yield _NOTHING
            return
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as raw:
            span = _Recorded(raw, self._mask)
            span.set(**attributes)
            try:
                yield span
            except BaseException as error:
                span.failed(error)
                raise

    def traced(self, session: Session, host: str) -> Session:
        """The same session, whose batches are spans: "observe", or "apply" and the "verify" that rides at its end."""
        return session if self._tracer is None else _TracedSession(session, host, self._tracer, self._mask)

    def slowest(self, n: int = 10) -> list[HostTime]:
        """The n hosts that took longest, slowest first. Empty without `trace=True`."""
        return sorted(self._totals.hosts.values(), key=lambda h: (-h.seconds, h.host))[:n]

    def close(self) -> None:
        """Hand over what waits, within CLOSE_SECONDS. Never raises."""
        provider, self._provider, self._tracer = self._provider, None, None
        if provider is None:
            return
        # A daemon thread, so that a collector that does not answer cannot hold the process at its end either.
        worker = threading.Thread(target=provider.shutdown, name="telemetry shutdown", daemon=True)
        worker.start()
        worker.join(CLOSE_SECONDS)

    async def aclose(self) -> None:
        """The same without blocking the loop."""
        await asyncio.to_thread(self.close)


class _Nothing:
    def set(self, **attributes: Any) -> None:
        pass


_NOTHING = _Nothing()


class _Recorded:
    def __init__(self, raw: OtelSpan, mask: Callable[[str], str]) -> None:
        self._raw, self._mask = raw, mask

    def set(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            self._raw.set_attribute(f"fleet.{name}", self._masked(_plain(value)))

    def _masked(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._mask(one) for one in value]
        return self._mask(value) if isinstance(value, str) else value

    def failed(self, error: BaseException) -> None:
        from opentelemetry.trace import Status, StatusCode

        if isinstance(error, asyncio.CancelledError):
            self._raw.set_attribute("fleet.cancelled", True)
            return
        # Only our own errors are known to hold nothing that must not leave this machine.
        text = f"{type(error).__name__}: {error}" if isinstance(error, FleetError) else type(error).__name__
        self._raw.set_status(Status(StatusCode.ERROR, self._mask(str(_plain(text)))))


def _plain(value: Any) -> Any:
    """A value that the protocol can carry; text of hosts may not be valid UTF-8."""
    if isinstance(value, bool | int | float) and type(value) in (bool, int, float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [str(_plain(str(item))) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return str(value).encode(errors="backslashreplace").decode()


class _TracedSession:
    """A Session that tells how its batches go. Which results belong to the look at the end is known by their names."""

    def __init__(self, session: Session, host: str, tracer: Tracer, mask: Callable[[str], str]) -> None:
        self._session = session
        self._mask = mask
        self._host = host
        self._tracer = tracer

    @property
    def round_trips(self) -> int:
        return self._session.round_trips

    async def halt(self) -> None:
        await self._session.halt()

    async def aclose(self) -> None:
        await self._session.aclose()

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        changes = [task.id for task in batch.tasks if not task.id.startswith("look:")]
        last = began = time.time_ns()
        waiting = set(changes)

        def heard(outcome: Outcome) -> None:
            nonlocal last
            if outcome.id in waiting:
                waiting.discard(outcome.id)
                last = time.time_ns()
            if report is not None:
                report(outcome)

        outcomes: Mapping[str, Outcome] = {}
        try:
            outcomes = await self._session.perform(batch, heard)
        finally:
            ended = time.time_ns()
            looks = len(changes) < len(batch.tasks)
            if not changes:
                self._record("observe", began, ended, batch, outcomes)
            else:
                split = last if looks and not waiting else ended
                self._record("apply", began, split, batch, {i: o for i, o in outcomes.items() if i in changes})
                if split < ended:
                    self._record("verify", split, ended, batch, {i: o for i, o in outcomes.items() if i not in changes})
        return outcomes

    def _record(self, name: str, began: int, ended: int, batch: Batch, outcomes: Mapping[str, Outcome]) -> None:
        raw = self._tracer.start_span(name, start_time=began)
        span = _Recorded(raw, self._mask)
        statuses = Counter(str(outcome.status) for outcome in outcomes.values())
        kinds = Counter(one.partition(":")[0] for one in outcomes)
        span.set(host=self._host, tasks=len(outcomes), bytes=sum(len(o.output) for o in outcomes.values()))
        if name == "apply":
            span.set(kinds=set(kinds), **{f"kind.{kind}": count for kind, count in kinds.items()})
        else:
            span.set(looks={one.partition(":")[2] for one in outcomes})
        span.set(**{f"status.{status}": count for status, count in statuses.items()})
        if batch.write is not None:
            span.set(attempt=batch.write.attempt)
        raw.end(end_time=ended)


@dataclass(slots=True)
class _Totals:
    """Finished spans, added up per host as they end; what `--trace` prints. stages: by the id of the parent span."""

    hosts: dict[str, HostTime] = field(default_factory=dict)
    stages: dict[int, dict[str, float]] = field(default_factory=dict)

    def add(self, span: ReadableSpan) -> None:
        seconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
        if span.name != "host":
            if span.parent is not None:
                stages = self.stages.setdefault(span.parent.span_id, {})
                stages[span.name] = stages.get(span.name, 0.0) + seconds
            return
        attributes = span.attributes or {}
        name = str(attributes.get("fleet.host", ""))
        trips = attributes.get("fleet.round_trips", 0)
        stages = self.stages.pop(span.context.span_id, {}) if span.context is not None else {}
        now = HostTime(
            name, seconds, stages, str(attributes.get("fleet.verdict", "")), trips if isinstance(trips, int) else 0
        )
        self.hosts[name] = _added(self.hosts[name], now) if name in self.hosts else now


def _added(then: HostTime, now: HostTime) -> HostTime:
    stages = {**then.stages}
    for name, seconds in now.stages.items():
        stages[name] = stages.get(name, 0.0) + seconds
    trips = then.round_trips + now.round_trips
    return replace(now, seconds=then.seconds + now.seconds, stages=stages, round_trips=trips)


def _wants_export(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return False
    return any(environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT"))


def _provider(environ: Mapping[str, str]) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    # Not at exit: `close` does it, within its time.
    return TracerProvider(resource=Resource.create({} if named else {"service.name": "fleet"}), shutdown_on_exit=False)


def _totals_processor(totals: _Totals) -> Any:
    from opentelemetry.sdk.trace import SpanProcessor

    class Adding(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            totals.add(span)

    return Adding()


class _Exports(Protocol):
    lost: int


def _export_from(provider: TracerProvider) -> _Exports:
    """Sends finished spans in the background; the standard variables say where and how."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

    # A collector that is down is told in the log, where there is one, and not on the terminal.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())

    class Counting(OTLPSpanExporter):
        lost = 0

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result = super().export(spans)
            if result is not SpanExportResult.SUCCESS:
                self.lost += len(spans)
            return result

    exporter = Counting()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return exporter
