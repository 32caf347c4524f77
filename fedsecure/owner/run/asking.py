"""Hand a round's task to its cohort, and believe who has the receipts of both."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from fedsecure.errors import PeerError
from fedsecure.owner.rounds.proposal import Proposal, ReceiptPair
from fedsecure.owner.rounds.receipts import pairs
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.run import absences
from fedsecure.owner.run.cohort import Cohorts
from fedsecure.owner.run.outcome import Outcome
from fedsecure.owner.run.participants import Agent, Answer, Participants, Question
from fedsecure.owner.store.records import Participation, Status
from fedsecure.study.round_task import RoundTask
from fedsecure.system.crash_points import Point, crash_point


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks the cohort of a round.

    Args:
        owner: The model owner's end of the protocol.
        participants: The agents.
        cohorts: Hears who did not answer.
    """

    owner: RoundOwner
    participants: Participants
    cohorts: Cohorts

    def ask(
        self, before: Outcome, task: RoundTask, cohort: Mapping[str, Agent]
    ) -> Outcome:
        """Hand the task to those of the cohort, and wait for their receipts.

        Raises:
            PeerError: An aggregator does not say what it holds.
        """
        receipts, missing = self._collect(before.proposal, task, cohort)
        receipts = {**before.receipts, **receipts}
        received = {name: len(receipts) for name in self.owner.aggregators}
        if missing:
            # An answer may be lost although the reports are stored.
            held = self.owner.held(before.proposal)
            received = {name: len(found) for name, found in held.items()}
            receipts = {**pairs(held), **receipts}
            missing = [one for one in missing if one.name not in receipts]
        self.cohorts.note(cohort, absences.silent(missing))
        crash_point(Point.RECEIPTS_COLLECTED)
        return replace(before, receipts=receipts, missing=missing, received=received)

    def ask_again(self, before: Outcome, task: RoundTask) -> Outcome:
        """Ask those of the cohort whose reports are not at both aggregators yet."""
        proposal, cohort = before.proposal, before.proposal.spec.statement.cohort
        before = replace(before, receipts=pairs(self.owner.held(proposal)))
        wanted = [name for name in cohort if name not in before.receipts]
        agents: Mapping[str, Agent] = {}
        if wanted and self._seconds_left(proposal) > 0:
            agents = self.cohorts.gather()
        return self.ask(
            before, task, {name: agents[name] for name in wanted if name in agents}
        )

    def _collect(
        self, proposal: Proposal, task: RoundTask, cohort: Mapping[str, Agent]
    ) -> tuple[dict[str, ReceiptPair], list[Participation]]:
        answers = self._answers(proposal, task, cohort)
        late = absences.LATE if self._seconds_left(proposal) <= 0 else absences.GONE
        absent = {name: Participation(name, Status.OFFLINE, late) for name in cohort}
        receipts: dict[str, ReceiptPair] = {}
        for answer in answers:
            try:
                receipts[answer.name] = self._receipts(proposal, answer)
            except PeerError as error:
                absent[answer.name] = _absence(answer, error)
        return receipts, [absent[name] for name in cohort if name not in receipts]

    def _answers(
        self, proposal: Proposal, task: RoundTask, cohort: Mapping[str, Agent]
    ) -> Sequence[Answer]:
        left = self._seconds_left(proposal)
        if not (cohort and left > 0):
            return []
        grants = [proposal.grants[name].token for name in sorted(proposal.grants)]
        question = Question(task, proposal.spec.token, grants)
        enough = partial(self._are_in, proposal, frozenset(cohort))
        return self.participants.ask(question, cohort, left, enough)

    def _receipts(self, proposal: Proposal, answer: Answer) -> ReceiptPair:
        if answer.malformed is not None:
            raise answer.malformed
        return self.owner.collect(proposal, answer.name, answer.receipts)

    def _are_in(self, proposal: Proposal, wanted: frozenset[str]) -> bool:
        """Tell whether both aggregators have the reports of all these.

        An agent that dies after it has reported does not answer any more.
        """
        with suppress(PeerError):
            return wanted <= set(pairs(self.owner.held(proposal)))
        return False

    def _seconds_left(self, proposal: Proposal) -> float:
        """Return how long aggregators still take reports."""
        return proposal.spec.statement.deadline - self.owner.clock()


def _absence(answer: Answer, error: PeerError) -> Participation:
    if answer.declined:
        return Participation(answer.name, Status.NOT_REPORTED, absences.DECLINED)
    return Participation(answer.name, Status.NO_RECEIPT, str(error))
