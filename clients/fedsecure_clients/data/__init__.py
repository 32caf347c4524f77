"""A data owner's rows: read, checked by a study's schema, split. They never leave.

    dataset      reads, checks and splits, whatever the kind
    examples     examples as a model sees them, and what is wrong with them
    tables       a table as text, in blocks of rows
    cells        a table's features and labels
    arrays       an NPZ file's
    images       a folder of images'
    near_names   what a file has instead of a name that is read
    data_report  all of that for the data owner's own screen

What is wrong with a row is said here alone, with its place and never its value.
"""
