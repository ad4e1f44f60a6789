"""What a controller on real hosts says of itself: numbers, log lines, and what it makes of SIGHUP."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket as socket_module
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fleet.transports.controller import ControllerClient
from tests.controller.test_metrics import open_families, samples
from tests.desired.remotes import free_port
from tests.e2e import running
from tests.e2e.conftest import Field
from tests.e2e.desk import Desk
from tests.e2e.running import answers, everywhere, role, until, verdicts

pytestmark = pytest.mark.hosts

families: Callable[[str], Iterable[Any]] = text_string_to_metric_families


@dataclass
class Serving:
    """A controller that runs. log: all that it has written to standard error."""

    client: ControllerClient
    socket: Path
    log: Callable[[], str]
    process: subprocess.Popen[bytes] | None = None

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """Of its log, which is JSON; what is just being written is left for the next time."""
        said = [json.loads(line) for line in self.log().rpartition("\n")[0].splitlines() if line.startswith("{")]
        return [one for one in said if event in ("", one["event"])]

    def curl(self, accept: str = "*/*") -> str:
        words = ["curl", "-fsS", "--noproxy", "*", "-H", f"Accept: {accept}", "--unix-socket", str(self.socket)]
        return subprocess.run([*words, "http://fleet/metrics"], check=True, capture_output=True, text=True).stdout


@contextmanager
def serving(lab: Field, **settings: str) -> Iterator[Serving]:
    if lab.seat is not None:
        with running.serving(lab, **settings) as client:
            yield Serving(client, lab.seat.root / "run/fleet/fleet.sock", lab.seat.journal)
        return
    socket, log = lab.root / "fleet.sock", lab.root / "log"
    lab.lines |= {"FLEET_POLL": "1", "FLEET_SOCKET": str(socket), "FLEET_LOG_FORMAT": "json", **settings}
    call = [sys.executable, "-m", "fleet.cli.main", "serve"]
    with log.open("ab") as file:
        process = subprocess.Popen(call, cwd=lab.repository, env=lab.environment, stdout=file, stderr=file)
    try:
        until(lambda: process.poll() is not None or answers(socket))
        yield Serving(ControllerClient(socket), socket, log.read_text, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=25) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        print(log.read_text())


def hup(one: Serving) -> None:
    assert one.process is not None
    one.process.send_signal(signal.SIGHUP)


@contextmanager
def moody_api() -> Iterator[tuple[str, list[str]]]:
    """Hangs up on the first who asks, and answers all others. Its URL, and what it was asked."""
    asked: list[str] = []

    class Moody(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            if len(asked) == 1:
                self.close_connection = True
                return
            body = b'{"status": "' + b"fine" * 100 + b'"}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def with_api(lab: Field, url: str) -> None:
    """The hosts' role has a file and a question to the API."""
    api = {"url": url, "networks": ["127.0.0.0/8"], "concurrency": 1}
    resources = {"file": {"/etc/app.conf": {"content": "one\n"}}, "http_check": {"up": {"api": "shop", "path": "/up"}}}
    lab.write(
        {
            "base/environment.yaml": json.dumps({"roles": {"all": {}}, "apis": {"shop": api}, "sweep": "1s"}),
            "base/roles/all.yaml": json.dumps({"resources": resources}),
        }
    )


def test_prometheus_reads_what_hosts_and_apis_were_told_and_is_led_to_traces(lab: Field) -> None:
    if lab.seat is not None:
        pytest.skip("it reads a log for people, which a service does not write")
    more = {"FLEET_TRACE": "true", "FLEET_LOG_FORMAT": "auto", "FLEET_LOG_LEVEL": "debug"}
    with moody_api() as (url, asked), serving(lab, **more) as one:
        with_api(lab, url)
        until(lambda: everywhere(lab, "one\n"))
        until(lambda: verdicts(one.client) == {"in sync"}, client=one.client)
        until(lambda: " debug   lab/h-3: in sync" in one.log())
        said = samples(families(one.curl()))
        traced = [s for f in open_families(one.curl("application/openmetrics-text"))
                  for s in f.samples]  # fmt: skip
    carried = {key[1:]: value for key, value in said.items() if key[0] == "fleet_bytes_total"}
    # Labels come in alphabetical order: direction, environment, transport.
    assert {key for key, value in carried.items() if value > 0} == {
        (direction, "lab", way) for direction in ("sent", "received") for way in ("ssh", "http")
    }
    assert carried["received", "lab", "http"] > 400 and carried["sent", "lab", "ssh"] > 3000, "three preludes at least"
    assert said["fleet_retries_total", "lab", "request"] == 1 and len(asked) > 1
    assert said["fleet_retries_total", "lab", "handshake"] == 0
    assert said["fleet_hosts", "lab", "in sync"] == 3 and said["fleet_breakers_open",] == 0
    exemplars = {s.exemplar.labels["trace_id"] for s in traced if s.exemplar}
    assert exemplars and all(len(trace) == 32 and int(trace, 16) for trace in exemplars)
    text = one.log()
    assert " info    lab/h-1: changed, 1 changed [trace " in text, "off systemd, the log is for people"
    assert any(f"[trace {trace}]" in text for trace in exemplars)


