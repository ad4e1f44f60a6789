"""Laws of telling things once, and of near misses among host names."""

from hypothesis import given
from hypothesis import strategies as st

from fleet.desired.check import near, unpadded
from fleet.desired.findings import Finding, joined
from fleet.errors import Origin, Problem

ENVIRONMENTS = ("dev", "prod", "qa")
CHAINS = {name: ("base", name) for name in ENVIRONMENTS}

findings = st.lists(
    st.builds(
        Finding,
        st.sampled_from(ENVIRONMENTS),
        st.builds(
            Problem,
            st.builds(Origin, st.sampled_from(["base/a.yaml", "base/b.yaml"]), st.integers(1, 3), st.just(1)),
            st.sampled_from(["one thing", "another"]),
        ),
        st.sampled_from([(), ("web-1",), ("web-1", "web-2")]),
    ),
    max_size=12,
)


@given(findings)
def test_each_mistake_is_told_once_whoever_has_it(found: list[Finding]) -> None:
    told = list(joined(found, CHAINS))

    places = [(one.origin, one.message.split(",")[0], ", for " in one.message) for one in told]
    assert len(set(places)) == len(places)
    assert set(places) == {(one.problem.origin, one.problem.message, bool(one.hosts)) for one in found}


@given(findings)
def test_the_order_in_which_environments_are_compiled_says_nothing(found: list[Finding]) -> None:
    assert set(joined(found, CHAINS)) == set(joined(list(reversed(found)), CHAINS))


@given(st.sets(st.sampled_from(ENVIRONMENTS), min_size=1))
def test_environments_are_named_only_where_some_do_not_have_it(having: set[str]) -> None:
    problem = Problem(Origin("base/a.yaml", 1, 1), "one thing")

    (told,) = joined([Finding(name, problem) for name in having], CHAINS)

    assert told.message == "one thing" + ("" if len(having) == 3 else ", in " + ", ".join(sorted(having)))


def test_of_a_file_of_one_environment_nothing_needs_to_be_named() -> None:
    problem = Problem(Origin("dev/a.yaml", 1, 1), "one thing")

    assert list(joined([Finding("dev", problem)], CHAINS)) == [problem]


@given(st.integers(1, 40), st.integers(2, 5), st.sampled_from(["web-{}", "rack{}-a", "{}.example.org"]))
def test_the_same_number_with_other_zeros_is_nearest(number: int, width: int, form: str) -> None:
    names = [form.format(f"{one:0{width}d}") for one in range(1, 41)]
    asked = form.format(number)

    if asked not in names:
        assert near(asked, names) == f"did you mean `{form.format(f'{number:0{width}d}')}`?"


@given(st.from_regex(r"[a-z0-9.-]{0,12}", fullmatch=True))
def test_a_name_without_padding_stays_so(name: str) -> None:
    assert unpadded(unpadded(name)) == unpadded(name)
