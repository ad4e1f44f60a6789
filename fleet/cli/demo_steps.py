"""What the demo does, in order: plain words, and the very commands that anybody would type. Data only."""

from __future__ import annotations

from dataclasses import dataclass

# What is changed by hand on one host, behind fleet's back.
DRIFT_HOST = "web-1"
DRIFT_SCRIPT = "printf 'Somebody was here.\\n' >> /etc/motd && chmod 600 /etc/motd"


@dataclass(frozen=True, slots=True)
class Step:
    """words: said before. command: of fleet, without `fleet`. exit_code: the one it must end with.

    on_host: instead of a command of fleet, a script run on `DRIFT_HOST` by hand.
    """

    title: str
    words: str
    command: tuple[str, ...] = ()
    exit_code: int = 0
    on_host: str = ""


def steps(environments: tuple[str, str], explained: tuple[str, str]) -> tuple[Step, ...]:
    """The story for two environments; explained: resource and attribute of the value that is explained."""
    dev, staging = environments
    both = ("-e", dev, "-e", staging)
    one = ("-e", dev, "--host", DRIFT_HOST)
    return (
        Step("What is wrong with the hosts", "Look only. Hosts with the same change are shown once.", ("plan", *both), 2),
        Step("Make it so", "One script a host and round trip; then look again: only that says `changed`.",
             ("apply", *both, "--yes", "--trace"), 0),
        Step("Nothing is left to do", "The same look once more. An empty plan is the promise.", ("plan", *both), 0),
        Step("Somebody changes a host by hand", f"On {dev}/{DRIFT_HOST}, as one does at three in the morning:",
             on_host=DRIFT_SCRIPT),
        Step("Drift is seen, as a diff", "Git did not move; the host did.", ("plan", *both), 2),
        Step("Heal it", "Only what differs is changed, and only there.", ("apply", *one, "--yes"), 0),
        Step("Why is a value what it is?", "File, line, commit and author; the winner first.",
             ("explain", f"{dev}/{DRIFT_HOST}", *explained), 0),
        Step("Where the time went", "The slowest hosts of a whole look, stage by stage, in seconds.",
             ("plan", *both, "--trace"), 0),
    )  # fmt: skip
