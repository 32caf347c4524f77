"""The feature schema: what one example at a data owner means to a model.

    features  the kinds of schemas, and what they share
    tabular   a row of a table
    columns   the kinds of columns, and each one's numbers
    arrays    an NPZ file
    images    a folder with one subfolder for each class
    extremes  examples at the ends of what is allowed, to try a model on

A schema is data that travels; it names no file and runs no code of a study.
"""
