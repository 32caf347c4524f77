"""What may happen and what is refused: pure, no clock, disk or network.

    round_states    what may happen to a round, in which order
    job_states      the same of a job
    opening         when a set may be opened
    budgets         what openings cost data owners in privacy, and whether there is room
    policy          what is refused whatever the model owner signs
    compute_policy  what is computed on shares for others, and how much
    limits          how long is waited for what

Whoever asks `Is this allowed?` finds the answer here, and its test without a server.
"""
