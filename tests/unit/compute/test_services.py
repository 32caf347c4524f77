"""A model owner serves a logistic regression, and a clinic asks about its patients."""

import csv
import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from fedsecure.compute import proposal
from fedsecure.compute.handout import Handout
from fedsecure.core.mpc.ring import Words
from fedsecure.errors import PeerError
from fedsecure.owner.jobs.recorded_model import TrainedModel
from fedsecure.owner.jobs.serve import Offer, Served, Serving
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.protocol.jobs.parts import Method
from fedsecure.study.config import Study, load_study
from fedsecure.study.lowering.description import ServiceDescription
from fedsecure.study.schema.tabular import TableSchema
from fedsecure_clients.prediction.answers import Answers, write_answers
from fedsecure_clients.prediction.asking import Asking
from fedsecure_clients.prediction.rows import read_rows
from tests.unit.compute.conftest import (
    BASEL,
    CLINIC,
    OWNER,
    PRACTICE,
    Parties,
    refused,
)

FOLDER: Final = Path(__file__).parents[3] / "studies" / "heart-logistic"
PATIENTS: Final = FOLDER / "patients.csv"
DAY: Final = 86400.0
FEATURES: Final = 21
WEIGHTS: Final = np.random.default_rng(7).normal(0, 1, (FEATURES, 1)).astype("f4")
BIAS: Final = np.array([-0.75], np.float32)


def layers(activation: str = "sigmoid") -> str:
    """Return the JSON of a logistic regression, as Keras writes it."""
    stack = [
        ("InputLayer", {"batch_shape": [None, FEATURES], "name": "input"}),
        ("Dense", {"units": 1, "activation": activation, "name": "disease"}),
    ]
    content = [
        {"module": "keras.layers", "class_name": kind, "config": config}
        for kind, config in stack
    ]
    config = {"name": "heart", "layers": content}
    return json.dumps({"class_name": "Sequential", "config": config})


TRAINED: Final = TrainedModel(layers(), (WEIGHTS, BIAS))


def probabilities(features: np.ndarray) -> np.ndarray:
    """Return what the model says, in plain float64."""
    logits = features.astype(np.float64) @ WEIGHTS.astype(np.float64)
    return 1 / (1 + np.exp(-(logits + BIAS.astype(np.float64))))


@dataclass
class World:
    """The parties, the study, and the model owner's end of services."""

    parties: Parties
    study: Study
    store: RoundStore
    serving: Serving
    stages: list[str] = field(default_factory=list)

    def serve(self, **changes: Any) -> Served:
        offer = Offer("heart", "Heart", [CLINIC], Method.SHARES, 1000, DAY)
        return self.serving.open(
            TRAINED, self.study.features, replace(offer, **changes)
        )

    def asking(self, served: Served, name: str = CLINIC) -> Asking:
        """Start a client, who knows no more than the file."""
        path = self.parties.folder / "heart.service.json"
        served.handout.write(path)
        handout = Handout.read(path, self.parties.federation)
        return Asking.of(self.parties.start(name), handout)

    def jobs(self) -> list[tuple[Any, ...]]:
        """State, reason and rows that were tried, of every job on record."""
        query = "SELECT state, reason, tried FROM v_job ORDER BY entry"

        def read(session: Any) -> list[tuple[Any, ...]]:
            return [tuple(one) for one in session.connection().exec_driver_sql(query)]

        return self.store.change("look", read)


@pytest.fixture
def world(parties: Parties) -> Iterator[World]:
    place = f"sqlite:///{parties.folder / 'rounds.db'}"
    stages: list[str] = []
    with RoundStore(place, parties.author(OWNER), parties.clock) as store:
        serving = Serving(parties.start(OWNER), store, stages.append)
        yield World(parties, load_study(FOLDER), store, serving, stages)


def features_of(world: World, path: Path = PATIENTS) -> np.ndarray:
    read = read_rows(path, described(world), ["patient"])
    assert read.table is not None
    assert read.table.features is not None
    return read.table.features


def described(world: World) -> ServiceDescription:
    return ServiceDescription.model_validate(
        {
            "title": "Heart",
            "schema": world.study.features,
            "activation": "sigmoid",
            "labels": world.study.features.class_names,
        }
    )


