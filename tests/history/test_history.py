"""What is written is what is read, every change joins to its run, pass, plan and trace, and secrets are nowhere."""

import asyncio
import contextlib
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Failure, HistoryError, TransportError
from fleet.history import History
from fleet.history.encoding import CONTENT_LIMIT, Contents, decode, encode
from fleet.history.writer import Limits
from fleet.model.change import Change, PassResult, Verdict
from fleet.model.host import Resource
from tests.history.samples import LATER, MOTD, SECRET, plan, result

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_every_change_joins_to_its_run_pass_plan_and_trace(tmp_path: Path) -> None:
    """One apply on one host, read back as the commands do."""

    async def scenario() -> None:
        async with await History.open(tmp_path / "history.db") as history:
            run = await history.start_run("apply", "dev", "abc", TRACE)
            await history.intend(run, plan("web-1"), "attempt-1")
            assert {c.status for c in await history.changes(run)} == {"running"}
            await history.record(run, result("web-1"), TRACE)
            await history.finish_run(run, ["changed"])

            one = await history.run(run)
            assert one is not None and one.finished is not None and not one.interrupted
            assert (one.revision, one.trace_id, one.verdicts) == ("abc", TRACE, {"changed": 1}) and "@" in one.who
            (there,) = await history.passes(run=run)
            assert there == await history.last_pass("dev", "web-1") == (await history.last_passes())["dev", "web-1"]
            assert there.seconds == {"observe": 0.25, "apply": 0.75} and there.round_trips == 2
            assert there.ended - there.began == pytest.approx(1.0)
            assert there.found[0] == (MOTD.id, "update", ("mode",))
            assert there.remaining == {SECRET.id: "differs in mode"}

            changes = {c.resource: c for c in await history.changes(run, "dev", "web-1")}
            motd, later = changes[MOTD.id], changes[LATER.id]
            assert motd.before == {"mode": "600", "content": b"old\n\xfe"}
            assert motd.after == {"mode": "644", "sha256": "11", "content": MOTD.content}
            assert (motd.revision, motd.trace_id, motd.attempt) == ("abc", TRACE, "attempt-1")
            assert (motd.status, motd.code, motd.seconds, motd.role) == ("ok", 0, 0.5, "common")
            assert motd.origin == "environments/base/roles/common.yaml:4:5"
            assert motd.output_size == 100_000 and len(motd.output) < 20_000
            assert motd.output.startswith(b"xxx") and b"bytes left out" in motd.output
            assert later.status == "skipped" and later.intended is None
            assert {c.plan_digest for c in changes.values()} == {there.plan_digest}

    asyncio.run(scenario())


def test_a_secret_leaves_only_a_keyed_digest(tmp_path: Path) -> None:
    """Neither content, nor output, nor a digest that a guess could be tested against; in no file of the database."""

    async def scenario() -> None:
        async with await History.open(tmp_path / "history.db") as history:
            run = await history.start_run("apply", "dev", "abc", TRACE)
            await history.intend(run, plan("web-1"), "a")
            await history.record(run, result("web-1"), TRACE)
            await history.settle("dev", "web-1", {SECRET.id: "digest-of-hunter2"})
            await history.flush()
            (change,) = await history.changes(resource=SECRET.id)
            assert change.before.keys() == change.after.keys() == {"$sensitive"}
            assert change.before != change.after and change.plan_digest.startswith("keyed:")
            assert change.output == b"[not kept: sensitive]"
            assert b"hunter" not in all_bytes(tmp_path)

    asyncio.run(scenario())


