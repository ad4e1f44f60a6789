"""What `fleet serve` makes of SIGHUP: settings, tokens and hook secrets are read again, all or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from fleet.cli.log_lines import set_level
from fleet.controller.retune import Difference, differences, effective, retune
from fleet.controller.service import Service
from fleet.errors import FleetError
from fleet.exposed import exposed
from fleet.settings import Settings
from fleet.web.door import Door, Doorman, reopened


@dataclass(slots=True)
class Reloading:
    """settings: that hold now. read: those that hold after a restart; raises FleetError."""

    service: Service
    doorman: Doorman
    settings: Settings
    read: Callable[[], Settings]

    def warn(self) -> None:
        """Of files with secrets that are open to everybody."""
        for name, path in exposed(self.settings):
            self.service.events_.put("exposed", setting=name, path=str(path))

    def __call__(self) -> None:
        """Never raises for what stands in files. The service manager hears when it begins, and when it is over."""
        service = self.service
        if service.ready:  # before that, "ready" would be untrue
            service.notify.reloading()
        try:
            wanted = self.read()
            settings = effective(self.settings, wanted)
            door = reopened(self.doorman.door, settings, time.time)
        except FleetError as error:
            service.events_.put("settings", error=str(error))
        else:
            news = [*differences(self.settings, wanted), *_keys(self.doorman.door, door)]
            retune(service, settings)
            self.settings, self.doorman.door = settings, door
            for one in news:
                service.events_.put("settings", name=one.name, was=one.was, now=one.now, restart=one.restart)
            if not news:
                service.events_.put("settings")
            self.warn()
            set_level(settings)  # last, so that a level that says less is itself told
        finally:
            if service.ready:
                service.notify.ready()


def _keys(old: Door, new: Door) -> list[Difference]:
    """Who may come in is told by name, never by what lets them in."""
    found = []
    if old.access.tokens != new.access.tokens:
        found.append(Difference("tokens", _names(old), _names(new), restart=False))
    if old.secrets != new.secrets:
        found.append(Difference("hook secrets", str(len(old.secrets)), f"{len(new.secrets)}, read anew", restart=False))
    return found


def _names(door: Door) -> str:
    return ", ".join(f"{one.name} ({one.role})" for one in door.access.tokens) or "nobody"
