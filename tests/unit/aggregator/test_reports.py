from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Kind, Receipt
from fedsecure_aggregator.rounds import receipts as receipts_module
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import HOSPITALS, SERVERS, Report, Round

Grants = Mapping[str, str]


@pytest.fixture
def asked(pair: Pair) -> Round:
    return pair.world.propose()


@pytest.fixture
def granted(pair: Pair, asked: Round) -> Grants:
    return pair.grant(asked)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(FedsecureError) as caught:
        call()
    return caught.value.code


def require_opens(
    pair: Pair, asked: Round, receipts: Mapping[str, Mapping[str, str]]
) -> None:
    """Open at both, and assert the exact mean over those with receipts."""
    opening = pair.world.opening(asked, receipts)
    shares = [
        pair.world.unseal(asked, opening, server.open(asked, opening))
        for server in pair.servers.values()
    ]
    pair.world.require_mean(asked, shares, sorted(receipts))


@pytest.mark.parametrize("kind", [Kind.SEED, Kind.VECTOR])
def test_the_same_bytes_get_the_same_receipt(
    pair: Pair, asked: Round, granted: Grants, kind: Kind
) -> None:
    report = pair.world.report(asked, granted, "basel", only=kind)["north"]
    first = pair.north.report(report)
    pair.north.report(pair.world.report(asked, granted, "bern")["north"])
    assert pair.north.report(report) == first
    assert pair.restart("north").report(report) == first
    receipt = verify(first, Receipt, pair.world.federation).statement
    assert (receipt.reporter, receipt.digest) == (
        "basel",
        report.header.statement.digest,
    )


def test_a_second_report_of_a_data_owner_is_refused(
    pair: Pair, asked: Round, granted: Grants
) -> None:
    pair.north.report(pair.world.report(asked, granted, "basel")["north"])
    other = pair.world.report(asked, granted, "basel")["north"]
    assert refused(lambda: pair.north.report(other)) == "FS-312"


@pytest.mark.parametrize("kind", [Kind.SEED, Kind.VECTOR])
def test_a_report_that_does_not_open_is_not_counted(
    pair: Pair, asked: Round, granted: Grants, kind: Kind
) -> None:
    receipts = pair.collect(asked, *HOSPITALS[:3])
    good = pair.world.report(asked, granted, "genf", only=kind)["north"]
    # A reporter signs whatever it likes: here, for a payload that was sealed for the
    # other aggregator.
    alien = dict.fromkeys(SERVERS, granted["south"])
    swapped = pair.world.report(asked, alien, "genf", only=kind)["north"]
    statement = swapped.header.statement.model_copy(update={"aggregator": "north"})
    bad = Report(pair.world.author("genf").sign(statement), swapped.payload)
    assert refused(lambda: pair.north.report(bad)) == "FS-314"
    assert pair.north.report_files(asked) == list(HOSPITALS[:3])
    require_opens(pair, asked, receipts)
    assert refused(lambda: pair.north.report(good)) == "FS-304"


def test_a_bad_last_record_is_taken_back_without_reading_all_others_again(
    pair: Pair,
) -> None:
    asked = pair.world.propose(dimension=700_000)  # three records
    receipts = pair.collect(asked, *HOSPITALS[:3])
    granted = pair.grant(asked)
    good = pair.world.report(asked, granted, "genf", only=Kind.VECTOR)["north"]
    broken = good.payload[:-1] + bytes([good.payload[-1] ^ 1])
    assert refused(lambda: pair.north.report(Report(good.header, broken))) == "FS-314"
    for reporter in pair.north.report_files(asked):
        pair.north.report_file(asked, reporter).unlink()
    require_opens(pair, asked, receipts)


def test_reports_are_refused_from_the_deadline_on(
    pair: Pair, asked: Round, granted: Grants
) -> None:
    early = pair.world.report(asked, granted, "basel")["north"]
    late = pair.world.report(asked, granted, "bern")["north"]
    pair.north.clock.now = asked.spec.statement.deadline - 0.01
    receipt = pair.north.report(early)
    pair.north.clock.now = asked.spec.statement.deadline
    assert refused(lambda: pair.north.report(late)) == "FS-306"
    assert pair.north.report(early) == receipt


