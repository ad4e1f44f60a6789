"""Plans and results to write down."""

from fleet.errors import Origin
from fleet.model.change import Change, PassResult, Plan, Verdict
from fleet.model.host import Resource
from fleet.model.step import Outcome, Status

MOTD = Resource(
    "file:/etc/motd",
    "file",
    "/etc/motd",
    None,
    {"mode": "644", "sha256": "11"},
    content=b"hello\n\xff\0",
    role="common",
    origin=Origin("environments/base/roles/common.yaml", 4, 5),
    digest="d1",
)
SECRET = Resource(
    "file:/etc/token", "file", "/etc/token", None, {"mode": "600"}, content=b"hunter2", sensitive=True, digest="d2"
)
LATER = Resource("service:nginx", "service", "nginx", None, {"running": True}, digest="d3")
CHANGES = (
    Change(MOTD, {"mode": "600", "content": b"old\n\xfe"}, MOTD.desired, ("mode",)),
    Change(SECRET, {"mode": "644", "content": b"hunter1"}, SECRET.desired, ("mode",)),
)
SKIPPED = Change(LATER, {"running": False}, LATER.desired, ("running",))


def plan(host: str, changes: tuple[Change, ...] = CHANGES) -> Plan:
    return Plan(host, changes, digest="p" * 64, environment="dev")


def result(host: str, verdict: Verdict = Verdict.CHANGED) -> PassResult:
    """Both changes made, one more skipped."""
    outcomes = {
        MOTD.id: Outcome(MOTD.id, Status.OK, 0, b"x" * 100_000, seconds=0.5),
        SECRET.id: Outcome(SECRET.id, Status.FAILED, 1, b"cannot use hunter2", step=0),
        LATER.id: Outcome(LATER.id, Status.SKIPPED, output=b"needs file:/etc/token"),
    }
    return PassResult(
        host,
        "dev",
        verdict,
        plan(host, (*CHANGES, SKIPPED)),
        outcomes,
        {SECRET.id: "differs in mode"},
        seconds={"observe": 0.25, "apply": 0.75},
        round_trips=2,
    )
