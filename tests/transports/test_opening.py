"""Secrets at the border: in their place on the way out, covered on the way in, and a host's own words never opened."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.kinds.file import FileSpec, state
from fleet.masking import Masker
from fleet.model import sealed
from fleet.model.change import Observed
from fleet.model.host import Resource
from fleet.model.secret import Secret
from fleet.model.step import Batch, Command, Outcome, Put, Report, Script, Status, Step, Task
from fleet.transports.covering import covered
from fleet.transports.frames import Reader
from fleet.transports.opening import Opener, OpeningSession

TOKEN = sealed.reference("password", "0123")
OTHER = sealed.reference("root-password", "4567")  # of another host
VALUE = b"hunter2secret"


def resource(content: str) -> Resource:
    spec = FileSpec(content=content)
    desired = state("/etc/app", spec, content.encode())
    return Resource("file:/etc/app", "file", "/etc/app", spec, desired, content.encode(), secrets=(TOKEN,))


def opener(*resources: Resource) -> Opener:
    masker = Masker()
    secret = Secret("password", VALUE)
    masker.add([secret])
    return Opener(resources, {TOKEN: secret}, masker)


def seen(text: str, **more: Any) -> Observed:
    data = text.encode()
    known = {"type": "file", "sha256": hashlib.sha256(data).hexdigest(), "content": data, "size": len(data)}
    return {**known, **more}


def one_task(name: str, *steps: Any) -> Batch:
    return Batch((Task(name, steps),))


def test_contents_input_and_digests_are_opened() -> None:
    one = resource(f"password={TOKEN}\n")
    assert one.desired is not None
    made = opener(one)
    put = Put("/etc/app", one.content or b"", one.desired["sha256"])
    command = Command(("cat",), stdin=f"<{TOKEN}>".encode())
    steps = made.batch(one_task(one.id, put, command)).tasks[0].steps
    whole = b"password=" + VALUE + b"\n"
    assert steps[0] == Put("/etc/app", whole, hashlib.sha256(whole).hexdigest())
    assert fed(steps[1]) == b"<" + VALUE + b">"
    look = made.batch(one_task("look:0", Script("", (f"c {one.desired['sha256']} /etc/app",))))
    assert args(look) == (f"c {hashlib.sha256(whole).hexdigest()} /etc/app",)


def test_what_a_host_says_is_never_opened() -> None:
    """A host that has the token of a secret in a file, of its own or of another host, gets that text back."""
    one, plain = resource(f"a={TOKEN}"), "file:/etc/plain"
    made = opener(one)
    for text in (TOKEN, OTHER, f"{TOKEN}{sealed.OPEN}"):
        step = Script("", (text,))
        assert made.batch(one_task(plain, step)).tasks[0].steps == (step,)
    assert args(made.batch(one_task(one.id, Script("", (OTHER,))))) == (OTHER,)
    assert args(made.batch(one_task(one.id, Script("", (sealed.OPEN,))))) == (sealed.OPEN,)


def test_what_is_as_it_should_be_is_known_by_its_token() -> None:
    one = resource(f"user=app\npassword={TOKEN}\n")
    found = opener(one).seal(one, seen("user=app\npassword=hunter2secret\n"))
    assert isinstance(found, Mapping) and one.desired is not None
    assert found["sha256"] == one.desired["sha256"] and found["content"] == one.content


def test_how_long_it_is_is_not_kept() -> None:
    """The size of a file less what surrounds the secret is the size of the secret."""
    one = resource(f"password={TOKEN}\n")
    found = opener(one).seal(one, seen("password=hunter2secret\n"))
    assert isinstance(found, Mapping) and "size" not in found
    known = seen("password=hunter2secret\n", mode="644")
    assert isinstance(known, dict)
    del known["content"]  # it is as it should be, so that only its digest came
    found = opener(one).seal(one, known)
    assert isinstance(found, Mapping) and "size" not in found


def test_what_is_not_shows_no_more_than_the_new_text_does() -> None:
    one = resource(f"user=app\npassword={TOKEN}\nport=1\n")
    made = opener(one)
    found = made.seal(one, seen("user=app\npassword=theoldone\nport=2\n# theoldone again\n"))
    assert isinstance(found, Mapping)
    shown = sealed.shown(found["content"].decode())
    assert shown == "user=app\npassword=(not shown)\n(not shown)\n"
    assert "theoldone" not in repr(found)
    # A compare and swap still compares every byte.
    back = args(made.batch(one_task(one.id, Script("", (found["content"].decode(), found["sha256"])))))
    assert back[0] == "user=app\npassword=theoldone\nport=2\n# theoldone again\n"
    assert back[1] == hashlib.sha256(back[0].encode()).hexdigest()


def test_the_beginning_of_a_long_file_is_not_kept() -> None:
    one = resource(f"password={TOKEN}\n")
    found = opener(one).seal(one, seen("password=theoldone\n", size=100_000))
    assert isinstance(found, Mapping) and "content" not in found


lines = st.text(st.sampled_from("ab =\n"), max_size=30)


@given(lines, lines, lines)
def test_covering_loses_nothing_and_shows_only_what_the_new_text_says(old: str, before: str, after: str) -> None:
    hidden: dict[str, bytes] = {}

    def hide(text: str) -> str:
        token = str(sealed.Token("seen", str(len(hidden))))
        hidden[token] = text.encode()
        return token

    new = f"{before}{TOKEN}{after}"
    found = covered(old, new, lambda text: sealed.opened(text, lambda token: VALUE), hide)
    known = {TOKEN: VALUE, **hidden}
    assert sealed.opened(found, lambda token: known.get(str(token))) == old.encode()
    said = sealed.shown(new).split("\n")
    for line in sealed.shown(found).split("\n"):
        around = line.split("(not shown)")
        assert line in said or not line.strip() or all(any(part in one for one in said) for part in around)


def fed(step: Step) -> bytes:
    assert isinstance(step, Command)
    return step.stdin


def args(batch: Batch) -> tuple[str, ...]:
    step = batch.tasks[0].steps[0]
    assert isinstance(step, Script)
    return step.args


class Echo:
    """A host that says what it was told."""

    round_trips = 0

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        found = {t.id: Outcome(t.id, Status.OK, output=b"you said " + fed(t.steps[0])) for t in batch.tasks}
        for one in found.values():
            if report is not None:
                report(one)
        return found

    async def halt(self) -> None: ...

    async def aclose(self) -> None: ...


def test_half_a_secret_at_the_end_of_what_was_cut_goes_too() -> None:
    cut = Outcome("x", Status.OK, output=b"a" * 500 + VALUE[:8], truncated=True)
    assert opener(resource(TOKEN)).outcome(cut).output.strip(b"a") == b""


def heard(output: bytes, limit: int, end: bool = True) -> Outcome:
    """As a session hears it: a task's output, of which no more than the limit is kept."""
    reader = Reader("m", limit)
    reader.expect((Task("x", ()),), None)
    reader.feed(b"m B 0\n" + output)
    if end:
        reader.feed(b"\nm E 0 failed 1 0\n")
    else:
        reader.unfinished()
    return reader.outcomes["x"]


