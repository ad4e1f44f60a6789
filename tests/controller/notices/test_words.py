"""Messages: grouped, counted, and harmless whatever hosts say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.controller.notices.values import EVENTS, Batch, Key, News
from fleet.controller.notices.words import GROUPS, HOSTS, LONGEST, message, safe

HOSTILE = "\x1b[2J\u202eevil\n<!channel> <script>alert(1)</script> @everyone @Here \ud800"


def failed(number: int, text: str = "disk full") -> list[News]:
    return [News("begun", Key("failure", "prod", f"web-{n}"), text, "", 0.0) for n in range(1, number + 1)]


def test_a_hundred_hosts_with_one_failure_are_one_line_that_names_five() -> None:
    said = message(Batch(tuple(failed(100))), 60.0, 20)
    assert said.title == "fleet: prod: 100 hosts failed"
    assert said.body == "prod: 100 hosts failed: web-1, web-2, web-3, web-4, web-5 and 95 more\n    disk full"
    assert said.body.count("web-") == HOSTS


def test_different_stories_are_told_apart_the_worst_and_largest_first() -> None:
    news = [
        News("ended", Key("failure", "prod", "db-1"), "disk full"),
        *failed(2, "no such package"),
        *failed(3),
        News("lasts", Key("unreachable", "dev", "old"), "timeout", "", 0.0),
        News("gone", Key("failure", "dev", "x"), ""),
        News("begun", Key("git"), "Git does not answer: no route"),
    ]
    said = message(Batch(tuple(news)), 7200.0, 20)
    assert said.title == "fleet: prod: 3 hosts failed (and 5 more)"
    lines = [line for line in said.body.splitlines() if not line.startswith(" ")]
    assert lines == [
        "prod: 3 hosts failed: web-1, web-2, web-3",
        "prod: 2 hosts failed: web-1, web-2",
        "Git does not answer",
        "dev: old still cannot be reached, for 2h",
        "prod: db-1 recovered",
        "dev: x no longer in Git, failed before",
    ]


def test_what_differs_in_numbers_and_the_own_name_alone_is_one_story() -> None:
    news = [
        News("begun", Key("unreachable", "prod", name), f"timeout: {name} (10.0.0.{n}) did not answer")
        for n, name in enumerate(["web-1", "web-22", "db"])
    ]
    assert len(message(Batch(tuple(news)), 0.0, 20).body.splitlines()) == 2


def test_more_groups_than_a_message_holds_are_counted() -> None:
    news = [News("begun", Key("failure", "prod", f"h{n}"), "reason " + "x" * n) for n in range(GROUPS + 7)]
    assert message(Batch(tuple(news)), 0.0, 20).body.endswith("… and 7 more, of 7 problems")


def test_what_was_missed_and_what_waited_is_said() -> None:
    body = message(Batch(tuple(failed(2)), missed=3, held=2), 0.0, 20).body
    assert "3 other problems came and went before this could be sent" in body
    assert "2 of these waited: no more than 20 messages an hour are sent here" in body


def test_words_of_hosts_are_one_line_that_nothing_acts_on() -> None:
    said = safe(HOSTILE)
    assert said.isprintable() and not {"<", ">", "\n", "\x1b"} & {*said}
    assert "@everyone" not in said and "@Here" not in said and "\\x1b[2J" in said and "\\u202e" in said


@given(st.text(st.characters(), max_size=2000))
def test_any_words_are_printable_and_not_too_long(text: str) -> None:
    said = safe(text)
    assert said.isprintable() and len(said) <= LONGEST
    said.encode()


news = st.builds(
    News,
    st.sampled_from(["begun", "changed", "lasts", "ended", "gone", "happened"]),
    st.builds(
        Key, st.sampled_from([one for one in EVENTS if one != "recovery"]), st.text(max_size=5), st.text(max_size=5)
    ),
    st.sampled_from(["why", "", "another"]),
)


@given(st.lists(news, max_size=40))
def test_every_sort_of_news_has_its_words(rows: list[News]) -> None:
    said = message(Batch(tuple(rows)), 100.0, 20)
    assert said.title.isprintable() and len(said.body) < 40_000