def all_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Directory 0700; database, journals, locks and key 0600, also where they were wider before."""
    path = tmp_path / "state/fleet/history.db"
    path.parent.mkdir(mode=0o700, parents=True)
    path.touch(0o644)

    async def scenario() -> None:
        async with await History.open(path) as history:
            await history.start_run("plan", "", "", "")
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
            assert {"history.db", "history.db-wal", "history.lock", "history.key"} <= modes.keys()
            assert set(modes.values()) == {0o600}

    asyncio.run(scenario())

    async def fresh() -> None:
        async with await History.open(tmp_path / "new/history.db"):
            assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700

    asyncio.run(fresh())


def test_commits_are_far_fewer_than_rows(tmp_path: Path) -> None:
    """Two hundred hosts that intend at the same moment share a few syncs; their results share one."""

    async def scenario() -> None:
        async with await History.open(tmp_path / "history.db", Limits(items=1000, seconds=30)) as history:
            run = await history.start_run("apply", "dev", "abc", TRACE)
            await asyncio.gather(*(history.intend(run, plan(f"web-{n}"), f"a{n}") for n in range(200)))
            assert history.commits <= 1 + 3
            before = history.commits
            for n in range(200):
                await history.record(run, result(f"web-{n}"), TRACE)
            await asyncio.sleep(0)
            assert history.commits == before
            await history.flush()
            assert history.commits == before + 1
            assert len(await history.passes(limit=500)) == 200
            assert len(await history.changes(limit=5000)) == 600

    asyncio.run(scenario())


def test_a_batch_is_written_when_it_is_full_or_old(tmp_path: Path) -> None:
    """Nothing waits for somebody to ask: another process sees it."""

    async def scenario() -> None:
        path = tmp_path / "history.db"
        async with (
            await History.open(path, Limits(items=5, seconds=30)) as full,
            await History.open(path, Limits(items=1000, seconds=0.01)) as old,
            await History.open(path) as other,
        ):
            for writer, host, count in ((full, "full", 5), (old, "old", 1)):
                for _ in range(count):
                    await writer.record(1, result(host), TRACE)
                async with asyncio.timeout(5):
                    while len(await other.passes(host=host)) < count:
                        pass  # each read is a wait of its own

    asyncio.run(scenario())


def test_facts_and_settled_digests_are_remembered(tmp_path: Path) -> None:
    """The last word counts; a digest that Git has moved on from is not settled."""

    async def scenario() -> None:
        path = tmp_path / "history.db"
        async with await History.open(path) as history:
            assert await history.load_facts("dev", "web-1") is None
            await history.save_facts("dev", "web-1", {"os": {"id": "debian"}, "cpus": 2})
            await history.save_facts("dev", "web-1", {"os": {"id": "ubuntu"}, "cpus": 4})
            await history.settle("dev", "web-1", {"file:/a": "1", "file:/b": "1"})
            await history.settle("dev", "web-1", {"file:/a": "1", "file:/b": "2"})
        async with await History.open(path) as history:
            assert await history.load_facts("dev", "web-1") == {"os": {"id": "ubuntu"}, "cpus": 4}
            assert (await history.all_facts()).keys() == {("dev", "web-1")}
            wanted = {("dev", "web-1"): {"file:/a": "1", "file:/b": "3", "file:/c": "1"}, ("dev", "web-2"): {"x": "1"}}
            assert await history.settled(wanted) == {("dev", "web-1"): {"file:/a": "1"}}

    asyncio.run(scenario())


def test_a_host_that_could_not_be_reached_is_recorded_with_the_reason(tmp_path: Path) -> None:
    """Words of a host in an error may be no valid text; they are kept, escaped."""

    async def scenario() -> None:
        async with await History.open(tmp_path / "history.db") as history:
            error = TransportError(Failure.BANNER, "it said \udcff")
            await history.record(1, PassResult("web-1", "dev", Verdict.UNREACHABLE, error=error), TRACE)
            found = await history.last_pass("dev", "web-1")
            assert found is not None
            assert (found.verdict, found.error, found.plan_digest) == ("unreachable", "banner: it said \\udcff", "")

    asyncio.run(scenario())


def test_a_closed_record_refuses_intents(tmp_path: Path) -> None:
    """Instead of waiting forever."""

    async def scenario() -> None:
        history = await History.open(tmp_path / "history.db")
        await history.aclose()
        with pytest.raises(HistoryError, match="closed"):
            await history.intend(1, plan("web-1"), "a")

    asyncio.run(scenario())


def test_what_the_database_cannot_hold_stops_everything(tmp_path: Path) -> None:
    """A mistake of ours in one record: no later intent is acknowledged, nobody waits forever, and the end tells it."""

    async def scenario() -> None:
        with pytest.raises(HistoryError, match="cannot be written: OverflowError"):
            async with await History.open(tmp_path / "history.db") as history:
                await history.record(2**70, result("web-1"), TRACE)
                for _ in range(2):
                    with pytest.raises(HistoryError, match="OverflowError"):
                        await history.intend(1, plan("web-1"), "a")

    asyncio.run(scenario())


def test_a_large_content_keeps_its_size_and_its_first_part(tmp_path: Path) -> None:
    """5 MB per file and host would fill the disk; the digest still says which content it was."""
    big = Resource("file:/big", "file", "/big", None, {"mode": "644"}, content=b"0123456789" * 500_000)

    async def scenario() -> None:
        async with await History.open(tmp_path / "history.db") as history:
            await history.intend(1, plan("web-1", (Change(big, None, big.desired),)), "a")
            (change,) = await history.changes()
            content = await history.content(change.after["content"]["$content"])
            assert content is not None and not content.complete
            assert (content.size, len(content.data)) == (5_000_000, CONTENT_LIMIT)

    asyncio.run(scenario())
    assert (tmp_path / "history.db").stat().st_size < 500_000


def test_ten_thousand_changes_are_read_by_host_quickly(tmp_path: Path) -> None:
    """The indexes are used: one host's changes do not cost a scan of all."""

    async def scenario() -> None:
        async with await History.open(tmp_path / "history.db") as history:
            await asyncio.gather(*(history.intend(n, plan(f"web-{n}"), "a") for n in range(4000)))
            for n in range(4000):
                await history.record(n, result(f"web-{n}"), TRACE)
            await history.flush()
            began = time.perf_counter()
            for n in range(20):
                assert len(await history.changes(environment="dev", host=f"web-{n}")) == 3
            assert (time.perf_counter() - began) / 20 < 0.02

    asyncio.run(scenario())


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary() | st.text()
    | st.text(alphabet=st.characters(), min_size=1000, max_size=1100),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["a", "$content", "$$text"]) | st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(plain)
def test_what_is_encoded_is_read_back_exactly(value: Any) -> None:
    """Bytes of any kind, long text, lone surrogates, and keys that look like our own marks."""
    contents: Contents = {}
    text = encode(value, contents)
    assert text.isascii()
    assert decode(text, lambda digest: contents[digest][1]) == value


@given(st.binary(max_size=2000), st.binary(max_size=2000))
def test_content_of_hosts_comes_back_exactly_from_a_real_file(before: bytes, after: bytes) -> None:
    """Whatever a host's file holds."""
    resource = Resource("file:/x", "file", "/x", None, {"mode": "644"}, content=after)

    async def scenario(directory: str) -> None:
        async with await History.open(Path(directory) / "history.db") as history:
            await history.intend(1, plan("h", (Change(resource, {"content": before}, resource.desired),)), "a")
            (change,) = await history.changes()
            assert (change.before["content"], change.after["content"]) == (before, after)

    with contextlib.ExitStack() as stack:
        asyncio.run(scenario(stack.enter_context(tempfile.TemporaryDirectory())))
