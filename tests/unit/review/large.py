"""A round store with very many rounds, made by bulk insert; for measuring pages.

Rows are as a long run leaves them: every tenth round misses somebody, every hundredth
has a void attempt before it. Entries of the ledger have no signatures: nothing that is
measured with it reads them.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from fedsecure.owner.store.rounds import MIGRATIONS
from fedsecure.storage import database, revisions

HOSPITALS = ("cleveland", "hungary", "switzerland", "va")
RUN = "heart-1"
START = 1_772_460_000.0
SECONDS = 1.2  # a round
EVENTS = ("round-proposed", "round-granted", "round-opening", "round-opened")
TOKEN = "e" * 300  # a tenth of a spec: writing it is not what is measured


def digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


def build(path: Path, rounds: int) -> None:
    """Write a store of a run with so many opened rounds."""
    engine = database.open_for_writing(database.locate(path))
    revisions.upgrade(engine, MIGRATIONS)
    engine.dispose()
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA synchronous = OFF")
        names = {
            table: [one[1] for one in store.execute(f"PRAGMA table_info({table})")]
            for table in ("events", "subjects", "models", "runs", "rounds")
        }
        for table, row in _rows(rounds):
            columns = names.get(table) or list(row)
            values = [row.get(name) for name in columns]
            marks = ", ".join("?" for _ in columns)
            listed = ", ".join(columns)
            store.execute(
                f"INSERT INTO {table} ({listed}) VALUES ({marks})",  # noqa: S608
                values,
            )
        store.commit()
        store.execute("ANALYZE")
        store.commit()


Row = tuple[str, dict[str, object]]


def _rows(rounds: int) -> Iterator[Row]:
    yield _event(1, "run-started", START)
    yield "subjects", {"entry": 1, "run": RUN}
    yield _model(0)
    yield "runs", _run(rounds)
    entry = 1
    for number in range(1, rounds + 1):
        if number % 100 == 0:
            yield from _round(number, 1, entry, void=True)
            entry += 3
            yield from _round(number, 2, entry, void=False)
        else:
            yield from _round(number, 1, entry, void=False)
        entry += 4


def _event(entry: int, kind: str, at: float) -> Row:
    return "events", {
        "entry": entry,
        "hash": digest("entry", entry),
        "kind": kind,
        "at": at,
        "payload": TOKEN,
    }


def _model(number: int) -> Row:
    return "models", {
        "path": f"models/{RUN}/model-{number:05d}.npy",
        "sha256": digest("file", number),
        "bytes": 1220,
        "kind": "model",
        "digest": digest("model", number),
    }


def _run(rounds: int) -> dict[str, object]:
    return {
        "run": RUN,
        "entry": 1,
        "study": "heart",
        "title": "A very long run",
        "strategy": "FedAvg",
        "weighting": "equal",
        "planned_rounds": rounds,
        "min_cohort": 3,
        "clip": 2.0,
        "initial_model": f"models/{RUN}/model-00000.npy",
        "state": "running",
        "started_at": START,
        "settings": "{}",
    }


def _round(number: int, attempt: int, entry: int, *, void: bool) -> Iterator[Row]:
    spec = digest("spec", number, attempt)
    at = START + number * SECONDS
    kinds = (*EVENTS[:2], "round-void") if void else EVENTS
    for place, kind in enumerate(kinds, start=1):
        yield _event(entry + place, kind, at + place * 0.2)
        yield "subjects", {"entry": entry + place, "run": RUN, "spec": spec}
    absent = HOSPITALS[3:] if number % 10 == 0 else ()
    members = 0 if void else len(HOSPITALS) - len(absent)
    if not void:
        yield _model(number)
    yield (
        "rounds",
        {
            **_asked(number, attempt, entry, spec, at),
            **(_given_up(at) if void else _opened(number, members, at)),
        },
    )
    for name in HOSPITALS:
        status = "round void" if void else "offline" if name in absent else "in set"
        yield (
            "participations",
            {
                "spec_digest": spec,
                "data_owner": name,
                "status": status,
                "reason": "no answer in time" if status == "offline" else None,
            },
        )
    if not void:
        for metric, value in (("loss", 1 / number), ("accuracy", 0.8), ("auc", 0.85)):
            yield "metrics", {"spec_digest": spec, "name": metric, "value": value}


def _asked(
    number: int, attempt: int, entry: int, spec: str, at: float
) -> dict[str, object]:
    token = f"{TOKEN}.{TOKEN}.{TOKEN}"
    return {
        "spec_digest": spec,
        "entry": entry + 1,
        "run": RUN,
        "round": number,
        "purpose": "train",
        "attempt": attempt,
        "cohort_size": len(HOSPITALS),
        "min_cohort": 3,
        "model_digest": digest("model", number - 1),
        "proposed_at": at,
        "granted_at": at + 0.1,
        "decided_at": at + 1.0,
        "stage_seconds": json.dumps({"train": 0.8}),
        "spec": TOKEN,
        "grants": json.dumps({"a": TOKEN, "b": TOKEN}),
        "shares": json.dumps([token]),
        "scalars": "{}",
        "voids": "{}",
    }


def _given_up(_at: float) -> dict[str, object]:
    return {"state": "void", "reason": "2 reported, 3 needed"}


def _opened(number: int, members: int, at: float) -> dict[str, object]:
    verdict = "accepted" if number % 1000 == 0 else None
    return {
        "state": "opened",
        "set_size": members,
        "set_digest": digest("set", members),
        "opening_digest": digest("opening", number),
        "model": f"models/{RUN}/model-{number:05d}.npy",
        "total_weight": members * 256,
        "clipped": 1,
        "clamped": 0,
        "bytes_up": members * 4400,
        "opening_at": at + 0.9,
        "opening": TOKEN * 4,
        "verdict": verdict,
        "verdict_note": verdict and "as seen",
        "verdict_by": verdict and "ada",
        "verdict_at": verdict and at + 60,
    }
