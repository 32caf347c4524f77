"""6xx, records: stores, what an audit finds in them, and looking at them."""

from http import HTTPStatus
from typing import Final

from fedsecure.errors.problem import Family, Problem

FAMILIES: Final = (
    Family(
        619,
        "Stores",
        "A party's own database or files are not as they must be. Who opens them, or "
        "audits them, sees it.",
    ),
    Family(
        639,
        "Findings of an audit",
        "Records of several parties contradict each other. Who audits them sees it.",
    ),
    Family(
        644,
        "A data owner's receipts",
        "What aggregators told a data owner is not what their records say. The data "
        "owner sees it.",
    ),
    Family(
        650,
        "Looking at rounds",
        "What was asked about the rounds of a store cannot be done. Who typed the "
        "command sees it.",
    ),
    Family(
        651,
        "Restored stores",
        "A store tells less than it did. Who audits it sees it.",
    ),
    Family(
        653,
        "One process at a time",
        "Two processes would write to one place. Who started the second one sees it.",
    ),
    Family(
        659,
        "Versions and copies",
        "A ledger or a round belongs to another version of the federation than it "
        "should, or a copy is not whole. Who opens the store, or audits it, sees it.",
    ),
    Family(
        669,
        "Jobs in an audit",
        "Records of computations beside rounds contradict each other. Who audits them "
        "sees it.",
    ),
)