def test_the_log_of_a_service_is_json_and_says_what_happened_where_and_under_which_ids(lab: Field) -> None:
    lab.write({"base/environment.yaml": "roles: {all: {}}\nsweep: 1s\n", "base/roles/all.yaml": role("one\n")})
    port = lab.host("h-2").port
    with serving(lab, JOURNAL_STREAM="8:1", FLEET_TRACE="true", FLEET_LOG_FORMAT="auto") as one:
        until(lambda: verdicts(one.client) == {"in sync"}, client=one.client)
        cut = f"hosts: {{gone: {{address: 127.0.0.9, connection: {{port: {port}, connect_timeout: 2}}}}}}"
        lab.write(
            {"off/hosts.yaml": cut, "off/known_hosts": (lab.repository / "environments/lab/known_hosts").read_text()}
        )
        until(lambda: [line for line in one.lines("pass") if line.get("host") == "gone"])
        assert lab.fleet("freeze", "--reason", "incident 42").code == 0
        lab.write({"base/roles/all.yaml": role("{{ nobody }}\n")})
        until(lambda: one.lines("refused"))
    found = {(line["event"], line.get("host", "")): line for line in one.lines()}
    assert [one.lines()[0]["event"], one.lines()[-1]["event"]] == ["start", "stop"]
    done = next(line for line in one.lines("pass") if line["host"] == "h-1")
    head = one.lines("revision")[0]["revision"]
    assert (done["verdict"], done["changed"], done["level"], done["environment"]) == ("changed", 1, "info", "lab")
    assert done["revision"] == head and len(done["trace_id"]) == 32 and done["pass"] and done["time"].endswith("Z")
    assert found["pass", "gone"]["level"] == "warning" and found["pass", "gone"]["verdict"] == "unreachable"
    assert (
        found["order", ""]["message"].endswith("asks: freeze: incident 42") and found["refused", ""]["level"] == "error"
    )
    # A sweep that finds nothing is no line: two passes a host were news, and hundreds were none.
    assert len([line for line in one.lines("pass") if line["host"] == "h-1"]) <= 4


def test_an_environment_whose_network_is_down_is_told_everywhere_and_the_others_go_on(lab: Field) -> None:
    port = free_port("127.93.2.1")
    names = [f"o-{n}" for n in range(8)]
    hosts = {name: {"address": "127.93.2.1", "connection": {"port": port}} for name in names}
    pinned = lab.sandbox.hosts[0].known_hosts_line.split(maxsplit=1)[1]
    lab.write(
        {
            "base/environment.yaml": "roles: {all: {}}\nsweep: 1s\nrollout: {waves: [100%]}\n",
            "base/roles/all.yaml": role("one\n"),
            "off/hosts.yaml": json.dumps({"hosts": hosts}),
            "off/known_hosts": f"[127.93.2.1]:{port} {pinned}\n",
        }
    )
    with serving(lab) as one:
        until(lambda: "environment off" in one.client.status()["breakers"], 60, one.client)
        until(lambda: everywhere(lab, "one\n"))
        until(lambda: one.lines("breaker"))
        assert "environment off" in lab.fleet("status").out and "left alone" in lab.fleet("top", "--once").out
        said = samples(families(one.curl()))
        lab.on("h-1", "rm /etc/app.conf")
        until(lambda: everywhere(lab, "one\n"))
    assert said["fleet_breaker_state", "environment off"] in (1, 2) and said["fleet_breakers_open",] == 1
    assert said["fleet_hosts", "off", "unreachable"] == 8 and said["fleet_retries_total", "off", "handshake"] > 0
    (told,) = one.lines("breaker")
    assert (told["target"], told["state"], told["level"]) == ("environment off", "open", "warning")


@dataclass
class Manager:
    """A service manager, as far as it listens."""

    path: Path

    def __post_init__(self) -> None:
        self._socket = socket_module.socket(socket_module.AF_UNIX, socket_module.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(20)

    def hears(self, *wanted: str) -> None:
        """These, in this order, whatever comes between."""
        for one in wanted:
            while not self._socket.recv(65536).decode().startswith(one):
                pass

    def close(self) -> None:
        self._socket.close()


def configure(lab: Field, **settings: object) -> None:
    path = lab.root / "config/fleet/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}: {value}\n" for name, value in settings.items()))


