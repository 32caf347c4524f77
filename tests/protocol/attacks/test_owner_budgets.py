"""A model owner who wants more than a budget holds, with both aggregators' help.

Whatever it asks for, a data owner's own agent keeps the account, and refuses before
anything is trained.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from fedsecure.core.dp.accountant import epsilon
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import FedsecureError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import (
    PrivacyField,
    Purpose,
    RoundGrant,
    Weighting,
)
from fedsecure.study.task import ConfigValue
from fedsecure.study.terms import StudyRequest, terms_of
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.consent.privacy_policy import PrivacyPolicy
from fedsecure_clients.state.roster import roster_of
from fedsecure_clients.state.studies import Decision
from tests.protocol.attacks.forging import put_spec, regranted, respecified
from tests.protocol.federation import (
    NOW,
    SERVERS,
    Hospital,
    MemoryFederation,
    NoLog,
    refused,
)
from tests.protocol.private_rounds import (
    DELTA,
    PRIVACY,
    any_task,
    asked,
    at_once,
    budget_for,
    private_measurement,
)

__all__ = ["any_task", "at_once"]  # fixtures

pytestmark = pytest.mark.usefixtures("any_task", "at_once")

ROUNDS: Final = 3  # that a budget holds
ALL_PURPOSES: Final = Policy(studies="any", purposes=frozenset(Purpose))


def ask(
    memory: MemoryFederation,
    privacy: PrivacyField | None = None,
    config: dict[str, ConfigValue] | None = None,
    **changes: Any,
) -> Proposal:
    """Propose a round as the protocol has it; its budget holds three."""
    request = asked(memory, privacy or budget_for(memory, ROUNDS), config, **changes)
    return replace(memory.owner, log=NoLog()).propose(request)


def lied(memory: MemoryFederation, first: Proposal, **changes: Any) -> Proposal:
    """Let both aggregators grant whatever the owner writes."""
    spec = respecified(memory, first, **changes)
    return Proposal(spec, first.params, regranted(memory, first, spec), first.key)


def contribute(
    hospital: Hospital, proposal: Proposal, config: dict[str, ConfigValue] | None = None
) -> None:
    """Answer as an agent does, and send nothing."""
    accepted = hospital.accept(proposal, config=config or {})
    purpose = proposal.spec.statement.purpose
    hospital.contributor.contribute(accepted, private_measurement("basel", purpose))


def approve(memory: MemoryFederation, hospital: Hospital, proposal: Proposal) -> None:
    study = StudyRequest({}, terms_of(proposal.spec.statement)).digest
    roster = roster_of(memory.federation)
    hospital.state.studies.decide(study, Decision.APPROVED, "", NOW, roster)


def elsewhere(memory: MemoryFederation, what: str) -> Iterator[Proposal]:
    """Ask twice for all that a budget holds, each time at another place."""
    if what == "purpose":
        for purpose in Purpose:
            size = {} if purpose is Purpose.TRAIN else {"dimension": 0}
            first = ask(memory, purpose=purpose, **size)
            for number in range(1, 2 * ROUNDS):
                yield lied(memory, first, round=number)
        return
    first = ask(memory)
    for number in range(1, 2 * ROUNDS):
        place = f"run-{number}" if what == "run" else number
        yield lied(memory, first, **{what: place})


@pytest.mark.parametrize("what", ["run", "round", "attempt", "purpose"])
def test_a_budget_cannot_be_had_again_in_another(
    memory: MemoryFederation, what: str
) -> None:
    basel = memory.hospital("basel", ALL_PURPOSES)
    answered, codes = [], set()
    for proposal in elsewhere(memory, what):
        try:
            contribute(basel, proposal)
            answered.append(proposal.spec.statement)
        except FedsecureError as error:
            codes.add(error.code)
            assert basel.state.reports(proposal.spec.digest) == []
    # Statistics are another task, and so another study: FS-376.
    assert codes == ({"FS-431", "FS-376"} if what == "purpose" else {"FS-431"})
    assert len(answered) >= ROUNDS
    privacy, study = answered[0].privacy, str(answered[0].study)
    total = basel.state.privacy.of_study(study)
    assert privacy
    assert total.rho
    assert total.rounds == len(answered)
    assert epsilon(total.rho, DELTA) <= privacy.epsilon


def test_a_budget_cannot_be_had_again_under_another_study(
    memory: MemoryFederation,
) -> None:
    privacy = budget_for(memory, ROUNDS)
    own = PrivacyPolicy(max_epsilon=privacy.epsilon)
    basel = memory.hospital("basel", Policy(studies="any", privacy=own))
    codes = []
    for number in range(1, ROUNDS + 3):
        config: dict[str, ConfigValue] = {"another": number}
        proposal = ask(memory, privacy, config, round=number)
        try:
            contribute(basel, proposal, config)
        except FedsecureError as error:
            codes.append(error.code)
    assert codes == ["FS-431", "FS-431"]
    assert basel.state.privacy.of_unit(Unit.ROW).rounds == ROUNDS


@pytest.mark.parametrize(
    "change",
    [
        {"noise": 2.0},
        {"scalar_noise": 4.0},
        {"evaluation_noise": 4.0},
        {"epsilon": 16.0},
        {"delta": 1e-4},
        {"unit_clip": 0.5},
        {"every_round": True},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("studies", ["any", "approved"])
def test_other_noise_or_another_budget_is_a_study_that_nobody_agreed_to(
    memory: MemoryFederation, change: dict[str, Any], studies: Any
) -> None:
    basel = memory.hospital("basel", Policy(studies=studies))
    first = ask(memory, PRIVACY)
    if studies == "approved":
        with refused("FS-418"):
            basel.accept(first)
        approve(memory, basel, first)
    contribute(basel, first)
    other = ask(memory, PRIVACY.model_copy(update=change), round=2)
    with refused("FS-426"):  # the same task, under other terms
        basel.accept(other)
    assert basel.state.reports(other.spec.digest) == []


def test_a_round_that_charges_another_study_than_its_task_is_of_is_refused(
    memory: MemoryFederation,
) -> None:
    first = ask(memory)
    another = ask(memory, config={"another": 1}, round=2).spec.statement.study
    basel = memory.hospitals["basel"]
    for study in (another, "0" * 64):
        with refused("FS-430"):
            basel.accept(lied(memory, first, study=study))
    assert basel.state.privacy.studies() == []


def test_weights_that_tell_about_rows_have_no_place_beside_noise(
    memory: MemoryFederation,
) -> None:
    first = ask(memory)
    for weighting in (Weighting.ROUNDED, Weighting.EXACT):
        spec = respecified(memory, first, weighting=weighting)
        study = StudyRequest({}, terms_of(spec.statement)).digest
        with refused("FS-208"):
            memory.hospitals["basel"].accept(
                lied(memory, first, weighting=weighting, study=study)
            )


def test_two_amounts_of_noise_for_two_aggregators_are_refused_by_every_data_owner(
    memory: MemoryFederation,
) -> None:
    much = ask(memory, PRIVACY)
    little = ask(memory, PRIVACY.model_copy(update={"noise": 1.0}), round=2)
    grants = {"north": much.grants["north"], "south": little.grants["south"]}
    for spec in (much.spec, little.spec):
        with refused("FS-345"):
            memory.hospitals["basel"].accept(replace(much, spec=spec, grants=grants))
    # And neither grants a second amount at the place of the first.
    twin = respecified(memory, much, privacy=little.spec.statement.privacy)
    answers = [put_spec(memory, name, twin.token) for name in SERVERS]
    assert [one.is_success for one in answers] == [False, False]


@pytest.mark.parametrize(
    ("north", "south", "why"),
    [
        (None, None, "a grant has no noise"),
        ("a" * 64, None, "a grant has no noise"),
        ("a" * 64, "a" * 64, "both aggregators have the same noise"),
    ],
)
def test_grants_that_are_not_bound_to_noise_of_their_own_are_refused(
    memory: MemoryFederation, north: str | None, south: str | None, why: str
) -> None:
    proposal = ask(memory)
    grants = bound(memory, proposal, {"north": north, "south": south})
    with pytest.raises(FedsecureError, match=f"FS-345.*{why}"):
        memory.hospitals["basel"].accept(replace(proposal, grants=grants))


def test_a_grant_with_noise_for_a_round_without_is_refused(
    memory: MemoryFederation,
) -> None:
    proposal = replace(memory.owner, log=NoLog()).propose(memory.request())
    grants = bound(memory, proposal, {"north": None, "south": "a" * 64})
    with pytest.raises(FedsecureError, match=r"FS-345.*the round has none"):
        memory.hospitals["basel"].accept(replace(proposal, grants=grants))


def bound(
    memory: MemoryFederation, proposal: Proposal, noise: dict[str, str | None]
) -> dict[str, Any]:
    """Return grants that name other seeds."""
    return {
        name: verify(
            memory.author(name)
            .sign(grant.statement.model_copy(update={"noise": noise[name]}))
            .token,
            RoundGrant,
            memory.federation,
        )
        for name, grant in proposal.grants.items()
    }
