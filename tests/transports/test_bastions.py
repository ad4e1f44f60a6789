"""A bastion that is down is tried seldom, and whoever waits for it hears why at once. In virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Failure, TransportError
from fleet.model.host import Target
from fleet.transports.bastions import REFUSED, REST, STALE, Bastions
from fleet.transports.limits import Limits
from fleet.transports.ssh import SSHTransport
from tests.transports import sshd as real
from tests.transports.http_server import Fast
from tests.transports.sshd import Sshd

BASTION = Target("gate-1", "prod")


@dataclass
class Way:
    open: bool = True

    def is_closed(self) -> bool:
        return not self.open

    def abort(self) -> None:
        self.open = False


@dataclass
class Gate:
    """A bastion in memory. why: it cannot be reached. tried: when."""

    why: Failure | None = None
    now: float = 0.0
    tried: list[float] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bastions: Bastions[Way] = Bastions(self.connect, lambda: self.now, lambda: 0.5)

    async def connect(self, target: Target) -> Way:
        self.tried.append(self.now)
        await asyncio.sleep(0)
        if self.why is not None:
            raise TransportError(self.why, "nobody there", "look")
        self.ways.append(Way())
        return self.ways[-1]

    async def ask(self, hosts: int = 1) -> list[Way | BaseException]:
        return list(await asyncio.gather(*(self.bastions.get(BASTION) for _ in range(hosts)), return_exceptions=True))


@pytest.mark.anyio
async def test_a_thousand_hosts_behind_a_bastion_that_is_down_cost_a_few_tries_and_all_hear_why() -> None:
    gate = Gate(Failure.REFUSED)
    for _ in range(600):  # an hour, some of them each six seconds
        for error in await gate.ask(20):
            assert isinstance(error, TransportError) and error.failure is Failure.REFUSED
            assert error.message.startswith("bastion gate-1: ") and "nobody there" in error.message
        gate.now += 6.0
    assert len(gate.tried) <= 3600 / (REST.cap / 2) + 5
    assert gate.bastions.breakers.keys() == {"bastion gate-1"}


@pytest.mark.anyio
async def test_once_it_is_back_it_is_found_within_its_rest() -> None:
    gate = Gate(Failure.TIMEOUT)
    for _ in range(100):
        await gate.ask()
        gate.now += 10.0
    gate.why, back = None, gate.now
    while not isinstance((await gate.ask())[0], Way):
        gate.now += 1.0
    assert gate.now - back <= REST.cap and gate.bastions.breakers == {}
    assert await gate.ask(50) == [gate.ways[0]] * 50, "one connection for all"


@pytest.mark.anyio
async def test_a_lost_connection_is_opened_anew_at_once() -> None:
    gate = Gate()
    await gate.ask(3)
    gate.ways[0].abort()
    await gate.ask(3)
    assert len(gate.ways) == 2 and gate.bastions.breakers == {}


@pytest.mark.anyio
async def test_a_refused_login_is_not_tried_again_for_long_and_then_is() -> None:
    """A service runs for months, and somebody may mend it meanwhile."""
    gate = Gate(Failure.AUTH)
    for _ in range(int(REFUSED) - 1):
        await gate.ask(2)
        gate.now += 1.0
    assert len(gate.tried) == 1
    gate.why = None
    gate.now += 1.0
    assert isinstance((await gate.ask())[0], Way)


@pytest.mark.anyio
async def test_one_that_nobody_wants_any_more_is_told_no_more() -> None:
    gate = Gate(Failure.REFUSED)
    for _ in range(2):
        await gate.ask()
    assert gate.bastions.breakers == {"bastion gate-1": "open"}
    gate.now += STALE + 1
    assert gate.bastions.breakers == {}


@given(st.lists(st.tuples(st.sampled_from([None, Failure.REFUSED, Failure.TIMEOUT]), st.floats(0, 120)), max_size=60))
def test_whatever_happens_it_is_never_left_alone_for_longer_than_its_rest(
    story: list[tuple[Failure | None, float]],
) -> None:
    async def play() -> None:
        gate = Gate()
        for why, pause in story:
            gate.why, before = why, len(gate.tried)
            found = (await gate.ask())[0]
            if isinstance(found, Way):
                found.abort()  # so that the next one has to try
            elif len(gate.tried) == before:
                assert gate.now - gate.tried[-1] < REST.cap
            gate.now += pause

    asyncio.run(play())


@pytest.mark.hosts
@pytest.mark.anyio
async def test_hosts_behind_a_real_address_where_nobody_listens_are_told_so_and_it_is_left_alone(sshd: Sshd) -> None:
    time, counted = Fast(), []

    async def wait(seconds: float) -> None:
        counted.append(seconds)

    transport = SSHTransport(lambda: 0.5, Limits(32, 64, clock=time.clock), wait=wait)
    port = real.free_port()
    pinned = f"[127.0.0.1]:{port} {sshd.key}\n"
    bastion = replace(sshd.target, host="gate-1", port=port, known_hosts=pinned)
    messages = []
    for number in range(10):
        with pytest.raises(TransportError) as caught:
            await transport.connect(replace(sshd.target, host=f"web-{number}", via=bastion))
        assert caught.value.failure is Failure.REFUSED
        messages.append(caught.value.message)
    assert [one.startswith("bastion gate-1: not tried again for 8 s: ") for one in messages] == [False] * 2 + [True] * 8
    assert transport.breakers == {"bastion gate-1": "open"} and transport.traffic["lab"].retries == len(counted) > 0
    await transport.aclose()
