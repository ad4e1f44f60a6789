"""`fleet exec` on real hosts: who ran what, where and why is on record, and beside the drift that it left."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import pexpect
import pytest

from tests.e2e.conftest import Field
from tests.e2e.running import serving, until
from tests.e2e.test_secrets import VALUE, secret

pytestmark = pytest.mark.hosts
__all__ = ["secret"]  # a fixture

# Ends the server of this very connection.
CUT = "p=$$; until grep -q sshd /proc/$p/comm; do set -- $(cat /proc/$p/stat); p=$4; done; kill -9 $p; sleep 9"
WHY = ("--reason", "incident 42")


def reported(content: str) -> str:
    return json.dumps({"resources": {"file": {"/etc/app.conf": {"content": content, "drift": "report"}}}})


def test_hosts_that_answer_the_same_are_told_once_and_the_code_says_what_matters(lab: Field) -> None:
    done = lab.fleet("exec", "-e", "lab", "--yes", *WHY, "--", "printf", "%s\n", "a  b", "$(id)")
    assert done.code == 0, done.err + done.out
    assert "3 hosts: h-[1:3]  exit 0\n    | a  b\n    | $(id)\n\n3 hosts: 3 ok" in done.out
    line = "id -u; cat; [ $(hostname) != h-2 ] || { echo $(hostname) >&2; exit 7; }"
    done = lab.fleet("exec", "-e", "lab", "--yes", *WHY, "--", line)
    assert done.code == 3
    first, second = done.out.split("\n\n")[:2]
    assert first == "2 hosts: h-1, h-3  exit 0\n    | 0"
    assert second == "1 host: h-2  exit 7\n    | 0\n    | h-2"
    said = lab.fleet("exec", "--host", "h-2", "--json", *WHY, "--", "printf 'x\\0\\377\\033[2J'; exit 4")
    (host,) = said.json["hosts"]
    assert said.code == 3 and (host["status"], host["code"], host["truncated"]) == ("failed", 4, False)
    assert host["output"] == "x\0\\xff\x1b[2J" and said.json["summary"] == {"failed": 1}


def test_what_a_host_prints_is_never_raw_on_a_terminal_and_has_an_end(lab: Field) -> None:
    done = lab.fleet("exec", "--host", "h-1", *WHY, "--", "printf '\\033]0;owned\\007\\r\\n'; seq 100000")
    assert "\x1b" not in done.out and "\x07" not in done.out and "\\x1b]0;owned\\x07" in done.out
    assert "    | 100000\n" in done.out and "bytes left out" in done.out and len(done.out) < 200_000
    (kept,) = lab.fleet("history", "--exec", "--json").json["execs"]
    assert kept["truncated"] and len(kept["output"]) < 70_000
    done = lab.fleet("exec", "--host", "h-1", *WHY, "--timeout", "1s", "--", "echo begun; sleep 1000")
    assert done.code == 3 and "| begun\n" in done.out and "it took longer than 1 s" in done.out
    done = lab.fleet("exec", "--host", "h-1", *WHY, "--timeout", "20s", "--", "yes")
    assert done.code == 4 and "printed without end" in done.out


def test_several_hosts_without_a_terminal_want_a_yes_and_a_host_with_no_shell_is_refused(lab: Field) -> None:
    done = lab.fleet("exec", "-e", "lab", *WHY, "--", "touch", "/tmp/ran")
    assert done.code == 1 and "this runs on 3 hosts, and there is no terminal to ask on" in done.err
    assert "fleet exec -e lab --yes --reason 'incident 42' -- …" in done.err
    answers = {"n": (2, "nothing was run"), "y": (0, "3 hosts: 3 ok")}
    for said, (code, told) in answers.items():
        words = ["-m", "fleet.cli.main", "exec", "-e", "lab", *WHY, "--", "echo", "by hand"]
        child = pexpect.spawn(
            sys.executable, words, cwd=str(lab.repository), env={**lab.environment, "NO_COLOR": "1"}, timeout=60
        )
        child.expect_exact("lab: h-[1:3]\r\nrun echo 'by hand' on 3 hosts? [y/N]")
        child.sendline(said)
        child.expect_exact(told)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code
        assert len(lab.fleet("history", "--exec", "--json").json["execs"]) == (3 if said == "y" else 0)
    record = lab.root / "state/history.db"
    record.rename(record.with_suffix(".away"))
    record.write_bytes(b"no record at all" * 1000)
    done = lab.fleet("exec", "--host", "h-1", *WHY, "--", "touch", "/tmp/ran")
    assert done.code == 1 and "cannot be used" in done.err and lab.on("h-1", "ls /tmp/ran", check=False) == ""
    lab.write({"lab/hosts/h-1.yaml": "connection: {type: http, url: 'http://127.0.0.1:1', networks: [127.0.0.0/8]}\n"})
    done = lab.fleet("exec", "--host", "h-1", *WHY, "--", "touch", "/tmp/ran")
    assert done.code == 1 and "no shell to run anything in" in done.err, done.err


def test_a_host_of_another_environment_and_a_lost_one_are_told_apart(lab: Field) -> None:
    lab.on("h-1", "mkdir -p /var/lib/fleet; echo prod > /var/lib/fleet/environment")
    done = lab.fleet("exec", "-e", "lab", "--yes", *WHY, "--", f"touch /tmp/ran; [ $(hostname) = h-3 ] || {{ {CUT}; }}")
    assert done.code == 5, done.out
    assert "this host belongs to environment prod, not lab" in done.out
    assert lab.on("h-1", "ls /tmp/ran", check=False) == ""
    found = {one["host"]: one["status"] for one in lab.fleet("history", "--exec", "--json").json["execs"]}
    assert found == {"h-1": "conflict", "h-2": "unknown", "h-3": "ok"}
    assert "unknown: nobody knows how it ended\n    the connection was lost" in done.out
    lab.sandbox.down()
    done = lab.fleet("exec", "--host", "h-3", *WHY, "--", "true")
    assert done.code == 4 and "unreachable; not run" in done.out


def test_ctrl_c_stops_it_on_the_host_and_says_that_nobody_knows(lab: Field) -> None:
    process = lab.start("exec", "--host", "h-1", *WHY, "--", "touch /tmp/in; sleep 1000; touch /tmp/out")
    until(lambda: lab.on("h-1", "ls /tmp/in", check=False))
    (running,) = lab.fleet("history", "--exec", "--json").json["execs"]
    assert running["status"] == "running" and running["command"].startswith("touch /tmp/in")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "nobody knows how it ended" in out, err + out
    assert lab.on("h-1", "pgrep -x sleep -a | grep 'sleep 1000'", check=False) == ""
    (kept,) = lab.fleet("history", "--exec", "--json").json["execs"]
    assert kept["status"] == "unknown"


def test_a_secret_that_a_host_prints_is_nowhere(secret: Field) -> None:
    assert secret.fleet("apply", "--yes").code == 0
    show = f"cat /etc/app.conf; base64 /etc/app.conf; echo {shlex.quote(VALUE)} $(hostname)"
    done = secret.fleet("exec", "--host", "h-1", *WHY, "--", show)
    assert done.code == 0 and "| password = (secret password)" in done.out and VALUE not in done.out + done.err
    assert VALUE not in secret.fleet("history", "--exec", "-v").out
    for path in (secret.root / "state").iterdir():
        assert VALUE.encode() not in path.read_bytes() and b"p4ss" not in path.read_bytes(), path
    # The secret of h-2 alone is masked on h-1 too: what is printed there is not known beforehand.
    done = secret.fleet("exec", "--host", "h-1", "--json", *WHY, "--", "echo of-h-2-only")
    assert done.json["hosts"][0]["output"] == "(secret password)\n" and "of-h-2" not in done.out.replace("h-2-only", "")
    (secret.root / "age/lab.txt").unlink()
    done = secret.fleet("exec", "--host", "h-1", *WHY, "--", "cat /etc/app.conf")
    assert done.code == 1 and "--no-output" in done.err and VALUE not in done.out
    done = secret.fleet("exec", "--host", "h-1", "--no-output", *WHY, "--", "cat /etc/app.conf; touch /tmp/ran")
    assert done.code == 0 and VALUE not in done.out and secret.on("h-1", "ls /tmp/ran")


def test_what_it_left_is_drift_with_the_record_beside_it_where_no_controller_runs(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": reported("one\n")})
    assert lab.fleet("apply", "--yes").code == 0
    done = lab.fleet("exec", "--host", "h-1", *WHY, "--", "echo by hand > /etc/app.conf")
    assert done.code == 0 and "`fleet plan` with the same hosts shows what it left" in done.out
    number = lab.fleet("history", "--exec", "--json").json["execs"][0]["run"]
    assert lab.fleet("plan").code == 2
    said = lab.fleet("drift")
    assert said.code == 2 and "file:/etc/app.conf" in said.out
    assert re.search(rf"incident 42\).*run {number}", said.out) and "echo by hand > /etc/app.conf" in said.out
    (host,) = lab.fleet("drift", "--json").json["hosts"]
    assert [(one["reason"], one["status"], one["code"]) for one in host["execs"]] == [("incident 42", "ok", 0)]
    lab.on("h-1", "echo one > /etc/app.conf")
    assert lab.fleet("plan").code == 0
    lab.on("h-1", "echo somebody else > /etc/app.conf")
    assert lab.fleet("plan").code == 2
    assert "incident 42" not in lab.fleet("drift").out, "it was in sync since"


def test_the_next_look_of_a_controller_shows_what_it_left_with_the_record_beside_it(lab: Field) -> None:
    lab.write({"base/roles/all.yaml": reported("one\n"), "base/environment.yaml": "roles: {all: {}}\nsweep: 1h\n"})
    with serving(lab) as client:
        until(lambda: all(one["verdict"] in ("changed", "in sync") for one in client.hosts()), client=client)
        done = lab.fleet("exec", "--host", "h-[12]", "--yes", *WHY, "--", "echo by hand > /etc/app.conf")
        assert done.code == 0 and "the controller looks at 2 hosts now" in done.out
        assert "note: the controller on this machine looks at these hosts afterwards" in done.err
        began = time.monotonic()
        until(lambda: sum(one["drift"] == {"file:/etc/app.conf": "external"} for one in client.hosts()) == 2)
        assert time.monotonic() - began < 60, "long before its time"
        shown = lab.fleet("drift").out
        assert "file:/etc/app.conf  changed outside\n  lab: h-1, h-2" in shown
        assert "echo by hand > /etc/app.conf (incident 42)" in shown, shown
        assert {one["name"]: [e["reason"] for e in one["execs"]] for one in client.drift()} == {
            "h-1": ["incident 42"],
            "h-2": ["incident 42"],
        }
        assert lab.fleet("freeze", "--reason", "careful").code == 0
        refused = lab.fleet("exec", "--host", "h-1", *WHY, "--", "touch /tmp/ran")
        assert refused.code == 1 and "frozen by" in refused.err and "--even-frozen" in refused.err
        assert lab.on("h-1", "ls /tmp/ran", check=False) == ""
        assert lab.fleet("exec", "--host", "h-1", "--even-frozen", *WHY, "--", "touch /tmp/ran").code == 0
        assert lab.on("h-1", "ls /tmp/ran") == "/tmp/ran\n"


def test_it_is_taken_along_and_can_be_looked_up(lab: Field, tmp_path: Path) -> None:
    assert lab.fleet("exec", "-e", "lab", "--yes", *WHY, "--", "echo $(hostname)").code == 0
    listed = lab.fleet("history").out
    assert re.search(r"exec lab at [0-9a-f]{12} by \S+: 3 ok", listed)
    told = lab.fleet("history", "--exec").out
    assert "echo $(hostname) (incident 42)" in told and "lab: h-[1:3]  ok" in told
    number = listed.split()[0]
    assert "| h-2" in lab.fleet("history", number).out
    lines = [json.loads(line) for line in lab.fleet("history", "export").out.splitlines()]
    (run,) = [one for one in lines if one["type"] == "run"]
    assert {one["host"]: one["output"] for one in run["execs"]} == {f"h-{n}": f"h-{n}\n" for n in (1, 2, 3)}
    (audit,) = [one for one in lines if one["type"] == "audit"]
    assert audit["action"] == "exec" and audit["said"]["hosts"] == ["lab/h-1", "lab/h-2", "lab/h-3"]
    assert lab.fleet("history", "prune", "--days", "0").out.strip().endswith("3 commands by hand")
