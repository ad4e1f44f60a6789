"""Names and contents from hell, on a real host: they arrive byte for byte, and no shell ever acts on any of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.model.change import Verdict
from fleet.model.host import Resource
from tests.kinds.describe import host as describe
from tests.kinds.describe import resource
from tests.kinds.root_host import RootHost

pytestmark = pytest.mark.hosts

CANARY = "/tmp/canary"
HELL = [
    f"$(touch {CANARY})", f"`touch {CANARY}`", f"; touch {CANARY};", f"' ; touch {CANARY} ; '", f'" ; touch {CANARY} ; "',
    f"|touch {CANARY}", f"&& touch {CANARY}", "$HOME", "${x}", "'", '"', "\\", "\\n", "%s", "%", "*", "?", "[a]", "~",
    "-rf", "--", "-n", " ", "  ", "!", "#", "é", "日本", "{path}", "{{ x }}", "BEGIN fleet: x", "EOF", "=", ":", "<", ">",
]  # fmt: skip
hell = st.lists(st.sampled_from(HELL), min_size=1, max_size=4).map("".join)
names = hell.map(lambda text: text.replace("/tmp/", "")).filter(lambda text: text not in (".", ".."))
lines = st.lists(hell, max_size=4).map("\n".join)
contents = st.one_of(st.binary(max_size=300), lines.map(str.encode))


@pytest.mark.parametrize("flavour", ["dash", "busybox"])
@given(name=names, content=contents, target=hell, block=lines, command=hell, marker=names)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_nothing_is_interpreted_and_everything_arrives(
    flavour: str,
    host: Callable[[str], RootHost],
    name: str,
    content: bytes,
    target: str,
    block: str,
    command: str,
    marker: str,
) -> None:
    """One pass for six resources: in sync afterwards, which is a digest, a link's target and a block read back."""
    one = host(flavour)
    folder = "/srv/hell"
    wanted: list[Resource] = [
        resource("directory", folder, purge=True),
        resource("file", f"{folder}/{name}", content),
        resource("symlink", f"/srv/hell-link {name}", target=target),
        resource("block", f"/srv/hell-blocks#{marker}", block, create=True),
        resource("cron", "hell", schedule="@daily", command=f"true {command}"),
        resource("command", name, shell=': "$x"\n', environment={"x": command}, creates=f"{folder}/{name}"),
    ]
    spec = describe([r for r in wanted if r.kind != "directory"] + wanted[:1])
    assert one.sh(f"rm -rf '{folder}' /srv/hell-* /etc/cron.d/hell; touch {folder}-x").returncode == 0
    applied = one.apply(spec)
    assert applied.verdict is Verdict.CHANGED, (applied.remaining, {i: o.output for i, o in applied.outcomes.items()})
    assert one.apply(spec).verdict is Verdict.IN_SYNC
    read = one.sh(f"cat {folder}/*; [ ! -e {CANARY} ]; [ ! -e /canary ]")
    assert read.returncode == 0 and read.stdout == content
    undo = [
        resource("symlink", f"/srv/hell-link {name}", ensure="absent"),
        resource("block", f"/srv/hell-blocks#{marker}", ensure="absent"),
        resource("file", f"{folder}/{name}", ensure="absent"),
    ]
    assert one.apply(describe(undo)).verdict is Verdict.CHANGED
    assert one.sh(f"[ -z \"$(ls -A '{folder}')\" ]; [ ! -s /srv/hell-blocks ]").returncode == 0


@given(comment=hell.filter(lambda text: not set(text) & set(":,=") and text.strip() == text))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_users_comment_is_one_word(host: Callable[[str], RootHost], comment: str) -> None:
    one = host("dash")
    assert one.apply(describe([resource("user", "hell", create_home=False, comment=comment)])).verdict in (
        Verdict.CHANGED,
        Verdict.IN_SYNC,
    )
    read = one.sh(f"getent passwd hell; [ ! -e {CANARY} ]")
    assert read.returncode == 0 and read.stdout.decode().split(":")[4] == comment


@pytest.mark.parametrize("flavour", ["dash", "bash", "busybox"])
def test_big_empty_and_binary_files(flavour: str, host: Callable[[str], RootHost]) -> None:
    """5 MB, nothing at all, NUL bytes, bytes that are no UTF-8, no newline at the end: byte for byte, then replaced."""
    one = host(flavour)
    contents = {
        "text": b"0123456789abcde\n" * (5 << 16),
        "empty": b"",
        "nul": bytes(range(256)) * 4,
        "latin": "Größe".encode("latin-1"),
        "newlines": b"\n\n\n",
        "dash": b"-n",
    }
    assert one.sh("rm -rf /srv/big; mkdir -p /srv/big").returncode == 0
    spec = describe([resource("file", f"/srv/big/{name}", content) for name, content in contents.items()])
    assert one.apply(spec).verdict is Verdict.CHANGED
    assert one.apply(spec).verdict is Verdict.IN_SYNC
    sums = one.sh("cd /srv/big; sha256sum dash empty latin newlines nul text").stdout.decode().split()
    assert sums[::2] == [hashlib.sha256(contents[name]).hexdigest() for name in sums[1::2]]
    shorter = describe([resource("file", f"/srv/big/{name}", content[:3] + b"!") for name, content in contents.items()])
    assert one.apply(shorter).verdict is Verdict.CHANGED
