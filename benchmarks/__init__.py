"""What things cost, each beside what it cannot do without.

    make bench                      everything, ten interleaved pairs of each
    make bench ARGS="jobs --pairs 3"
    make bench ARGS="--quick"       a smoke run of those that need no server and no Feast

A number of seconds says something about the machine; a ratio says something about the code. So
every measurement is a pair: a floor (bare Feast, bare HTTP, a plain loop) and ours, taken in turn
in one process tree, and a run never fails by what it measured.
"""
