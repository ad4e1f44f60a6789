"""What people are told without asking: problems that begin, last and end, and how a commit fares.

Pure: values, conditions, teller, words, statuses. At the edge: destinations (a file), memory (a file), notifier.
"""
