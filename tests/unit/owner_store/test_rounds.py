from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from fedsecure.errors import FedsecureError, OperatorError, RoundStateError
from fedsecure.owner.store.files import load_array
from fedsecure.owner.store.models import Model, Participation as ParticipationTable
from fedsecure.owner.store.records import (
    ModelKind,
    Participation,
    RoundResult,
    RoundVoided,
    RunFinished,
    Status,
)
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import RoundState, RunState
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Opening, Purpose, RoundGrant, RoundSpec
from tests.unit.owner_store.round_story import (
    FEDERATION,
    HOSPITALS,
    RUN,
    evaluate,
    grant_round,
    grants,
    model,
    open_round,
    open_store,
    opening,
    run_started,
    shares,
    spec,
    tell,
    train,
    void,
)


def statuses(store: RoundStore, digest: str) -> dict[str, str]:
    def look(session: Session) -> dict[str, str]:
        rows = session.scalars(select(ParticipationTable).filter_by(spec_digest=digest))
        return {row.data_owner: row.status for row in rows}

    return store.change("look", look)


def test_a_run_is_read_back_as_it_was_told(place: str, tmp_path: Path) -> None:
    with open_store(place) as store:
        tell(store, tmp_path)
    with open_store(place) as store:
        run = store.latest_run()
        assert run == store.run(RUN)
        assert run is not None
        assert (run.state, run.settings["learning_rate"]) == (RunState.COMPLETED, 0.05)
        assert [(r.round, r.attempt, r.state.value) for r in store.rounds(RUN)] == [
            (1, 1, "opened"),
            (2, 1, "opened"),
            (3, 1, "void"),
            (3, 2, "opened"),
            (4, 1, "opened"),
        ]
        assert store.open_rounds(RUN) == []


