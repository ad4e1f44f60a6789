"""Desired state: one revision of the repository in, a HostSpec per host out. Never contacts a host.

git, source   a revision's files, straight from the object store (or the working tree, when asked for)
yaml, load    files → Nodes with origins, checked (`check`) against `format`; all problems in one go
cache         parsed files, kept
merge         layers of Nodes → one Node with its chain
compile       everything → a Fleet of HostSpecs; assemble: one environment, from
  inventory, ranges, connection, api      its hosts, and how each is reached
  roles, build, graph                     roles, their resources, and the order of one host's
  template, jinja, filters, bounds, scope text of people, rendered, and what it may look up
  sops, secrets                           which secret a name means; no value is ever seen
  profile, profile_spec, profiles, lazily kinds written in YAML, made when they are asked for
  findings, wrong, unused                 what is wrong, told once · indentation: of YAML, in words
explain, blame, impact, diff              questions about a Fleet · schema: the format, for editors
"""
