from dataclasses import fields, make_dataclass
from pathlib import Path

import pytest

from fedsecure.console.owner.job_reading import ShownJob
from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.store.views import VIEWS
from fedsecure.protocol.statements import Purpose, RoundSpec
from fedsecure.protocol.stored_statements import stored
from fedsecure.review import records
from fedsecure.review.details import StatementRow, read_detail
from fedsecure.review.reading import open_round_store
from fedsecure.storage.view_rows import of_its_view
from tests.unit.owner_store.round_story import FEDERATION, RUN, author, spec


def test_rows_have_all_columns_of_their_views() -> None:
    rows = (
        records.RunRow,
        records.RoundRow,
        records.ParticipationRow,
        ShownJob,
        records.EventRow,
    )
    assert tuple(kind.VIEW for kind in rows) == VIEWS
    for kind in rows:
        columns = [column.name for column in kind.VIEW.columns]
        assert [field.name for field in fields(kind)] == columns


@pytest.mark.parametrize("names", [("run", "sate"), ("state", "run")])
def test_rows_with_other_columns_than_their_view_are_refused(
    names: tuple[str, ...],
) -> None:
    kind = make_dataclass("Row", names, namespace={"VIEW": VIEWS[0], "ORDER": ()})
    with pytest.raises(TypeError, match="is no column of v_run here"):
        of_its_view(kind)


@pytest.mark.parametrize(
    ("which", "digest"),
    [
        ("1", spec(1).digest),
        ("3", spec(3, attempt=2).digest),
        ("3.1", spec(3).digest),
        ("3.2", spec(3, attempt=2).digest),
        ("final", spec(4, purpose=Purpose.EVALUATE).digest),
        (spec(2).digest, spec(2).digest),
        (spec(2).digest[:8], spec(2).digest),
    ],
)
def test_a_round_is_found_by_what_people_call_it(
    told: Path, which: str, digest: str
) -> None:
    with open_round_store(told) as session:
        assert records.find_round(session, RUN, which).spec_digest == digest


@pytest.mark.parametrize("which", ["4", "3.3", "0", "three", "", "-1", "ffffffff", "%"])
def test_an_unknown_round_is_an_error_that_names_it(told: Path, which: str) -> None:
    with (
        open_round_store(told) as session,
        pytest.raises(OperatorError, match=rf"FS-862.*{which!r} in run {RUN}"),
    ):
        records.find_round(session, RUN, which)


def test_an_unknown_run_is_an_error_that_names_those_there_are(told: Path) -> None:
    with (
        open_round_store(told) as session,
        pytest.raises(OperatorError, match=rf"FS-861.*'lungs'.*{RUN}"),
    ):
        records.find_run(session, "lungs")


def test_a_round_in_full_shows_who_signed_what(told: Path) -> None:
    with open_round_store(told) as session:
        detail = read_detail(session, records.find_run(session), "2")
    assert [(one.statement, one.signer, one.number) for one in detail.statements] == [
        ("round-spec", "consortium", 1),
        ("round-grant", "aggregator-a", 1),
        ("round-grant", "aggregator-b", 1),
        ("receipt", "aggregator-a", 3),
        ("receipt", "aggregator-b", 3),
        ("opening", "consortium", 1),
        ("aggregate-share", "aggregator-a", 1),
        ("aggregate-share", "aggregator-b", 1),
    ]
    assert detail.statements[0] == StatementRow(
        "round-spec", "consortium", 1, spec(2).digest, None
    )
    assert detail.statements[1].ledger_entries == 7
    assert detail.spec == spec(2).statement
    absent = [one for one in detail.participations if one.status != "in set"]
    assert [(one.data_owner, one.reason) for one in absent] == [
        ("va", "no answer in time")
    ]
    assert [one.kind for one in detail.events] == [
        "round-proposed",
        "round-granted",
        "round-opening",
        "round-opened",
    ]
    assert [one.kind for one in detail.files] == ["mean", "model"]


def test_a_void_round_in_full_names_the_attempt_that_followed(told: Path) -> None:
    with open_round_store(told) as session:
        detail = read_detail(session, records.find_run(session), "3.1")
    assert [one.label for one in detail.other_attempts] == ["3.2"]
    assert [one.signer for one in detail.statements if one.statement == "void"] == [
        "aggregator-a",
        "aggregator-b",
    ]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "e30.e30.e30",
        author().sign(spec(1).statement).token.replace(".", "", 1),
        spec(1).token.split(".")[0] + ".e30." + spec(1).token.split(".")[2],
    ],
)
def test_a_stored_statement_that_was_broken_is_an_error(token: str) -> None:
    assert FEDERATION.digest == spec(1).statement.federation
    with pytest.raises(PeerError, match="FS-701"):
        stored(token, RoundSpec)
