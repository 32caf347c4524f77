"""What an audit checks, by what it needs: one store, several, files, or receipts.

    walk                 one store, entry by entry               (checks 1 to 3)
    table_comparison     its tables against its ledger           (checks 4 to 6)
    across               several stores against each other       (checks 7 to 12)
    contradictions       what two stores can contradict in       (checks 7 to 11)
    restores             what a store lost when it was put back  (check 12)
    sets                 what sums tell together                 (checks 13 to 15)
    jobs                 what was computed beside rounds         (checks 22 to 25)
    model_files          models beside the round store           (check 16)
    receipts             a data owner's own evidence             (checks 17, 18)
    receipts_in_ledgers  the same in aggregators' ledgers        (checks 19, 20)

The numbers are those of `fedsecure.audit`.
"""