def test_sighup_reads_settings_tokens_and_hook_secrets_again_and_says_what_is_new(lab: Field) -> None:
    lab.write({"base/environment.yaml": "roles: {all: {}}\nsweep: 1s\n", "base/roles/all.yaml": role("one\n")})
    if lab.seat is not None:
        pytest.skip("the test is the service manager itself")
    manager, tokens, port = Manager(lab.root / "notify"), lab.root / "tokens", free_port("127.93.1.1")
    secrets = Path(f"/run/{lab.root.name}-{os.getpid()}")  # pytest's own directories are shut to others
    secrets.write_text("a secret of the hooks\n")
    secrets.chmod(0o644)
    address = f"127.93.1.1:{port}"
    tokens.write_text(f"ann reader {hashlib.sha256(b'old').hexdigest()}\n")
    known = {"tokens_file": tokens, "listen": address, "hook_secret_file": secrets}
    configure(lab, poll=3600, passes=64, handshakes=8, **known)
    settings = {"FLEET_POLL": "", "XDG_CONFIG_HOME": str(lab.root / "config"), "NOTIFY_SOCKET": str(manager.path)}

    def asked(token: str) -> int:
        with httpx.Client(trust_env=False) as client:
            return client.get(f"http://{address}/v1/status", headers={"authorization": f"Bearer {token}"}).status_code

    with closing(manager), serving(lab, **settings) as one:
        manager.hears("READY=1")
        until(lambda: everywhere(lab, "one\n"))
        assert (asked("old"), asked("new")) == (200, 401)
        (open_to_all,) = one.lines("exposed")
        assert open_to_all["setting"] == "hook_secret_file" and f"chmod o= {secrets}" in open_to_all["message"]
        secrets.chmod(0o600)
        tokens.write_text(f"eve operator {hashlib.sha256(b'new').hexdigest()}\n")
        configure(lab, poll=1, passes=32, handshakes=16, retention=30, log_level="debug", **known)
        hup(one)
        manager.hears("RELOADING=1", "READY=1")
        until(lambda: len(one.lines("settings")) == 6)
        said = {line["name"]: (line["was"], line["now"], line["restart"]) for line in one.lines("settings")}
        assert said == {
            "poll": ("3600.0", "1.0", False),
            "passes": ("64", "32", False),
            "handshakes": ("8", "16", True),
            "retention": ("90.0", "30.0", False),
            "log_level": ("info", "debug", False),
            "tokens": ("ann (reader)", "eve (operator)", False),
        }
        assert [line["message"] for line in one.lines("settings") if line["restart"]] == [
            "setting handshakes: 8 -> 16: needs a restart"
        ]
        assert (asked("old"), asked("new")) == (401, 200)
        until(lambda: [line for line in one.lines("pass") if line["level"] == "debug"])
        lab.write({"base/roles/all.yaml": role("two\n")})
        until(lambda: everywhere(lab, "two\n"))

        configure(lab, poll="soon", log_level="error")
        hup(one)
        manager.hears("RELOADING=1", "READY=1")
        until(lambda: len(one.lines("settings")) == 7)
        refused = one.lines("settings")[-1]
        assert "config.yaml:1:1" in refused["error"] and "soon" in refused["error"] and refused["level"] == "warning"
        lab.write({"base/roles/all.yaml": role("three\n")})
        until(lambda: everywhere(lab, "three\n"))
        assert asked("new") == 200

        tokens.write_text("nonsense\n")
        configure(lab, poll=1, passes=32, **known)
        hup(one)
        until(lambda: "64 hex digits" in one.lines("settings")[-1].get("error", ""))
        assert asked("new") == 200, "all or nothing: nobody is locked out by a slip of the pen"
        assert len(one.lines("exposed")) == 1, "it is shut now"
        assert "name poll, was 3600.0, now 1.0" in lab.fleet("logs").out


def test_with_its_terminal_it_ends_in_order(desk: Desk) -> None:
    """Closing the terminal sends SIGHUP as well: that asks for no settings."""
    own = {"FLEET_STATE_DIR": str(desk.root / "state"), "FLEET_CACHE_DIR": str(desk.root / "cache")}
    own["FLEET_SOCKET"] = str(desk.root / "fleet.sock")
    lines = {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "OTEL_"))} | own
    call = ["setsid", "--ctty", "--wait", sys.executable, "-m", "fleet.cli.main", "serve"]
    leader, follower = os.openpty()
    process = subprocess.Popen(
        call, cwd=desk.root / "repository", env=lines, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    try:
        until(lambda: answers(Path(own["FLEET_SOCKET"])))
        os.close(leader)
        until(lambda: not answers(Path(own["FLEET_SOCKET"])))
        process.wait(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    again = desk.fleet("status")
    assert "the controller started" not in again.out and not Path(own["FLEET_SOCKET"]).exists(), (
        "it took its socket along"
    )
