"""A secret does not get out by accident: printed, formatted, serialised, compared, copied or pickled."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet.model.secret import Secret

VALUE = b"hunter2-is-the-value"
# Who may ask for a value: what sends it, what must find it again, and this test's own subject.
REVEALERS = {"fleet/model/secret.py", "fleet/transports/opening.py", "fleet/masking.py"}


@dataclass
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "show",
    [str, repr, "{}".format, "{:>40}".format, "%s".__mod__, "%r".__mod__, lambda s: f"{s!a}", lambda s: repr([s]),
     lambda s: repr(Holder(s)), lambda s: str(ValueError(s)), lambda s: json.dumps({"a": s}, default=str)],
)  # fmt: skip
def test_it_shows_its_name_only(show: Callable[[Any], str]) -> None:
    said = show(Secret("db.password", VALUE))
    assert "hunter2" not in said and "db.password" in said


@pytest.mark.parametrize(
    "use",
    [json.dumps, pickle.dumps, copy.copy, copy.deepcopy, bytes, len, list, hash, bool, vars,
     lambda s: s == Secret("b", VALUE), lambda s: s == VALUE, lambda s: s != VALUE, lambda s: s + b"",
     lambda s: VALUE in [s],
     lambda s: asdict(Holder(s)), lambda s: setattr(s, "name", "other"), lambda s: b"".join([s])],
)  # fmt: skip
def test_it_cannot_be_taken_apart(use: Callable[[Any], object]) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        use(Secret("db.password", VALUE))
    assert "hunter2" not in str(caught.value)


def test_an_assertion_about_it_does_not_print_it() -> None:
    with pytest.raises(TypeError):
        assert Secret("a", VALUE) == Secret("a", VALUE)


def test_only_a_transport_and_the_masking_ask_for_the_value(project_root: Path) -> None:
    calls = re.compile(r"\.reveal\(|\b_bytes\b")
    found = {
        str(path.relative_to(project_root))
        for path in (project_root / "fleet").rglob("*.py")
        if calls.search(path.read_text())
    }
    assert found == REVEALERS
