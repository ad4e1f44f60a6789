"""Where secrets come in: a Session whose batches are opened on their way out, and whose answers are masked.

Everything above sees tokens (model/sealed.py). The values are here only: put in place while a batch is sent, compared
with what a host answers, and taken out of what its programs print.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fleet.errors import SecretError
from fleet.masking import Masker
from fleet.model import sealed
from fleet.model.change import Observed, Unreadable, Waiting
from fleet.model.host import Resource
from fleet.model.port import Session
from fleet.model.sealed import Token
from fleet.model.secret import Secret
from fleet.model.step import (
    Batch,
    Check,
    Command,
    Guard,
    Outcome,
    Put,
    Report,
    Request,
    Script,
    Status,
    Step,
    Task,
    Witness,
)  # fmt: skip
from fleet.transports.covering import covered
from fleet.transports.frames import TAIL

_LEFT_OUT = re.compile(rb"\n\[\d+ bytes left out\]\n\Z")
# Equal values give equal tokens, so that hosts with the same plan are told once; nobody else can test a guess.
_KEY = secrets.token_bytes(32)


class Opener:
    """The secrets of one host. values: by token text (`sealed.reference`)."""

    def __init__(self, resources: Sequence[Resource], values: Mapping[str, Secret], masker: Masker) -> None:
        self._resources = {one.id: one for one in resources if one.secrets}
        self._values, self._masker = values, masker
        self._contents = {str(_digest(one)): one for one in self._resources.values() if one.content is not None}
        self._seen: dict[str, bytes] = {}

    def batch(self, batch: Batch) -> Batch:
        """The same with every secret in its place. Only what the compiler made of this host's own resources is opened:
        a host that sends something like a token gets it back as it was."""
        return replace(batch, tasks=tuple(self._task(task) for task in batch.tasks))

    def seal(self, resource: Resource, observed: Observed) -> Observed:
        """What was observed, as it may be kept and shown: what is as it should be becomes the token that says so, what
        else stands where a secret belongs becomes one that says nothing."""
        if not resource.secrets or observed is None or isinstance(observed, Waiting):
            return observed
        if isinstance(observed, Unreadable):
            return Unreadable(self._masker.text(observed.reason))
        wanted = {**(resource.desired or {})}
        if resource.content is not None and "content" in observed:
            wanted["content"] = resource.content.decode(errors="surrogateescape")
        found = dict(observed)
        # Less what surrounds a secret it would be the secret's own size.
        size = found.pop("size", None) if resource.content is not None else None
        if "content" in wanted and size is not None and len(found["content"]) != size:
            del found["content"]  # only its beginning: what is like a whole line may be part of one
        return {name: self._sealed(value, wanted.get(name)) for name, value in found.items()}

    def outcome(self, outcome: Outcome) -> Outcome:
        """What a program printed, without the secrets of this process. Where it was cut, half a secret may stand: that
        goes as well, on both sides."""
        if not outcome.output:
            return outcome
        before, gap, after = _cut(outcome.output) if outcome.truncated else (outcome.output, b"", b"")
        before, after = self._masker.data(before), self._masker.data(after)
        if gap:
            before = before[: max(len(before) - self._masker.longest, 0)]
            after = after[self._masker.longest :]
        elif outcome.truncated:
            before = before[: max(len(before) - self._masker.longest, 0)]
        elif outcome.status is Status.UNKNOWN:  # it may have been in the middle of a word
            before = self._masker.without_half(before)
        return replace(outcome, output=before + gap + (self._masker.without_half(after) if gap else after))

    def _sealed(self, value: object, wanted: object) -> object:
        if not sealed.holds(wanted):
            return value
        if not isinstance(wanted, str) or not isinstance(value, str | bytes):
            same = json.dumps(value, sort_keys=True) == json.dumps(self._plain(wanted), sort_keys=True)
            return wanted if same else self._hidden(json.dumps(value))
        text = value.decode(errors="surrogateescape") if isinstance(value, bytes) else value
        if text.encode(errors="surrogateescape") == self._opened(wanted):
            found = wanted
        elif "\n" in wanted or isinstance(value, bytes):
            found = covered(text, wanted, self._opened, self._hidden)
        else:
            found = self._hidden(text)
        return found.encode(errors="surrogateescape") if isinstance(value, bytes) else found

    def _plain(self, wanted: object) -> object:
        """A value of an API's object, with every secret in its place."""
        if isinstance(wanted, dict):
            return {key: self._plain(inner) for key, inner in wanted.items()}
        if isinstance(wanted, list | tuple):
            return [self._plain(inner) for inner in wanted]
        return self._opened(wanted).decode(errors="surrogateescape") if isinstance(wanted, str) else wanted

    def _hidden(self, text: str) -> str:
        data = text.encode(errors="surrogateescape")
        token = str(Token("seen", hmac.digest(_KEY, data, "sha256").hex()[:16]))
        self._seen[token] = data
        return token

    def _task(self, task: Task) -> Task:
        """A look may hold digests of what should be there; a write, everything of its own resource."""
        if task.id in self._resources or task.id.startswith("look:"):
            return replace(task, steps=tuple(self._step(step) for step in task.steps))
        return task

    def _step(self, step: Step) -> Step:
        match step:
            case Script() | Guard():
                return replace(step, args=tuple(self._text(arg) for arg in step.args))
            case Command():
                return replace(step, stdin=self._opened(step.stdin.decode(errors="surrogateescape")))
            case Check() | Witness():
                return step
            case Request():
                headers = tuple((name, self._text(value)) for name, value in step.headers)
                return replace(step, body=self._opened(step.body.decode(errors="surrogateescape")), headers=headers)
            case Put():
                content = self._opened(step.content.decode(errors="surrogateescape"))
                return replace(step, content=content, seen=self._text(step.seen))

    def _text(self, text: str) -> str:
        """For a word of a script, which cannot hold every byte that a file can."""
        if sealed.OPEN not in text:
            return text
        opened = self._opened(text).decode(errors="surrogateescape")
        if "\0" in opened:
            names = ", ".join(sorted({token.name for token in sealed.every_leaf(text) if token.operation == "secret"}))
            raise SecretError(f"{names}: a secret with a NUL byte can only be the content of a file")
        return opened

    def _opened(self, text: str) -> bytes:
        try:
            return sealed.opened(text, self._value)
        except ValueError:  # looks like a token, and is a host's
            return text.encode(errors="surrogateescape")

    def _value(self, token: Token) -> bytes | None:
        text = str(token)
        if token.operation == "seen":
            return self._seen.get(text)
        if token.operation == "sha256":
            resource = self._contents.get(text)
            if resource is None or resource.content is None:
                return None
            content = self._opened(resource.content.decode(errors="surrogateescape"))
            return hashlib.sha256(content).hexdigest().encode()
        secret = self._values.get(text)
        return None if secret is None else secret.reveal()


