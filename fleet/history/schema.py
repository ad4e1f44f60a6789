"""The tables, as numbered migrations: entry N brings a database from version N to N + 1. Append; never edit an old one.

Times are Unix seconds; order is that of the ids, never of the clock. JSON columns hold what `encoding` writes.
A change joins to its pass by (run, environment, host), and through its run to the revision and the trace.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE revisions (revision TEXT PRIMARY KEY, first_seen REAL NOT NULL) WITHOUT ROWID",
        # AUTOINCREMENT: a number is never used again, so that a stale reference cannot name another run.
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            command TEXT NOT NULL, environment TEXT NOT NULL, revision TEXT NOT NULL,
            started REAL NOT NULL, finished REAL,
            trace_id TEXT NOT NULL, who TEXT NOT NULL, verdicts TEXT NOT NULL DEFAULT '{}')""",
        """CREATE TABLE passes (
            id INTEGER PRIMARY KEY,
            run INTEGER NOT NULL, environment TEXT NOT NULL, host TEXT NOT NULL,
            verdict TEXT NOT NULL, began REAL NOT NULL, ended REAL NOT NULL,
            seconds TEXT NOT NULL, round_trips INTEGER NOT NULL,
            plan_digest TEXT NOT NULL, found TEXT NOT NULL, remaining TEXT NOT NULL,
            error TEXT NOT NULL, trace_id TEXT NOT NULL)""",
        "CREATE INDEX passes_of_run ON passes (run)",
        "CREATE INDEX passes_of_host ON passes (environment, host, id)",
        # intended NULL: skipped before anything was sent. status NULL: no result came (yet).
        """CREATE TABLE changes (
            id INTEGER PRIMARY KEY,
            run INTEGER NOT NULL, environment TEXT NOT NULL, host TEXT NOT NULL,
            resource TEXT NOT NULL, action TEXT NOT NULL, due TEXT NOT NULL, attributes TEXT NOT NULL,
            before TEXT NOT NULL, after TEXT NOT NULL, origin TEXT NOT NULL, role TEXT NOT NULL,
            plan_digest TEXT NOT NULL, attempt TEXT NOT NULL,
            intended REAL, ended REAL, status TEXT, code INTEGER, step INTEGER NOT NULL DEFAULT -1,
            seconds REAL NOT NULL DEFAULT 0, output BLOB NOT NULL DEFAULT x'', output_size INTEGER NOT NULL DEFAULT 0,
            remaining TEXT NOT NULL DEFAULT '')""",
        "CREATE INDEX changes_of_run ON changes (run, environment, host, resource)",
        "CREATE INDEX changes_of_host ON changes (environment, host, resource, id)",
        "CREATE INDEX changes_open ON changes (run) WHERE status IS NULL",
        """CREATE TABLE contents (
            digest TEXT PRIMARY KEY, size INTEGER NOT NULL, data BLOB NOT NULL)""",
        """CREATE TABLE facts (
            environment TEXT NOT NULL, host TEXT NOT NULL, gathered REAL NOT NULL, facts TEXT NOT NULL,
            PRIMARY KEY (environment, host)) WITHOUT ROWID""",
        """CREATE TABLE settled (
            environment TEXT NOT NULL, host TEXT NOT NULL, digests TEXT NOT NULL,
            PRIMARY KEY (environment, host)) WITHOUT ROWID""",
    ),
    (
        # What fleet made behind APIs and has not removed since.
        """CREATE TABLE made (
            environment TEXT NOT NULL, host TEXT NOT NULL, url TEXT NOT NULL, place TEXT NOT NULL,
            resource TEXT NOT NULL, memento TEXT NOT NULL, position INTEGER NOT NULL,
            PRIMARY KEY (environment, host, url, place)) WITHOUT ROWID""",
    ),
    (
        "ALTER TABLE changes ADD COLUMN cause TEXT NOT NULL DEFAULT ''",
        # When a host was last found as its latest pass says.
        """CREATE TABLE looks (
            environment TEXT NOT NULL, host TEXT NOT NULL, looked REAL NOT NULL,
            PRIMARY KEY (environment, host)) WITHOUT ROWID""",
        # The revision that each environment is at, or on its way to, and how far.
        """CREATE TABLE taken (
            environment TEXT PRIMARY KEY, revision TEXT NOT NULL, before TEXT NOT NULL, since REAL NOT NULL,
            rollout TEXT NOT NULL) WITHOUT ROWID""",
        # Freezes and pauses that hold.
        "CREATE TABLE orders (scope TEXT PRIMARY KEY, who TEXT NOT NULL, reason TEXT NOT NULL, since REAL NOT NULL)",
        # Each entry covers the one before it, so that none can be taken out or altered unseen.
        """CREATE TABLE audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
            said TEXT NOT NULL, chain TEXT NOT NULL)""",
    ),
    (
        # What people ran by hand. status NULL: no result came (yet).
        """CREATE TABLE execs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            run INTEGER NOT NULL, environment TEXT NOT NULL, host TEXT NOT NULL,
            who TEXT NOT NULL, reason TEXT NOT NULL, command TEXT NOT NULL,
            intended REAL NOT NULL, ended REAL, status TEXT, code INTEGER,
            output BLOB NOT NULL DEFAULT x'', truncated INTEGER NOT NULL DEFAULT 0,
            error TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL DEFAULT 0)""",
        "CREATE INDEX execs_of_run ON execs (run)",
        "CREATE INDEX execs_of_host ON execs (environment, host, id)",
        # When the last look that found the host in sync began.
        "ALTER TABLE looks ADD COLUMN in_sync REAL",
    ),
    (
        # What retention looks for, and the latest of an environment or host.
        "CREATE INDEX passes_ended ON passes (ended)",
        "CREATE INDEX changes_ended ON changes (coalesce(ended, intended)) WHERE status IS NOT NULL",
        "DROP INDEX changes_of_host",
        "CREATE INDEX changes_of_host ON changes (environment, host, id)",
        "CREATE INDEX changes_of_environment ON changes (environment, id)",
        "CREATE INDEX passes_of_environment ON passes (environment, id)",
    ),
)
