"""Model values for tests of what people see: resources, changes, plans and results with little typing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.errors import Failure, FleetError, TransportError
from fleet.model.change import Change, PassResult, Plan, Unreadable, Verdict
from fleet.model.host import Resource
from fleet.model.step import Outcome


def file_change(
    path: str = "/etc/motd",
    old: bytes | None = b"one\n",
    new: bytes | None = b"two\n",
    sensitive: bool = False,
    **attributes: tuple[Any, Any],
) -> Change:
    """A change of a file: old or new None for absent; attributes: name=(before, after)."""
    after = None if new is None else {"sha256": _sha(new), **{k: v[1] for k, v in attributes.items()}}
    before = None
    if old is not None:
        before = {"sha256": _sha(old), "content": old, "size": len(old), **{k: v[0] for k, v in attributes.items()}}
    differing = () if after is None or before is None else tuple(sorted(k for k in after if after[k] != before.get(k)))
    resource = Resource(f"file:{path}", "file", path, None, after, content=new, sensitive=sensitive)
    return Change(resource, before, after, differing)


def change(
    resource_id: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    due: str = "",
    watches: Mapping[str, tuple[str, ...]] | None = None,
) -> Change:
    """A change of any kind."""
    kind, _, name = resource_id.partition(":")
    differing: tuple[str, ...] = ()
    if before is not None and after is not None:
        differing = tuple(sorted(k for k in after if after[k] != before.get(k)))
    return Change(Resource(resource_id, kind, name, None, after, watches=watches or {}), before, after, differing, due)


def result(
    host: str,
    verdict: Verdict,
    changes: Sequence[Change] = (),
    outcomes: Sequence[Outcome] = (),
    *,
    environment: str = "dev",
    error: FleetError | None = None,
    unreadable: Mapping[str, str] | None = None,
    remaining: Mapping[str, str] | None = None,
) -> PassResult:
    """One host of a run; the same changes make the same digest."""
    said = repr([(c.resource.id, c.before, c.after) for c in changes])
    found = {name: Unreadable(why) for name, why in (unreadable or {}).items()}
    plan = Plan(host, tuple(changes), found, frozenset(), _sha(said.encode()), environment)
    return PassResult(
        host,
        environment,
        verdict,
        None if verdict is Verdict.UNREACHABLE else plan,
        {outcome.id: outcome for outcome in outcomes},
        remaining or {},
        error,
        {"connect": 0.1, "observe": 0.2},
        1,
    )


def unreachable(host: str, failure: Failure = Failure.TIMEOUT, environment: str = "dev") -> PassResult:
    """A host that did not answer."""
    error = TransportError(failure, f"{host}: no answer in 10 s", "is it up? try `ssh " + host + "`")
    return result(host, Verdict.UNREACHABLE, environment=environment, error=error)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
