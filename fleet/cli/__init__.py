"""The command line: options in, an `Answer` out. One file in commands/ = one command; rules live elsewhere.

main        the lazy group, and the one place where errors become exit codes
options     what every command accepts, as one Invocation · selection: which hosts it is about
opening     from an Invocation to the App and what a revision says · running, run_async: a run over many hosts
answer      what a command says: text for people, one JSON document for programs, an exit code
failure, exit_codes                      errors and verdicts, as answers
grouping, render_*, yaml_text, ranges    results as text · json_output: as documents · times, words: small matters
tally, progress                          a run as it goes
printable   every byte from hosts and repository passes here before a terminal
"""
