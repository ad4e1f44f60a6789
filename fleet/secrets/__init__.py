"""Where values of secrets come from: the sops program, with the age identity of the environment that asks.

program      the child process
identities   which keys it gets
vault        decrypted files in memory, each once
"""
