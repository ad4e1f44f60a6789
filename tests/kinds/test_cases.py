"""Every case on every flavour of host it makes sense on: plan, apply, look again (the law), undo."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet.model.change import PassResult, Verdict
from tests.kinds.case import Case, cases
from tests.kinds.describe import compiled
from tests.kinds.root_host import RootHost

pytestmark = pytest.mark.hosts

ALL = [(case, flavour) for case in cases() for flavour in case.flavours]


@pytest.mark.parametrize(("case", "flavour"), ALL, ids=[f"{case.kind}-{case.name}-{flavour}" for case, flavour in ALL])
def test_case(case: Case, flavour: str, host: Callable[[str], RootHost]) -> None:
    """before → the plan is the expected one → applied → in sync → after → undone → gone, and in sync again."""
    one = host(flavour)
    _shell(one, "before", case.before)
    spec = compiled(case.resources, case.files)
    looked = one.look(spec)
    assert looked.plan is not None, looked.error
    assert not looked.plan.unreadable or case.verdict == "failed", looked.plan.unreadable
    found = {c.resource.id: {"action": c.action, "attributes": list(c.attributes)} for c in looked.plan.changes}
    for name, wanted in case.expect.items():
        assert name in found, f"{name} is not in the plan: {found}"
        assert {key: found[name][key] for key in wanted} == wanted, name
    assert set(found) == set(case.expect)
    applied = one.apply(spec)
    assert applied.verdict == case.verdict, _told(applied)
    if case.says:
        said = [o.output.decode(errors="replace") for o in applied.outcomes.values() if o.status != "ok"]
        said += [u.reason for u in applied.plan.unreadable.values()] if applied.plan is not None else []
        assert case.says in "\n".join(said)
    if case.verdict == "changed":
        again = one.apply(spec)
        assert again.verdict is Verdict.IN_SYNC, f"the second pass found something to do: {_told(again)}"
    _shell(one, "after", case.after)
    if case.undo:
        undone = compiled(case.undo)
        gone = one.apply(undone)
        assert gone.verdict in (Verdict.CHANGED, Verdict.IN_SYNC), _told(gone)
        assert one.look(undone).verdict is Verdict.IN_SYNC
    _shell(one, "gone", case.gone)


def _shell(host: RootHost, what: str, text: str) -> None:
    done = host.sh(text) if text else None
    assert done is None or done.returncode == 0, f"{what}: {done.stdout.decode()}{done.stderr.decode()}"


def _told(result: PassResult) -> str:
    outcomes = {i: (o.status.value, o.output[-600:]) for i, o in result.outcomes.items() if o.status != "ok"}
    unreadable = dict(result.plan.unreadable) if result.plan is not None else {}
    return f"{result.verdict}: {outcomes} {dict(result.remaining)} {unreadable} {result.error}"
