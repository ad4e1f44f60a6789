"""One root of each flavour for all tests of a worker: starting one costs more than a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.kinds.root_host import RootHost, missing, root_host


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], RootHost]]:
    """Flavour → its host, started when it is first asked for."""
    started: dict[str, RootHost] = {}
    with ExitStack() as stack:

        def get(flavour: str) -> RootHost:
            if reason := missing(flavour):
                pytest.skip(reason)
            if flavour not in started:
                started[flavour] = stack.enter_context(root_host(flavour, tmp_path_factory.mktemp(flavour)))
            return started[flavour]

        yield get
