"""What the programs do about each error, decided by the table of errors.

The sets here are those that the programs held themselves before the table did.
"""

import ast
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn

import pytest
from structlog.testing import capture_logs

from fedsecure.audit.findings import Finding, Report
from fedsecure.audit.verify import _say_who_may_be_old
from fedsecure.cli import explain
from fedsecure.console.app import status_of
from fedsecure.contributor.contribution import Contributor
from fedsecure.contributor.outbox import StoredReport
from fedsecure.core.sealing.payload_digest import sealed_length
from fedsecure.doctor import own_machine
from fedsecure.errors import (
    PROBLEMS,
    FedsecureError,
    OperatorError,
    PeerError,
    RoundStateError,
    Stands,
    family,
)
from fedsecure.owner.rounds.refusals import (
    is_hopeless,
    is_refusal,
    is_worth_another_attempt,
)
from fedsecure.owner.rounds.round_owner import RoundOwner, _void_at
from fedsecure.owner.run.recovery import may_pass
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Fold, Opening, ReportHeader, Void
from fedsecure.transport.retries import UnreachableError
from fedsecure_aggregator.http.problems import document
from fedsecure_aggregator.rounds.refusals import ONE_RECORD, _tells
from fedsecure_clients.agent.settling import Settling
from fedsecure_clients.agent.waiting import Waiting
from fedsecure_clients.consent.review_page import _beyond_decision
from fedsecure_clients.consent.rules import Rule

ROOT: Final = Path(__file__).parents[3]
RETRY: Final = {
    "FS-318": 5,
    "FS-319": 5,
    "FS-326": 5,
    "FS-330": 2,
    "FS-391": 2,
    "FS-402": 30,
    "FS-406": 60,
    "FS-523": 60,
    "FS-524": 60,
    "FS-525": 5,
    "FS-526": 60,
    "FS-534": 60,
    "FS-535": 5,
    "FS-536": 5,
    "FS-537": 5,
    "FS-544": 60,
    "FS-545": 60,
    "FS-547": 60,
    "FS-549": 60,
}
INNOCENT: Final = {
    *RETRY,
    *("FS-300", "FS-301", "FS-303", "FS-305", "FS-306", "FS-308", "FS-310"),
    *("FS-313", "FS-328", "FS-329", "FS-403", "FS-408", "FS-563"),
    *("FS-390", "FS-392", "FS-395", "FS-398", "FS-445", "FS-446"),
}
GONE: Final = {"FS-300", "FS-305", "FS-308", "FS-328"}
REFUSALS: Final = {
    *("FS-300", "FS-301", "FS-302", "FS-303", "FS-304", "FS-305", "FS-307"),
    *("FS-308", "FS-320", "FS-321", "FS-322", "FS-323", "FS-324", "FS-325", "FS-328"),
    *("FS-329", "FS-334", "FS-400", "FS-401", "FS-403", "FS-404", "FS-405"),
    *("FS-407", "FS-408"),
}
SPOILED: Final = {"FS-354", "FS-720", "FS-721", "FS-723", "FS-724", "FS-725"}


def codes(
    of: Callable[[FedsecureError], object], kind: type[FedsecureError]
) -> set[str]:
    """Which codes something holds for, in errors of a kind."""
    return {code for code in PROBLEMS if of(kind(code, "a test"))}


def header(length: int) -> ReportHeader:
    return ReportHeader.model_construct(length=length)


def test_an_aggregator_says_when_to_ask_again_as_before() -> None:
    answers = {code: document(row, "", 503).headers for code, row in PROBLEMS.items()}
    told = {
        code: one["Retry-After"]
        for code, one in answers.items()
        if "Retry-After" in one
    }
    assert told == {code: str(seconds) for code, seconds in RETRY.items()}


def test_only_what_honest_parties_do_not_do_is_recorded_against_an_owner() -> None:
    opening = Opening.model_construct()
    recorded = {code for code, row in PROBLEMS.items() if _tells(opening, row)}
    assert recorded == PROBLEMS.keys() - INNOCENT


