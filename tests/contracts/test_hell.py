"""Names and contents from hell on real hosts: they arrive byte for byte, and no shell ever acts on any of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fleet.model.change import Verdict
from fleet.model.host import Resource
from fleet.model.step import Status
from tests.contracts.play import Host, host
from tests.contracts.rooms import FLAVOURS, why_not
from tests.describe import host as describe
from tests.describe import resource

WHY_NOT = why_not()
pytestmark = [pytest.mark.hosts, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

# Whoever acts on one of these makes a file called canary, wherever it stands.
ACTS = ["$(touch canary)", "`touch canary`", "; touch canary;", "|touch canary", "&& touch canary"]
ACTS += [f"{quote} ; touch canary ; {quote}" for quote in ("'", '"', "\\'", '\\"')]
SIGNS = [
    "$HOME",
    "${x}",
    "{path}",
    "{{ x }}",
    "BEGIN fleet: x",
    "EOF",
    "-rf",
    "--",
    "-n",
    "\\n",
    "\\0",
    "%s",
    "[a]",
    "é",
    "日本",
]
HELL = [*ACTS, *SIGNS, *"'\"\\%*?~ !#=:<>|@"]
hell = st.lists(st.sampled_from(HELL), min_size=1, max_size=4).map("".join)
lines = st.lists(hell, max_size=4).map("\n".join)
contents = st.one_of(st.binary(max_size=300), lines.map(str.encode))
FOLDER = "/srv/hell"
# Each example is two passes over a real host: what fails is shown as it is, not searched for its smallest form.
NO_SHRINKING = (Phase.explicit, Phase.generate)

Run = Callable[[str], tuple[Host, asyncio.Runner]]


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Flavour → its host, started when it is first asked for, and the loop it lives in."""
    directory = tmp_path_factory.mktemp("hell")
    started: dict[str, Host] = {}
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:

        def get(flavour: str) -> tuple[Host, asyncio.Runner]:
            if flavour not in started:
                started[flavour] = runner.run(stack.enter_async_context(host(flavour, directory / flavour)))
            return started[flavour], runner

        yield get
        runner.run(stack.aclose())


async def shell(one: Host, text: str) -> bytes:
    outcome = await one.shell(f"set -e\n{text}")
    assert outcome.status is Status.OK, outcome.output
    return outcome.output


@pytest.mark.parametrize("flavour", FLAVOURS)
@given(content=contents, block=lines, words=st.tuples(hell, hell, hell, hell))
@settings(max_examples=15, phases=NO_SHRINKING)
def test_nothing_is_interpreted_and_everything_arrives(
    flavour: str, rooms: Run, content: bytes, block: str, words: tuple[str, str, str, str]
) -> None:
    """Six kinds in one pass; that the second finds nothing is a digest, a link's target and a block read back."""
    name, target, word, marker = words
    path = f"{FOLDER}/{name}"
    wanted = [
        resource("directory", FOLDER),
        resource("file", path, content),
        resource("symlink", f"/srv/link {name}", target=target),
        resource("block", f"/srv/blocks#{marker}", block.encode(), create=True),
        resource("cron", "hell", schedule="@daily", command=f"true {word}"),
        resource("command", name, argv=["printf", "%s", word], environment={"x": word}, creates=path),
    ]
    one, runner = rooms(flavour)
    runner.run(_arrives(one, wanted, content))


async def _arrives(one: Host, wanted: list[Resource], content: bytes) -> None:
    await shell(one, "rm -rf /srv/* /etc/cron.d/hell")
    applied = await one.apply(describe(wanted))
    assert applied.verdict is Verdict.CHANGED, (applied.remaining, [o.output for o in applied.outcomes.values()])
    again = await one.apply(describe(wanted))
    assert again.verdict is Verdict.IN_SYNC, again.remaining
    assert hashlib.sha256(content).hexdigest().encode() in await shell(one, f"cat '{FOLDER}'/* | sha256sum")
    gone = [
        resource(r.kind, r.name, ensure="absent") for r in reversed(wanted) if r.kind in ("file", "symlink", "block")
    ]
    assert (await one.apply(describe(gone))).verdict is Verdict.CHANGED
    assert await shell(one, f"ls -A '{FOLDER}'; ls -d /srv/*; cat /srv/blocks") == b"/srv/blocks\n/srv/hell\n"
    assert await shell(one, f"ls -d /canary */canary /srv/*/canary '{FOLDER}/canary' 2>/dev/null || :") == b""


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_big_empty_and_binary_files(flavour: str, rooms: Run) -> None:
    """5 MB, nothing at all, NUL bytes, bytes that are no UTF-8, no newline at the end: byte for byte, then replaced."""
    contents = {
        "text": b"0123456789abcde\n" * (5 << 16),
        "empty": b"",
        "nul": bytes(range(256)) * 4,
        "latin": "Größe".encode("latin-1"),
        "newlines": b"\n\n\n",
        "dash": b"-n",
    }
    one, runner = rooms(flavour)
    runner.run(_replaced(one, contents))


async def _replaced(one: Host, contents: dict[str, bytes]) -> None:
    await shell(one, "rm -rf /srv/big; mkdir /srv/big")
    for wanted in (contents, {name: content[:3] + b"!\0" for name, content in contents.items()}):
        spec = describe([resource("file", f"/srv/big/{name}", content) for name, content in wanted.items()])
        assert (await one.apply(spec)).verdict is Verdict.CHANGED
        assert (await one.apply(spec)).verdict is Verdict.IN_SYNC
        sums = (await shell(one, "cd /srv/big; sha256sum dash empty latin newlines nul text")).decode().split()
        assert sums[::2] == [hashlib.sha256(wanted[name]).hexdigest() for name in sums[1::2]]


@given(comment=hell.filter(lambda text: not set(text) & set(":,=")))
@settings(max_examples=10, phases=NO_SHRINKING)
def test_a_users_comment_is_one_word(rooms: Run, comment: str) -> None:
    one, runner = rooms("dash")
    spec = describe([resource("user", "hell", create_home=False, comment=comment)])
    assert runner.run(one.apply(spec)).verdict in (Verdict.CHANGED, Verdict.IN_SYNC)
    read = runner.run(shell(one, "getent passwd hell; ! [ -e /canary ]; ! [ -e /root/canary ]"))
    assert read.decode().split(":")[4] == comment
