"""Telemetry: a real collector over HTTP, spans that cost nothing when nobody asks, an end that nothing can hold up."""

import asyncio
import gzip
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from fleet.errors import Failure, TransportError
from fleet.model.step import Batch, Outcome, Report, Script, Status, Task, Write
from fleet.telemetry import Telemetry


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def collector() -> Iterator[tuple[str, list[Span]]]:
    """A collector on a free port: its address, and the spans that came in."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = ExportTraceServiceRequest.FromString(body)
            spans.extend(s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class FakeSession:
    """Answers each batch as the transport would: one report per task, in order."""

    round_trips = 0

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        found = {task.id: Outcome(task.id, Status.OK, 0, b"12345") for task in batch.tasks}
        for outcome in found.values():
            await asyncio.sleep(0.002)
            if report is not None:
                report(outcome)
        return found

    async def halt(self) -> None: ...

    async def aclose(self) -> None:
        pass


def task(name: str) -> Task:
    return Task(name, (Script(":"),))


async def one_host(telemetry: Telemetry, host: str) -> None:
    with telemetry.span("host", host=host, environment="dev") as span:
        with telemetry.span("connect", host=host):
            await asyncio.sleep(0)
        session = telemetry.traced(FakeSession(), host)
        await session.perform(Batch((task("look:paths"), task("look:state"))))
        with telemetry.span("plan", host=host, changes=2):
            pass
        write = Write("dev", 1, "attempt")
        await session.perform(Batch((task("file:/a"), task("user:b"), task("look:paths")), write))
        span.set(verdict="changed", round_trips=2)


async def one_run(telemetry: Telemetry, hosts: int = 3) -> str:
    with telemetry.span("run", revision="abc"):
        async with asyncio.TaskGroup() as group:
            for n in range(hosts):
                group.create_task(one_host(telemetry, f"dev/web-{n}"))
        return telemetry.trace_id


def test_a_collector_gets_run_host_and_stages_as_one_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTLP as it comes over the wire: one trace, every parent right though the hosts run side by side."""
    with collector() as (address, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        telemetry = Telemetry()
        trace_id = asyncio.run(one_run(telemetry))
        telemetry.close()
    by_id = {span.span_id: span for span in spans}
    assert {span.trace_id.hex() for span in spans} == {trace_id}
    (run,) = [span for span in spans if span.name == "run"]
    assert not run.parent_span_id
    hosts = [span for span in spans if span.name == "host"]
    assert len(hosts) == 3 and all(by_id[span.parent_span_id] is run for span in hosts)
    for host in hosts:
        stages = sorted((s for s in spans if s.parent_span_id == host.span_id), key=lambda s: s.start_time_unix_nano)
        assert [s.name for s in stages] == ["connect", "observe", "plan", "apply", "verify"]
        assert {attribute(s, "fleet.host") for s in stages} == {attribute(host, "fleet.host")}
        apply = stages[3]
        assert (attribute(apply, "fleet.kind.file"), attribute(apply, "fleet.tasks")) == (1, 2)
        assert attribute(apply, "fleet.bytes") == 10
        assert attribute(host, "fleet.verdict") == "changed"
    assert telemetry.lost == 0


def attribute(span: Span, name: str) -> object:
    for one in span.attributes:
        if one.key == name:
            return getattr(one.value, one.value.WhichOneof("value") or "string_value")
    return None


def test_trace_says_where_the_time_of_each_host_went() -> None:
    """Plain data, slowest first, without any exporter."""
    telemetry = Telemetry(trace=True)
    asyncio.run(one_run(telemetry))
    found = telemetry.slowest(2)
    assert len(found) == 2
    assert found[0].seconds >= found[1].seconds >= sum(found[1].stages.values()) > 0
    assert list(found[0].stages) == ["connect", "observe", "plan", "apply", "verify"]
    assert (found[0].verdict, found[0].round_trips) == ("changed", 2)
    telemetry.close()


def test_a_batch_that_was_cut_is_no_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    """When not every change was heard of, all of the time belongs to the apply."""

    class Cut(FakeSession):
        async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
            raise TransportError(Failure.LOST, "gone \udcff")

    async def scenario(telemetry: Telemetry) -> None:
        with telemetry.span("host", host="dev/a"):
            await telemetry.traced(Cut(), "dev/a").perform(Batch((task("file:/a"), task("look:paths"))))

    with collector() as (address, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        telemetry = Telemetry(trace=True)
        with pytest.raises(TransportError):
            asyncio.run(scenario(telemetry))
        telemetry.close()
    (host,) = telemetry.slowest()
    assert list(host.stages) == ["apply"]
    (raw,) = [span for span in spans if span.name == "host"]
    assert raw.status.message == "TransportError: lost: gone \\udcff"


@pytest.mark.parametrize("kind", ["refused", "silent"])
def test_a_collector_that_is_down_delays_only_the_end_and_fails_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens, or somebody who never answers: the run is as fast as ever, its end bounded and silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        if kind == "refused":
            server.close()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", address)
        telemetry = Telemetry()
        began = time.perf_counter()
        asyncio.run(one_run(telemetry))
        assert time.perf_counter() - began < 1
        asyncio.run(telemetry.aclose())
        assert time.perf_counter() - began < 3.5
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("variables", "enabled"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_decide(
    variables: dict[str, str], enabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    telemetry = Telemetry()
    assert telemetry.enabled is enabled
    telemetry.close()


def test_off_means_off() -> None:
    """No OpenTelemetry is imported, no session is wrapped, and a hundred thousand spans take less than a second."""
    program = """
import sys, time
began = time.perf_counter()
from fleet.telemetry import Telemetry
telemetry = Telemetry()
assert telemetry.traced(telemetry, "x") is telemetry and telemetry.trace_id == "" and telemetry.slowest() == []
began = time.perf_counter()
for n in range(100_000):
    with telemetry.span("observe", host="web-1", count=n) as span:
        span.set(bytes=n)
took = time.perf_counter() - began
telemetry.close()
print("opentelemetry" in sys.modules, took < 1, took)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["False", "True"], done.stdout
