"""What one destination is told, and when. Pure: a state machine; clocks and chance come in with each Moment.

Level-triggered, like the rest: what is to be said is the difference between what is the case and what the destination
was told. So a message that could not be sent loses nothing, a limit only makes the next one longer, and what is kept
is bounded by the number of problems. Three laws: no more messages than the limit; each problem that lasts is told;
one that was over before it could be told is counted in the next message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from fleet.controller.notices.values import USUAL, Batch, Condition, EventName, Key, News, Seen, Told
from fleet.controller.standing import Moment
from fleet.pacing.backoff import Backoff
from fleet.pacing.bucket import Bucket

OCCURRED = 50  # that wait at most; more are counted
TRIES = 5  # in a row that fail, until that is told aloud; after them it is tried again at the longest pause
AGAIN = Backoff(base=15.0, cap=900.0)


@dataclass(frozen=True, slots=True)
class Policy:
    """events: what is told. environments: of these, empty: of all. window: seconds that news waits for more of its
    kind. remind: seconds until what lasts is told again, 0 never. per_hour: messages, tries that fail included; burst:
    of these at once after a rest."""

    events: frozenset[EventName] = USUAL
    environments: frozenset[str] = frozenset()
    window: float = 30.0
    remind: float = 86_400.0
    per_hour: float = 20.0
    burst: float = 5.0

    def wants(self, key: Key) -> bool:
        """What concerns no environment concerns all."""
        if key.event not in self.events:
            return False
        return not self.environments or not key.environment or key.environment in self.environments


@dataclass(slots=True)
class Teller:
    """told: what the destination knows, maybe of an earlier life. sent, tries: messages that arrived; tries in a row
    that did not."""

    policy: Policy
    told: dict[Key, Told] = field(default_factory=dict)
    sent: int = 0
    failed: int = 0
    tries: int = 0
    _seen: Seen = field(default_factory=Seen)
    _began: dict[Key, float] = field(default_factory=dict)  # Unix seconds, of what is the case and was not told
    _occurred: list[News] = field(default_factory=list)
    _missed: int = 0
    _held: set[Key] = field(default_factory=set)
    _news_since: float | None = None
    _not_before: float = float("-inf")
    _bucket: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self._bucket = Bucket(self.policy.per_hour / 3600, self.policy.burst)

    def see(self, seen: Seen, at: Moment) -> None:
        """This is how it is now."""
        for key in [key for key in self._began if key not in seen.there and key not in seen.unknown]:
            # What was over within the window is not worth a word; all else had to be told.
            one = self._seen.there.get(key)
            self._missed += one is not None and self._lasted(key, one, at, self.policy.window)
            del self._began[key]
        for key in seen.there:
            if key not in self.told and self.policy.wants(key):
                self._began.setdefault(key, at.wall)
        if "recovery" not in self.policy.events:
            for key in [*self._over(seen)]:
                del self.told[key]
        # What is unknown stays as it was last known: it is neither over nor news.
        kept = {key: one for key, one in self._seen.there.items() if key in seen.unknown}
        self._seen = replace(seen, there={**kept, **seen.there})

    def happened(self, news: News) -> None:
        """Something that does not last."""
        if not self.policy.wants(news.key):
            return
        if len(self._occurred) < OCCURRED:
            self._occurred.append(news)
        else:
            self._missed += 1

    def take(self, at: Moment) -> Batch | None:
        """What is to be sent now; `arrived` or `lost` says what became of it."""
        news = (*self._news(at), *self._occurred)
        if not news and not self._missed:
            self._news_since = None
            return None
        if self._news_since is None:
            self._news_since = at.now
        if at.now < self._news_since + self.policy.window or at.now < self._not_before:
            return None
        if self._bucket.wait(at.now) > 0:
            self._held.update(one.key for one in news)
            return None
        self._bucket.take(at.now)
        held = sum(one.key in self._held for one in news)
        return Batch(news, self._missed, held)

    def arrived(self, batch: Batch, at: Moment) -> None:
        for one in batch.news:
            self._began.pop(one.key, None)
            if one.what in ("ended", "gone"):
                self.told.pop(one.key, None)
            elif one.what == "happened":
                self._occurred.remove(one)
            else:
                self.told[one.key] = Told(one.mark, one.text, one.since, at.wall)
                if one.key not in self._seen.there and "recovery" not in self.policy.events:
                    del self.told[one.key]  # over meanwhile, and nobody wants to know
        self._missed -= batch.missed
        self._held.clear()
        self._news_since, self._not_before = None, float("-inf")
        self.sent, self.tries = self.sent + 1, 0

    def lost(self, at: Moment) -> bool:
        """It did not arrive; whether that is to be told aloud now."""
        self.failed, self.tries = self.failed + 1, self.tries + 1
        self._not_before = at.now + AGAIN.delay(self.tries, 0.5 + at.chance / 2)
        return self.tries == TRIES

    def waiting(self, at: Moment) -> int:
        """News that was not told yet."""
        return sum(1 for _ in self._news(at)) + len(self._occurred)

    def _news(self, at: Moment) -> Iterator[News]:
        there = self._seen.there
        for key, began in self._began.items():
            one = there.get(key)
            if one is not None and self._lasted(key, one, at):
                yield News("begun", key, one.text, one.mark, began)
        for key, told in self.told.items():
            one = there.get(key)
            if one is None:
                continue
            if one.mark != told.mark:
                yield News("changed", key, one.text, one.mark, told.since)
            elif 0 < self.policy.remind <= at.wall - told.at:
                yield News("lasts", key, one.text, one.mark, told.since)
        for key in self._over(self._seen):
            gone = bool(key.host) and (key.environment, key.host) not in self._seen.hosts
            yield News("gone" if gone else "ended", key, self.told[key].text, "", self.told[key].since)

    def _over(self, seen: Seen) -> Iterator[Key]:
        return (key for key in self.told if key not in seen.there and key not in seen.unknown)

    def _lasted(self, key: Key, one: Condition, at: Moment, longer: float = 0.0) -> bool:
        return at.wall - self._began[key] >= one.patience + longer


def restored(policy: Policy, told: Mapping[Key, Told]) -> Teller:
    """With what an earlier controller told. What is wanted no more is forgotten."""
    return Teller(policy, {key: one for key, one in told.items() if policy.wants(key)})
