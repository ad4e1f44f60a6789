"""One file = one command: a `command` that turns options into an Answer. Imports of anything heavy stay in functions."""
