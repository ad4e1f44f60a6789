"""An API that is down is named as such, once for all environments that ask it, and told no more when it is well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from fleet.errors import Failure, TransportError
from fleet.model.api import Api
from fleet.model.host import Target
from fleet.model.secret import Secret, SecretSource
from fleet.model.step import Batch, Request, Task
from fleet.transports.gate import Gate
from fleet.transports.http_client import PATIENCE, untraced
from fleet.transports.http_transport import HttpTransport
from tests.transports.http_server import Fast, answer, client_of, reset, serving

LOOK = Batch((Task("look:0", (Request("GET", "/list"),)),), deadline=5.0)


async def nothing(environment: str, sources: Sequence[SecretSource]) -> Mapping[str, Secret]:
    return {}


@pytest.mark.anyio
async def test_five_failures_in_a_row_open_the_breaker_of_that_api_alone() -> None:
    transport = HttpTransport(lambda: 0.0, nothing, untraced)
    async with serving(reset) as down, serving(answer(200, b"[1]")) as well:
        for environment in ("dev", "prod", "dev", "prod", "dev"):
            for server in (down, well):
                api = Api(server.url, environment, networks=("127.0.0.0/8",), tries=1)
                session = await transport.connect(Target("api", environment, "http", api=api))
                if server is well:
                    await session.perform(LOOK)
                else:
                    assert transport.breakers == {}
                    with pytest.raises(TransportError):
                        await session.perform(LOOK)
    assert transport.breakers == {down.url: "open"}
    assert transport.traffic.keys() == {"dev", "prod"}
    assert transport.traffic["dev"].received > 0 and transport.traffic["dev"].retries == 0
    await transport.aclose()


@pytest.mark.anyio
async def test_each_try_after_one_that_failed_is_counted_for_the_environment_that_asked() -> None:
    transport = HttpTransport(lambda: 0.0, nothing, untraced)
    async with serving(reset, reset, answer(200, b"[1]")) as server:
        api = Api(server.url, "dev", networks=("127.0.0.0/8",))
        session = await transport.connect(Target("api", "dev", "http", api=api))
        await session.perform(LOOK)
        sent = sum(len(one.path) + len(one.method) for one in server.asked)
    assert transport.traffic["dev"].retries == 2 and transport.traffic["dev"].sent > sent and transport.breakers == {}
    await transport.aclose()


@pytest.mark.anyio
async def test_while_an_api_is_left_alone_for_long_whoever_asks_hears_so_at_once_and_a_restart_is_waited_out() -> None:
    fast, waits = Fast(), []
    gate = Gate(fast.clock, lambda: 0.5)
    async with serving(reset) as server:
        client = client_of(Api(server.url, "dev", networks=("127.0.0.0/8",), tries=1), gate)
        for _ in range(40):
            before, asked = fast.time, len(server.asked)
            with pytest.raises(TransportError) as caught:
                await client.ask(Request("GET", "/list"))
            waits.append(fast.time - before)
            if len(server.asked) == asked:
                assert caught.value.failure is Failure.REFUSED and "left alone for" in caught.value.message
                assert waits[-1] == 0
                fast.time += 10.0  # the next host's pass
        await client.aclose()
    assert 0 < max(waits) <= PATIENCE and waits.count(0) > 20
    assert len(server.asked) < 15, "forty asked"
