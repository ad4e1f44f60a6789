"""How long: seconds as a number, or 30s, 5m, 4h, 1d, 1h30m as text. Text in, seconds out, and back."""

from __future__ import annotations

import re

LONGEST = 366 * 86400.0
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_SPELT = re.compile("".join(f"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in _UNITS))


def seconds(value: object) -> float:
    """Raises ValueError for what is no duration, or longer than a year."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or (isinstance(value, str) and re.fullmatch(_NUMBER, value)):
        found = float(str(value))
    elif isinstance(value, str) and value and (said := _SPELT.fullmatch(value)) is not None:
        found = sum(float(number) * _UNITS[unit] for unit, number in said.groupdict("0").items())
    else:
        raise ValueError("seconds, or text such as 30s, 5m, 4h, 1d")
    if not 0 <= found <= LONGEST:  # refuses what is not a number, too
        raise ValueError("from 0s to 366d")
    return found


def spelt(duration: float) -> str:
    """As people write it: 90 → 1m30s."""
    found, rest = "", duration
    for unit, size in _UNITS.items():
        count = rest if unit == "s" else rest // size
        rest -= count * size
        found += f"{round(count, 3):g}{unit}" if count else ""
    return found or "0s"
