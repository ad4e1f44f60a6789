"""One file = one command: a `command` that turns options into an Answer. Heavy imports stay in functions."""
