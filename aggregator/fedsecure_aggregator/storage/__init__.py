"""The aggregator store and the spool: what is kept, and where.

store        the database: one transaction per change (`tables`, `queries`)
projection   what each entry of the ledger does to the tables; `audit` does it again
charges      the same for what openings cost in privacy
views        what people are shown of it
jobs         the same for jobs
spool        sealed bytes and round keys: what is asked of it; `folder_spool` is one
notes        by which a data folder recognises its database; `journal` of opened sets;
             `study_notes` of studies with their budgets
grant_cache  specs that were read lately
disk         a disk that fails, in our errors
"""
