"""What a host says is cut into frames however the network cuts it, in bounded memory, and nothing in it is believed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.step import Outcome, Status, Task
from fleet.transports.frames import LONGEST_FRAME, PATIENCE, TAIL, Reader

MARKER = "0123456789abcdef" * 2


def frame(words: str) -> bytes:
    return f"\n{MARKER} {words}\n".encode()


def tasks(count: int) -> tuple[Task, ...]:
    return tuple(Task(f"t{number}", ()) for number in range(count))


def read(pieces: list[bytes], count: int, limit: int = 10_000) -> Reader:
    reader = Reader(MARKER, limit, clock=itertools.count().__next__)
    reader.expect(tasks(count), None)
    for piece in pieces:
        reader.feed(piece)
    return reader


def stream(outputs: list[bytes], noise: bytes = b"") -> bytes:
    parts = [noise, frame("H 4711 4711")]
    for number, output in enumerate(outputs):
        parts += [frame(f"B {number}"), output, frame(f"E {number} ok 0 -1")]
    return b"".join([*parts, frame("Z")])


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in itertools.pairwise([0, *places, len(data)])]


# Outputs that look like the protocol: whole and half markers, newlines at both ends.
OUTPUT = st.lists(
    st.one_of(
        st.binary(max_size=30), st.sampled_from([b"\n", MARKER.encode()[:20], b"\n" + MARKER.encode()[:31], b" "])
    ),
    max_size=5,
).map(b"".join)


@given(st.lists(OUTPUT, max_size=5), st.binary(max_size=50), st.lists(st.integers(0, 10_000), max_size=30))
def test_outputs_are_found_however_they_are_cut(outputs: list[bytes], noise: bytes, cuts: list[int]) -> None:
    reader = read(pieces(stream(outputs, noise), cuts), len(outputs))
    assert reader.done and reader.pid == 4711
    assert [o.output for o in reader.outcomes.values()] == outputs
    assert all(o.status is Status.OK and not o.truncated for o in reader.outcomes.values())


def test_outputs_are_found_byte_by_byte() -> None:
    data = stream([b"one\n", b"", b"\n\n", b"two"])
    reader = read([data[i : i + 1] for i in range(len(data))], 4)
    assert [o.output for o in reader.outcomes.values()] == [b"one\n", b"", b"\n\n", b"two"]


@given(st.integers(0, 10_000))
def test_M1_what_is_cut_anywhere_is_never_ok_beyond_the_cut(place: int) -> None:
    """A task is ok only when its own last frame came whole."""
    data = stream([b"first", b"second", b"third"])
    cut = data[: place % len(data)]
    reader = read([cut], 3)
    assert not reader.done
    reader.unfinished()
    for number, outcome in enumerate(reader.outcomes.values()):
        came = frame(f"E {number} ok 0 -1") in cut
        assert outcome.status is (Status.OK if came else Status.UNKNOWN)
    assert set(reader.outcomes) == {"t0", "t1", "t2"}


def test_outcomes_are_reported_as_they_come() -> None:
    heard: list[Outcome] = []
    reader = Reader(MARKER, 1000)
    reader.expect(tasks(2), heard.append)
    reader.feed(frame("B 0") + b"x" + frame("E 0 failed 3 1"))
    assert [(o.id, o.status, o.code, o.step) for o in heard] == [("t0", Status.FAILED, 3, 1)]


def test_the_beginning_and_the_end_of_long_output_are_kept() -> None:
    long = b"".join(b"%07d\n" % number for number in range(3000))
    (outcome,) = read([stream([long])], 1, limit=8000).outcomes.values()
    assert outcome.status is Status.OK and outcome.truncated
    assert outcome.output.startswith(long[:8000]) and outcome.output.endswith(long[-TAIL:])
    assert b"bytes left out" in outcome.output


def test_M6_output_without_end_is_bounded_and_noticed() -> None:
    reader = read([frame("H 1 1"), frame("B 0")], 1, limit=10_000)
    for _ in range(1000):
        reader.feed(b"y\n" * 500)
    assert reader.overflow and not reader.done
    reader.unfinished()
    (outcome,) = reader.outcomes.values()
    assert outcome.status is Status.UNKNOWN and outcome.truncated
    assert len(outcome.output) < 10_000 + TAIL + 100 <= 10_000 * PATIENCE


def test_a_frame_without_end_is_output() -> None:
    fake = frame("B 0")[:-1] + b"x" * (LONGEST_FRAME * 2)
    reader = read([frame("B 0"), fake, frame("E 0 ok 0 -1"), frame("Z")], 1)
    assert reader.done and reader.outcomes["t0"].output == fake


@pytest.mark.parametrize("words", ["E 0 ok 0", "E 7 ok 0 -1", "B 99", "B -1", "H x y", "Z Z", "", "\xff"])
def test_frames_that_cannot_be_are_ignored(words: str) -> None:
    data = frame("H 1 1") + frame("B 0") + f"\n{MARKER} {words}\n".encode("latin-1") + frame("E 0 ok 0 -1") + frame("Z")
    assert read([data], 1).outcomes["t0"].status is Status.OK


def test_an_end_that_names_no_status_is_unknown() -> None:
    assert read([frame("B 0") + frame("E 0 splendid 0 -1") + frame("Z")], 1).outcomes["t0"].status is Status.UNKNOWN


def test_a_batch_that_ends_without_a_task_leaves_it_unknown() -> None:
    reader = read([frame("B 0") + frame("E 0 ok 0 -1") + frame("Z")], 2)
    assert reader.done and reader.outcomes["t1"].status is Status.UNKNOWN