def opener_of(values: Mapping[str, Secret]) -> Callable[[str], str]:
    """Puts these secrets into the place of their tokens in a text that a transport itself needs."""

    def value(token: Token) -> bytes | None:
        found = values.get(str(token))
        return None if found is None else found.reveal()

    return lambda text: sealed.opened(text, value).decode(errors="surrogateescape") if sealed.OPEN in text else text


def _cut(output: bytes) -> tuple[bytes, bytes, bytes]:
    """What was kept of the beginning, what says that something is left out, and the end (see `frames`)."""
    gap = _LEFT_OUT.search(output[:-TAIL])
    return (output, b"", b"") if gap is None else (output[: gap.start()], gap[0], output[-TAIL:])


def _digest(resource: Resource) -> str:
    return sealed.sha256(resource.content or b"")


class OpeningSession:
    """A Session that opens what it sends. See model/port.py: Session."""

    def __init__(self, inner: Session, opener: Opener) -> None:
        self._inner, self._opener = inner, opener

    async def perform(self, batch: Batch, report: Report | None = None) -> Mapping[str, Outcome]:
        def masked(outcome: Outcome) -> None:
            if report is not None:
                report(self._opener.outcome(outcome))

        looks = {task.id for task in batch.tasks if task.id.startswith("look:")}
        found = await self._inner.perform(self._opener.batch(batch), masked)
        # What a look answers is read, and sealed, before anybody keeps it.
        return {name: one if name in looks else self._opener.outcome(one) for name, one in found.items()}

    async def halt(self) -> None:
        await self._inner.halt()

    async def aclose(self) -> None:
        await self._inner.aclose()

    @property
    def round_trips(self) -> int:
        return self._inner.round_trips
