"""What a data owner agrees to.

    policy          its limits, checked before any training
    privacy_policy  what must be protected, and how much may be told at most
    hours           when the agent takes part
    checks          the step of `accept` that asks all three, and the studies
    review          a study in figures and plain words, for who has to judge it
    review_page     the same for a terminal

Only a person at the data owner approves a study; nothing here does it alone.
"""
