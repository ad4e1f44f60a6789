"""One pass over one host: look, plan, apply, look again.

plan      pure: desired and observed states → the Plan
look      probes of all kinds joined into one Batch, and its outcomes read back
witness   which of the last observations still hold, by the identity of files
rounds    pure: which changes go out in one script, as which Tasks
drive     the pass itself, over a Session
facts     what a host is, asked before templates that want to know
"""
