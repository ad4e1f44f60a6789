"""The throw-away servers: their APIs answer, their own clients see what was made there, nothing of them is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from fleet.sandbox import processes
from tests.servers import alertmanager, powerdns, rabbitmq, redfish
from tests.servers.alertmanager import Alertmanager
from tests.servers.powerdns import PowerDNS
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.redfish import Redfish
from tests.servers.server import Server, need, own_folder, started

Running = Callable[[], AbstractContextManager[Server]]


def test_powerdns(powerdns: PowerDNS) -> None:
    """A zone that the API made: pdnsutil reads it from the database, dig hears of it over DNS."""
    about = powerdns.ask("GET", "/api/v1/servers/localhost").json()
    assert (about["daemon_type"], about["version"].split(".")[0].isdecimal()) == ("authoritative", True)
    address = {"content": "192.0.2.7", "disabled": False}
    record = {"name": "www.made.example.", "type": "A", "ttl": 60, "records": [address]}
    zone = {"name": "made.example.", "kind": "Native", "nameservers": ["ns.made.example."], "rrsets": [record]}
    assert powerdns.ask("POST", "/api/v1/servers/localhost/zones", zone).status_code == 201
    assert "made.example" in powerdns.pdnsutil("list-all-zones").split()
    assert powerdns.dig("www.made.example", "A") == "192.0.2.7\n"
    changed = {"rrsets": [record | {"changetype": "REPLACE", "records": [address | {"content": "192.0.2.8"}]}]}
    assert powerdns.ask("PATCH", "/api/v1/servers/localhost/zones/made.example.", changed).status_code == 204
    assert powerdns.dig("www.made.example", "A") == "192.0.2.8\n"


def test_rabbitmq(rabbitmq: RabbitMQ) -> None:
    """A virtual host and a queue that the API made: rabbitmqctl hears of them from the node."""
    assert rabbitmq.ask("GET", "/api/overview").json()["rabbitmq_version"].split(".")[0].isdecimal()
    assert rabbitmq.ask("PUT", "/api/vhosts/made", {}).status_code == 201
    assert rabbitmq.ask("PUT", "/api/queues/made/orders", {"durable": True}).status_code == 201
    assert rabbitmq.rabbitmqctl("list_queues", "--vhost", "made", "name", "durable") == "orders\ttrue\n"


def test_alertmanager(alertmanager: Alertmanager) -> None:
    """A silence that the API made, as amtool sees it."""
    assert alertmanager.ask("GET", "/api/v2/status").json()["versionInfo"]["version"]
    silence = {
        "matchers": [{"name": "alertname", "value": "DiskFull", "isRegex": False, "isEqual": True}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2126-01-01T00:00:00Z",
        "createdBy": "test",
        "comment": "made",
    }
    made = alertmanager.ask("POST", "/api/v2/silences", silence).json()["silenceID"]
    seen = json.loads(alertmanager.amtool("silence", "query", "--output=json", "alertname=DiskFull"))
    assert [(one["id"], one["comment"]) for one in seen] == [(made, "made")]


def test_redfish(redfish: Redfish) -> None:
    """What was set is read again; switching on takes a while; and there is no way in without the password."""
    assert redfish.ask("GET", "/redfish/v1").json()["RedfishVersion"]
    assert Server(redfish.url, redfish.folder).ask("GET", redfish.system_path).status_code == 401
    boot = {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Continuous"}}
    assert redfish.ask("PATCH", redfish.system_path, boot).status_code == 204
    assert redfish.ask("GET", redfish.system_path).json()["Boot"]["BootSourceOverrideTarget"] == "Pxe"
    reset = redfish.ask("POST", f"{redfish.system_path}/Actions/ComputerSystem.Reset", {"ResetType": "On"})
    assert reset.status_code == 204
    assert _soon(lambda: redfish.ask("GET", redfish.system_path).json()["PowerState"] == "On")


@pytest.mark.parametrize(
    ("running", "number"),
    [
        pytest.param(powerdns.running, 2, id="powerdns"),
        # One, for its start takes long: beside the one of test_rabbitmq.
        pytest.param(rabbitmq.running, 1, id="rabbitmq", marks=pytest.mark.xdist_group("rabbitmq")),
        pytest.param(alertmanager.running, 2, id="alertmanager"),
        pytest.param(redfish.running, 2, id="redfish"),
    ],
)
def test_side_by_side_and_gone_with_the_block(running: Running, number: int) -> None:
    """They have nothing in common, and after a failure in the block nothing is left of any."""
    servers: list[Server] = []
    with pytest.raises(RuntimeError, match="the test"), ExitStack() as stack:
        servers += [stack.enter_context(running()) for _ in range(number)]
        pids = [pid for server in servers for pid in server.pids]
        assert len(set(pids)) == len(pids) >= number
        assert len({server.url for server in servers}) == number
        raise RuntimeError("the test fails")
    assert not [pid for pid in pids if processes.start_time(pid)]
    assert not [server.folder for server in servers if server.folder.exists()]


KILLED = """
import time
from tests.servers import alertmanager
with alertmanager.running() as server:
    print(*server.pids, flush=True)
    time.sleep(60)
"""


def test_gone_when_the_tests_are_killed(tmp_path: Path, project_root: Path) -> None:
    """SIGKILL leaves no time for any `finally`."""
    need("prometheus-alertmanager", "prometheus-alertmanager")
    surroundings = os.environ | {"PYTHONPATH": str(project_root), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], env=surroundings, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        pids = [int(word) for word in killed.stdout.readline().split()]
        killed.kill()
    assert pids
    assert _soon(lambda: not any(map(processes.start_time, pids)))


def test_a_daemon_that_a_server_leaves_is_ended_too() -> None:
    """Neither its parent nor its process group tells where it comes from."""
    with own_folder("daemon") as folder, started(folder, "setsid", "--fork", "sleep", "60") as process:
        assert process.wait() == 0
        assert _soon(lambda: len(list(processes.below(folder))) == 1)
    assert not list(processes.below(folder))


def test_one_that_does_not_come_is_told_with_its_last_words() -> None:
    with own_folder("silent") as folder, started(folder, "sh", "-c", "echo no such option >&2; exit 3") as process:
        process.wait()
        with pytest.raises(AssertionError, match=r"(?s)ended with 3.*no such option"):
            Server("http://127.0.0.1:1", folder).wait(process, "/")


def test_a_missing_program_skips_and_fails_where_it_was_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLEET_TEST_INSTALLED", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"^no-such-server is missing: install its-package$"):
        need("no-such-server", "its-package")
    monkeypatch.setenv("FLEET_TEST_INSTALLED", "1")
    with pytest.raises(pytest.fail.Exception, match=r"^no-such-server is missing: install its-package$"):
        need("no-such-server", "its-package")


def _soon(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()
