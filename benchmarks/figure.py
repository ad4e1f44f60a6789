"""One measured figure, and the table of all: Figures in; text for people, plain values for JSON out."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """value is what was measured, floor what it is measured against (None: against nothing), both in `unit`.

    target: the most that value / floor may be, or value itself where there is no floor. says: one line for the reader.
    """

    name: str
    value: float
    unit: str
    says: str
    floor: float | None = None
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """None: there is nothing to meet."""
        if self.target is None:
            return None
        return (self.value if self.ratio is None else self.ratio) <= self.target

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def table(figures: Sequence[Figure]) -> str:
    """Fixed columns, then what each figure means."""
    lines = [f"{'figure':<26}{'fleet':>10}{'floor':>10}{'unit':>7}{'ratio':>8}{'target':>8}"]
    for one in figures:
        floor = "-" if one.floor is None else f"{one.floor:.3f}"
        ratio = "-" if one.ratio is None else f"{one.ratio:.2f}"
        target = "-" if one.target is None else f"{one.target:g}"
        missed = "  missed" if one.met is False else ""
        lines.append(f"{one.name:<26}{one.value:>10.3f}{floor:>10}{one.unit:>7}{ratio:>8}{target:>8}{missed}")
    return "\n".join([*lines, "", *(f"{one.name}: {one.says}" for one in figures)])


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