@pytest.mark.parametrize("statement", [Void.model_construct(), Fold.model_construct()])
def test_nothing_is_recorded_of_who_voids_or_folds(statement: Void | Fold) -> None:
    assert [code for code, row in PROBLEMS.items() if _tells(statement, row)] == []


@pytest.mark.parametrize(
    ("length", "never"),
    [(ONE_RECORD, {"FS-304"}), (ONE_RECORD + 1, {"FS-304", "FS-314"})],
)
def test_a_report_is_recorded_unless_it_is_late_or_others_could_spoil_it(
    length: int, never: set[str]
) -> None:
    report = header(length)
    recorded = {code for code, row in PROBLEMS.items() if _tells(report, row)}
    assert recorded == PROBLEMS.keys() - INNOCENT - never


def test_what_an_owner_takes_for_a_refusal_and_gives_up_is_as_before() -> None:
    assert codes(is_refusal, PeerError) == REFUSALS
    assert codes(is_hopeless, PeerError) == REFUSALS | SPOILED
    assert codes(is_worth_another_attempt, PeerError) == GONE


@pytest.mark.parametrize("kind", [UnreachableError, OperatorError, RoundStateError])
@pytest.mark.parametrize("judge", [is_refusal, is_hopeless, is_worth_another_attempt])
def test_a_server_in_trouble_and_an_own_fault_are_no_refusals(
    judge: Callable[[BaseException], bool], kind: type[FedsecureError]
) -> None:
    assert codes(judge, kind) == set()


def refused_with(code: str) -> Callable[..., NoReturn]:
    def refuse(*_: object) -> NoReturn:
        raise PeerError(code, "a test")

    return refuse


def test_a_void_ends_where_the_round_was_never_granted_or_is_opened() -> None:
    ended = {}
    for code in PROBLEMS:
        client: Any = SimpleNamespace(void=refused_with(code))
        with suppress(PeerError):
            ended[code] = _void_at(client, Signed.__new__(Signed))
    assert ended == {
        "FS-300": Stands.NEVER_GRANTED,
        "FS-304": Stands.OPENED,
        "FS-390": Stands.NEVER_GRANTED,
        "FS-392": Stands.ENDED,
    }


def test_shares_that_do_not_belong_together_are_fetched_once_more() -> None:
    asked: list[str] = []

    def opened(code: str) -> Any:
        def fail(*_: object) -> NoReturn:
            asked.append(code)
            raise PeerError(code, "a test")

        return fail

    for code in PROBLEMS:
        owner: Any = SimpleNamespace(_opened=opened(code))
        with pytest.raises(PeerError, match=code):
            RoundOwner.open_again(owner, *[SimpleNamespace()] * 2)  # type: ignore[arg-type]
    twice = {code for code in PROBLEMS if asked.count(code) == 2}
    assert (twice, len(asked)) == ({"FS-354"}, len(PROBLEMS) + 1)


def test_a_stored_report_is_checked_when_an_aggregator_got_other_bytes(
    tmp_path: Path,
) -> None:
    payload = tmp_path / "payload"
    length = sealed_length(32)
    payload.write_bytes(bytes(length))
    header = ReportHeader.model_construct(
        aggregator="north", length=length, digest="0" * 64
    )
    signed: Any = SimpleNamespace(statement=header)
    report = StoredReport(signed, payload)
    federation = SimpleNamespace(pair=[SimpleNamespace(name="north")])
    checked = set()
    for code in PROBLEMS:
        north = SimpleNamespace(report=refused_with(code))
        contributor: Any = SimpleNamespace(
            author=SimpleNamespace(federation=federation), aggregators={"north": north}
        )
        with pytest.raises((PeerError, OperatorError)) as caught:
            Contributor._send(contributor, report)
        if caught.value.code != code:
            checked.add((code, caught.value.code))
    assert checked == {("FS-313", "FS-543")}


def test_a_run_goes_on_after_what_passes() -> None:
    assert codes(may_pass, OperatorError) == {"FS-501", "FS-513"}
    assert codes(may_pass, UnreachableError) == set(PROBLEMS)


