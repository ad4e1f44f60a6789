"""When something may begin, and when it may be tried again. Pure: clocks and chance come in as arguments.

backoff   how long to wait after a failure
bucket    so many a second, and not before a time that somebody named
budget    retries as a share of first tries
breaker   whether it is worth trying at all
fair      whose turn it is
headers   what a server says of all this
"""
