"""Where a learning framework meets the two ends of a round.

    flower  carries questions and answers, steps with a strategy; the agent's mod
    keras   a study's model, for the model owner's jobs

    model_sources  whose model a study has: Keras', or arrays for another app

Neither of the two needs the other.
"""
