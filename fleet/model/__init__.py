"""The vocabulary: frozen values and Protocols. No I/O, no clock, no chance.

value     Value, State, Node (a value with its Origin chain)
host      Target (how to reach a host), Resource, Graph, HostSpec
step      Script, Command, Put, Guard; Task, Batch, Outcome: what goes to a host and what comes back
change    Change, Plan, Verdict, PassResult
kind      Kind, Spec base, Probe: the contract of a file in kinds/
port      Session, Transport, Journal: what the edges must offer
api       Api (how it is reached) and Answered · answers: how these travel in an Outcome · json_path: what stands where
secret    a value that nothing shows by accident · sealed: text with a token where it will stand · key_service: who may
          be asked for keys
made      what fleet made behind APIs
"""
