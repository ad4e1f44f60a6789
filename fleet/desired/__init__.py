"""Desired state: one revision of the repository in, a HostSpec per host out. Never contacts a host.

git, source   a revision's files, straight from the object store (or the working tree, when asked for)
yaml, load    files → Nodes with origins, checked against `format`; all problems in one go
merge         layers of Nodes → one Node with its chain
compile       hosts, roles, templates, kinds → HostSpec
"""
