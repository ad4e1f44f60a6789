"""A value that nothing shows by accident. Only a transport, which must send it, and the masking, which must find it,
ask for what is in it."""

from __future__ import annotations

from typing import Any, NoReturn


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
