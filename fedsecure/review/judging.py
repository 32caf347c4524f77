"""The model owner's verdict on a round; the only thing here that writes."""

import time

from fedsecure.owner.store.records import RoundJudged, Verdict
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.protocol.signing import Author


def judge(
    place: str, author: Author, spec_digest: str, verdict: Verdict, note: str, by: str
) -> None:
    """Sign a verdict into the ledger.

    Raises:
        RoundStateError: FS-645 when the round was not opened.
        OperatorError: FS-603, FS-604, FS-607 or FS-608 for the store.
    """
    with RoundStore(place, author, time.time) as store:
        store.judge_round(RoundJudged(spec_digest, verdict, note, by))
