"""The points of a round at which a process may die, by name.

Each stands between two steps of which the first is on the disk, or was sent, and the
second is not. Tests name one in the environment of one process:

    FEDSECURE_FAULT=owner:mean-on-disk        the process kills itself there (SIGKILL)
    FEDSECURE_FAULT=owner:mean-on-disk@3      when it gets there for the third time
    FEDSECURE_FAULT=owner:mean-on-disk=FILE   it writes FILE and waits until it is gone:
                                              meanwhile the test kills another process

Without the variable nothing happens.
"""

import os
import re
import signal
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

VARIABLE: Final = "FEDSECURE_FAULT"
LOOK_EVERY: Final = 0.02  # seconds

_WRITTEN: Final = re.compile(
    r"(?P<point>[a-z:-]+)(?:@(?P<turn>\d+))?(?:=(?P<file>.+))?"
)


class Point(StrEnum):
    """Where a process may die; in the order of a round or job, party by party."""

    # An aggregator, in the order of its own steps.
    GRANTING = "aggregator:granting"  # a spec was checked; its key is not made yet
    KEY_SAVED = "aggregator:key-saved"  # the key is on disk, the grant not committed
    GRANT_COMMITTED = "aggregator:grant-committed"  # and not sent yet
    REPORT_SPOOLED = "aggregator:report-spooled"  # in its place, without a row
    REPORT_COMMITTED = "aggregator:report-committed"  # its row is there
    RECEIPT_SIGNED = "aggregator:receipt-signed"  # and not sent yet
    ADDED_UP = "aggregator:added-up"  # a set is, and nothing says so on disk
    SHARE_ON_DISK = "aggregator:share-on-disk"  # without a row, nor the opening
    OPENING_COMMITTED = "aggregator:opening-committed"  # and its share; key is left
    SCRUBBED = "aggregator:scrubbed"  # the share was not sent yet

    # A job at an aggregator, in the order of its steps.
    JOB_GRANTING = (
        "aggregator-job:granting"  # a spec was checked; its key is not made yet
    )
    JOB_GRANTED = "aggregator-job:granted"  # the grant is committed and not sent yet
    JOB_STARTED = (
        "aggregator-job:started"  # its own channel key is on disk, and not sent yet
    )
    CHANNEL_STORED = (
        "aggregator-job:channel-stored"  # the other one's is, nobody was told
    )
    INPUT_SPOOLED = "aggregator-job:input-spooled"  # in its place, without a row
    INPUT_COMMITTED = (
        "aggregator-job:input-committed"  # its row is there; maybe it runs
    )
    OUTPUT_ON_DISK = (
        "aggregator-job:output-on-disk"  # without a row: it is computed again
    )
    JOB_DONE = "aggregator-job:done"  # the output's row is there; keys and inputs, too
    QUERY_COMPUTED = (
        "aggregator-job:query-computed"  # nothing says so: it is asked again
    )
    QUERY_COMMITTED = "aggregator-job:query-committed"  # and its answer not sent yet

    # The model owner.
    SPEC_RECORDED = "owner:spec-recorded"  # and not sent yet
    GRANTS_RECORDED = "owner:grants-recorded"  # no data owner was asked yet
    RECEIPTS_COLLECTED = "owner:receipts-collected"  # no set is fixed yet
    OPENING_RECORDED = "owner:opening-recorded"  # and not sent yet
    SHARE_A_FETCHED = "owner:share-a-fetched"  # of the aggregator first by name
    SHARE_B_FETCHED = "owner:share-b-fetched"  # of the other one
    MEAN_ON_DISK = "owner:mean-on-disk"  # and no row names it
    ROUND_RECORDED = "owner:round-recorded"  # the round's key is still there

    # A data owner's agent.
    TRAINED = "agent:trained"  # nothing is shared yet
    REPORTS_STORED = "agent:reports-stored"  # nothing is sent yet
    SENT_A = "agent:sent-a"  # the receipt of the aggregator first by name came
    SENT_B = "agent:sent-b"  # the receipt of the other one came
    REPLYING = "agent:replying"  # both receipts are kept, the reply is not sent

    # Whoever takes part in a job: its proposer, an input's owner, a client.
    JOB_RECORDED = "job:recorded"  # a spec and its key are; nothing is sent
    INPUT_STORED = "job:input-stored"  # both sealed shares are; nothing is sent
    QUERY_NUMBERED = "job:query-numbered"  # its number is on disk, nothing is sent
    QUERY_ANSWERED_A = "job:query-answered-a"  # by the aggregator first by name
    QUERY_ANSWERED_B = "job:query-answered-b"  # by the other one


@dataclass(slots=True)
class _Fault:
    """What the environment asks for."""

    point: Point
    turn: int
    file: Path | None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def arrive(self) -> None:
        with self.lock:
            self.turn -= 1
            if self.turn != 0:
                return
        if self.file is None:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            self.file.touch()
            while self.file.exists():
                time.sleep(LOOK_EVERY)


def _asked(written: str | None) -> _Fault | None:
    if not written:
        return None
    match = _WRITTEN.fullmatch(written)
    if match is None:
        msg = f"{VARIABLE}={written!r} is not point, point@turn or point=file"
        raise ValueError(msg)
    file = match["file"]
    point, turn = Point(match["point"]), int(match["turn"] or 1)
    return _Fault(point, turn, None if file is None else Path(file))


_fault: Final = _asked(os.environ.get(VARIABLE))


def crash_point(point: Point) -> None:
    """Mark a point of a round; does nothing unless a test named it."""
    if _fault is not None and point is _fault.point:
        _fault.arrive()
