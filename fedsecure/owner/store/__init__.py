"""The model owner's round store: what happened in every round, in SQL.

    records     what the store takes and gives back, as frozen data
    states      which step may follow which
    models      the tables, with `base` and `job_models`
    views       the tables as people read them, with `job_views`
    projection  one event of the ledger -> rows (`run_rows`, `round_rows`,
                `privacy_rows`, `job_rows`)
    rounds      `RoundStore`: one method, one event, one commit
    queries     reading for those who act: `resume`, replaying the means
    replay      project every event again and compare (audit)
    files       models and means, as .npy files that the tables name by digest
    migrations  Alembic revisions, run when the store is opened

Only `events` is written for its own sake. Every other table is a projection of it,
so a change made behind the ledger's back is found by projecting again.
"""
