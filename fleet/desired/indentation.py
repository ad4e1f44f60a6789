"""What the parser's marks tell of a wrong indentation, in words: which column was expected, and who opened the block.

Pure: a file's lines and the places of the complaint in, a hint out ("" where the columns tell nothing).
"""

from __future__ import annotations

from collections.abc import Sequence

from fleet.errors import Origin


def advice(lines: Sequence[str], what: str, at: Origin, opened: Origin | None) -> str:
    """what: the parser's complaint at the place `at`; opened: where the block around it begins."""
    if not 0 < at.line <= len(lines):
        return ""
    if "did not find expected key" in what and opened is not None:
        return _between(lines, at, f"keys of the map opened in line {opened.line} stand in column {opened.column}")
    if "did not find expected '-'" in what and opened is not None:
        return _between(lines, at, f"the list opened in line {opened.line} has its `-` in column {opened.column}")
    if "mapping values are not allowed" in what:
        return _too_deep(lines, at)
    if "<document start>" in what and (first := _first(lines)) is not None:
        return f"the map opened in line {first.line} stands in column {first.column}, this line in column {at.column}"
    return ""


def _between(lines: Sequence[str], at: Origin, expected: str) -> str:
    above = _above(lines, at)
    said = f"{expected}, this line begins in column {_column(lines[at.line - 1])}"
    return said + (f"; line {above.line} above it begins in column {above.column}" if above is not None else "")


def _too_deep(lines: Sequence[str], at: Origin) -> str:
    """A key further in than the line above, which has its value already: `a: 1` and, a column further, `b: 2`."""
    line, above = lines[at.line - 1], _above(lines, at)
    if above is None or ":" in line[: at.column - 1] or _column(line) <= above.column:
        return ""
    here = f"this line begins in column {_column(line)}"
    return f"{here}, line {above.line} above it in column {above.column} and opens no block: use the same column"


def _above(lines: Sequence[str], at: Origin) -> Origin | None:
    """The last line before it that says something."""
    for number in range(at.line - 1, 0, -1):
        if _says(lines[number - 1]):
            return Origin(at.file, number, _column(lines[number - 1]))
    return None


def _first(lines: Sequence[str]) -> Origin | None:
    found = next((number for number, line in enumerate(lines, 1) if _says(line)), 0)
    return Origin("", found, _column(lines[found - 1])) if found else None


def _says(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _column(line: str) -> int:
    return len(line) - len(line.lstrip()) + 1
