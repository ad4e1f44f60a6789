"""Near misses: a word nobody knows and the words that exist in, a hint out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def near(word: str, known: Iterable[str]) -> str:
    """The known word that is most like `word`, or ""."""
    found = get_close_matches(word, sorted(known)[:2000], n=1, cutoff=0.6)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a Problem: "did you mean `template`?", or ""."""
    best = near(word, known)
    return f"did you mean `{best}`?" if best else ""
