"""Step 9 of `Contributor.accept`: does this data owner's own policy agree?

All of it in one place, in this order:

    (1) the numbers of the spec are within the policy,     FS-410 to FS-414, FS-417,
        and it protects what the policy asks for           FS-430
    (2) it is within the hours of the policy               FS-415
    (3) the study reads only what is offered here          FS-416
    (4) the model is made of allowed parts, and not        FS-420, FS-421, FS-417
        of too many layers
    (5) the round is held for what the task is, the spec   FS-376, FS-427, FS-426
        shares what the task declares, under the terms
        under which the task was first answered, and
        keeps single rows apart where noise is to hide     FS-432
        them, with the app that does
    (6) a person here approved the study, where the        FS-418, FS-419,
        policy asks for it, for those who take part now,   FS-762
        where it asks for that, and nobody refused it
    (7) it had not yet its number of rounds                FS-411
    (8) neither the study nor all studies together would   FS-431
        tell more than their budget allows

Who asks hears `not_reported`, whatever the reason. The study itself is remembered
before the first step, so that a person can look at it and decide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from fedsecure.contributor.contribution import ReceivedTask
from fedsecure.errors import PeerError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.parameters import cost_of
from fedsecure.protocol.statements import Purpose, RoundSpec
from fedsecure.study.keras.allowlist import layers_in, parse_allowed
from fedsecure.study.keras.architecture import MODEL
from fedsecure.study.row_terms import protects_rows, require_rows
from fedsecure.study.terms import (
    StudyRequest,
    require_declared,
    require_purpose,
    terms_of,
)
from fedsecure_clients.consent.policy import Policy, few
from fedsecure_clients.consent.privacy_policy import require_room
from fedsecure_clients.state.privacy import PrivacyAccount
from fedsecure_clients.state.roster import came_in, roster_of
from fedsecure_clients.state.studies import Decision, Studies


class Consents(Protocol):
    """What consent needs of the agent's state."""

    @property
    def studies(self) -> Studies:
        """What is known of studies."""

    def answered(self, spec: RoundSpec) -> str | None:
        """Return the digest of the spec answered for this very attempt, if any."""

    @property
    def privacy(self) -> PrivacyAccount:
        """What was told so far."""


def _nothing() -> None:
    """Settle nothing: what is held stays held."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One data owner's consent.

    Args:
        policy: The section `[policy]` of its agent.toml.
        state: What it answered, and what a person decided.
        federation: Who takes part now; its model owner signs the specs.
        clock: Seconds since 1970.
        settle: Asks both aggregators what became of rounds that are not decided yet; a
            budget may hold again what was kept for them.
        foreign_app: The ClientApp that this data owner installed instead of fedsecure's
            own; None: fedsecure's own.
    """

    policy: Policy
    state: Consents
    federation: Federation
    clock: Callable[[], float]
    settle: Callable[[], object] = _nothing
    foreign_app: str | None = None

    def require(self, spec: RoundSpec, task: ReceivedTask) -> None:
        """Check a round whose spec is the model owner's; run before any training.

        Raises:
            PeerError: FS-376, FS-410 to FS-421, FS-426, FS-427, FS-430 to FS-432 or
                FS-762, by the steps above.
        """
        policy, studies = self.policy, self.state.studies
        study = StudyRequest(task.config, terms_of(spec))
        asked_by = self.federation.model_owner.name
        studies.remember(study, asked_by, spec.dimension, self.clock())
        policy.require(spec)  # (1)
        policy.require_hour(self.clock())  # (2)
        policy.require_offered(study.reads)  # (3)
        require_layers(policy, study)  # (4)
        require_purpose(study, spec.purpose)  # (5)
        require_declared(study)
        if spec.purpose is not Purpose.STATISTICS:  # it has no model
            self._require_rows(study)
        decision = studies.decision(study.digest)
        self._require_first_terms(study, decision)
        self._require_decision(study, decision)  # (6)
        # An answered spec that is asked again gets the same bytes: it counts once.
        if self.state.answered(spec) is None:
            answered = studies.answered(study.digest, spec.purpose)
            policy.require_rounds_left(answered, spec.purpose)  # (7)
            self._require_room(spec, study.digest)  # (8)

    def _require_room(self, spec: RoundSpec, study: str) -> None:
        cost = cost_of(spec)
        require = partial(
            require_room, self.state.privacy, self.policy.privacy, spec, study, cost
        )
        try:
            require()
        except PeerError:
            self.settle()  # what became void since then is to be had again
            require()

    def _require_rows(self, study: StudyRequest) -> None:
        require_rows(study)
        if self.foreign_app is not None and protects_rows(study.terms):
            raise PeerError(
                "FS-432",
                f"this agent runs {self.foreign_app}, and only fedsecure's own app is "
                "known to keep rows apart",
            )

    def _require_first_terms(
        self, study: StudyRequest, decision: Decision | None
    ) -> None:
        before = self.state.studies.answered_terms(study.content)
        if before and study.digest not in before and decision is None:
            raise PeerError(
                "FS-426", f"study {study.digest[:12]}, answered as {before[0][:12]}"
            )

    def _require_decision(self, study: StudyRequest, decision: Decision | None) -> None:
        if decision is Decision.REFUSED:
            raise PeerError("FS-419", f"study {study.digest[:12]}")
        if decision is None and self.policy.studies == "approved":
            raise PeerError("FS-418", f"study {study.digest[:12]}")
        if decision is Decision.APPROVED and self.policy.roster == "approved":
            self._require_roster(study)

    def _require_roster(self, study: StudyRequest) -> None:
        then = self.state.studies.decided_for(study.digest) or {}
        others = came_in(then, roster_of(self.federation))
        if others:
            raise PeerError(
                "FS-762", f"study {study.digest[:12]}: {few(others)} came in since"
            )


def require_layers(policy: Policy, study: StudyRequest) -> None:
    """Refuse a model that this data owner would not build.

    Raises:
        PeerError: FS-420 or FS-421, not made of allowed parts; FS-417, of too many.
    """
    if study.task is None:
        return
    model = parse_allowed(study.task.model, MODEL)
    policy.require_layers(sum(1 for _ in layers_in(model)))
