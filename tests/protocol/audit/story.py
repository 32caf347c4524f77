"""A federation's records after a run, written by the real parties; and copies to harm.

round 1   all four hospitals
round 2   genf's report came to both, but it is not in the set
round 3   north lost two of three reports; void, then opened at the second attempt
round 4   evaluates the final model, with noise
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.audit.findings import Report
from fedsecure.audit.verify import Progress, audit
from fedsecure.contributor.settlement import Settlement
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.owner.store.files import save_array
from fedsecure.owner.store.records import (
    ModelKind,
    Participation,
    RoundJudged,
    RoundResult,
    RoundVoided,
    RunFinished,
    Status,
    Verdict,
)
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author
from fedsecure.protocol.statements import Purpose
from fedsecure.study.task import ConfigValue
from tests.protocol.federation import (
    DIMENSION,
    HOSPITALS,
    MODEL,
    MemoryFederation,
    NoLog,
    federate,
    measurement_of,
    refused,
)
from tests.protocol.private_rounds import (
    EVALUATION,
    PRIVACY,
    asked,
    private_measurement,
)

QUIET = Progress(lambda _what, _total: None, lambda _number: None)
STORES = {
    "owner": "rounds.db",
    "north": "north/aggregator.db",
    "south": "south/aggregator.db",
}


@dataclass(frozen=True)
class Records:
    """Everybody's records, in one folder."""

    folder: Path
    federation: Federation
    keys: Mapping[str, Ed25519PrivateKey] = field(repr=False)
    past: tuple[Federation, ...] = ()  # versions before it

    def author(self, name: str) -> Author:
        return Author(name, self.keys[name], self.federation)

    def store(self, party: str) -> Path:
        return self.folder / STORES[party]

    def copy(self, folder: Path) -> "Records":
        return replace(self, folder=Path(shutil.copytree(self.folder, folder)))

    def audit(self, **instead: str | Path) -> Report:
        """Audit all three stores, or what is named instead of one."""
        places = {party: str(instead.get(party, self.store(party))) for party in STORES}
        return audit(
            places["owner"],
            [places["north"], places["south"]],
            Federations([*self.past, self.federation]),
            QUIET,
        )


def model_after(number: int) -> str:
    """Name of the global model that round `number` ended with."""
    return MODEL if number == 0 else hashlib.sha256(b"model %d" % number).hexdigest()


def request(memory: MemoryFederation, number: int, **changes: Any) -> Any:
    return memory.request(round=number, model=model_after(number - 1), **changes)


def hold(
    memory: MemoryFederation,
    number: int,
    *,
    left_out: Sequence[str] = (),
    names: Sequence[str] = HOSPITALS,
    config: Mapping[str, ConfigValue] | None = None,
    **changes: Any,
) -> str:
    """Hold one round with everybody, and record it; return its spec's digest."""
    memory.clock.now += 60.0
    asked = request(memory, number, cohort=names, **changes)
    proposal = memory.owner.propose(asked)
    measure = changes.get("purpose", Purpose.TRAIN) is Purpose.TRAIN
    receipts = {
        name: memory.hospitals[name].answer(
            proposal, _measurement(name, measure), config=config or {}
        )
        for name in names
    }
    for name in left_out:
        del receipts[name]
    opened = memory.owner.open(proposal, receipts)
    memory.clock.now += 1.0
    mean, model = None, None
    if measure:
        weights = np.full(DIMENSION, number, np.float32)
        run = proposal.spec.statement.run
        name = f"models/{run}/model-{number:05d}.npy"
        model = save_array(
            memory.folder, name, weights, ModelKind.MODEL, model_after(number)
        )
        name = f"models/{run}/mean-{number:05d}.npy"
        mean = save_array(memory.folder, name, opened.mean.update, ModelKind.MEAN)
    memory.store.finish_round(
        RoundResult(
            spec_digest=proposal.spec.digest,
            mean=mean,
            model=model,
            metrics={"loss": 0.5 / number, "auc": None},
            total_weight=opened.mean.total_weight,
            participations=[
                *(Participation(name, Status.IN_SET) for name in sorted(receipts)),
                *(Participation(name, Status.NO_RECEIPT, "late") for name in left_out),
            ],
            shares=[opened.shares[name].token for name in sorted(opened.shares)],
            seconds={"train": 1.0},
            bytes_up=4 * 3000,
        )
    )
    return proposal.spec.digest


def give_up(memory: MemoryFederation, number: int) -> None:
    """Let three hospitals report, have north lose two reports, and void it at both."""
    proposal = memory.owner.propose(request(memory, number))
    receipts = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in HOSPITALS[:3]
    }
    lost = HOSPITALS[:2]
    north = memory.servers["north"]
    north.stop()
    for name in lost:
        (file,) = north.folder.glob(f"rounds/*/reports/{name}")
        file.write_bytes(file.read_bytes()[:-1])
    north.start()
    assert memory.owner.lost(proposal, receipts) == dict.fromkeys(lost, "north")
    voided = memory.owner.void(proposal.spec, "1 reported, 3 needed")
    confirmations = {name: void.token for name, void in voided.confirmations.items()}
    memory.store.void_round(
        RoundVoided(proposal.spec.digest, "1 reported", (), confirmations)
    )


def evaluate(memory: MemoryFederation, number: int) -> None:
    """Hold a round with noise, in which nobody trains."""
    config: dict[str, ConfigValue] = {"task": "another one, with noise"}
    whole = {"unit": Unit.DATA_OWNER, "unit_clip": 2.0}
    privacy = PRIVACY.model_copy(update=whole)
    noisy = asked(memory, privacy, config, **EVALUATION)
    names = ("privacy", "study", "weighting", "weight_cap")
    changes = {name: getattr(noisy, name) for name in names}
    hold(memory, number, config=config, **EVALUATION, **changes)


def settle(memory: MemoryFederation) -> None:
    """Have every hospital ask what became of its reports."""
    for name, hospital in memory.hospitals.items():
        settlement = Settlement(
            memory.author(name), memory.clients(), hospital.state, memory.clock
        )
        for spec in hospital.state.unsettled():
            reports = hospital.state.reports(spec)
            settlement.settle({one.header.statement.aggregator: one for one in reports})


def tell(memory: MemoryFederation) -> None:
    """Hold the whole run."""
    first = hold(memory, 1)
    hold(memory, 2, left_out=["genf"])
    give_up(memory, 3)
    hold(memory, 3, attempt=2)
    again = request(memory, 1, attempt=2)  # of a round that was opened
    with refused("FS-304"):
        _without_log(memory).propose(again)
    evaluate(memory, 4)
    memory.store.finish_run(RunFinished("run-1", RunState.COMPLETED))
    memory.store.judge_round(RoundJudged(first, Verdict.ACCEPTED, "fine", "ada"))
    settle(memory)
    memory.hospitals["basel"].state.replied("receipts", 1400, memory.clock.now)
    memory.hospitals["basel"].state.joined("owner:9092", 7)


@contextmanager
def told(folder: Path) -> Iterator[MemoryFederation]:
    """The federation with its run told, still running."""
    with federate(folder) as memory:
        tell(memory)
        yield memory


def _without_log(memory: MemoryFederation) -> Any:
    return replace(memory.owner, log=NoLog())


def _measurement(name: str, train: bool) -> Any:
    return (
        measurement_of(name) if train else private_measurement(name, Purpose.EVALUATE)
    )
