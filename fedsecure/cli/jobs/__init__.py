"""Commands about jobs: what both aggregators compute, and what a model owner serves.

serve   a trained linear model answers clients
job     share numbers with others, and open what is made of them
page    what a job is and how it stands, for a person
values  numbers from files, and results into files
"""
