"""What the demo does, in order: plain words, and the very commands that anybody would type. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """words: said before it. fleet: the words of a command, without `fleet`; code: what it must end with.

    by_hand: instead, (host, shell script) run on one host behind fleet's back.
    """

    title: str
    words: str
    fleet: tuple[str, ...] = ()
    code: int = 0
    by_hand: tuple[str, str] | None = None


BOTH = ("-e", "dev", "-e", "staging")
HOST = "dev/web-1"
FILE = "file:/etc/database/database.conf"

STEPS = (
    Step(
        "What would change",
        "A look only: nothing is written on any host. Hosts with the same change are shown once.",
        ("plan", *BOTH, "--short"),
        code=2,
    ),
    Step(
        "Make it so",
        "Changes go out in as few scripts as can be; then every host is looked at again. Only that says `changed`.",
        ("apply", *BOTH, "--yes", "--short"),
    ),
    Step("Nothing is left to do", "The same look once more. An empty plan is the promise.", ("plan", *BOTH)),
    Step(
        "Somebody changes a host by hand",
        "At three in the morning, as one does.",
        by_hand=(HOST, "echo 'Somebody was here.' >> /etc/motd && chmod 600 /etc/motd"),
    ),
    Step("Drift is seen", "Git did not move; the host did. The diff says how.", ("plan", *BOTH), code=2),
    Step("And healed", "Only what differs is changed, and only there.", ("apply", "-e", "dev", "--yes")),
    Step(
        "Why is a value what it is?",
        "Every layer that said something, the winner first, with the commit that wrote the line.",
        ("explain", "staging/db-a", FILE, "content"),
    ),
    Step("Where the time went", "One more look at all hosts; the slowest ones in seconds.", ("plan", *BOTH, "--trace")),
)
