"""The costs of the operator, each next to a baseline.

    make bench                      everything, ten interleaved pairs of each
    make bench ARGS="jobs --pairs 3"
    make bench ARGS="--quick"       a smoke run of those that need no server and no Feast

A number of seconds describes the machine; a ratio describes the code. So every measurement is a
pair: a floor (bare Feast, bare HTTP, a plain loop) and ours, one after the other in one process
tree. No result fails a run.
"""
