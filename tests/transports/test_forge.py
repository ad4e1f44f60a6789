"""Commit statuses: which server an address means, and what each of them gets, from real servers on this machine."""

from __future__ import annotations

import pytest

from fleet.errors import Failure, TransportError, UsageError
from fleet.transports.forge import Forge, ForgeClient, Said, forge_of
from tests.controller.notices.sinks import Answer, Statuses, sink

COMMIT, TOKEN = "c" * 40, "glpat-0123456789"
SAID = Said(COMMIT, "fleet/dev", "pending", "rolling out", "https://status.example.org/dev")
pytestmark = pytest.mark.anyio

ADDRESSES = {
    "https://github.com/ops/fleet": Forge("github", "https://api.github.com", "ops/fleet"),
    "https://github.com/ops/fleet.git/": Forge("github", "https://api.github.com", "ops/fleet"),
    "https://gitlab.com/group/sub/fleet": Forge("gitlab", "https://gitlab.com/api/v4", "group/sub/fleet"),
    "https://gitlab.example.org/ops/fleet": Forge("gitlab", "https://gitlab.example.org/api/v4", "ops/fleet"),
    "https://codeberg.org/ops/fleet": Forge("gitea", "https://codeberg.org/api/v1", "ops/fleet"),
    "https://gitea.example.org/ops/fleet": Forge("gitea", "https://gitea.example.org/api/v1", "ops/fleet"),
    "forgejo+https://git.example.org/ops/fleet": Forge("gitea", "https://git.example.org/api/v1", "ops/fleet"),
    "github+https://git.example.org/ops/fleet": Forge("github", "https://git.example.org/api/v3", "ops/fleet"),
    "gitlab+http://[::1]:8080/ops/fleet": Forge("gitlab", "http://[::1]:8080/api/v4", "ops/fleet"),
}
WRONG = (
    "", "github.com/ops/fleet", "https://github.com/ops", "https://github.com/a/b/c", "https://git.example.org/ops/fleet",
    "ssh://git@github.com/ops/fleet", "https://user:secret@github.com/ops/fleet", "https://github.com/ops/fleet?x=1",
    "gitea+https://[broken/ops/fleet",
)  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
async def test_an_address_says_which_server_it_is(address: str) -> None:
    assert forge_of(address) == ADDRESSES[address]


@pytest.mark.parametrize("address", WRONG)
async def test_any_other_address_is_refused_and_no_token_is_repeated(address: str) -> None:
    with pytest.raises(UsageError, match="status_url") as told:
        forge_of(address)
    assert "secret" not in str(told.value)


async def say(place: str, provider: str, *said: Said, seconds: float = 10.0) -> None:
    client = ForgeClient(forge_of(f"{provider}+http://{place}/ops/fleet"), TOKEN, seconds)
    try:
        for one in said:
            await client.say(one)
    finally:
        await client.aclose()


STATES = {
    "github": ["pending", "success", "failure"],
    "gitlab": ["running", "success", "failed"],
    "gitea": ["pending", "success", "failure"],
}


@pytest.mark.parametrize("provider", STATES)
async def test_each_server_gets_what_its_document_asks_for(provider: str) -> None:
    double = Statuses(provider, COMMIT, TOKEN)
    async with sink(double) as server:
        states = ("pending", "success", "failure")
        await say(server.place, provider, *(Said(COMMIT, "fleet/dev", one, "x" * 999, SAID.link) for one in states))
    assert [row[:2] for row in double.shown] == [("fleet/dev", state) for state in STATES[provider]]
    assert double.shown[0][3] == SAID.link and double.shown[0][2].endswith("x…")


@pytest.mark.parametrize("provider", STATES)
async def test_said_twice_is_no_error(provider: str) -> None:
    double = Statuses(provider, COMMIT, TOKEN)
    async with sink(double) as server:
        await say(server.place, provider, SAID, SAID)
    assert {row[1] for row in double.shown} == {STATES[provider][0]}


ANSWERS: dict[str, tuple[Answer, Failure, bool]] = {
    "no access": ((401, b"{}"), Failure.AUTH, False),
    "no such commit": ((404, b"{}"), Failure.REJECTED, False),
    "invalid": ((422, b'{"message": "no"}'), Failure.REJECTED, False),
    "another transition": ((400, b"Cannot transition status via :run from :success"), Failure.REJECTED, False),
    "moved": ((307, b""), Failure.ANSWER, False),
    "too many": ((429, b""), Failure.LIMITED, True),
    "trouble": ((502, b""), Failure.SERVER, True),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_the_server_refuses_is_told_with_whether_it_may_help_to_try_again(name: str) -> None:
    answer, failure, again = ANSWERS[name]
    async with sink(lambda _: answer) as server:
        with pytest.raises(TransportError) as told:
            await say(server.place, "gitlab", SAID)
    assert told.value.failure is failure and told.value.failure.retryable is again
    assert len(server.requests) == 1 and TOKEN not in str(told.value)


async def test_a_server_that_hangs_is_given_up_in_time() -> None:
    async with sink(None) as server:
        with pytest.raises(TransportError) as told:
            await say(server.place, "github", SAID, seconds=0.2)
    assert told.value.failure is Failure.LOST


async def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(ForgeClient(forge_of("https://github.com/ops/fleet"), TOKEN))
