"""The model owner's end: its rounds, its runs, its store.

    jobs      what rounds are asked for: a training, an evaluation
    process   keys, aggregators and round store, opened
    recorder  each attempt into the store, models first
    run       rounds in attempts: ask, end, account, pause, take up
    rounds    one round, step by step
    store     what happened in every round, in SQL
    settings  owner.toml

Nothing here knows Flower, Keras or another framework.
"""
