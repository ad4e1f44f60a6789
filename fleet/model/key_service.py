"""Which key services may be asked for keys. A SOPS file names them itself, and to ask one is to send it a login: so the
operator says which, in a setting that whoever commits files cannot touch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

# Addresses are matched in one form only; what has a user, a query or escapes is none of them.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9*._-]+|\[[0-9a-f:.]+\])(:(?P<port>\d{1,5}))?(?P<path>/\S*)?", re.I
)
_PATH = re.compile(r"[A-Za-z0-9*._~/-]*")
_NAME = re.compile(r"[A-Za-z0-9*._:/+=@-]+")  # ARNs and resource ids
_PORTS = {"http": "80", "https": "443"}
_PART = "[^./:@]*"  # what a * stands for


@dataclass(frozen=True, slots=True)
class KeyServices:
    """Pairs of patterns: of environments' names, and of services."""

    patterns: tuple[tuple[str, re.Pattern[str]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> KeyServices:
        """Of `ENVIRONMENT=SERVICE …`, with spaces or commas between. Raises ValueError."""
        return cls(tuple(_pattern(one) for one in re.split(r"[\s,]+", text.strip()) if one))

    def refused(self, layer: str, services: Iterable[str]) -> str:
        """The first of the services that files of this layer may not ask; "" when there is none."""
        return next((one for one in services if not self._takes(layer, one)), "")

    def _takes(self, layer: str, service: str) -> bool:
        address = normal(service)
        if not address or "*" in address:
            return False
        return any(fnmatchcase(layer, name) and pattern.fullmatch(address) for name, pattern in self.patterns)


def normal(service: str) -> str:
    """The one form of an address, an ARN or a resource id; "" for what is none."""
    if "://" not in service:
        return service if _NAME.fullmatch(service) else ""
    found = _URL.fullmatch(service)
    path = "" if found is None else (found["path"] or "").rstrip("/")
    if found is None or not _PATH.fullmatch(path) or ".." in path:
        return ""
    scheme, host = found["scheme"].lower(), found["host"].lower().rstrip(".")
    port = "" if found["port"] in (None, _PORTS[scheme]) else f":{found['port']}"
    return f"{scheme}://{host}{port}{path}"


def _pattern(text: str) -> tuple[str, re.Pattern[str]]:
    layer, sign, service = text.partition("=")
    if not sign or not layer or not service:
        raise ValueError(f"{text!r} is not ENVIRONMENT=SERVICE, as in production=https://vault.example.org:8200")
    address = normal(service)
    if not address:
        raise ValueError(f"{service!r} is neither an address (https://HOST:PORT) nor an ARN nor a resource id")
    host = found["host"] if (found := _URL.fullmatch(address)) else ""
    if "*" in host.rpartition(".")[2]:
        raise ValueError(f"{service!r}: anybody can have a host whose name begins so; a * must not be at its end")
    return layer, re.compile(re.escape(address).replace(r"\*", _PART))