@given(st.integers(0, 60), st.integers(0, 60))
def test_half_a_secret_on_either_side_of_what_was_left_out_goes_too(shift: int, more: int) -> None:
    """Only the beginning and the end are kept of much output, and the end is what people need."""
    output = b"." * shift + b"-".join([VALUE] * 1000) + b"." * more + b"\nthe reason is this"
    found = opener(resource(TOKEN)).outcome(heard(output, 4000))
    assert b"bytes left out" in found.output and found.output.endswith(b"the reason is this")
    rest = found.output.replace(b"(secret password)", b"")
    for size in range(4, len(VALUE)):
        assert VALUE[:size] not in rest
    assert b"2secret" not in rest  # shorter ends of it stand in what takes its place, too


def test_half_a_secret_where_the_connection_was_lost_goes_too() -> None:
    one = opener(resource(TOKEN))
    assert one.outcome(heard(b"it says: " + VALUE[:9], 500, end=False)).output == b"it says: "
    assert one.outcome(heard(b"it says: " + VALUE, 500, end=False)).output == b"it says: (secret password)"
    assert one.outcome(heard(b"it says nothing", 500, end=False)).output == b"it says nothing"


def test_what_a_program_prints_is_masked_before_anybody_hears_it() -> None:
    one = resource(TOKEN)
    told: list[Outcome] = []
    session = OpeningSession(Echo(), opener(one))
    found = asyncio.run(session.perform(one_task(one.id, Command(("cat",), stdin=TOKEN.encode())), told.append))
    for outcome in (*found.values(), *told):
        assert VALUE not in outcome.output and b"(secret password)" in outcome.output
