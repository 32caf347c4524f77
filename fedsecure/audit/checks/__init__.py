"""What an audit checks, by what it needs: one store, several, files, or receipts.

walk              one store, entry by entry               (checks 1 to 3)
compare           its tables against its ledger           (checks 4, 6)
across            several stores against each other       (checks 7 to 12)
restores          what a store lost when it was put back  (check 12)
sets              what sums tell together                 (checks 13 to 15)
files             models beside the round store           (check 16)
receipts          a data owner's own evidence             (checks 17 to 20)
"""
