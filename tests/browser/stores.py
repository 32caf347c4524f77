"""Round stores of every shape that a page has to bear, signed by everybody."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fedsecure.owner.store.records import JobProposed, JobResult
from fedsecure.owner.store.states import JobState
from fedsecure.protocol.jobs.parts import Method
from tests.unit.owner_store import job_story as jobs, round_story as story
from tests.unit.owner_store.round_story import (
    RUN,
    Participation,
    RoundStore,
    RunFinished,
    RunState,
    Status,
)
from tests.unit.review import large

# As somebody might name a study who wants to run a script in the model owner's
# browser, or writes in another direction.
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>{{ 7 * 7 }}\u202e"
LONG = "Prognosis of heart failure with preserved ejection fraction " * 4
FORTY = tuple(f"hospital-{i:02d}-of-the-northern-region" for i in range(40))


def nothing(folder: Path) -> Path:
    """A store without any run."""
    with story.open_store(str(folder / "rounds.db")):
        return folder / "rounds.db"


def told(folder: Path) -> Path:
    """A run with a missing hospital, a void round and an evaluation."""
    with story.open_store(str(folder / "rounds.db")) as store:
        story.tell(store, folder)
    return folder / "rounds.db"


def serving(folder: Path) -> Path:
    """A run whose model is served: one service answers, others ended."""
    path = told(folder)
    with story.open_store(str(path)) as store:
        for name, method, ends in (
            ("heart-2025", Method.PAILLIER, (JobState.READY, JobState.CLOSED)),
            ("heart-trial", Method.SHARES, (JobState.FAILED,)),
            ("heart", Method.SHARES, (JobState.READY,)),
        ):
            spec = jobs.job(name, method=method)
            store.propose_job(JobProposed(spec.token, jobs.DESCRIPTION))
            for state in ends:
                why = {JobState.CLOSED: "a new one follows", JobState.FAILED: HOSTILE}
                ended = JobResult(spec.digest, state, why.get(state))
                store.note_job(jobs.ready(spec) if state is JobState.READY else ended)
    return path


def one_round(folder: Path, title: str = HOSTILE) -> Path:
    """A run of one round, under a title that is not harmless."""
    with story.open_store(str(folder / "rounds.db")) as store:
        begin(store, folder, title=title)
        story.train(store, folder, story.spec(1))
        store.finish_run(RunFinished(RUN, RunState.FAILED, HOSTILE))
    return folder / "rounds.db"


def forty(folder: Path, rounds: int = 12) -> Path:
    """A run of forty data owners with long names, some of them missing."""
    story.spec.cache_clear()
    with (
        patch.object(story, "HOSPITALS", FORTY),
        story.open_store(str(folder / "rounds.db")) as store,
    ):
        begin(store, folder, title=LONG, planned_rounds=rounds)
        for number in range(1, rounds + 1):
            absent = [
                Participation(name, Status.OFFLINE, "no answer in time")
                for i, name in enumerate(FORTY)
                if (i * 7 + number) % 11 == 0
            ]
            story.train(store, folder, story.spec(number), absent)
        story.grant_round(store, story.spec(rounds + 1))
    story.spec.cache_clear()
    return folder / "rounds.db"


def thousand(folder: Path, rounds: int = 1000) -> Path:
    """A very long run; one of its rounds, in the middle, with all its statements."""
    path = folder / "rounds.db"
    large.build(path, rounds)
    return path


def begin(store: RoundStore, folder: Path, **changes: Any) -> None:
    run = story.run_started(RUN, story.model(folder, "model-0"))
    store.start_run(replace(run, **changes))


class Training:
    """A run that goes on, step by step, as a test tells it to; another's store."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rounds.db"
        self._folder = folder
        with self._store() as store:
            begin(store, folder, planned_rounds=8)
            story.train(store, folder, story.spec(1))

    def grant(self, number: int) -> None:
        with self._store() as store:
            story.grant_round(store, story.spec(number))

    def finish(self, number: int) -> None:
        """Open the round that was granted."""
        with self._store() as store:
            signed = story.spec(number)
            opened = story.opening(signed, story.HOSPITALS)
            store.opening(opened)
            store.finish_round(story.result(self._folder, signed, opened))

    @contextmanager
    def _store(self) -> Iterator[RoundStore]:
        with story.open_store(str(self.path)) as store:
            yield store
