"""A value that nothing shows by accident. Only a transport, which must send it, and the masking, which must find it,
ask for what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from fleet.model import sealed


class Secret:
    """Bytes that cannot be printed, formatted, compared, measured, iterated, copied into JSON, copied or pickled.

    `reveal` is the one way in; tests/model/test_secret.py says which modules may call it.
    """

    __slots__ = ("_bytes", "name")
    name: str
    _bytes: bytes

    def __init__(self, name: str, value: bytes) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_bytes", value)

    def reveal(self) -> bytes:
        return self._bytes

    def __repr__(self) -> str:
        return f"(secret {self.name})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> NoReturn:
        """An assertion about two of them would print both."""
        raise TypeError("secrets are not compared")

    def __hash__(self) -> NoReturn:
        raise TypeError("secrets are not compared")

    def __bool__(self) -> NoReturn:
        raise TypeError("whether a secret is empty is part of the secret")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret is to be had, without its value. path, blob: the SOPS file and Git's id of it. keys: where in the
    decrypted document. digest: of its ciphertext, 16 hex digits. services: the key services that its file names."""

    name: str
    digest: str
    path: str
    blob: str
    format: str
    keys: tuple[str, ...]
    services: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        """What stands in its place until a transport opens it."""
        return sealed.reference(self.name, self.digest)
