"""Reading the stores, for people: what happened, who was missing, what was signed.

    reading        open a round store so that it cannot be changed
    records        the views' rows as data
    details        one round in full, from the views and the signed statements
    sides          what both aggregators signed about a round, next to each other
    participation  who was in which round
    privacy        what noise protects and what was spent, in words
    stages         where the seconds went
    choosing       which rounds: by verdict, by date, by page
    formats        CSV, JSON and HTML files
    html_report    a run as one HTML page
    sql_shell      SQL, read-only
    judging        the model owner's verdict

The terminal's tables are in `terminal`, the pictures in `plots`, what rounds of
statistics told in `statistics`. Nothing here writes to
a store but `judging`, and nothing is secret: statements are made to be shown.
"""
