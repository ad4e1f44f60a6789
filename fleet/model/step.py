"""What goes to a host and what comes back. Steps are values; only the transport turns them into words on a wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias

from fleet.model.api import Answered


@dataclass(frozen=True, slots=True)
class Script:
    """Constant POSIX sh text of ours; everything that varies is an argument ("$@"), which no shell interprets. timeout:
    seconds it may need on top of what the host is allowed for a batch."""

    text: str
    args: tuple[str, ...] = field(default=(), repr=False)
    timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its words; `shell` holds a user's own shell text instead. timeout in seconds, 0: the batch's."""

    argv: tuple[str, ...] = ()
    shell: str = ""
    stdin: bytes = field(default=b"", repr=False)
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 0


@dataclass(frozen=True, slots=True)
class Put:
    """Replace one regular file atomically: temporary file beside it, digest checked, owner and mode set, validated,
    synced, compared with what was seen, renamed.

    seen: hex sha256 of the content that was observed; "" when nothing stood there. Anything else now: conflict.
    mode: octal without leading zero ("640"); "", owner "", group "": as it was, else 0644 and the login user's.
    validate: words of a command to which "{path}" stands for the temporary file.
    """

    path: str
    content: bytes = field(repr=False)
    seen: str
    owner: str = ""
    group: str = ""
    mode: str = ""
    validate: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pages:
    """How a long answer goes on. by: "link" (the Link header's rel="next", RFC 8288), "cursor" or "number".

    parameter: of the query, that takes the cursor or the number. at: JSONPath of the next cursor in an answer; of the
    items, by number: a page without any was one too many. first: the number of the first page.
    """

    by: Literal["link", "cursor", "number"]
    parameter: str = ""
    at: str = ""
    first: int = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What an API goes on to do after its answer. at: where to ask how far it is: "location" (the header), a path, or
    JSONPath of a path in the answer. field: JSONPath of the state there, and the states that mean done or failed; "":
    the status says it, 202 while it goes on. within: seconds it may take; every: seconds between two questions."""

    at: str = "location"
    field: str = ""
    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    within: float = 300.0
    every: float = 2.0


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. api: whose, as `apis:` of the environment names it; "": the host's own. path: below the API's
    URL, with its query. route: the same for traces, without values.

    accept: statuses beside 2xx that are answers (404: it is not there). key: the API honours Idempotency-Key, which
    makes a POST safe to repeat; repeatable: it is so by itself, whatever its method. raw: the answer is
    taken as text. pages, job: see there.
    """

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    route: str = ""
    accept: tuple[int, ...] = ()
    key: bool = False
    repeatable: bool = False
    api: str = ""
    pages: Pages | None = None
    job: Job | None = None
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Compare and swap for an API: asked once more before a task's first change. agrees: "" while what was observed
    holds, else why not: conflict. done: whether it is as it should become: what an answer says that came after a POST
    whose own answer was lost.

    within: seconds for what should become so to become so; then it is failed, and no conflict.
    """

    request: Request
    agrees: Callable[[Answered], str]
    within: float = 0.0
    done: Callable[[Answered], bool] = lambda answer: False


@dataclass(frozen=True, slots=True)
class Guard:
    """Compare and swap for all else: constant sh text that exits 0 while what was observed holds. Else: conflict."""

    text: str
    args: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Witness:
    """Which files these are: `ctime device inode size mtime uid gid mode path`, times in seconds, mode in hex, a line
    each, and nothing for what is not there. The first line is CLOCK, with the host's clock as its ctime.

    contents: files of the kernel, whose identity says nothing: their lines, each after "path:".
    """

    CLOCK: ClassVar[str] = "/proc/self/"

    paths: tuple[str, ...]
    contents: tuple[str, ...] = ()


Step: TypeAlias = Script | Command | Put | Guard | Witness | Request | Check


@dataclass(frozen=True, slots=True)
class Task:
    """One entry of a batch: the steps of one change, or the one Script of a probe. The first step that fails ends it.

    id: resource id, or the name of a probe ("look:paths"). needs: tasks of this batch that must be ok, else skipped.
    due: ids whose reload/restart falls due when this task changes something, written down before its first step:
         "RESOURCE_ID ACTION" pairs. clears: the resource id whose due mark is struck out when the task is ok.
    when_due: run only while the due mark of this resource id stands on the host ("": always).
    """

    id: str
    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()
    due: tuple[tuple[str, str], ...] = ()
    clears: str = ""
    when_due: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """Who writes: the host refuses another environment and an older token (both checked before the first step).

    token only grows: max(milliseconds since 1970, the host's last + 1). attempt: unique, names the host's journal.
    keeps: False for a person's own command: the environment is checked and the lock is taken, and nothing is written
    down on the host, which may be too full for that, or read-only, and need the command for that very reason.
    """

    environment: str
    token: int = 0
    attempt: str = ""
    keeps: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """One script, one round trip. `write` is None when it only looks. deadline: seconds, kept on both sides."""

    tasks: tuple[Task, ...]
    write: Write | None = None
    deadline: float = 60.0


class Status(StrEnum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"  # something it needs failed
    HALTED = "halted"  # not begun, since the batch was halted before it
    CONFLICT = "conflict"  # the host is no longer as it was observed, or refuses this writer
    UNKNOWN = "unknown"  # the connection was lost: nobody knows


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task. output: bytes as the host sent them (capped), never trusted, never rendered. answers: of
    an API, one for each request of a look, in order.

    step: index of the step that failed. seconds: on the host where it can be had, else as seen from here.
    """

    id: str
    status: Status
    code: int | None = None
    output: bytes = field(default=b"", repr=False)
    step: int = -1
    seconds: float = 0.0
    truncated: bool = False
    answers: tuple[Answered, ...] = field(default=(), repr=False)


Report: TypeAlias = Callable[[Outcome], None]
