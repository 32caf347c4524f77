"""The model owner's console: runs, rounds, who took part, verdicts, audits.

reading   everything that a page shows, from one state of the round store
job_reading, job_routes  the same of services
pictures  the curves, drawn once for each state of a run
routes    the pages
start     puts it together
"""
