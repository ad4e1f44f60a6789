"""The same work, measured against the floor that the machine itself sets.

Each figure is printed as a ratio to the floor measured in the same run on the same hosts.
"""
