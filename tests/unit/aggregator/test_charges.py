"""What openings cost data owners in privacy, kept by each aggregator for itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fedsecure.core.dp.accountant import epsilon, largest_rho, multiplier
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import FedsecureError
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Opening, PrivacyField, Purpose
from fedsecure_aggregator.operations import backup
from tests.unit.aggregator.conftest import Pair, Server, with_policy
from tests.unit.aggregator.test_backup import put_back, settings_of, stop
from tests.unit.aggregator.world import CLIP, HOSPITALS, Round

STUDY, OTHER = "5" * 64, "6" * 64
DELTA = 1e-5
ROUNDS = 3  # that the study's budget pays for


def privacy(unit: Unit = Unit.DATA_OWNER, **changes: Any) -> PrivacyField:
    """A study that may train ROUNDS times, and no more."""
    budget = largest_rho(2.0, DELTA) - 2 * ROUNDS
    content: dict[str, Any] = {
        "unit": unit,
        "unit_clip": CLIP,
        "noise": multiplier(budget * 9 // 10, ROUNDS),
        "scalar_noise": multiplier(budget // 10, ROUNDS),
        "evaluation_noise": multiplier(budget // 10, ROUNDS),
        "every_round": True,
        "epsilon": 2.0,
        "delta": DELTA,
    }
    return PrivacyField.model_validate({**content, **changes})


def propose(pair: Pair, number: int, study: str = STUDY, **changes: Any) -> Round:
    # No two openings over one model, so that nothing but the budget refuses.
    said = {"round": number, "privacy": privacy(), "model": f"{number:064x}"}
    return pair.world.propose(study=study, **{**said, **changes})


def opening_of(pair: Pair, asked: Round, *names: str) -> Signed[Opening]:
    receipts = pair.collect(asked, *(names or HOSPITALS))
    return pair.world.opening(asked, receipts)


def hold(pair: Pair, number: int, **changes: Any) -> Round:
    """Hold a round with everybody, from its spec to both shares."""
    asked = propose(pair, number, **changes)
    opening = opening_of(pair, asked)
    for server in pair.servers.values():
        server.open(asked, opening)
    return asked


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(FedsecureError) as raised:
        work()
    return f"{raised.value.code} {raised.value.detail}"


def rows(server: Server, query: str) -> list[Any]:
    with server.context.store.reading("test") as session:
        return list(session.execute(text(query)))


def spent(server: Server, study: str = STUDY) -> dict[str, int]:
    found = rows(server, "SELECT study, reporter, rho_pico FROM privacy_studies")
    return {row.reporter: row.rho_pico for row in found if row.study == study}


# --- charges ------------------------------------------------------------------------


def test_an_opening_charges_each_member_at_both_aggregators(pair: Pair) -> None:
    asked = propose(pair, 1)
    opening = opening_of(pair, asked, *HOSPITALS[:3])
    for server in pair.servers.values():
        assert spent(server) == {}  # a grant and reports cost nothing
        server.open(asked, opening)
        assert spent(server) == dict.fromkeys(HOSPITALS[:3], asked.params.cost)


def test_the_same_opening_asked_for_again_is_free(pair: Pair) -> None:
    asked = propose(pair, 1)
    opening = opening_of(pair, asked)
    first = pair.north.open(asked, opening)
    assert pair.north.open(asked, opening) == first
    pair.restart("north")
    assert pair.north.open(asked, opening) == first
    assert spent(pair.north) == dict.fromkeys(HOSPITALS, asked.params.cost)


def _give_up(pair: Pair, asked: Round) -> None:
    opening = opening_of(pair, asked)
    for server in pair.servers.values():
        server.void(asked, pair.world.void(asked))
    assert refusal(lambda: pair.north.open(asked, opening)).startswith("FS-305")


def test_a_void_round_costs_nothing_and_gives_nothing(pair: Pair) -> None:
    for attempt in range(1, 2 * ROUNDS):
        _give_up(pair, propose(pair, 1, attempt=attempt))
    assert spent(pair.north) == {}
    hold(pair, 1, attempt=2 * ROUNDS)
    assert set(spent(pair.north)) == set(HOSPITALS)


def test_a_view_says_what_was_spent_and_what_is_left(pair: Pair) -> None:
    asked = hold(pair, 1)
    hold(pair, 2)
    cost = asked.params.cost
    assert cost is not None
    (row,) = rows(pair.north, "SELECT * FROM v_privacy WHERE reporter = 'basel'")
    said = dict(row._mapping)
    assert said["epsilon"] == pytest.approx(epsilon(2 * cost, DELTA), abs=2e-6)
    assert said["outsider"] == pytest.approx(epsilon(cost, DELTA), abs=2e-6)
    assert said["epsilon"] + said["left_over"] == pytest.approx(said["budget"])
    assert (said["unit"], said["budget"], said["openings"]) == ("data-owner", 2.0, 2)
    (row,) = rows(pair.north, "SELECT * FROM v_privacy_total WHERE reporter = 'basel'")
    assert row.row_epsilon == row.data_owner_epsilon == said["epsilon"]


def test_a_round_that_protects_rows_leaves_a_data_owners_total_without_bound(
    pair: Pair,
) -> None:
    first = hold(pair, 1)
    second = hold(pair, 2, study=OTHER, privacy=privacy(Unit.ROW))
    (row,) = rows(pair.north, "SELECT * FROM privacy_totals WHERE reporter = 'basel'")
    assert row.row_rho_pico == (first.params.cost or 0) + (second.params.cost or 0)
    assert row.data_owner_rho_pico is None


def test_a_round_without_noise_leaves_both_totals_without_bound(pair: Pair) -> None:
    hold(pair, 1)
    hold(pair, 2, study=None, privacy=None)
    (row,) = rows(pair.north, "SELECT * FROM v_privacy_total WHERE reporter = 'basel'")
    assert (row.row_epsilon, row.data_owner_epsilon) == (None, None)
    assert set(spent(pair.north)) == set(HOSPITALS)  # a study's own sum goes on


# --- a study's budget ---------------------------------------------------------------


def test_a_study_opens_what_its_budget_pays_for_and_nothing_more(pair: Pair) -> None:
    for number in range(1, ROUNDS + 1):
        hold(pair, number)
    asked = propose(pair, ROUNDS + 1)
    found = refusal(lambda: pair.north.grant(asked))
    assert "FS-408 basel, bern, chur and 1 others would have spent epsilon" in found
    assert "under study 555555555555, at most 2 at delta 1e-05" in found
    assert max(spent(pair.north).values()) <= largest_rho(2.0, DELTA)


@pytest.mark.parametrize("split", ["runs", "purposes"])
def test_a_budget_is_not_stretched_by_being_split(pair: Pair, split: str) -> None:
    for number in range(1, ROUNDS + 1):
        hold(pair, 1, run=f"run-{number}", model=f"{number:064x}")
    more: dict[str, Any] = {"run": "run-9", "model": "9" * 64}
    if split == "purposes":
        more |= {"purpose": Purpose.EVALUATE, "dimension": 0, "run": "run-1"}
    asked = propose(pair, 2, **more)
    assert refusal(lambda: pair.north.grant(asked)).startswith("FS-408")


def test_of_rounds_granted_at_once_no_more_are_opened_than_the_budget_pays_for(
    pair: Pair,
) -> None:
    asked = [propose(pair, 1, run=f"run-{n}", model=f"{n:064x}") for n in range(4)]
    openings = [opening_of(pair, one) for one in asked]
    for one, opening in zip(asked[:ROUNDS], openings, strict=False):
        pair.north.open(one, opening)
    before = spent(pair.north)
    found = refusal(lambda: pair.north.open(asked[3], openings[3]))
    assert found.startswith("FS-325 basel, bern, chur and 1 others would have spent")
    assert spent(pair.north) == before
    assert pair.north.key_file(asked[3]).exists()  # nothing was fixed


def test_who_has_budget_left_is_opened_without_those_who_have_none(pair: Pair) -> None:
    for number in range(1, ROUNDS + 1):
        asked = propose(pair, number, cohort=["basel", "bern", "chur"])
        opening = opening_of(pair, asked, "basel", "bern", "chur")
        pair.north.open(asked, opening)
    asked = propose(pair, 9)
    assert "FS-408 basel, bern, chur would" in refusal(lambda: pair.north.grant(asked))


def test_under_one_study_there_is_one_budget(pair: Pair) -> None:
    asked = propose(pair, 1)
    pair.north.grant(asked)  # known from then on
    for changes in ({"epsilon": 8.0}, {"delta": 1e-4}, {"unit": Unit.ROW}):
        other = propose(pair, 2, privacy=privacy(**changes))
        found = refusal(lambda other=other: pair.north.grant(other))
        assert "FS-407 study 555555555555: " in found
        assert "was data-owner epsilon 2.0 at delta 1e-05" in found
    hold(pair, 3)
    louder = propose(pair, 4, privacy=privacy(epsilon=8.0))
    assert refusal(lambda: pair.north.grant(louder)).startswith("FS-407")


# --- the aggregator's own policy ----------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "changes", "detail"),
    [
        ({"privacy": "required"}, {"privacy": None, "study": None}, "it has no noise"),
        ({"max_epsilon": 4.0}, {"privacy": None, "study": None}, "it has no noise"),
        ({"max_epsilon": 1.5}, {}, "its epsilon is 2, at most 1.5"),
        (
            {"max_epsilon": 4.0},
            {"privacy": privacy(delta=1e-4)},
            "its delta is 0.0001, at most 1e-05",
        ),
        ({"max_delta": 1e-6}, {}, "its delta is 1e-05, at most 1e-06"),
    ],
)
def test_an_aggregators_policy_bounds_what_a_study_may_tell(
    pair: Pair, policy: dict[str, Any], changes: dict[str, Any], detail: str
) -> None:
    with_policy(pair.north, **policy)
    asked = propose(pair, 1, **changes)
    assert refusal(lambda: pair.north.grant(asked)) == f"FS-407 {detail}"


def test_a_policy_that_asks_for_noise_grants_what_has_it(pair: Pair) -> None:
    with_policy(pair.north, privacy="required", max_epsilon=2.0, max_delta=1e-5)
    pair.north.grant(propose(pair, 1))


def test_another_digest_begins_another_budget_and_the_policys_own_still_bounds_it(
    pair: Pair,
) -> None:
    """As a model owner does it that writes less noise, or another study, into specs."""
    with_policy(pair.north, max_epsilon=3.0)
    numbers = iter(range(1, 4 * ROUNDS))

    def go_on() -> None:
        for number in numbers:
            asked = propose(pair, number, study=f"{number:064x}")
            pair.north.open(asked, opening_of(pair, asked))

    assert "in all, at most 3 at delta 1e-05" in (found := refusal(go_on))
    assert found.startswith("FS-408")
    assert next(numbers) - 2 > ROUNDS  # more than one study pays for
    (row,) = rows(pair.north, "SELECT * FROM v_privacy_total WHERE reporter = 'basel'")
    assert 2.0 < row.row_epsilon <= 3.0


def test_rounds_of_two_studies_granted_at_once_are_opened_within_the_policy(
    pair: Pair,
) -> None:
    with_policy(pair.north, max_epsilon=2.0)
    asked = [
        propose(pair, 1, study=f"{n:064x}", run=f"run-{n}", model=f"{n:064x}")
        for n in range(ROUNDS + 1)
    ]
    openings = [opening_of(pair, one) for one in asked]
    for one, opening in zip(asked[:ROUNDS], openings, strict=False):
        pair.north.open(one, opening)
    found = refusal(lambda: pair.north.open(asked[ROUNDS], openings[ROUNDS]))
    assert found.startswith("FS-325")
    assert "in all, at most 2 at delta 1e-05" in found


def test_a_policy_bounds_nobody_over_whom_a_round_without_noise_was_opened(
    pair: Pair,
) -> None:
    hold(pair, 1, study=None, privacy=None, cohort=list(HOSPITALS))
    with_policy(pair.north, max_epsilon=8.0)
    found = refusal(lambda: pair.north.grant(propose(pair, 2)))
    assert "FS-408 a round without noise was opened over basel, bern" in found


# --- a store that was put back ------------------------------------------------------


@pytest.mark.parametrize("as_it_is", [False, True])
def test_a_restored_store_has_nothing_left_of_any_study_for_anybody(
    pair: Pair, tmp_path: Path, as_it_is: bool
) -> None:
    file = tmp_path / "monday.db"
    backup.backup(settings_of(pair.north), file)
    asked = propose(pair, 1)
    pair.north.open(asked, opening_of(pair, asked, *HOSPITALS[:3]))
    stop(pair.north)
    put_back(settings_of(pair.north), None if as_it_is else file)
    pair.restart("north")
    assert spent(pair.north) == dict.fromkeys(HOSPITALS, largest_rho(2.0, DELTA))
    again = propose(pair, 1, run="run-2", model="9" * 64)
    assert refusal(lambda: pair.north.grant(again)).startswith("FS-408")
    # A study under another digest begins anew, and what is charged counts in all.
    hold(pair, 2, run="run-3", study=OTHER)
    with_policy(pair.north, max_epsilon=2.0)
    third = propose(pair, 3, run="run-3", study=OTHER)
    found = refusal(lambda: pair.north.grant(third))
    assert "in all, at most 2" in found


def test_a_restored_store_takes_no_other_budget_for_a_study_that_it_forgot(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "monday.db"
    backup.backup(settings_of(pair.north), file)
    hold(pair, 1)
    stop(pair.north)
    put_back(settings_of(pair.north), file)
    pair.restart("north")
    louder = propose(pair, 2, run="run-2", privacy=privacy(epsilon=8.0))
    assert refusal(lambda: pair.north.grant(louder)).startswith("FS-407")


def test_after_a_restore_rounds_without_noise_leave_everybody_without_bound(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "monday.db"
    backup.backup(settings_of(pair.north), file)
    hold(pair, 1, study=None, privacy=None)
    stop(pair.north)
    put_back(settings_of(pair.north), file)
    pair.restart("north")
    totals = rows(pair.north, "SELECT reporter, row_rho_pico FROM privacy_totals")
    assert dict(map(tuple, totals)) == dict.fromkeys(HOSPITALS)


def test_a_second_restore_still_knows_the_studies_before_the_first(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "monday.db"
    backup.backup(settings_of(pair.north), file)
    hold(pair, 1)
    for _ in range(2):
        stop(pair.north)
        put_back(settings_of(pair.north), file)
        pair.restart("north")
        assert set(spent(pair.north)) == set(HOSPITALS)


def test_a_data_folder_that_never_saw_a_study_is_not_taken_for_its_own(
    pair: Pair,
) -> None:
    hold(pair, 1)
    (note,) = (pair.north.folder / "studies").iterdir()
    content = note.read_bytes()
    note.unlink()
    assert "FS-546" in refusal(lambda: pair.restart("north"))
    assert "never saw one of the studies" in refusal(lambda: pair.restart("north"))
    note.write_bytes(content)
    pair.restart("north")


def test_a_damaged_note_of_a_study_is_named_at_a_restore(pair: Pair) -> None:
    hold(pair, 1)
    (note,) = (pair.north.folder / "studies").iterdir()
    note.write_bytes(note.read_bytes().replace(b"2.0", b"1.0"))
    stop(pair.north)
    put_back(settings_of(pair.north), None)
    assert f"FS-541 {note}: put a copy" in refusal(lambda: pair.restart("north"))
    note.unlink()  # the database knows it
    pair.restart("north")
    assert spent(pair.north) == dict.fromkeys(HOSPITALS, largest_rho(2.0, DELTA))
