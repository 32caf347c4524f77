"""A run as it might have been, signed by everybody who would have signed it.

round 1   all four hospitals
round 2   va is offline
round 3   void, for two reported and three are needed; then repeated
round 4   evaluates the final model
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsecure.owner.store.files import save_array
from fedsecure.owner.store.records import (
    ModelKind,
    Participation,
    RoundResult,
    RoundVoided,
    RunFinished,
    RunStarted,
    Status,
    StoredModel,
)
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.encodings import SEALING_KEY_BYTES, base64url
from fedsecure.protocol.identity import (
    AggregatorParty,
    DataOwnerParty,
    Federation,
    ModelOwnerParty,
)
from fedsecure.protocol.ledger import GENESIS
from fedsecure.protocol.signing import Author, Signed, set_digest
from fedsecure.protocol.signing_keys import public_key_text
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    LedgerHead,
    Member,
    Opening,
    Purpose,
    Receipt,
    RoundGrant,
    RoundSpec,
    ScalarField,
    Void,
    Weighting,
)

RUN = "heart-1"
HOSPITALS = ("cleveland", "hungary", "switzerland", "va")
SERVERS = ("aggregator-a", "aggregator-b")
START = 1_772_460_000.0  # 2026-03-02 14:00:00 UTC
HEAD = LedgerHead(entries=7, hash=GENESIS)
DIMENSION = 273


def _key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def _federation() -> Federation:
    return Federation(
        protocol=1,
        name="hearts",
        model_owner=ModelOwnerParty(
            name="consortium", key=public_key_text(_key("consortium"))
        ),
        aggregators=[
            AggregatorParty(
                name=name, key=public_key_text(_key(name)), url=f"https://{name}:8443"
            )
            for name in SERVERS
        ],
        data_owners=[
            DataOwnerParty(
                name=name,
                key=public_key_text(_key(name)),
                flower_key=f"ecdsa-sha2-nistp384 {base64url(name.encode())}",
            )
            for name in HOSPITALS
        ],
    )


FEDERATION = _federation()


class Clock:
    """Goes on by a quarter of a second whenever it is read."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def author(name: str = "consortium") -> Author:
    return Author(name, _key(name), FEDERATION)


def run_started(run: str, model: StoredModel) -> RunStarted:
    return RunStarted(
        run=run,
        study="heart",
        title="Heart disease, four hospitals",
        strategy="FedAvg",
        weighting=Weighting.ROUNDED,
        planned_rounds=3,
        min_cohort=3,
        clip=2.0,
        settings={"learning_rate": 0.05, "epochs": 1.0},
        initial_model=model,
    )


@cache
def spec(
    number: int, attempt: int = 1, purpose: Purpose = Purpose.TRAIN, run: str = RUN
) -> Signed[RoundSpec]:
    return author().sign(
        RoundSpec(
            federation=FEDERATION.digest,
            run=run,
            round=number,
            purpose=purpose,
            attempt=attempt,
            task=hashlib.sha256(f"task {number}".encode()).hexdigest(),
            model=started_from(number),
            dimension=DIMENSION if purpose is Purpose.TRAIN else 0,
            scalars=[
                ScalarField(name="weight"),
                ScalarField(name="loss", low=0.0, high=10.0),
                ScalarField(name="accuracy", low=0.0, high=1.0),
            ],
            suite="sum32",
            fraction_bits=27,
            clip=2.0,
            weight_cap=1024,
            weighting=Weighting.ROUNDED,
            cohort=list(HOSPITALS),
            min_cohort=3,
            deadline=int(START) + 600,
            sealing_key=base64url(bytes([number % 256]) * SEALING_KEY_BYTES),
        )
    )


def grants(signed: Signed[RoundSpec]) -> dict[str, str]:
    return {
        name: author(name)
        .sign(
            RoundGrant(
                federation=FEDERATION.digest,
                spec=signed.digest,
                aggregator=name,
                sealing_key=base64url(name.encode().ljust(SEALING_KEY_BYTES, b"\0")),
                expires=int(START) + 900,
                head=HEAD,
            )
        )
        .token
        for name in SERVERS
    }


def opening(signed: Signed[RoundSpec], present: Sequence[str]) -> Signed[Opening]:
    return author().sign(
        Opening(
            federation=FEDERATION.digest,
            spec=signed.digest,
            set=[Member(reporter=n, report_id=_report_id(signed, n)) for n in present],
            receipts={
                server: [receipt(signed, server, name).token for name in present]
                for server in SERVERS
            },
        )
    )


def receipt(signed: Signed[RoundSpec], server: str, name: str) -> Signed[Receipt]:
    return author(server).sign(
        Receipt(
            federation=FEDERATION.digest,
            spec=signed.digest,
            aggregator=server,
            reporter=name,
            report_id=_report_id(signed, name),
            digest=hashlib.sha256(f"{server} {name}".encode()).hexdigest(),
            head=HEAD,
        )
    )


