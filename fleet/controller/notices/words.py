"""News → a message: one line for each group of hosts with the same story. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fleet.controller.notices.values import Batch, Key, Message, News
from fleet.model.duration import spelt

HOSTS = 5  # that a group names
GROUPS = 20  # that a message tells
LONGEST = 300  # characters of somebody else's words
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)
_BRACKETS = str.maketrans({"<": "‹", ">": "›"})
_SORTS = ("begun", "changed", "happened", "lasts", "ended", "gone")
_VERBS = {
    "drift": ("drifted", "drift ended"),
    "failure": ("failed", "recovered"),
    "unreachable": ("cannot be reached", "can be reached again"),
    "refused": ("commit refused", "follows Git again"),
    "stopped": ("rollout stopped", "the stopped rollout goes on, or is over"),
    "git": ("Git does not answer", "Git answers again"),
    "finished": ("rollout finished", ""),
    "recovery": ("", ""),
}

# Of the controller itself.
_OWN = ("nothing is changed while the record cannot be written", "the record can be written again")


def safe(text: str, limit: int = LONGEST) -> str:
    """Others' words in one line: nothing that a terminal, HTML or a chat would act on; cut at `limit` characters."""
    text = text[: 2 * limit]
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode() for one in text
    )
    shown = _CALLS.sub("@ ", shown.translate(_BRACKETS))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def like(text: str, host: str = "") -> str:
    """The same for what differs in numbers (process ids, times, addresses) or in the host's own name alone."""
    return re.sub(r"\d+", "0", text.replace(host, "") if host else text)


def message(batch: Batch, wall: float, per_hour: float) -> Message:
    """wall: Unix seconds now. per_hour: messages, as the limit has it."""
    groups = _groups(batch.news)
    titles = [_headline(group) for group in groups]
    more = f" (and {len(titles) - 1} more)" if len(titles) > 1 else ""
    lines = [_line(title, group, wall) for title, group in zip(titles[:GROUPS], groups, strict=False)]
    if len(groups) > GROUPS:
        lines.append(f"… and {len(groups) - GROUPS} more, of {sum(map(len, groups[GROUPS:]))} problems")
    if batch.missed:
        lines.append(f"{_count(batch.missed, 'other problem')} came and went before this could be sent")
    if batch.held:
        lines.append(f"{batch.held} of these waited: no more than {per_hour:g} messages an hour are sent here")
    return Message(f"fleet: {titles[0] if titles else 'news'}{more}", "\n".join(lines))


def _groups(news: Iterable[News]) -> list[list[News]]:
    """Those with the same story together, the largest of what is worst first."""
    found: dict[tuple[str, str, str, str], list[News]] = {}
    for one in news:
        text = like(one.text, one.key.host) if one.what in ("begun", "changed", "happened", "lasts") else ""
        found.setdefault((one.what, one.key.event, one.key.environment, text), []).append(one)
    return sorted(found.values(), key=lambda group: (_SORTS.index(group[0].what), -len(group)))


def _headline(group: Sequence[News]) -> str:
    first = group[0]
    key = first.key
    begins, ends = _VERBS[key.event] if key.host or key.event != "failure" else _OWN
    place = safe(key.environment, 80)
    if first.what == "gone":
        said = f"{_hosts(group)} no longer in Git, {begins} before"
    elif first.what == "ended":
        said = f"{_hosts(group)} {ends}" if key.host else ends
    else:
        still = "still " if first.what == "lasts" else ""
        said = f"{_hosts(group)} {still}{begins}" if key.host else f"{still}{begins}"
    return f"{place}: {said}" if place else said


def _line(title: str, group: Sequence[News], wall: float) -> str:
    first = group[0]
    names = _names([one.key for one in group]) if first.key.host else ""
    age = f", for {spelt(max(wall - min(one.since for one in group), 0.0) // 60 * 60)}" if first.what == "lasts" else ""
    text = f"\n    {first.text}" if first.text and first.what not in ("ended", "gone") else ""
    return f"{title}{age}{': ' if names else ''}{names}{text}"


def _hosts(group: Sequence[News]) -> str:
    return safe(group[0].key.host, 80) if len(group) == 1 else f"{len(group)} hosts"


def _names(keys: Sequence[Key]) -> str:
    if len(keys) == 1:
        return ""  # the headline names it
    more = f" and {len(keys) - HOSTS} more" if len(keys) > HOSTS else ""
    return ", ".join(safe(one.host, 80) for one in keys[:HOSTS]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
