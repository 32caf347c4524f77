"""A round in as many attempts as are planned: what a run does again and again.

    cohort > assign > account > propose > ask > receipts > fold > fix the set > open
    > step > record

A job says what is asked (`Assign`), and gets what came of it (`Outcome`). A round that
an earlier process left undecided is taken up: with the same spec while its grants live,
and with the same set if one was fixed. An error that passes voids nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.rounds.proposal import Proposal, RoundRequest
from fedsecure.owner.rounds.refusals import is_refusal
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.run import absences
from fedsecure.owner.run.accountant import UNLIMITED, Accountant
from fedsecure.owner.run.asking import Asking
from fedsecure.owner.run.cohort import Cohorts
from fedsecure.owner.run.ending import Ending
from fedsecure.owner.run.outcome import WAIT, Outcome, Record, Stopwatch
from fedsecure.owner.run.participants import (
    Agent,
    Assign,
    Assignment,
    Participants,
    require_task,
    stand_ins,
)
from fedsecure.owner.run.pauses import Pausing, Tell
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.resume import Past, RoundKey
from fedsecure.owner.store.records import RoundRecord
from fedsecure.protocol import signing
from fedsecure.protocol.statements import Opening, Purpose
from fedsecure.study.round_task import GlobalModel, RoundTask


class RoundLoop:
    """Brings the rounds of one run to an end, one after the other.

    Args:
        owner: The model owner's end of the protocol.
        participants: The agents.
        plan: The run.
        record: Called once per attempt, before the next one starts.
        clock: Monotonic seconds, for stage times.
        sleep: Waits so many seconds.
        tell: Told for whom the run waits, and how many seconds at most.
        accountant: May stop the run before a round is asked.
    """

    def __init__(  # noqa: PLR0913 - one constructor gathers a run's collaborators
        self,
        owner: RoundOwner,
        participants: Participants,
        plan: Plan,
        *,
        record: Record,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        tell: Tell = lambda _what, _seconds: None,
        accountant: Accountant = UNLIMITED,
    ) -> None:
        self._owner = owner
        self._plan = plan
        self._clock = clock
        self._accountant = accountant
        self._cohorts = Cohorts(
            participants,
            roster=[party.name for party in owner.author.federation.data_owners],
            plan=plan,
            clock=clock,
            sleep=sleep,
            tell=tell,
        )
        self._asking = Asking(owner, participants, self._cohorts)
        self._ending = Ending(owner, record, accountant, plan.min_cohort)
        self._pausing = Pausing(plan.pauses, sleep, tell)

    def settle(
        self, key: RoundKey, assign: Assign, model: GlobalModel, past: Past
    ) -> Outcome:
        """Bring a round to an end: opened, or burnt.

        Args:
            key: Number and purpose of the round.
            assign: What is asked in it.
            model: The global model before it.
            past: What the run did before it was interrupted.

        Raises:
            PeerError: FS-369 when it failed in every attempt, FS-370 when too few are
                there; whatever an aggregator refused.
            OperatorError: FS-356 when the study is not what it was.
            FedsecureError: The accountant's refusal.
        """
        left = past.left_in(key)
        first = past.attempts.get(key, 0) + (left is None)
        last = first + self._plan.pauses.attempts - 1
        for attempt in range(first, last + 1):
            if left is not None and attempt == left.attempt:
                outcome = self._take_up(left, assign, model)
            else:
                outcome = self._attempt(key, attempt, assign, model)
            self._ending.close(outcome)
            self._owner.forget(outcome.proposal.spec.digest)
            if outcome.opened is not None or outcome.burnt:
                return outcome
            if attempt < last:
                self._pause(outcome, attempt - first + 1)
        raise self._failed(outcome)

    def _pause(self, outcome: Outcome, failed: int) -> None:
        """Wait before the next attempt, and say for whom; less if somebody joins."""
        spec = outcome.proposal.spec.statement
        away = self._cohorts.away(spec.cohort)
        why = f"{spec.purpose} round {spec.round}: {outcome.reason}"
        if waited_for := absences.waited_for(outcome.missing, away):
            why += f"; waiting for {waited_for}"
        self._pausing.wait(why, failed, self._cohorts.arrivals())

    def _failed(self, outcome: Outcome) -> PeerError:
        spec = outcome.proposal.spec.statement
        away = self._cohorts.away(spec.cohort)
        why = f"{spec.purpose} round {spec.round}: {outcome.reason}"
        if advice := absences.advice(outcome.missing, away):
            why += f". {advice}"
        if spec.purpose is Purpose.TRAIN:
            weights = outcome.model.weights
            if cause := absences.common_cause(outcome.missing, spec.round, weights):
                why += f"; {cause}"
        return PeerError("FS-369", why)

    def _attempt(
        self, key: RoundKey, attempt: int, assign: Assign, model: GlobalModel
    ) -> Outcome:
        watch = Stopwatch(self._clock)
        agents = self._cohorts.gather()
        watch.lap(WAIT)
        assignment = assign(agents)
        task, asked = assignment.task, set(assignment.asked)
        cohort = {name: agent for name, agent in agents.items() if name in asked}
        request = self._request(key, attempt, task, cohort)
        self._accountant.require(request)
        proposal = self._proposed(request, model)
        watch.lap("propose")
        before = Outcome(proposal=proposal, model=model)
        with self._ending.given_up(before):
            outcome = self._asking.ask(before, task, cohort)
            watch.lap("train")
        outcome = self._ending.decide(assignment, outcome, watch)
        return replace(outcome, seconds=watch.laps)

    def _proposed(self, request: RoundRequest, model: GlobalModel) -> Proposal:
        """Get both grants; where a budget stands against it, leave nothing undecided.

        Aggregators may know of more that was spent than the own accountant does.
        """
        draft = self._owner.draft(request)
        try:
            return self._owner.granted(draft)
        except PeerError as error:
            if error.problem.spent:
                self._ending.close(self._ending.voided(Outcome(draft, model), error))
            raise

    def _take_up(
        self, left: RoundRecord, assign: Assign, model: GlobalModel
    ) -> Outcome:
        """Go on with a round that an earlier process left undecided."""
        watch = Stopwatch(self._clock)
        if self._owner.is_of_other_version(left):
            ended = OperatorError("FS-657", f"round {left.round} of {left.run}")
            return self._ending.voided(
                Outcome(self._owner.proposal_of(left), model), ended
            )
        try:
            proposal = self._owner.take_up(left)
        except PeerError as error:
            if not is_refusal(error):
                raise
            proposal = self._owner.proposal_of(left)
            return self._ending.voided(Outcome(proposal, model), error)
        spec = proposal.spec.statement
        before = Outcome(proposal=proposal, model=model)
        assignment = assign(stand_ins(spec.cohort))
        require_task(assignment.task, spec)
        if proposal.key is None:
            lost = OperatorError("FS-355", f"round {spec.round} of {spec.run}")
            return self._ending.voided(before, lost)
        outcome = self._finish(left, assignment, before, watch)
        return replace(outcome, seconds=watch.laps)

    def _finish(
        self,
        left: RoundRecord,
        assignment: Assignment,
        before: Outcome,
        watch: Stopwatch,
    ) -> Outcome:
        """Open the set that was fixed, or ask who has not reported yet."""
        if left.opening is not None:
            federation = self._owner.author.federation
            opening = signing.verify(left.opening, Opening, federation)
            return self._ending.open_again(assignment, before, opening, watch)
        with self._ending.given_up(before):
            asked = self._asking.ask_again(before, assignment.task)
            watch.lap("train")
        return self._ending.decide(assignment, asked, watch)

    def _request(
        self, key: RoundKey, attempt: int, task: RoundTask, cohort: Mapping[str, Agent]
    ) -> RoundRequest:
        (number, purpose), plan = key, self._plan
        return RoundRequest(
            run=plan.run,
            round=number,
            purpose=purpose,
            attempt=attempt,
            task=task.digest(),
            model=task.model,
            dimension=task.weights.size if purpose is Purpose.TRAIN else 0,
            scalars=plan.scalars,
            clip=plan.clip,
            statistics=plan.statistics,
            privacy=plan.privacy,
            study=plan.study,
            weight_cap=plan.weight_cap,
            weighting=plan.weighting,
            cohort=sorted(cohort),
            min_cohort=plan.min_cohort,
            seconds=math.ceil(plan.round_seconds),
        )