def test_resume_finds_the_means_in_order_and_the_last_model(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        store.start_run(run_started(RUN, first := model(tmp_path, "model-0")))
        assert (store.means(RUN), store.last_model(RUN)) == ([], first)
        for number in (1, 2):
            train(store, tmp_path, spec(number))
        assert store.means(RUN) == [
            model(tmp_path, f"mean-{number}", ModelKind.MEAN) for number in (1, 2)
        ]
        assert store.last_model(RUN) == model(tmp_path, "model-2")
        for mean in store.means(RUN):
            assert load_array(tmp_path, mean).shape == (8,)


@pytest.mark.parametrize("stage", ["proposed", "granted", "opening"])
def test_a_killed_owner_finds_every_token_of_the_round_it_was_in(
    place: str, tmp_path: Path, stage: str
) -> None:
    asked = spec(1)
    named = opening(asked, HOSPITALS)
    with open_store(place) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        store.propose(asked)
        if stage != "proposed":
            store.granted(asked.digest, grants(asked))
        if stage == "opening":
            store.opening(named)
    with open_store(place) as store:
        store.resume_run(RUN)
        (left,) = store.open_rounds(RUN)
        assert left.state.value == stage
        assert verify(left.spec, RoundSpec, FEDERATION) == asked
        for name, token in left.grants.items():
            assert verify(token, RoundGrant, FEDERATION).signer == name
        assert set(left.grants) == (
            set() if stage == "proposed" else set(grants(asked))
        )
        if left.opening is not None:
            assert verify(left.opening, Opening, FEDERATION) == named
        assert (left.opening is None) == (stage != "opening")


def test_mean_model_and_round_appear_in_one_commit_or_not_at_all(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        store.start_run(run_started(RUN, first := model(tmp_path, "model-0")))
        asked = spec(1)
        open_round(store, asked, HOSPITALS)
        before = store.head()
        result = RoundResult(
            asked.digest,
            mean=model(tmp_path, "mean-1", ModelKind.MEAN),
            model=model(tmp_path, "model-1"),
            metrics={"loss": 0.5},
            participations=[Participation("nobody", Status.OFFLINE)],
        )
        with pytest.raises(RoundStateError, match=r"FS-602.*nobody is not in the coh"):
            store.finish_round(result)
        assert store.head() == before
        assert (store.means(RUN), store.last_model(RUN)) == ([], first)
        assert store.rounds(RUN)[0].state is RoundState.OPENING


def _opened(store: RoundStore, folder: Path) -> None:
    train(store, folder, spec(1))


def _voided(store: RoundStore, _folder: Path) -> None:
    void(store, spec(1), "too few")


def _granted(store: RoundStore, _folder: Path) -> None:
    grant_round(store, spec(1))


def _opening(store: RoundStore, _folder: Path) -> None:
    open_round(store, spec(1), HOSPITALS)


def _stopped(store: RoundStore, _folder: Path) -> None:
    store.finish_run(RunFinished(RUN, RunState.STOPPED))


ILLEGAL: list[tuple[Callable[[RoundStore, Path], None], Callable[[RoundStore], None]]]
ILLEGAL = [
    (_opened, lambda store: store.void_round(RoundVoided(spec(1).digest, "late"))),
    (_opened, lambda store: store.opening(opening(spec(1), HOSPITALS[:3]))),
    (_opened, lambda store: store.propose(spec(1, attempt=2))),
    (_opening, lambda store: store.opening(opening(spec(1), HOSPITALS[:3]))),
    (_opening, lambda store: store.propose(spec(1, attempt=2))),
    (_granted, lambda store: store.finish_round(RoundResult(spec(1).digest))),
    (_granted, lambda store: store.propose(spec(1))),
    (_granted, lambda store: store.granted(spec(1).digest, grants(spec(1)))),
    (_voided, lambda store: store.propose(spec(1))),
    (_voided, lambda store: store.finish_round(RoundResult(spec(1).digest))),
    (_stopped, lambda store: store.propose(spec(1))),
    (_stopped, lambda store: store.propose(spec(1, run="unknown"))),
    (_stopped, lambda store: store.granted("0" * 64, {})),
    (_stopped, lambda store: store.finish_run(RunFinished(RUN, RunState.RUNNING))),
]


@pytest.mark.parametrize(("before", "step"), ILLEGAL)
def test_a_step_that_does_not_fit_is_refused_and_leaves_no_trace(
    place: str,
    tmp_path: Path,
    before: Callable[[RoundStore, Path], None],
    step: Callable[[RoundStore], None],
) -> None:
    with open_store(place) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        before(store, tmp_path)
        head, rounds = store.head(), store.rounds(RUN)
        with pytest.raises(RoundStateError, match="FS-602"):
            step(store)
        assert (store.head(), store.rounds(RUN)) == (head, rounds)


def test_a_run_starts_once_and_goes_on_only_when_resumed(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        started = run_started(RUN, model(tmp_path, "model-0"))
        store.start_run(started)
        with pytest.raises(RoundStateError, match="exists already"):
            store.start_run(started)
        store.finish_run(RunFinished(RUN, RunState.FAILED, "aggregator-b is away"))
        assert store.run(RUN).reason == "aggregator-b is away"
        store.resume_run(RUN)
        store.propose(spec(1))
        run = store.run(RUN)
        assert (run.state, run.reason, run.finished_at) == ("running", None, None)


def test_a_result_cannot_claim_another_set_than_the_opening(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        asked = spec(1)
        open_round(store, asked, HOSPITALS[:3])
        for claim in (
            Participation("va", Status.IN_SET),
            Participation("cleveland", Status.OFFLINE),
        ):
            with pytest.raises(RoundStateError, match=f"FS-602.*{claim.name}"):
                store.finish_round(RoundResult(asked.digest, participations=[claim]))


def test_everybody_in_the_cohort_has_a_final_status_once_a_round_is_decided(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        asked, given_up = spec(1), spec(2)
        open_round(store, asked, HOSPITALS[:3])
        assert statuses(store, asked.digest)["va"] == "asked"
        store.finish_round(RoundResult(asked.digest))
        assert statuses(store, asked.digest) == {
            **dict.fromkeys(HOSPITALS[:3], "in set"),
            "va": "not reported",
        }
        open_round(store, given_up, HOSPITALS)
        heard = [Participation("va", Status.OFFLINE)]
        store.void_round(RoundVoided(given_up.digest, "aggregator-b is lost", heard))
        assert statuses(store, given_up.digest) == {
            **dict.fromkeys(HOSPITALS[:3], "round void"),
            "va": "offline",
        }


def test_an_undefined_metric_is_null_and_not_a_number(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        train(store, tmp_path, spec(1))
        assert store.rounds(RUN)[0].metrics == {
            "loss": 0.7,
            "accuracy": 0.75,
            "auc": None,
        }


def test_a_model_that_was_recorded_is_not_replaced_by_another(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        first = model(tmp_path, "model-0")
        store.start_run(run_started(RUN, first))
        asked = spec(4, purpose=Purpose.EVALUATE)
        evaluate(store, asked)
        again = spec(5)
        opened = open_round(store, again, HOSPITALS)
        other = model(tmp_path, "model-9")
        stolen = RoundResult(
            again.digest,
            model=type(other)(first.path, other.sha256, other.bytes, other.kind),
            shares=shares(again, opened),
        )
        with pytest.raises(RoundStateError, match=r"FS-602.*another content"):
            store.finish_round(stolen)


def test_a_reader_neither_waits_for_a_writer_nor_sees_half_of_its_work(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store, open_store(place) as other:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))

        def a_long_one(session: Session) -> None:
            session.add(Model(path="x", sha256="0" * 64, bytes=0, kind="model"))
            session.flush()
            assert other.run(RUN).state is RunState.RUNNING
            assert other.rounds(RUN) == []

        store.change("a long one", a_long_one)


def test_an_error_of_the_database_names_the_transaction_but_no_values(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))

        def add_somebody(session: Session) -> None:
            session.add(ParticipationTable(spec_digest="5eC12e7", data_owner="va"))

        with pytest.raises(OperatorError, match=r"FS-604.*'add somebody'") as caught:
            store.change("add somebody", add_somebody)
        assert "INSERT" not in caught.value.detail


def test_an_unknown_run_is_an_error_that_says_so(place: str) -> None:
    with open_store(place) as store:
        assert store.latest_run() is None
        assert store.rounds("nothing") == []
        for read in (store.run, store.last_model):
            with pytest.raises(FedsecureError, match=r"FS-861.*'nothing'"):
                read("nothing")
