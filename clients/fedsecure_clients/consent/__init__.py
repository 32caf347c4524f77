"""What a data owner agrees to.

    policy          its limits, checked before any training
    privacy_policy  what must be protected, and how much may be told at most
    hours           when the agent takes part
    checks          the step of `accept` that asks all three, and the studies
    review          a study in figures and plain words, for who has to judge it
    what_leaves     what leaves the machine, in plain words
    what_is_counted  the same of a round of statistics
    privacy_review  what may be told about one unit, beside what was told so far
    privacy_spent   what was told so far, study by study
    rules           one rule beside what a study asks for
    review_page     all of it for a terminal

Only a person at the data owner approves a study; nothing here does it alone.
"""
