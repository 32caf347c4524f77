"""What every SQL store is built on; which tables it has is its own affair.

    database      engines for SQLite and PostgreSQL, for writing and for reading
    revisions     a store's form: made, checked, migrated
    transactions  named, and tried again when the database lost them
    locks         one process at a time on a folder or a database
    sql_failures  what a failing database says, as our codes and words
    views         documented views for people who read SQL
    view_rows     rows of those views as data

A commit is on the disk when it returns.
"""
