"""A new run that goes on from the model of an earlier round: `train --from-round`.

The model owner rolls back, or branches off. The round has to be accepted, unless it is
forced; the new run says in its first ledger entry where it came from, and an audit
checks that it starts from that very model.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedsecure.errors import OperatorError, PeerError, RoundStateError
from fedsecure.owner.store.files import load_array
from fedsecure.owner.store.records import Origin, RoundRecord, StoredModel, Verdict
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import GlobalModel, laid_out

WRITTEN: Final = re.compile(r"(?:(?P<run>[a-z0-9][a-z0-9-]{0,62}):)?(?P<round>\d{1,7})")


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a run goes on from, as a person wrote it: `RUN:N`, or N of the newest."""

    written: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """The model that a run starts from, where it lies, and where it came from."""

    model: GlobalModel
    stored: StoredModel
    origin: Origin | None  # None: the study's own first model


def read_start(
    store: RoundStore, folder: Path, beginning: Beginning, built: GlobalModel
) -> Start:
    """Read the model of an earlier round.

    Args:
        store: The round store.
        folder: Of the store's files.
        beginning: Which round.
        built: Today's model of the study, for names and shapes of its layers.

    Raises:
        OperatorError: FS-862 when there is no such opened round, FS-861 or FS-863 when
            there is no such run, FS-356 when the study's model has other layers,
            FS-605 or FS-606 for its file.
        RoundStateError: FS-646 when it is not accepted, and not forced.
    """
    record, stored = _found(store, beginning.written)
    accepted = record.verdict is Verdict.ACCEPTED
    if not (accepted or beginning.forced):
        verdict = record.verdict or "not judged"
        raise RoundStateError(
            "FS-646", f"round {record.round} of {record.run} is {verdict}"
        )
    try:
        model = laid_out(built.layers, load_array(folder, stored))
    except PeerError as error:
        raise OperatorError("FS-356", f"{record.run}: {error.detail}") from error
    return Start(model, stored, Origin(record.spec_digest, forced=not accepted))


def _found(store: RoundStore, written: str) -> tuple[RoundRecord, StoredModel]:
    match = WRITTEN.fullmatch(written)
    if match is None:
        raise OperatorError("FS-862", f"{written!r} is not RUN:N or N")
    run = match["run"] or _newest(store)
    for record in store.rounds(store.run(run).run):
        trained = record.purpose is Purpose.TRAIN and record.model is not None
        if trained and record.round == int(match["round"]) and record.model:
            return record, record.model
    raise OperatorError("FS-862", f"round {match['round']} of {run} was not opened")


def _newest(store: RoundStore) -> str:
    newest = store.latest_run()
    if newest is None:
        raise OperatorError("FS-863", "its table of runs is empty")
    return newest.run
