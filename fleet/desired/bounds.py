"""What a template may take and how much of it: every value is weighed, and nobody looks into a secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fleet.model import sealed

SIZE = 4_000_000  # characters and elements that one value may have, counted wherever they are reached
ELEMENT = 16  # what one element of a list or map weighs beside its value
STEPS = 200_000  # turns of all loops of one rendering
BITS = 4096  # of a number
FORMS = ("indent", "base64", "tojson", "quote", "urlencode")  # filters that a secret passes through


class TemplateFailure(Exception):
    """A template that cannot be rendered. line: from 1 within the text."""

    def __init__(self, message: str, line: int = 1, hint: str = "", expected: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.hint, self.expected = message, line, hint, expected


def weigh(value: Any, budget: int = SIZE) -> int:
    """What is left of `budget` after counting the value and all that is reached from it. Raises when it is too big."""
    if isinstance(value, str | bytes):
        budget -= len(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            budget = weigh(inner, weigh(key, budget - ELEMENT))
    elif isinstance(value, list | tuple | set):
        for inner in value:
            budget = weigh(inner, budget - ELEMENT)
    elif isinstance(value, int) and value.bit_length() > BITS:
        raise TemplateFailure("a number in this template grows too long", expected=f"at most {BITS} bits")
    if budget < 0:
        raise TemplateFailure("a value in this template grows too big", expected=f"at most {SIZE:,} characters")
    return budget


def untouched(*values: Any) -> None:
    """Refuses text with a secret in it: nobody knows the value yet, so nothing can be made of it."""
    if any(isinstance(value, str) and sealed.holds(value) for value in values):
        expected = f"the secret as it is, or through: {', '.join(FORMS)}"
        raise TemplateFailure("a secret cannot be looked into or changed here", expected=expected)


def spelt(value: Any) -> None:
    """Refuses a list or map with a secret in it where it would become text as Python writes it: no place would be left
    for the secret."""
    if not isinstance(value, str) and sealed.holds(value):
        raise TemplateFailure("a secret in a list or map cannot be written out here", expected="one of them, or tojson")


def made(values: Iterator[Any]) -> list[Any]:
    """What would come lazily, as far as there is room."""
    budget, found = SIZE, list[Any]()
    for value in values:
        budget = weigh(value, budget - ELEMENT)
        found.append(value)
    return found
