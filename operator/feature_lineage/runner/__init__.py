"""The job: the only code that imports Feast, one operation per process group.

    __main__ → supervisor ──spawns──► worker: imports feast, then forks ──► witness (never runs
                   ▲  ▲                 │  then runs the operation            repo code)
                   │  └──────────────── report and progress, over a pipe         │
                   └──────────────────── what the registry holds, over a pipe ◄──┘

The supervisor imports no Feast and trusts neither exit codes nor output: only a report that came
through the pipe counts. Nothing here is imported by the operator.
"""
