"""What a training of real processes leaves behind, compared with what went in."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fedsecure.demo.provision import AGGREGATORS, OWNER
from fedsecure.demo.sights import what_everybody_saw
from fedsecure.owner.store.models import Event
from fedsecure.protocol.identity import load_federation
from fedsecure.protocol.ledger import read_chain
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import RoundSpec
from fedsecure.review.reading import open_round_store
from tests.e2e.conftest import ROUNDS
from tests.e2e.federation import Federation
from tests.e2e.test_same_model import compare, plain_model

pytestmark = pytest.mark.e2e


def clipped(update: NDArray[np.float32], clip: float) -> list[Fraction]:
    """Return the update as the design defines it: min(1, C / norm) times itself."""
    exact = update.astype(np.float64)
    factor = min(1.0, clip / float(np.sqrt(np.dot(exact, exact))))
    return [Fraction(float(value)) * Fraction(factor) for value in exact]


@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_opened_mean_is_the_mean_of_the_sites_own_updates_within_the_guarantee(
    trained: Federation, number: int
) -> None:
    (row,) = trained.rows(
        trained.owner_db,
        "SELECT spec, mean FROM rounds WHERE purpose = 'train' AND state = 'opened' "
        "AND round = ?",
        number,
    )
    federation = load_federation(trained.folder.federation)
    spec = verify(row["spec"], RoundSpec, federation).statement
    params = params_of(spec)
    updates = [
        clipped(np.load(trained.notes / f"{site}-{number}.npz")["update"], spec.clip)
        for site in trained.folder.sites
    ]
    n = len(updates)
    mean = np.load(trained.folder.root / "owner" / row["mean"])
    bound = n * Fraction(1, 2) / Fraction(params.scale) / n  # every w_i / W is 1
    worst = max(
        abs(Fraction(float(opened)) - sum(values) / n)
        for opened, *values in zip(mean, *updates, strict=True)
    )
    assert 0 < worst <= bound * Fraction(11, 10)


def test_each_model_is_the_one_before_plus_the_opened_mean(trained: Federation) -> None:
    rows = trained.rows(
        trained.owner_db,
        "SELECT mean, model FROM rounds WHERE purpose = 'train' "
        "AND state = 'opened' ORDER BY round",
    )
    owner = trained.folder.root / "owner"
    (run,) = trained.rows(trained.owner_db, "SELECT initial_model FROM runs")
    model = np.load(owner / run["initial_model"])
    for row in rows:
        expected = model + np.load(owner / row["mean"])
        model = np.load(owner / row["model"])
        assert model.dtype == np.float32
        np.testing.assert_allclose(model, expected, rtol=0, atol=1e-6)
        assert np.abs(np.load(owner / row["mean"])).max() > 1e-5


def test_equal_weights_give_the_model_of_plain_fedavg(
    trained: Federation, tmp_path: Path
) -> None:
    compare(trained, plain_model(tmp_path / "plain", "equal"))


def test_the_same_rounds_stand_in_all_three_stores(trained: Federation) -> None:
    query = "SELECT spec{0} AS spec FROM v_round WHERE state = 'opened' ORDER BY 1"
    owner = trained.rows(trained.owner_db, query.format("_digest"))
    assert len(owner) == ROUNDS + 1  # and the evaluation of the last model
    for name in AGGREGATORS:
        assert trained.rows(trained.aggregator_db(name), query.format("")) == owner


def test_an_aggregator_got_one_share_of_each_update_of_either_kind(
    trained: Federation,
) -> None:
    query = "SELECT run, round, purpose, reporter, kind FROM v_report ORDER BY 1,2,3,4"
    first, second = (trained.rows(trained.aggregator_db(n), query) for n in AGGREGATORS)
    assert len(first) == (ROUNDS + 1) * len(trained.folder.sites)
    for a, b in zip(first, second, strict=True):
        assert {a.pop("kind"), b.pop("kind")} == {"seed", "vector"}
        assert a == b


def test_no_payload_and_no_private_key_of_a_round_is_left(trained: Federation) -> None:
    root = trained.folder.root
    for name in AGGREGATORS:
        kept = {path.name for path in (root / name / "rounds").rglob("*")}
        assert "key" not in kept
        assert not set(trained.folder.sites) & kept
    assert not list((root / "owner" / "rounds").iterdir())
    for site in trained.folder.sites:
        assert not list((root / site / "state" / "outbox").iterdir())


def test_the_owners_ledger_holds(trained: Federation) -> None:
    federation = load_federation(trained.folder.federation)
    with open_round_store(trained.owner_db) as session:
        kinds = [event.kind for event in read_chain(session, Event, federation)]
    assert kinds[0] == "run-started"
    assert kinds[-1] == "run-finished"
    assert kinds.count("round-opened") == ROUNDS + 1


def test_what_everybody_saw_counts_every_message(trained: Federation) -> None:
    seen = what_everybody_saw(trained.folder)
    reports = (ROUNDS + 1) * len(trained.folder.sites)
    for name in AGGREGATORS:
        assert sum(row.messages for row in seen if row.party == name) == reports
    replies = next(row for row in seen if row.what.startswith("receipts"))
    assert replies.messages == reports


def test_rounds_list_prints_them_as_json(trained: Federation) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fedsecure", "rounds", "list", "--json"),
            *("--db", str(trained.owner_db)),
        ],
        check=True,
        capture_output=True,
    )
    text = json.dumps(json.loads(done.stdout))
    assert text.count('"train"') == ROUNDS


def test_the_same_agents_count_their_rows_without_any_model(
    trained: Federation,
) -> None:
    """Last of this module: it adds a run to the record."""
    config = trained.folder.config(OWNER)
    arguments = ["statistics", "--config", str(config), "--epsilon", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "fedsecure", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["data_owners"] == 4
    assert abs(told["rows"]["value"] - 920) < 4 * told["rows"]["error"]
    folder = trained.folder.root / "owner" / "statistics" / told["run"]
    names = {path.name for path in folder.iterdir()}
    assert names == {"columns", "schema.toml", "statistics.html", "statistics.json"}
    assert len(list((folder / "columns").iterdir())) == 11
    assert json.loads((folder / "statistics.json").read_text("utf-8")) == told
    (row,) = trained.rows(
        trained.owner_db,
        "SELECT state, purpose, in_set FROM v_round WHERE run = ?",
        told["run"],
    )
    assert row == {"state": "opened", "purpose": "statistics", "in_set": 4}
    listed = subprocess.run(
        [
            sys.executable,
            "-m",
            "fedsecure",
            "rounds",
            "list",
            "--db",
            str(trained.owner_db),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert "statistics" in listed.stdout
