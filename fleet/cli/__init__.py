"""The command line: options in, an `Answer` out. One file in commands/ = one command; rules live elsewhere.

main        the lazy group, and the one place where errors become exit codes
options     what every command accepts; Invocation and Selection
answer      what a command says: text for people, one JSON document for programs, an exit code
printable   every byte from hosts and repository passes here before a terminal
"""
