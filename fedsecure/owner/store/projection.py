"""One event of the ledger becomes rows; the only code that writes the tables.

The same function runs when an event is appended and when an audit projects the
ledger again into an empty database. It knows no clock and reads nothing but the
event and the rows of earlier events, so both give the same rows.

Rules that it enforces, whoever appends:
    (1) steps follow one another as in `states`;
    (2) a round is proposed in a running run, and again only after its last attempt
        is void: no two attempts can both be opened;
    (3) the participations of a result name data owners of the cohort, and `in set`
        is said of exactly the members of the opening;
    (4) a path in `models` keeps the digests that it got first;
    (5) only an opened round is judged, and a run goes on only from an opened train
        round of this store, with the very model that came out of it;
    (6) a job serves a model that its run has, or one of a file.
"""

from collections.abc import Callable
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.owner.store import job_rows, round_rows, run_rows
from fedsecure.owner.store.models import Subject
from fedsecure.owner.store.records import KINDS
from fedsecure.protocol.ledger import CHANGED
from fedsecure.protocol.statements import Event

_BODIES: Final[dict[str, TypeAdapter[Any]]] = {
    kind: TypeAdapter(body) for kind, body in KINDS.items()
}
Writer = Callable[[Session, Event, Any], run_rows.Subject | None]
_WRITERS: Final[dict[str, Writer]] = {
    "run-started": run_rows.run_started,
    "run-resumed": run_rows.run_resumed,
    "run-finished": run_rows.run_finished,
    "round-proposed": round_rows.round_proposed,
    "round-granted": round_rows.round_granted,
    "round-opening": round_rows.round_opening,
    "round-opened": round_rows.round_opened,
    "round-void": round_rows.round_void,
    "round-verdict": round_rows.round_judged,
    "job-proposed": job_rows.job_proposed,
    "job-result": job_rows.job_result,
    CHANGED: lambda _session, _event, _body: None,  # it is about no run
}


def project(session: Session, event: Event) -> None:
    """Write the rows of one event, inside the caller's transaction.

    Raises:
        RoundStateError: FS-602 or FS-645 when the step does not fit what was before.
        OperatorError: FS-603 for a kind of event that this version does not know.
    """
    if event.kind not in KINDS:
        raise OperatorError(
            "FS-603", f"entry {event.entry} is a {event.kind!r}, which is unknown here"
        )
    body = _BODIES[event.kind].validate_python(event.body)
    subject = _WRITERS[event.kind](session, event, body)
    if subject is not None:
        run, spec = subject
        session.add(Subject(entry=event.entry, run=run, spec=spec))
    session.flush()