def _report_id(signed: Signed[RoundSpec], name: str) -> str:
    return hashlib.sha256(f"{signed.digest} {name}".encode()).hexdigest()[:32]


def shares(signed: Signed[RoundSpec], opened: Signed[Opening]) -> list[str]:
    return [
        author(name)
        .sign(
            AggregateShareHeader(
                federation=FEDERATION.digest,
                spec=signed.digest,
                aggregator=name,
                opening=opened.digest,
                set=set_digest(opened.statement.set),
                count=len(opened.statement.set),
                length=2304,
                digest=hashlib.sha256(name.encode()).hexdigest(),
                head=HEAD,
            )
        )
        .token
        for name in SERVERS
    ]


def model(folder: Path, name: str, kind: ModelKind = ModelKind.MODEL) -> StoredModel:
    values = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype=np.float32)
    digest = None
    if kind is ModelKind.MODEL:  # round n + 1 starts from model-n
        digest = started_from(int(name.rpartition("-")[2]) + 1)
    return save_array(folder, f"{RUN}/{name}.npy", values, kind, digest)


def started_from(number: int) -> str:
    """Name of the global model that a round starts from."""
    return hashlib.sha256(f"model {number}".encode()).hexdigest()


def void_confirmations(signed: Signed[RoundSpec], reason: str) -> dict[str, str]:
    return {
        name: author(name)
        .sign(
            Void(
                federation=FEDERATION.digest,
                spec=signed.digest,
                author=name,
                reason=reason,
            )
        )
        .token
        for name in SERVERS
    }


def grant_round(store: RoundStore, signed: Signed[RoundSpec]) -> None:
    store.propose(signed)
    store.granted(signed.digest, grants(signed))


def open_round(
    store: RoundStore, signed: Signed[RoundSpec], present: Sequence[str]
) -> Signed[Opening]:
    grant_round(store, signed)
    opened = opening(signed, present)
    store.opening(opened)
    return opened


def train(
    store: RoundStore,
    folder: Path,
    signed: Signed[RoundSpec],
    absent: Sequence[Participation] = (),
) -> None:
    """Go through one train round that is opened."""
    gone = {one.name for one in absent}
    present = [name for name in HOSPITALS if name not in gone]
    opened = open_round(store, signed, present)
    store.finish_round(result(folder, signed, opened, absent))


def result(
    folder: Path,
    signed: Signed[RoundSpec],
    opened: Signed[Opening],
    absent: Sequence[Participation] = (),
) -> RoundResult:
    """Return what a train round came to."""
    number = signed.statement.round
    present = [one.reporter for one in opened.statement.set]
    return RoundResult(
        spec_digest=signed.digest,
        mean=model(folder, f"mean-{number}", ModelKind.MEAN),
        model=model(folder, f"model-{number}"),
        metrics={"loss": 0.7 / number, "accuracy": 0.75, "auc": float("nan")},
        total_weight=256 * len(present),
        clipped=1,
        clamped=0,
        participations=[
            *(Participation(name, Status.IN_SET) for name in present),
            *absent,
        ],
        shares=shares(signed, opened),
        seconds={"train": 2.0, "open": 0.25},
        bytes_up=4 * 3012,
    )


def evaluate(store: RoundStore, signed: Signed[RoundSpec]) -> None:
    opened = open_round(store, signed, HOSPITALS)
    store.finish_round(
        RoundResult(
            spec_digest=signed.digest,
            metrics={"loss": 0.2, "accuracy": 0.9, "auc": 0.875},
            total_weight=1024,
            participations=[Participation(name, Status.IN_SET) for name in HOSPITALS],
            shares=shares(signed, opened),
            bytes_up=4 * 2600,
        )
    )


def void(store: RoundStore, signed: Signed[RoundSpec], reason: str) -> None:
    grant_round(store, signed)
    store.void_round(
        RoundVoided(
            signed.digest,
            reason,
            [
                Participation("cleveland", Status.REPORTED),
                Participation("hungary", Status.REPORTED),
                Participation("switzerland", Status.OFFLINE, "no answer in time"),
                Participation("va", Status.NOT_REPORTED, "it sends nothing"),
            ],
            void_confirmations(signed, reason),
        )
    )


def tell(store: RoundStore, folder: Path) -> None:
    """Record the whole run."""
    store.start_run(run_started(RUN, model(folder, "model-0")))
    train(store, folder, spec(1))
    offline = Participation("va", Status.OFFLINE, "no answer in time")
    train(store, folder, spec(2), [offline])
    void(store, spec(3), "2 reported, 3 needed")
    train(store, folder, spec(3, attempt=2))
    evaluate(store, spec(4, purpose=Purpose.EVALUATE))
    store.finish_run(RunFinished(RUN, RunState.COMPLETED))


def open_store(place: str, clock: Callable[[], float] | None = None) -> RoundStore:
    return RoundStore(place, author(), clock or Clock())
