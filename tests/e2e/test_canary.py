"""Fifty random secrets through every command, in eight encodings: found on the target, and nowhere else.

The forms searched for are written out here, not taken from the code that masks them.
"""

from __future__ import annotations

import base64
import json
import random
import shlex
import sqlite3
import string
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from fleet.sandbox.example import commit
from tests.e2e.conftest import Field, make_field
from tests.e2e.desk import Done
from tests.secrets.keys import encrypted, make_key

pytestmark = pytest.mark.hosts

TEMPLATE = """\
# all of them, as they are and in every form that a template can ask for
{% for name in names %}
{{ name }} = {{ secret(name) }}
{{ name }}_base64 = {{ ("user:" ~ secret(name)) | base64 }}
{{ name }}_json = {{ [secret(name)] | tojson }}
{{ name }}_url = https://host/{{ secret(name) | urlencode }}
{{ name }}_shell = {{ secret(name) | quote }}
  {{ secret(name) | indent(2) }}
{% endfor %}
"""
# Programs that tell what they were given, in good and in bad times.
TALKATIVE = """\
resources:
  file:
    /etc/canary/all: {template: all}
    /etc/canary/one: {content: !secret c7}
    /etc/canary/refused:
      content: "{{ secret('c1') }}\\n{{ secret('c2') }}\\n"
      validate: sh -c 'cat {path}; base64 <{path}; od -An -tx1 <{path} | tr -d " \\n"; exit 1' sh {path}
  directory: {/etc/canary: {}}
  block:
    /etc/hosts#canary: {content: "# {{ secret('c3') | base64 }}"}
  command:
    fails and tells:
      shell: s=$(cat); printf '%s\\n' "$s"; printf %s "$s" | base64; printf %s "$s" | od -An -tx1 | tr -d ' \\n'; exit 3
      stdin: !secret c4
      unless: "false"
    succeeds and tells:
      argv: [tee, /etc/canary/fed]
      stdin: "{{ secret('c5') }}"
      creates: /etc/canary/fed
      needs: [directory:/etc/canary]
"""
CRASH = """
import sys
from fleet.cli.main import main
from fleet.controller import one
async def broken(spec, session, *rest):
    values = [one.reveal() for one in session._opener._values.values()]
    raise ValueError("here they are: " + repr(values))
one.run_pass = broken
sys.argv = ["fleet", *sys.argv[1:]]
main()
"""


def random_secret(chance: random.Random) -> str:
    """8 to 40 characters that look like nothing else; a few with quotes, several lines, or other alphabets."""
    plain = string.ascii_letters + string.digits
    alphabet = chance.choice((plain, plain + string.punctuation, plain + "äß€漢 '\"\\$`%+/"))
    text = "".join(chance.choices(alphabet, k=chance.randint(8, 40))).strip() or "fallback-secret"
    lines = chance.choice((1, 1, 1, 3))
    return "\n".join([f"q{text}q", *("".join(chance.choices(plain, k=24)) for _ in range(lines - 1))])


def written(secret: str) -> set[bytes]:
    """Eight encodings of it and of each of its lines."""
    found: set[bytes] = set()
    for one in {secret, *secret.split("\n")}:
        data = one.encode()
        found |= {data, base64.b64encode(data).rstrip(b"="), base64.urlsafe_b64encode(data).rstrip(b"=")}
        found |= {data.hex().encode(), data.hex().upper().encode(), quote(one, safe="").encode()}
        found |= {json.dumps(one)[1:-1].encode(), shlex.quote(one).encode(), repr(one)[1:-1].encode()}
        found.add(base64.b64encode(b"user:" + data)[8:].rstrip(b"=")[:-1])
    return found


class Sinks:
    """Bytes by where they turned up."""

    def __init__(self) -> None:
        self.said: dict[str, bytes] = {}

    def hear(self, field: Field, *words: str) -> Done:
        """Run a command, and keep all that it says."""
        done = field.fleet(*words)
        name = " ".join(words)
        self.said[name] = self.said.get(name, b"") + (done.out + done.err).encode(errors="surrogateescape")
        return done

    def files(self, name: str, directory: Path) -> None:
        for path in directory.rglob("*"):
            if path.is_file():
                self.said[f"{name}: {path.relative_to(directory)}"] = path.read_bytes()

    def hits(self, forms: set[bytes]) -> list[str]:
        return [f"{form!r} in {name}" for name, data in self.said.items() for form in forms if form in data]


