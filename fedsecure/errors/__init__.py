"""Everything that can go wrong, in one table: stable code, title, remedy.

An error names who is to blame, for that decides what the program does next; what else
follows from it (is it final, asked again, evidence?) its row of the table says:

    PeerError        what another party sent is wrong: refuse it, keep running
    RoundStateError  the right request at the wrong time: refuse it, keep running
    OperatorError    this party's own files or settings are wrong: stop and say so

The message of an error says what happened and where (party, file, row, column);
title and remedy come from the table and say what to type next. Codes are grouped, and
each group is a module that says who meets which of its codes:

    1xx  data           tables, arrays, images, weights
    2xx  numbers        of a round, of an update, of a training
    3xx  rounds         at an aggregator, a data owner, the model owner
    4xx  policies       and studies: what is forbidden, who approves
    5xx  servers        and the network
    6xx  records        stores, audits, looking at rounds
    7xx  statements     seals, shares, identities and keys
    8xx  configuration  and commands

`exceptions` are those three, `problem` is what a row says, `registry` holds all rows,
and `printing` keeps what others wrote from steering a terminal.
"""

from fedsecure.errors.exceptions import (
    FedsecureError,
    OperatorError,
    PeerError,
    RoundStateError,
    described,
)
from fedsecure.errors.printing import one_line, printable
from fedsecure.errors.problem import (
    Evidence,
    Family,
    Finality,
    Problem,
    Spoiled,
    Stands,
)
from fedsecure.errors.registry import FAMILIES, PROBLEMS, family

__all__ = [
    "FAMILIES",
    "PROBLEMS",
    "Evidence",
    "Family",
    "FedsecureError",
    "Finality",
    "OperatorError",
    "PeerError",
    "Problem",
    "RoundStateError",
    "Spoiled",
    "Stands",
    "described",
    "family",
    "one_line",
    "printable",
]
