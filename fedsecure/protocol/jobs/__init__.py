"""What parties sign about jobs: computations on shares, beside rounds.

    statements  what can be signed about a job, as strict data
    programs    what a job computes, as a spec says it
    parts       what these statements are made of beside plain fields
    digests     what both aggregators and a receiver compute alike

Nothing here acts on a statement: `fedsecure.compute` and the aggregators do.
"""
