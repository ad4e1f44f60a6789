"""The controller on real hosts: it follows the repository, heals what others change, and ends in order."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from tests.desired.remotes import free_port, git, smart_http
from tests.e2e.conftest import Field
from tests.e2e.running import AT_ONCE, everywhere, killed, role, serving, until, verdicts

pytestmark = pytest.mark.hosts


def test_a_commit_reaches_every_host_and_what_is_changed_by_hand_is_healed(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with serving(lab) as client:
        until(lambda: everywhere(lab, "one\n"))
        lab.write({"base/roles/all.yaml": role("two\n")})
        until(lambda: everywhere(lab, "two\n"))
        lab.on("h-1", "echo by hand > /etc/app.conf")
        until(lambda: lab.on("h-1", "cat /etc/app.conf") == "two\n")
        until(lambda: verdicts(client) <= {"in sync"})
        said = lab.fleet("status")
        assert "the controller started" in said.out and "3 in sync" in said.out
        happened = list(client.events(follow=False))
        assert [one["said"]["changed"] for one in happened if one["type"] == "pass" and one["host"] == "h-1"][-1] == 0
    changes = lab.fleet("history", "--json", "--host", "h-1").json
    assert changes
    status = lab.fleet("status", "--json").json
    assert {host["verdict"] for host in status["hosts"]} <= {"in sync", "changed"}


def test_a_commit_that_does_not_compile_changes_nothing_and_is_told(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n"), "base/environment.yaml": "roles: {all: {}}\n" + AT_ONCE})
    with serving(lab) as client:
        until(lambda: everywhere(lab, "one\n"))
        good = client.status()["environments"][0]["revision"]
        lab.write({"base/roles/all.yaml": role("{{ nobody }}\n")})
        until(lambda: client.status()["environments"][0]["problems"])
        told = client.status()["environments"][0]
        assert told["revision"] == good and "`nobody` is not defined" in told["problems"][0]
        lab.on("h-2", "rm /etc/app.conf")
        until(lambda: everywhere(lab, "one\n"))
        lab.write({"base/roles/all.yaml": role("three\n")})
        until(lambda: everywhere(lab, "three\n"))
        assert client.status()["environments"][0]["problems"] == []


def test_a_rewritten_history_is_refused_and_drift_is_healed_all_the_same(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with serving(lab) as client:
        until(lambda: everywhere(lab, "one\n"))
        (lab.repository / "environments/base/roles/all.yaml").write_text(role("forced\n"))
        subprocess.run(["git", "-C", str(lab.repository), "commit", "-qa", "--amend", "-m", "again"], check=True)
        until(lambda: "rewritten" in client.status()["git"])
        lab.on("h-1", "rm /etc/app.conf")
        until(lambda: everywhere(lab, "one\n"))
        assert "was rewritten" in lab.fleet("status").out
        newest = git(lab.repository, "rev-parse", "HEAD")
        assert lab.fleet("accept", newest[:12]).code == 1
        said = lab.fleet("accept", newest)
        assert said.code == 0, said.err
        until(lambda: everywhere(lab, "forged\n".replace("forged", "forced")))


def test_a_freeze_holds_over_a_restart_and_drift_is_still_seen(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with serving(lab):
        until(lambda: everywhere(lab, "one\n"))
        said = lab.fleet("freeze", "--reason", "incident 42")
        assert said.code == 0 and "frozen" in said.out
    with serving(lab) as client:
        lab.on("h-1", "echo by hand > /etc/app.conf")
        lab.write({"base/roles/all.yaml": role("two\n")})
        until(lambda: {one["name"]: one["verdict"] for one in client.hosts()}.get("h-1") == "pending")
        (h1,) = [one for one in client.hosts() if one["name"] == "h-1"]
        assert h1["drift"] == {"file:/etc/app.conf": "external"}
        shown = lab.fleet("drift").out
        assert "file:/etc/app.conf  changed outside" in shown and "-by hand\n" in shown and "+one\n" in shown, shown
        assert "by hand" not in lab.fleet("drift", "--short").out
        assert "incident 42" in lab.fleet("status").out
        assert lab.on("h-1", "cat /etc/app.conf") == "by hand\n"
        assert lab.fleet("unfreeze").code == 0
        until(lambda: everywhere(lab, "two\n"))
    assert lab.fleet("unfreeze").code == 4, "nobody listens any more"


def test_a_revision_waits_for_approval_and_its_record_says_by_whom(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with serving(lab) as client:
        until(lambda: everywhere(lab, "one\n"))
        lab.write({"lab/environment.yaml": "rollout: {approval: true}\n", "base/roles/all.yaml": role("two\n")})
        until(lambda: (client.status()["environments"][0]["rollout"] or {}).get("state") == "waiting")
        newest = git(lab.repository, "rev-parse", "HEAD")
        said = lab.fleet("status").out
        assert f"{newest[:12]} waits for `fleet approve`" in said and "h-1, h-2" in said, said
        lab.on("h-1", "rm /etc/app.conf")
        until(lambda: everywhere(lab, "one\n"))
        assert lab.fleet("approve", "lab", "0" * 12).code == 1
        assert lab.fleet("approve", "lab", newest[:9]).code == 0
        until(lambda: everywhere(lab, "two\n"))
        assert lab.fleet("approve", "lab", newest).code == 1, "nothing waits"
    last = json.loads(lab.fleet("history", "export").out.splitlines()[-1])
    assert (last["action"], last["said"]) == ("approve", {"environment": "lab", "revision": newest})


def gated(first: str, last: str) -> str:
    """Three files in one script; the second is not done before somebody opens the gate."""
    files = {
        "/etc/app-1.conf": {"content": first},
        "/etc/app-2.conf": {"content": first, "validate": "sh -c 'echo >/run/begun; cat /run/gate' {path}"},
        "/etc/app-3.conf": {"content": last},
    }
    return json.dumps({"resources": {"file": files}})


def alone(lab: Field) -> None:
    """Only h-1 is in Git, with a gate that is shut."""
    lab.on("h-1", "mkfifo /run/gate")
    hosts = (lab.repository / "environments/lab/hosts.yaml").read_text().splitlines()[:2]
    lab.write(
        {
            "lab/hosts.yaml": "\n".join(hosts) + "\n",
            "base/environment.yaml": "roles: {all: {}}\n" + AT_ONCE,
            "base/roles/all.yaml": role("zero\n"),
        }
    )


def under_way(lab: Field) -> None:
    """Until the second file of `gated` waits for its gate."""
    until(lambda: lab.on("h-1", "cat /run/begun 2>/dev/null; true"))


def test_a_newer_commit_takes_over_between_two_resources_of_a_script(lab: Field) -> None:
    """What comes after the resource under way is never as the old commit said."""
    alone(lab)
    with serving(lab) as client:
        until(lambda: lab.on("h-1", "cat /etc/app.conf 2>/dev/null; true") == "zero\n")
        lab.write({"base/roles/all.yaml": gated("old\n", "old\n")})
        under_way(lab)
        lab.write({"base/roles/all.yaml": gated("old\n", "new\n").replace("cat /run/gate", "true")})
        newest = git(lab.repository, "rev-parse", "HEAD")
        until(lambda: client.status()["environments"][0]["revision"] == newest)
        until(lambda: lab.on("h-1", "ls /var/lib/fleet/journal/*.halt 2>/dev/null; true"))
        assert lab.on("h-1", "cat /etc/app-3.conf 2>/dev/null; true") == ""
        lab.on("h-1", "echo go >/run/gate")
        until(lambda: lab.on("h-1", "cat /etc/app-3.conf 2>/dev/null; true") == "new\n")
    changes = lab.fleet("history", "--host", "h-1", "--resource", "file:/etc/app-3.conf", "--json").json["changes"]
    assert [one["status"] for one in changes] == ["ok", "halted"], changes


def test_a_freeze_ends_a_script_in_order_after_the_resource_under_way(lab: Field) -> None:
    alone(lab)
    with serving(lab) as client:
        until(lambda: lab.on("h-1", "cat /etc/app.conf 2>/dev/null; true") == "zero\n")
        lab.write({"base/roles/all.yaml": gated("old\n", "old\n")})
        under_way(lab)
        freezing = threading.Thread(target=lambda: lab.fleet("freeze"))
        freezing.start()
        until(lambda: lab.on("h-1", "ls /var/lib/fleet/journal/*.halt 2>/dev/null; true"))
        lab.on("h-1", "echo go >/run/gate")
        until(lambda: [one["verdict"] for one in client.hosts()] == ["pending"])
        freezing.join()
        assert lab.on("h-1", "cat /etc/app-2.conf; cat /etc/app-3.conf 2>/dev/null; true") == "old\n"


def test_a_bad_commit_reaches_one_host_and_the_next_good_one_all(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with serving(lab) as client:
        until(lambda: everywhere(lab, "one\n"))
        until(lambda: client.status()["environments"][0]["rollout"] is None)
        bad = {
            "file": {"/etc/app.conf": {"content": "bad\n"}},
            "command": {"check": {"shell": "false", "unless": "false"}},
        }
        lab.write({"base/roles/all.yaml": json.dumps({"resources": bad})})
        until(lambda: (client.status()["environments"][0]["rollout"] or {}).get("state") == "stopped")
        touched = [one.name for one in lab.sandbox.hosts if lab.on(one.name, "cat /etc/app.conf") == "bad\n"]
        assert touched == ["h-1"]
        assert "h-1 failed" in lab.fleet("status").out
    with serving(lab) as client:
        until(lambda: {one["name"]: one["verdict"] for one in client.hosts()}.get("h-1") == "failed")
        until(lambda: (client.status()["environments"][0]["rollout"] or {}).get("state") == "stopped")
        assert not everywhere(lab, "bad\n") and lab.on("h-2", "cat /etc/app.conf") == "one\n"
        lab.write({"base/roles/all.yaml": role("good\n")})
        until(lambda: everywhere(lab, "good\n"))


def test_a_second_controller_on_the_same_state_does_not_start(lab: Field, tmp_path: Path) -> None:
    with serving(lab):
        second = lab.fleet("serve")
        assert second.code == 1 and "another controller runs on" in second.err and "process " in second.err


def test_a_signed_message_of_a_git_server_brings_a_commit_at_once_and_a_flood_costs_little(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    secret = b"a secret of the hooks"
    (lab.root / "hooks").write_bytes(secret)
    port = free_port("127.93.0.1")
    listen = {"FLEET_LISTEN": f"127.93.0.1:{port}", "FLEET_HOOK_SECRET_FILE": str(lab.root / "hooks")}
    with smart_http(lab.repository) as web, serving(lab, FLEET_POLL="3600", FLEET_REMOTE=f"{web.url}/.git", **listen):
        until(lambda: everywhere(lab, "one\n"))
        lab.write({"base/roles/all.yaml": role("two\n")})
        body = json.dumps({"ref": "refs/heads/main"}).encode()
        signed = {"X-Gitea-Signature": hmac.new(secret, body, hashlib.sha256).hexdigest()}
        url = f"http://127.93.0.1:{port}/hooks/git"
        with httpx.Client(trust_env=False) as client:
            assert client.post(url, content=body, headers={"X-Gitea-Signature": "0" * 64}).status_code == 403
            assert client.post(url, content=body, headers=signed).status_code == 202
            until(lambda: everywhere(lab, "two\n"))
            before = len(web.asked)
            for _ in range(100):
                client.post(url, content=body, headers=signed)
                client.post(url, content=body, headers={"X-Gitea-Signature": "0" * 64})
            assert len(web.asked) - before <= 4, "what was heard before asks Git nothing"
            assert client.get(f"http://127.93.0.1:{port}/v1/status").status_code == 401


def test_killed_at_any_moment_it_goes_on_where_it_was_and_no_host_is_forgotten(lab: Field) -> None:
    """SIGKILL at moments that nobody chose, a commit after each; at the end every host has the last one."""
    chance = random.Random(20261123)
    for number in range(8):
        lab.write({"base/roles/all.yaml": role(f"{number}\n")})
        with killed(lab, chance.uniform(0.5, 3.0)):
            pass
    with serving(lab) as client:
        until(lambda: everywhere(lab, "7\n"), 40)
        until(lambda: verdicts(client) == {"in sync"}, 90, client)
    runs = lab.fleet("history", "--json").json["runs"]
    assert not [one for one in runs if one["alive"]]
    assert lab.beside("sqlite3 history.db 'PRAGMA integrity_check'") == "ok\n"


def test_while_git_is_down_hosts_are_kept_as_the_last_good_commit_says(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with smart_http(lab.repository) as web, serving(lab, FLEET_REMOTE=f"{web.url}/.git") as client:
        until(lambda: everywhere(lab, "one\n"))
        assert client.status()["ready"]
        web.token = "nobody has it"
        until(lambda: client.status()["git"])
        lab.on("h-1", "rm /etc/app.conf")
        until(lambda: everywhere(lab, "one\n"))
        assert "Git: " in lab.fleet("status").out and client.status()["environments"][0]["problems"] == []
        web.token = ""
        until(lambda: not client.status()["git"])


def test_before_git_answers_for_the_first_time_it_is_not_ready(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with smart_http(lab.repository) as web:
        web.token = "nobody has it"
        with serving(lab, FLEET_REMOTE=f"{web.url}/.git") as client:
            until(lambda: client.status()["git"])
            assert not client.status()["ready"]
            web.token = ""
            until(lambda: client.status()["ready"])
            until(lambda: everywhere(lab, "one\n"))


def test_what_waits_for_facts_of_a_host_comes_once_it_has_said_them(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("{{ facts.hostname }}\n")})
    with serving(lab) as client:
        until(lambda: all(lab.on(n, "cat /etc/app.conf", check=False) == f"{n}\n" for n in ("h-1", "h-2", "h-3")))
        until(lambda: verdicts(client) == {"in sync"}, client=client)


def test_a_host_that_leaves_git_is_left_as_it_is(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with serving(lab) as client:
        until(lambda: everywhere(lab, "one\n"))
        hosts = lab.repository / "environments/lab/hosts.yaml"
        lab.write({"lab/hosts.yaml": re.sub(r"(?m)^  h-3:.*\n", "", hosts.read_text())})
        until(lambda: {one["name"] for one in client.hosts()} == {"h-1", "h-2"})
        assert lab.on("h-3", "cat /etc/app.conf") == "one\n"
        lab.on("h-3", "echo mine > /etc/app.conf")
        asked = len([one for one in client.events(follow=False) if one["host"] == "h-3"])
        lab.on("h-1", "rm /etc/app.conf")
        until(lambda: lab.on("h-1", "cat /etc/app.conf", check=False) == "one\n")
        assert lab.on("h-3", "cat /etc/app.conf") == "mine\n"
        assert len([one for one in client.events(follow=False) if one["host"] == "h-3"]) == asked


def test_history_can_be_taken_along_and_forgotten(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": role("one\n")})
    with serving(lab):
        until(lambda: everywhere(lab, "one\n"))
        assert lab.fleet("pause", "lab/h-1", "--reason", "look").code == 0
    lines = [json.loads(line) for line in lab.fleet("history", "export").out.splitlines()]
    assert {one["type"] for one in lines} == {"run", "audit"}
    assert [one["said"] for one in lines if one["type"] == "audit"] == [{"scope": "lab/h-1", "reason": "look"}]
    assert any(change["host"] == "h-2" for one in lines if one["type"] == "run" for change in one["changes"])
    assert lab.fleet("history", "prune", "--days", "0").out.startswith("forgotten: ")
    assert {one["host"] for one in lab.fleet("status", "--json").json["hosts"] if one["verdict"]} == {
        "h-1",
        "h-2",
        "h-3",
    }
