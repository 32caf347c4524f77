"""Where a learning framework meets the two ends of a round.

    flower  carries questions and answers, steps with a strategy; the agent's mod
    keras   a study's model, for the model owner's jobs

Neither needs the other.
"""