def test_a_stored_report_gets_its_receipt_after_the_opening_but_not_after_void(
    pair: Pair, asked: Round, granted: Grants
) -> None:
    reports = {name: pair.world.report(asked, granted, name) for name in HOSPITALS[:3]}
    receipts = {
        name: {
            server: pair.servers[server].report(report[server]) for server in SERVERS
        }
        for name, report in reports.items()
    }
    require_opens(pair, asked, receipts)
    assert pair.north.report(reports["basel"]["north"]) == receipts["basel"]["north"]
    other = pair.world.propose(round=2)
    report = pair.world.report(other, pair.grant(other), "basel")["north"]
    pair.north.report(report)
    pair.north.void(other, pair.world.void(other))
    assert refused(lambda: pair.north.report(report)) == "FS-305"


def test_only_the_cohort_may_report(pair: Pair) -> None:
    asked = pair.world.propose(cohort=list(HOSPITALS[:3]))
    report = pair.world.report(asked, pair.grant(asked), "genf")["north"]
    assert refused(lambda: pair.north.report(report)) == "FS-311"


def test_a_header_must_fit_round_aggregator_and_length(
    pair: Pair, asked: Round, granted: Grants
) -> None:
    report = pair.world.report(asked, granted, "basel", only=Kind.VECTOR)["north"]
    for code, changes in (
        ("FS-300", {"spec": "0" * 64}),
        ("FS-310", {"aggregator": "south"}),
        ("FS-310", {"length": report.header.statement.length + 1}),
        ("FS-310", {"kind": Kind.SEED}),
    ):
        statement = report.header.statement.model_copy(update=changes)
        bad = Report(pair.world.author("basel").sign(statement), report.payload)
        assert refused(lambda: pair.north.report(bad)) == code  # noqa: B023


def test_a_subset_of_the_stored_reports_is_opened_exactly(
    pair: Pair, asked: Round
) -> None:
    receipts = pair.collect(asked, *HOSPITALS)
    require_opens(pair, asked, {name: receipts[name] for name in HOSPITALS[1:]})


def test_rounds_under_way_at_the_same_time_do_not_mix(pair: Pair) -> None:
    rounds = [
        pair.world.propose(round=number, dimension=d, purpose=purpose)
        for number, d, purpose in (
            (1, 1000, "train"),
            (2, 0, "evaluate"),
            (3, 700_000, "train"),
        )
    ]
    tokens = [pair.grant(asked) for asked in rounds]
    receipts: list[dict[str, dict[str, str]]] = [{} for _ in rounds]
    for reporter in HOSPITALS[:3]:
        for asked, granted, received in zip(rounds, tokens, receipts, strict=True):
            reports = pair.world.report(asked, granted, reporter)
            received[reporter] = {
                name: pair.servers[name].report(report)
                for name, report in reports.items()
            }
    require_opens(pair, rounds[0], receipts[0])
    require_opens(pair, rounds[2], receipts[2])
    opening = pair.world.opening(rounds[1], receipts[1])
    assert pair.north.open(rounds[1], opening)


def test_a_failed_commit_leaves_nothing_in_the_sum(
    pair: Pair, asked: Round, granted: Grants, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = pair.collect(asked, *HOSPITALS[:2])
    reports = pair.world.report(asked, granted, "chur")

    def full(*_: object) -> None:
        raise OperatorError("FS-525", "put report: database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(receipts_module, "put_row", full)
        assert refused(lambda: pair.north.report(reports["north"])) == "FS-525"
    receipts["chur"] = {
        name: pair.servers[name].report(report) for name, report in reports.items()
    }
    require_opens(pair, asked, receipts)


def test_no_file_holds_a_private_key_but_its_own_or_any_plaintext(
    pair: Pair, asked: Round, granted: Grants
) -> None:
    zeros = np.zeros(asked.params.dimension, np.float32)
    before = pair.world.rand.used  # the seed comes first
    reports = pair.world.report(asked, granted, "basel", update=zeros, only=Kind.SEED)
    seed = pair.world.rand.drawn(before, 32)
    for name, report in reports.items():
        pair.servers[name].report(report)
    keys = {pair.servers[name].key_file(asked) for name in SERVERS}
    secrets = [seed, *(path.read_bytes() for path in keys)]
    files = [p for p in pair.north.folder.parent.rglob("*") if p.is_file()]
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert len(files) > 8
    for path in set(files) - keys:
        _require_without(path, secrets)


def _require_without(path: Path, secrets: list[bytes]) -> None:
    content = path.read_bytes()
    for secret in secrets:
        assert secret not in content, path
        assert secret.hex().encode() not in content, path
