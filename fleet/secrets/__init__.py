"""Where values of secrets come from: the sops program, with the age identity of the environment that asks.

program      the child process
identities   which keys it gets
keys         making identities, and rules for .sops.yaml
files        changing SOPS files
vault        decrypted files in memory, each once
"""