PROBLEMS: Final = (
    Problem(
        "FS-601",
        "A ledger was changed afterwards",
        "The entries before the one that is named are sound; ask the store's "
        "owner for a backup and compare.",
    ),
    Problem(
        "FS-602",
        "A step does not fit the state of the round or run",
        "`fedsecure rounds show` tells how far it is; only one `fedsecure train` "
        "may work with a round store at a time.",
        HTTPStatus.CONFLICT,
    ),
    Problem(
        "FS-603",
        "A database was written by a newer version",
        "Use the fedsecure that wrote it, or a newer one. Nothing was changed.",
    ),
    Problem(
        "FS-604",
        "A database cannot be used",
        "If it is locked, close the program that has it open; else check the path, "
        "the disk's free space and permissions, or the database server. What was "
        "committed is kept: `fedsecure train --resume RUN` goes on with a run.",
    ),
    Problem(
        "FS-605",
        "A stored model is not the one that was recorded",
        "Restore the file that is named from a backup, or start a new run.",
    ),
    Problem(
        "FS-606",
        "A model's file cannot be read or written",
        "Check the path, the disk's free space and permissions.",
    ),
    Problem(
        "FS-607",
        "Not a database of this kind",
        "Name an SQLite file that fedsecure wrote, such as rounds.db, or a "
        "postgresql:// URL (its driver comes with `pip install "
        "'fedsecure[owner]'` or `fedsecure[aggregator]`).",
    ),
    Problem(
        "FS-608",
        "A database has an older form",
        "Make a backup, then type `fedsecure aggregator migrate` or, for a round "
        "store, `fedsecure store migrate`. Nothing was changed.",
    ),
    Problem(
        "FS-609",
        "Another `fedsecure train` works with this folder",
        "Wait until it is done, or stop it; one folder serves one training.",
    ),
    Problem(
        "FS-620",
        "The records of the federation do not agree",
        "Each finding names the party and the entry or row: ask that party, and "
        "compare with the others' stores and backups.",
    ),
    Problem(
        "FS-621",
        "An entry of a ledger does not follow from those before",
        "The entries before it are sound; ask the store's owner who wrote it.",
    ),
    Problem(
        "FS-622",
        "A table is not what its ledger says",
        "Somebody changed the database behind the program's back; the ledger says "
        "what was there.",
    ),
    Problem(
        "FS-623",
        "A stored report is not what its data owner signed",
        "Somebody changed the aggregator's database; the data owner's receipts say "
        "what was there.",
    ),
    Problem(
        "FS-624",
        "A database is not defined as this version defines it",
        "Views may show something else than the tables hold: read the tables, or "
        "restore the database from a backup.",
    ),
    Problem(
        "FS-625",
        "A round was granted by one party's records alone",
        "One of the two stores is older than the other, or was changed: compare "
        "backups.",
        behind=True,
    ),
    Problem(
        "FS-626",
        "Parties do not have the same opening of a round",
        "Ask both aggregators and the model owner for their opening of this round.",
        behind=True,
    ),
    Problem(
        "FS-627",
        "Another report was added than the receipt is for",
        "Ask the aggregator; the data owner's `fedsecure agent receipts verify` "
        "shows its side.",
        behind=True,
    ),
    Problem(
        "FS-628",
        "The model owner has another aggregate share than was stored",
        "Ask the aggregator for the digest of the share that it stored.",
        behind=True,
    ),
    Problem(
        "FS-629",
        "A ledger was rewritten after others had seen it",
        "The party that holds the other hash can prove it: compare its statement "
        "with the ledger, from the first entry that is named.",
    ),
    Problem(
        "FS-630",
        "A ledger is shorter than others have seen it",
        "Its store was set back to a backup, or entries were cut off: what is "
        "missing is named by what the others hold.",
        behind=True,
    ),
    Problem(
        "FS-631",
        "A round is void for one party and opened for another",
        "Ask both for their entries of this round.",
    ),
    Problem(
        "FS-632",
        "A sum of too few was opened, or a round twice",
        "Tell the data owners of the set: the aggregator broke its own rule.",
    ),
    Problem(
        "FS-633",
        "A round did not start from the model before it",
        "Ask the model owner what was trained in between.",
    ),
    Problem(
        "FS-634",
        "Opened sums over one model tell a few data owners apart",
        "Tell the data owners of the pairs that are listed.",
    ),
    Problem(
        "FS-635",
        "Not an export of such a store",
        "Make it with `fedsecure audit export` (model owner) or `fedsecure "
        "aggregator export`, and copy the whole file.",
    ),
    Problem(
        "FS-636",
        "A store is not whose it was said to be",
        "Compare the options: --owner is the model owner's store, --aggregator one "
        "aggregator's each, and --federation versions of one federation.",
    ),
    Problem(
        "FS-637",
        "A statement stands in an entry where it does not belong",
        "The entries before it are sound; ask the store's owner who wrote it.",
    ),
    Problem(
        "FS-640",
        "Not every report was counted, or proof of it is wrong",
        "Each finding names the round and the aggregator: ask its operators, and "
        "show them the receipt.",
    ),
    Problem(
        "FS-641",
        "What the agent keeps is not what was signed",
        "Somebody changed the agent's state; take it from a backup.",
    ),
    Problem(
        "FS-642",
        "A report was left out of the sum that was opened",
        "Ask the model owner why; both aggregators had stored it.",
    ),
    Problem(
        "FS-643",
        "The aggregators do not say the same about a report",
        "Send both inclusions to both aggregators: one of them is wrong.",
    ),
    Problem(
        "FS-644",
        "An aggregator's ledger is not what it told this data owner",
        "The receipt or inclusion proves it: show it to the other parties.",
    ),
    Problem(
        "FS-645",
        "Only an opened round can be accepted or rejected",
        "`fedsecure rounds list` says how each round ended.",
        HTTPStatus.CONFLICT,
    ),
    Problem(
        "FS-646",
        "The model owner has not accepted this round",
        "Look at it with `fedsecure rounds show`, then type `fedsecure rounds "
        "accept`; or go on from it all the same with `--force`.",
        HTTPStatus.CONFLICT,
    ),
    Problem(
        "FS-647",
        "The store does not answer this query",
        "Type one SELECT, ended by a semicolon; `SELECT * FROM v_round` shows what "
        "there is. Nothing can be changed here.",
    ),
    Problem(
        "FS-648",
        "An export cannot be written",
        "Check that the folder exists, its permissions and the disk's free space.",
    ),
    Problem(
        "FS-649",
        "Not a form of file that is known",
        "Name a file that ends in .csv, .json or .html.",
    ),
    Problem(
        "FS-650",
        "Not a date",
        "Write it as 2026-03-02 or 2026-03-02T14:00, in UTC.",
    ),
    Problem(
        "FS-651",
        "A store was put back, and lost what others hold proof of",
        "Ask its operator why, and look at what was there before: `fedsecure "
        "aggregator restore` keeps a copy in the data folder. What is named was "
        "not compared.",
    ),
    Problem(
        "FS-652",
        "Another `fedsecure train` works with this round store",
        "Wait until it is done, or stop it; two trainings need two round stores.",
    ),
    Problem(
        "FS-653",
        "Another agent works with this state folder",
        "Stop it, or give each agent a `state` of its own in agent.toml.",
    ),
    Problem(
        "FS-654",
        "A version of the federation is missing here",
        "Something was signed under it. Each party that accepted it has it, by "
        "this digest, in the folder federation-versions beside its "
        "federation.toml: name that file with --federation, or put it into the "
        "same folder here.",
    ),
    Problem(
        "FS-655",
        "A ledger changes its version of the federation without saying so",
        "It goes on under another version after an entry `federation-changed` "
        "alone, and never goes back to an earlier one: the entries before it are "
        "sound; ask its owner who wrote the rest, with which key.",
    ),
    Problem(
        "FS-656",
        "The ledger went on under a newer version of the federation",
        "This program was started before `fedsecure join`, or with old files: "
        "start it again with the version that was accepted last.",
    ),
    Problem(
        "FS-657",
        "A round does not outlive its version of the federation",
        "It is void, and the run goes on with the next attempt. Finish a training "
        "before the federation changes, and nothing is lost.",
    ),
    Problem(
        "FS-658",
        "A database was copied without its newest part",
        "While it is used, SQLite keeps what is new in a file of the same name "
        "with -wal behind it: copy both, after the program was stopped; or type "
        "`fedsecure audit export` or `fedsecure aggregator export`, at any time.",
    ),
    Problem(
        "FS-660",
        "A job did not begin for one party as it did for another",
        "Ask the aggregator that is named for its grant and its channel key of this "
        "job: another party holds other ones that it signed.",
        behind=True,
    ),
    Problem(
        "FS-661",
        "The aggregators computed on different inputs",
        "What its receiver opened is worth nothing. Ask the input's owner for both "
        "receipts: they name what it gave to each.",
    ),
    Problem(
        "FS-662",
        "A query's number came twice, or went back",
        "The aggregator broke its own rule: two answers under one number tell more "
        "than one. Tell the model owner whose service it is.",
    ),
    Problem(
        "FS-663",
        "A client was answered more rows than its service allows",
        "Tell the model owner whose service it is: its model may be known to the "
        "client.",
    ),
    Problem(
        "FS-664",
        "The aggregators answered different queries under one number",
        "What the client opened is worth nothing, and one aggregator answered what "
        "the other one was not asked. Ask the client for both answers.",
    ),
)
