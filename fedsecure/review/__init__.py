"""Reading the stores, for people: what happened, who was missing, what was signed.

    reading   open a round store so that it cannot be changed
    rows      the views' rows as data
    details   one round in full, from the views and the signed statements
    tables    the same for a terminal, of any width

Nothing here writes, and nothing here is secret: statements are made to be shown.
"""
