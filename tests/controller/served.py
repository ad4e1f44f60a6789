"""A controller as `fleet serve` makes it, with a real mirror and a real record, and hosts that nobody contacts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.app import App
from fleet.controller.notify import Notify
from fleet.controller.service import Habits, Service
from fleet.settings import Settings
from tests.desired.remotes import Origin


@dataclass
class Served:
    """One place for a controller's lives, one after the other."""

    root: Path
    origin: Origin = field(init=False)

    def __post_init__(self) -> None:
        self.origin = Origin.at(self.root / "remote")

    @property
    def record(self) -> Path:
        return self.root / "state/history.db"

    def commit(self, content: str, environments: Sequence[str] = ("dev",), more: str = "{}") -> str:
        """Two hosts in each environment, with one file."""
        files = {
            "base/environment.yaml": 'roles: {common: {}}\nrollout: {waves: [1, "100%"], max_failed: 0}\n',
            "base/roles/common.yaml": json.dumps({"resources": {"file": {"/etc/x": {"content": content}}}}),
        }
        hosts = json.dumps({"hosts": {f"h{n}": {"address": f"127.0.0.{n}"} for n in (1, 2)}})
        for name in environments:
            files |= {f"{name}/environment.yaml": more, f"{name}/hosts.yaml": hosts}
        for name, text in files.items():
            path = self.origin.work / "environments" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self.origin.commit(content, "README")

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Service]:
        """Until the block ends; what an earlier one wrote is read, nothing runs by itself."""
        settings = Settings(
            remote=str(self.origin.path), state_dir=self.root / "state", cache_dir=self.root / "cache",
            socket=self.root / "fleet.sock",
        )  # fmt: skip
        app = App(settings)
        try:
            service = await app.service(Notify(), Habits())
            await service.orders.read()
            if await service.following.open():
                await service.environments.restore(0.0)
            yield service
        finally:
            await app.aclose()

    @contextmanager
    def refusing(self, table: str) -> Iterator[None]:
        """The record takes nothing into that table, as a full disk would not."""
        with sqlite3.connect(self.record) as other:
            for what in ("INSERT", "UPDATE"):
                other.execute(
                    f"CREATE TRIGGER no_{what} BEFORE {what} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
                )
        try:
            yield
        finally:
            with sqlite3.connect(self.record) as other:
                other.execute("DROP TRIGGER no_INSERT")
                other.execute("DROP TRIGGER no_UPDATE")
            other.close()