def test_a_clinic_gets_the_probabilities_and_labels_of_the_model(world: World) -> None:
    served = world.serve()
    assert served.difference < 1e-6
    assert world.jobs() == [("ready", None, 20)]
    asking = world.asking(served)
    features = features_of(world)
    told: list[int] = []
    scores = asking.scores(features, told.append)
    exact = probabilities(features)
    np.testing.assert_allclose(scores, exact, atol=1e-6)
    labels = asking.description.label_numbers(scores)
    assert labels.tolist() == (exact[:, 0] >= 0.5).astype(int).tolist()
    assert set(labels.tolist()) == {0, 1}
    assert told == [23]
    assert asking.rows_left() == 1000 - 23


def test_the_answers_are_a_file_that_nobody_else_reads(
    world: World, tmp_path: Path
) -> None:
    asking = world.asking(world.serve())
    read = read_rows(PATIENTS, asking.description, ["patient"])
    assert read.table is not None
    assert read.table.features is not None
    scores = asking.scores(read.table.features, lambda _: None)
    path = tmp_path / "predictions.csv"
    path.write_text("an older one")
    write_answers(path, Answers(read.table, asking.description, scores).text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["patient", "probability", "label"]
    assert [line["patient"] for line in lines] == [f"p{n:02}" for n in range(1, 24)]
    for line, score in zip(lines, scores[:, 0], strict=True):
        assert float(line["probability"]) == pytest.approx(score, abs=1e-6)
        assert line["label"] == ("num > 0" if score >= 0.5 else "not num > 0")
    assert [one.name for one in tmp_path.glob("*.part")] == []


def test_a_server_that_computes_another_model_is_found_before_anybody_is_served(
    world: World,
) -> None:
    def other(words: Words) -> Words:
        return words + np.uint64(2**46)

    world.parties.south.lies.words = other
    with refused("FS-396"):
        world.serve()
    ((state, reason, tried),) = world.jobs()
    assert (state, tried) == ("failed", None)
    assert "scores of 20 rows are off" in reason
    assert all(
        job.void
        for one in world.parties.aggregators.values()
        for job in one.jobs.values()
    )
    world.parties.south.lies.words = lambda words: words
    world.serve()
    assert [state for state, *_ in world.jobs()] == ["failed", "ready"]


def test_it_stands_on_record_before_anything_is_sent(world: World) -> None:
    seen: list[str] = []

    def note(said: Any) -> Any:
        seen.extend(state for state, *_ in world.jobs())
        return said

    world.parties.north.lies.grant = note
    world.serve()
    assert seen == ["proposed"]


def test_what_cannot_be_served_is_refused_before_anything_is_sent(world: World) -> None:
    offer = Offer("heart", "Heart", [CLINIC], Method.SHARES, 1000, DAY)
    features = world.study.features
    wrong = [
        ("FS-222", TrainedModel(layers("tanh"), (WEIGHTS, BIAS)), offer),
        ("FS-220", TrainedModel(layers(), (WEIGHTS * 1e15, BIAS)), offer),
        ("FS-741", TRAINED, replace(offer, clients=["stranger"])),
        ("FS-341", TRAINED, replace(offer, clients=["north"])),
        ("FS-341", TRAINED, replace(offer, clients=[])),
    ]
    for code, trained, what in wrong:
        with refused(code):
            world.serving.open(trained, features, what)
    assert world.jobs() == []
    assert world.parties.north.asked == world.parties.south.asked == []


def test_a_model_of_other_columns_is_refused(world: World) -> None:
    schema = world.study.features
    assert isinstance(schema, TableSchema)
    fewer = schema.model_copy(update={"columns": schema.columns[1:]})
    offer = Offer("heart", "Heart", [CLINIC], Method.SHARES, 1000, DAY)
    with refused("FS-843"):
        world.serving.open(TRAINED, fewer, offer)


def test_one_service_of_a_name_is_open_at_a_time(world: World) -> None:
    served = world.serve()
    with refused("FS-602"):
        world.serve()
    world.serving.close("heart", "no longer needed")
    with refused("FS-861"):
        world.serving.close("heart", "no longer needed")
    assert world.jobs() == [("closed", "no longer needed", 20)]
    assert world.parties.north.jobs[served.handout.digest].void
    world.serve()
    world.parties.clock.sleep(2 * DAY)
    world.serve()
    assert [state for state, *_ in world.jobs()] == ["closed", "closed", "ready"]


@pytest.mark.parametrize(("code", "after"), [("FS-390", "closed"), ("FS-551", "ready")])
def test_a_service_that_no_aggregator_knows_can_be_closed(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str, after: str
) -> None:
    """As after a model owner that died between its record and the first message."""
    world.serve()

    def refuse(*_: object) -> None:
        raise PeerError(code, "north")

    monkeypatch.setattr(proposal, "void", refuse)
    if after == "closed":
        world.serving.close("heart", "it never began")
    else:
        with refused(code):
            world.serving.close("heart", "it never began")
    assert [state for state, *_ in world.jobs()] == [after]


def test_more_rows_than_are_left_are_refused_before_any_is_sent(world: World) -> None:
    asking = world.asking(world.serve(rows=30))
    features = features_of(world)
    asking.scores(features, lambda _: None)
    before = [path for path, _ in world.parties.north.asked if "queries" in path]
    with refused("FS-398") as caught:
        asking.scores(features, lambda _: None)
    assert "30 rows in all; 7 are left, and there are 23" in caught.value.detail
    after = [path for path, _ in world.parties.north.asked if "queries" in path]
    assert after == before


def test_a_service_that_was_closed_says_so_before_any_row_is_sent(
    world: World,
) -> None:
    asking = world.asking(world.serve())
    world.serving.close("heart", "no longer needed")
    with refused("FS-392"):
        asking.scores(features_of(world), lambda _: None)
    assert not [path for path, _ in world.parties.north.asked if CLINIC in path]


def test_fewer_rows_than_are_tried_are_all_that_the_owner_asks_about(
    world: World,
) -> None:
    assert world.serve(rows=5).tried == 5


def test_who_is_not_among_its_clients_is_refused(world: World) -> None:
    served = world.serve()
    with refused("FS-341"):
        world.asking(served, PRACTICE).scores(features_of(world), lambda _: None)


def test_a_data_owner_is_told_that_it_has_the_model(world: World) -> None:
    served = world.serve(clients=[BASEL, CLINIC])
    assert world.asking(served, BASEL).can_predict_alone
    assert not world.asking(served).can_predict_alone


def test_whoever_was_interrupted_asks_anew_with_higher_numbers(world: World) -> None:
    served = world.serve(rows=10_000)
    many = np.tile(features_of(world), (60, 1))

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.asking(served).scores(many, stop)
    again = world.asking(served)
    assert again.rows_left() == 10_000 - 1000
    np.testing.assert_allclose(
        again.scores(many, lambda _: None), probabilities(many), atol=1e-6
    )
    job = world.parties.north.jobs[served.handout.digest]
    assert job.queries[CLINIC] > 64  # what the first one had taken is never used


def test_a_description_of_another_program_is_refused(world: World) -> None:
    served = world.serve()
    schema = world.study.features
    assert isinstance(schema, TableSchema)
    fewer = schema.model_copy(update={"columns": schema.columns[1:]})
    other = {
        **(served.handout.description or {}),
        "schema": fewer.model_dump(mode="json"),
    }
    with refused("FS-424"):
        Asking.of(
            world.parties.start(CLINIC), replace(served.handout, description=other)
        )


def test_bad_cells_are_told_with_row_and_column_and_no_value(
    world: World, tmp_path: Path
) -> None:
    lines = PATIENTS.read_text("utf-8").splitlines()
    lines[3] = lines[3].replace("Male", "divers")
    lines[5] = lines[5].replace("130", "9999")
    path = tmp_path / "patients.csv"
    path.write_text("\n".join(lines))
    read = read_rows(path, described(world), ["patient"])
    assert read.table is None
    assert [(one.code, one.where) for one in read.report.places] == [
        ("FS-105", "row 4, column sex"),
        ("FS-104", "row 6, column trestbps"),
    ]
    assert "9999" not in str(read.report.places)


@pytest.mark.parametrize("keep", ["patient", "ward"])
def test_columns_that_are_missing_are_told(
    world: World, tmp_path: Path, keep: str
) -> None:
    path = tmp_path / "patients.csv"
    rows = list(csv.DictReader(PATIENTS.read_text("utf-8").splitlines()))
    with path.open("w", encoding="utf-8") as file:
        names = [name for name in rows[0] if name != "thalch"]
        lines = csv.DictWriter(file, names, extrasaction="ignore")
        lines.writeheader()
        lines.writerows(rows)
    read = read_rows(path, described(world), [keep])
    assert read.table is None
    (problem,) = read.report.whole
    assert problem.code == "FS-102"
    assert "thalch" in problem.detail
    assert ("ward" in problem.detail) == (keep == "ward")


def test_a_column_of_labels_is_not_read(world: World, tmp_path: Path) -> None:
    lines = PATIENTS.read_text("utf-8").splitlines()
    path = tmp_path / "patients.csv"
    labelled = [f"{lines[0]},num", *(f"{line},what?" for line in lines[1:])]
    path.write_text("\n".join(labelled))
    np.testing.assert_array_equal(features_of(world, path), features_of(world))
