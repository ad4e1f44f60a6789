"""Real HTTP APIs for tests: each server in a directory and on a loopback address of its own, gone with its block."""
