"""An aggregator's console: its own rounds, reports and refusals, from its own store.

    reading      rows of the store's views, by page
    page_tables  the same as tables
    routes       the pages
    job_reading, job_tables, job_routes  the same for jobs
    start        puts it together; what all consoles share is `fedsecure.console`

It is a process of its own beside the server, needs neither matplotlib nor Flower, and
writes nothing. It shows what this aggregator knows: who reported, when and how much;
never a share, which is sealed, added and deleted.
"""
