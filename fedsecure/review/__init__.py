"""Reading the stores, for people: what happened, who was missing, what was signed.

    reading   open a round store so that it cannot be changed
    rows      the views' rows as data
    details   one round in full, from the views and the signed statements
    sides     what both aggregators signed about a round, next to each other
    grid      who was in which round;  stages: where the seconds went
    choosing  which rounds: by verdict, by date, by page;  paging
    tables    the same for a terminal, of any width
    live      a run while it goes on
    curves    what there is to draw;  plots, panels: the picture
    forms     CSV and JSON;  report: one HTML page
    shell     SQL, read-only
    judging   the model owner's verdict
    audited   what an audit found

Nothing here writes to a store but `judging`, and nothing is secret: statements are
made to be shown.
"""
