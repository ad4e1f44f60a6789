"""Small matters of language: numbers with their nouns."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """ "1 host", "1,200 hosts"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
