"""Statistics of all data owners' columns together, in one round of counts.

    cells      which counts there are of a column, and where a row counts
    task       what a data owner is asked, as data that travels
    denoising  a histogram and its quantiles, from counts with noise
    reading    what opened counts say of each column
    rescaling  the schema again, with the scale that was found

Nothing here needs a model, or a framework.
"""