def test_an_agent_waits_without_a_warning_while_no_training_runs() -> None:
    waiting = Waiting("the SuperLink", in_trainings=True)
    with capture_logs() as lines:
        for code in PROBLEMS:
            waiting.away(code, code)
    idle = {one["why"] for one in lines if one["log_level"] == "info"}
    assert idle == {"FS-501", "FS-513"}  # FS-513 is met by the model owner alone


def test_an_agent_says_nothing_of_a_round_that_is_not_decided_yet() -> None:
    state = SimpleNamespace(unsettled=lambda: ["00" * 32], reports=lambda _: [])
    silent = set()
    for code in PROBLEMS:
        settlement = SimpleNamespace(settle=refused_with(code))
        settling: Any = SimpleNamespace(state=state, settlement=settlement)
        with capture_logs() as lines:
            Settling.run(settling)
        if not lines:
            silent.add(code)
    assert silent == {"FS-330", "FS-391"}


def test_a_page_that_is_not_there_is_answered_so() -> None:
    absent = codes(lambda error: status_of(error) == 404, OperatorError)
    assert absent == {"FS-861", "FS-862", "FS-863", "FS-864"}


def test_an_audit_says_of_these_findings_that_a_copy_may_be_old() -> None:
    source = SimpleNamespace(place="north.db", perhaps_old=True)
    walked: Any = [SimpleNamespace(source=source, party="north")]
    explained = set()
    for code in PROBLEMS:
        report = Report()
        report.add(Finding(12, code, "north", "entry 3", "a test", 3))
        _say_who_may_be_old(walked, report)
        if report.notes:
            explained.add(code)
    of_rounds = {"FS-625", "FS-626", "FS-627", "FS-628", "FS-630"}
    assert explained == of_rounds | {"FS-660"}


def test_a_person_decides_these_and_no_other_rules() -> None:
    beyond = _beyond_decision([Rule("", "", "", code) for code in PROBLEMS])
    assert PROBLEMS.keys() - beyond == {"FS-418", "FS-419", "FS-426", "FS-762"}


def test_doctor_tells_a_fault_of_the_own_key_from_one_of_the_federation() -> None:
    party: Any = SimpleNamespace(key=Path("signing.pem"))
    config = Path("agent.toml")
    fix: Any = own_machine.federation_check(party, config).fix
    joins = codes(
        lambda error: fix(error) == own_machine.join_again(config), OperatorError
    )
    assert PROBLEMS.keys() - joins == {"FS-741", "FS-744", "FS-745", "FS-746"}


def test_these_are_answered_though_not_all_of_their_family() -> None:
    also = {
        code
        for code, row in PROBLEMS.items()
        if explain.status(row) and not family(code).answered
    }
    assert also == {
        *("FS-523", "FS-524", "FS-525", "FS-526"),
        *("FS-544", "FS-545", "FS-547", "FS-549"),
        *("FS-220", "FS-223", "FS-722", "FS-741"),
    }


BY_TYPE: Final = {
    "FS-503": "NotAdmittedError",
    "FS-505": "RefusedError",
    "FS-510": "PortTakenError",
    "FS-541": "DamagedError",
    "FS-608": "OlderFormError",
    "FS-744": "ReadableByOthersError",
    "FS-803": "KeysError",
    "FS-848": "NotRunningError",
}
"""What is caught where it was raised: codes whose every error has a type of its own."""


def raised() -> dict[str, set[str]]:
    """Return with which types the programs raise each code."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in ("fedsecure", "clients", "aggregator", "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and len(node.args) == 2:
                    code, kind = node.args[0], ast.unparse(node.func)
                    if isinstance(code, ast.Constant) and kind.endswith("Error"):
                        found[str(code.value)].add(kind)
    return found


def test_what_is_caught_by_its_type_is_raised_with_no_other() -> None:
    kinds = raised()
    assert {code: kinds[code] for code in BY_TYPE} == {
        code: {kind} for code, kind in BY_TYPE.items()
    }
