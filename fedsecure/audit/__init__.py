"""Do the records of a federation agree? Checked across its stores, by anybody.

Given are the model owner's store and one or both aggregators', each as a database or as
an export; a data owner's receipts can be held against them as well. Nothing is believed
but the federation's public keys.

    stores    where the stores are read from, and what each kind holds
    checks    what is checked, by number
    verify    all of it, in order
    findings  what came out
    page      the same for a terminal

The checks. Each names the first entry or row that is wrong:

    (1)  every entry links to the one before it, was signed by the store's owner, and
         its columns say what was signed;
    (2)  every statement inside an entry was signed by who should have said it, and
         belongs to the round that the entry is about;
    (3)  every entry follows from the ones before: it can be projected again;
    (4)  every row of every table is what projecting again gives; none is missing, none
         is too many;
    (5)  an aggregator's reports, which are no projection, are what their data owners
         signed, and the opened sets' are all there;
    (6)  tables, views and indexes are defined as this version defines them, and the
         database's own check of itself finds nothing;
    (7)  a round that is granted is known to all, and by the same grant;
    (8)  an opening is the same at all, and what was opened for the model owner was
         opened at both aggregators;
    (9)  each member's report is the one that its receipt is for, at both aggregators;
    (10) each aggregate share is the one that its aggregator stored;
    (11) what is void for one is not opened for another;
    (12) every ledger head that somebody else holds is in its author's chain, which is
         at least as long, but for entries that a restore has lost, which is said;
    (13) each round starts from the model that came out of the one before;
    (14) no sum of fewer than the agreed number was opened, and no round twice;
    (15) no opened sums over the same model tell a few data owners apart;
    (16) the files of models are those that were recorded;
    (17) a data owner's reports are what it signed, and its receipts are for them;
    (18) both aggregators say the same about what became of a report;
    (19) what they say is in their ledgers: counted, left out, or void;
    (20) the heads in receipts and inclusions are in the aggregators' chains;
    (21) each opening is charged to its members, at both aggregators, what the noise of
         the model owner's own spec costs;
    (22) a job's grants and channel keys are those that their aggregators gave, and a
         service answered the rows that its model owner tried;
    (23) an input of a job, and what its output was computed from, are the same at both
         aggregators;
    (24) of each client of a service the numbers of queries ascend, and it was answered
         no more rows in all than the spec allows;
    (25) a query that both aggregators answered is the same at both.

Guarantee: if no check finds anything, all records agree, and nobody changed what
another one holds proof of. Assumption: of the parties whose records are compared, at
least one is honest about each round. What no party but its author can prove is not
found: docs/sharp-edges.md lists it.
"""
