"""The job: the only code that imports Feast, one operation per process group.

    __main__ → supervisor ──spawns──► worker: imports feast, then forks ──► registry verifier
                   ▲  ▲                 │  then runs the operation            (runs no repo code)
                   │  └──────────────── report and progress, over a pipe         │
                   └──────────────────── the registry's digest, over a pipe ◄──┘

The supervisor does not import Feast. It accepts only a report that arrives through the pipe, and
derives no result from exit codes or output. The operator imports nothing from this package.
"""