@contextmanager
def collector(sinks: Sinks) -> Iterator[str]:
    """An OTLP collector that keeps every byte."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sinks.said["traces"] = sinks.said.get("traces", b"") + body
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def sampling(sinks: Sinks, name: str) -> Iterator[None]:
    """argv and environment of every process there is, hosts' and controller's, as fast as they can be read."""
    stop = threading.Event()
    seen: set[bytes] = set()

    def sample() -> None:
        while not stop.is_set():
            for entry in Path("/proc").iterdir():
                if not entry.name.isdecimal():
                    continue
                for what in ("cmdline", "environ"):
                    try:
                        seen.add((entry / what).read_bytes())
                    except OSError:
                        continue

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sinks.said[f"processes during {name}"] = b"\n".join(seen)
        assert any(b"sops" in one for one in seen), "nothing was sampled while secrets were in use"


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Field]:
    """Two hosts, one with dash and one with bash as its sh, and a place for the key of their environment."""
    made = make_field(tmp_path, 2)
    try:
        made.on("h-2", "ln -sf bash /bin/sh")
        (tmp_path / "tmp").mkdir()
        made.lines |= {"FLEET_AGE_DIR": str(tmp_path / "age"), "TMPDIR": str(tmp_path / "tmp")}
        yield made
    finally:
        made.sandbox.down()


def test_secrets_are_on_the_target_and_nowhere_else(canary: Field) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    secrets = {f"c{n}": random_secret(chance) for n in range(50)}
    others = secrets | {name: random_secret(chance) for name in ("c6", "c7", "c8")}
    forms = set().union(*map(written, [*secrets.values(), *others.values()]))
    sinks = Sinks()
    recipient = make_key(canary.root / "age", "lab")
    file = canary.repository / "environments/lab/secrets.sops.yaml"
    file.write_bytes(encrypted(secrets, recipient))
    names = f"roles: {{all: {{}}}}\nvars: {{names: {json.dumps(sorted(secrets))}}}\n"
    canary.write({"base/roles/all.yaml": TALKATIVE, "base/files/all": TEMPLATE, "base/environment.yaml": names})

    with collector(sinks) as address:
        canary.lines["OTEL_EXPORTER_OTLP_ENDPOINT"] = address
        arrive(canary, sinks, secrets)
        # As long as somebody has the record open, what was written last is in its write-ahead log.
        record = sqlite3.connect(canary.root / "state/history.db")
        record.execute("SELECT count(*) FROM changes").fetchall()
        canary.on("h-1", "sed -i 's/q/Q/' /etc/canary/all; chmod 644 /etc/canary/one")
        file.write_bytes(encrypted(others, recipient))
        commit(canary.repository, "others")
        change(canary, sinks)
        go(canary, sinks)
        fail(canary, sinks)

    sinks.files("record and caches", canary.root / "state")
    record.close()
    assert len(sinks.said["record and caches: history.db-wal"]) > 10_000
    sinks.files("cache", canary.root / "cache")
    sinks.files("temporary files", canary.root / "tmp")
    sinks.files("repository", file.parent.parent)
    assert len(sinks.said["traces"]) > 1000
    assert any(name.endswith("history.db") for name in sinks.said)
    assert sinks.hits(forms) == [], f"seed {seed}"


def arrive(canary: Field, sinks: Sinks, secrets: dict[str, str]) -> None:
    """What contacts no host, a plan, and an apply that fails in part: all of them are on the hosts then."""
    for words in (["validate"], ["show", "h-1"], ["explain", "h-1", "file:/etc/canary/all"], ["secrets", "list"],
                  ["secrets", "who"], ["plan", "-vvv"], ["plan", "--json"]):  # fmt: skip
        done = sinks.hear(canary, *words)
        assert done.code in (0, 2), f"{words} {done.err}"
    with sampling(sinks, "apply"):
        applied = sinks.hear(canary, "apply", "--yes", "-vvv", "--trace")
    assert applied.code == 3, applied.out + applied.err
    assert "exit code 3" in applied.out or "fails and tells" in applied.out
    for host in ("h-1", "h-2"):
        target = canary.on(host, "cat /etc/canary/all").encode()
        assert all(one.encode() in target for one in secrets.values()), "not all arrived"
        assert canary.on(host, "cat /etc/canary/fed; stat -c %a /etc/canary/all") == f"{secrets['c5']}640\n"
        where = "find / -xdev -type f -newer /etc/canary ! -path '/etc/canary/*' ! -path '/proc/*' ! -path '/sys/*'"
        rest = canary.on(host, f"{where} -size -2000k -exec cat {{}} + | grep -v 'fleet: canary'")
        sinks.said[f"the rest of {host}"] = rest.encode()


def change(canary: Field, sinks: Sinks) -> None:
    """Other values, on hosts that were changed by hand."""
    for words in (["diff", "HEAD~1"], ["plan", "-v"], ["plan", "--json"], ["apply", "--yes", "--json"],
                  ["history"], ["history", "--json"], ["status"], ["status", "--json"]):  # fmt: skip
        sinks.hear(canary, *words)
    assert "secret changed: c7" in sinks.said["diff HEAD~1"].decode()
    assert "secret changed: c7" in sinks.said["plan -v"].decode()


def go(canary: Field, sinks: Sinks) -> None:
    """Files that held secrets hold none any more, or are gone: what they held is not shown on the way."""
    plain = "resources: {file: {/etc/canary/all: {content: gone}, /etc/canary/one: {ensure: absent}}}\n"
    canary.write({"base/roles/all.yaml": plain})
    for words in (["plan", "-vv"], ["plan", "--json", "-v"], ["apply", "--yes", "-v"], ["history", "--json", "-v"]):
        sinks.hear(canary, *words)
    assert canary.fleet("plan").code == 0


def fail(canary: Field, sinks: Sinks) -> None:
    """fleet itself breaks with the values in hand; and a key that is not there."""
    canary.write({"base/roles/all.yaml": TALKATIVE})
    words = [sys.executable, "-c", CRASH, "plan", "-vvv"]
    pipe = subprocess.PIPE
    done = subprocess.run(
        words, cwd=canary.repository, env=canary.environment, stdout=pipe, stderr=pipe, check=False, timeout=60
    )
    assert b"here they are" in done.stdout + done.stderr, done.stderr
    sinks.said["crash"] = done.stdout + done.stderr
    (canary.root / "age/lab.txt").unlink()
    locked = sinks.hear(canary, "plan", "-vvv")
    assert locked.code == 3 and "cannot be decrypted" in locked.out
    assert sinks.hear(canary, "validate").code == 0
