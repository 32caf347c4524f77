"""Ask a service about the rows of a table: what `fedsecure predict` does.

    rows     a table as the service's description says, and what does not fit
    asking   rows in, scores out, as many as the service answers
    answers  the file that comes out

No framework, and no training: the model is elsewhere.
"""
