"""What profiles promise by example: every case of those that fleet brings, and what is wrong with a case is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import fleet
from fleet.converge.rehearse import differs, rehearse
from fleet.desired.profile_cases import Read, read
from fleet.model.rehearsal import Case

FOLDER = Path(fleet.__file__).parent / "profiles"
SHIPPED = {path.stem: read(f"profiles/{path.name}", path.read_bytes()) for path in sorted(FOLDER.glob("*.yaml"))}
CASES = [pytest.param(name, case, id=f"{name}: {case.name}") for name, one in SHIPPED.items() for case in one.cases]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_shipped_profile_sends_what_its_case_says(name: str, case: Case) -> None:
    kind = SHIPPED[name].kind
    assert kind is not None
    assert differs(case, rehearse(case, kind)) == ""


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_profile_shows_how_it_is_in_sync_and_what_it_sends(name: str) -> None:
    one = SHIPPED[name]
    assert one.problems == ()
    ends = ["in sync" if case.expect == "in sync" else "requests" for case in one.cases]
    assert "in sync" in ends and "requests" in ends and 2 <= len(ends) <= 4


POOL = """\
doc: A pool of a load balancer.
attributes:
  size: {type: integer, minimum: 1, description: How many.}
  token: {type: string, writeOnly: true, description: What it knows.}
object:
  read: {path: "/pools/{{ name | urlencode }}"}
  body: {size: "{{ size }}", token: "{{ token }}"}
  write: {method: PUT, path: "/pools/{{ name | urlencode }}"}
  delete: {method: DELETE, path: "/pools/{{ name | urlencode }}"}
cases:
  one:
    spec: {a: {size: 3, token: x}}
    server: {status: 200, body: {size: 2}}
    expect: [{method: PUT, path: /pools/a, body: {size: 3, token: x}}]
"""


def pool(before: str = "", after: str = "") -> Read:
    assert before in POOL
    text = POOL.replace(before, after, 1) if before else POOL
    return read("base/profiles/pool.yaml", text.encode())


def played(one: Read) -> str:
    assert one.problems == () and one.kind is not None
    (case,) = one.cases
    return differs(case, rehearse(case, one.kind))


def test_a_case_holds_when_that_is_what_is_sent() -> None:
    assert played(pool()) == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("body: {size: 3, token: x}}", "body: {size: 4, token: x}}"),
            'found    PUT /pools/a {"size": 3, "token": "x"}',
        ),
        (("body: {size: 3, token: x}}", "body: {size: true, token: x}}"), "found    PUT /pools/a"),
        (("method: PUT, path: /pools/a,", "method: PUT, path: /pools/b,"), "expected PUT /pools/b"),
        (("body: {size: 2}", "body: {size: 3}"), "found    in sync"),
        (
            ("status: 200, body: {size: 2}", "status: 200, body: [1]"),
            "found    unreadable (the answer is not the object",
        ),
        (("{a: {size: 3, token: x}}", "{a: {ensure: absent}}"), "found    DELETE /pools/a"),
    ],
)
def test_a_case_that_does_not_hold_tells_both_sides(change: tuple[str, str], says: str) -> None:
    assert says in played(pool(*change))


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        (("cases:\n", "cases:\n  more: {}\n"), "11:3", "case `more` has no `spec` of one resource"),
        (("{a: {size: 3, token: x}}", "{a: {size: 0}}"), "12:16", "`size` of pool:a is not right"),
        (("{a: {size: 3, token: x}}", "{a: {sise: 1}}"), "12:16", "unknown attribute `sise` of pool:a"),
        (("{a: {size: 3, token: x}}", "{a: {size: 3}, b: {size: 3}}"), "12:5", "no `spec` of one resource"),
        (("status: 200,", "status: fine,"), "13:14", "`fine` is no HTTP status"),
        (("status: 200,", "stats: 200,"), "13:14", "`stats` is nothing that a server says"),
        (("expect: [{method: PUT, ", "expect: [{method: GET, "), "14:14", "no request that changes something"),
        (("expect: [", "expect: fine # ["), "14:5", "case `one` does not say what it expects"),
        (("expect:", "expects:"), "14:5", "unknown key `expects`"),
        (("method: PUT, path", "method: SET, path"), "8", "the profile makes no object of pool:a"),
        (("{{ size }}", "{{ sise }}"), "7:16", "`sise` is not defined"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_case_is_told_with_its_line(change: tuple[str, str], where: str, says: str) -> None:
    problems = [str(one) for one in pool(*change).problems]
    assert any(one.startswith(f"base/profiles/pool.yaml:{where}") and says in one for one in problems), problems


@pytest.mark.parametrize("content", [b"", b"- a\n", b"a: [", b"\xff", b"doc: x\n"])
def test_what_is_no_profile_makes_no_kind_and_says_why(content: bytes) -> None:
    found = read("base/profiles/pool.yaml", content)
    assert found.kind is None and found.problems


def test_a_name_that_nothing_defines_is_told_without_a_case_that_uses_it() -> None:
    text = POOL.partition("cases:")[0].replace("{{ token }}", "{{ 'a' if tokem else size }}")
    (problem,) = read("pool.yaml", text.encode()).problems
    assert str(problem).startswith("pool.yaml:7:37: `tokem` is not defined") and "did you mean `token`?" in str(problem)


def test_the_name_of_a_kind_in_python_is_taken() -> None:
    assert "`file` is a kind already" in str(read("file.yaml", POOL.encode()).problems[0])


def test_a_map_in_a_body_of_which_nothing_is_said_is_not_declared() -> None:
    """Else a server without it would never be right: nothing can be put there."""
    text = POOL.partition("cases:")[0].replace('token: "{{ token }}"', 'inner: {deep: {token: "{{ token }}"}}, own: {}')
    cases = "cases:\n  one:\n    spec: {a: {size: 3}}\n    server: {body: {size: 3, own: {}}}\n    expect: in sync\n"
    assert played(read("pool.yaml", (text + cases).encode())) == ""
    said = text + cases.replace("size: 3}}\n", "size: 3, token: x}}\n", 1).replace(
        "in sync", "[{method: PUT, path: /pools/a, body: {size: 3, own: {}, inner: {deep: {token: x}}}}]"
    )
    assert played(read("pool.yaml", said.encode())) == ""
