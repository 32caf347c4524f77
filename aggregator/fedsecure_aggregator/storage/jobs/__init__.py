"""What is kept of jobs: rows, and beside the database keys, inputs and outputs.

tables      jobs, inputs and queries, which the ledger says; answers, which it does not
projection  what each entry of the ledger does to them
reading     what is asked of them
views       what people are shown
audit       what an audit asks of them
spool       keys, inputs and outputs: what is asked of it; `folder_spool` is one
"""
