"""The record: what was asked for, intended, done and found, in one SQLite file. The only SQL of fleet.

history   History: the Journal that passes write to, and what the commands read
records   RunRecord, PassRecord, ChangeRecord, Content: what is read

schema, statements, read, encoding   tables, SQL, rows → records, values ↔ text (pure) · masked: without any secret
database, writer, alive              the file, the one task that writes, which runs still have a process
"""

from fleet.history.history import History
from fleet.history.records import ChangeRecord, Content, ExecRecord, PassRecord, RunRecord

__all__ = ["ChangeRecord", "Content", "ExecRecord", "History", "PassRecord", "RunRecord"]
