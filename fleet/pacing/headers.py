"""What a server says of when to come back: headers in, seconds to wait out.

Retry-After: RFC 9110, §10.2.3. RateLimit: draft-ietf-httpapi-ratelimit-headers, the list form and the three older
fields. X-RateLimit-*: nobody's standard; a reset is seconds from now, or since 1970 when it is that large (some count
milliseconds).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0  # seconds that a server may make us wait
_EPOCH = 1_000_000_000
_ITEM = re.compile(r'"[^"]*"\s*((?:;\s*\w+=-?[\d.]+\s*)*)')
_PARAMETER = re.compile(r";\s*(\w+)=(-?[\d.]+)")


def wait(headers: Mapping[str, str], now: float) -> float:
    """Seconds during which nothing more may be asked; 0: nothing is said. headers: names in lower case.

    now: seconds since 1970. Of several words the one that asks for most counts; what cannot be read says nothing.
    """
    asked = [retry_after(headers.get("retry-after", ""), now), _listed(headers.get("ratelimit", ""))]
    for prefix in ("ratelimit-", "x-ratelimit-", "x-rate-limit-"):
        if _number(headers.get(f"{prefix}remaining", "")) == 0:
            asked.append(_reset(headers.get(f"{prefix}reset", ""), now))
    return min(max(asked), LONGEST)


def retry_after(text: str, now: float) -> float:
    """Seconds, or a date."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        return max(number, 0.0)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return max((date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp() - now, 0.0)


def _reset(text: str, now: float) -> float:
    number = _number(text)
    if number is None:
        return 0.0
    if number >= 1000 * _EPOCH:  # some count in milliseconds
        number /= 1000
    return max(number - now if number >= _EPOCH else number, 0.0)


def _listed(text: str) -> float:
    """`"default";r=0;t=30, ...`: of the policies with nothing remaining, the longest time."""
    found = 0.0
    for item in _ITEM.finditer(text):
        said = {name: _number(value) for name, value in _PARAMETER.findall(item[1])}
        if said.get("r") == 0:
            found = max(found, said.get("t") or 0.0)
    return found


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
