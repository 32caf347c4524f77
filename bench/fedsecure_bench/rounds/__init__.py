"""Whole rounds on Flower's real runtime, protected and not.

    whole_rounds  the bench: each kind in turn
    round_kinds   one run of several rounds of each kind
    parties       who is there, each a process of its own
    plain_agent   an agent that protects nothing, or by SecAgg+
    idle          a ClientApp that trains nothing
    model         the model of these rounds
    secagg        Flower's SecAgg+
    stock_flower  Flower as it comes, by its own commands

All on one machine: what is measured are ratios within one run.
"""
