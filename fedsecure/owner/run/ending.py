"""How an attempt at a round ends: its set is fixed and opened, or it is void.

A fixed set is never given up for a stop or a lost connection, only when an aggregator
refuses for good. If the other one has opened it, the number of the round is burnt, and
the run goes on at the next round from the same model.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from fedsecure.errors import FedsecureError, PeerError
from fedsecure.owner.rounds.receipts import receipts_in
from fedsecure.owner.rounds.refusals import (
    is_hopeless,
    is_refusal,
    is_worth_another_attempt,
)
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.run.accountant import Accountant
from fedsecure.owner.run.outcome import Outcome, Record, Stopwatch
from fedsecure.owner.run.participants import Assignment
from fedsecure.owner.run.recovery import may_pass
from fedsecure.owner.store.records import Participation, Status
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Opening


@dataclass(frozen=True, slots=True)
class Ending:
    """Ends attempts at rounds, and has the end recorded.

    Args:
        owner: The model owner's end of the protocol.
        record: Called once per attempt.
        accountant: Asked before a set is fixed, and told how the round ended.
        min_cohort: Fewest data owners in a mean.
    """

    owner: RoundOwner
    record: Record
    accountant: Accountant
    min_cohort: int

    def decide(
        self, assignment: Assignment, asked: Outcome, watch: Stopwatch
    ) -> Outcome:
        """Open the round, or void it when too few have reported.

        Raises:
            FedsecureError: The accountant refuses; the round is then void.
        """
        try:
            asked = self._without_lost(asked)
        except PeerError as error:
            if not is_refusal(error):
                raise
            return self._hopeless(asked, error)
        included = len(asked.receipts)
        if included < self.min_cohort:
            reason = f"{included} reported, {self.min_cohort} needed"
            voided = self.owner.void(asked.proposal.spec, reason)
            return replace(asked, reason=reason, voids=voided.confirmations)
        with self.given_up(asked):
            self.accountant.spend(asked.proposal.spec, asked.included)
        opening = self.owner.fix_set(asked.proposal, asked.receipts)
        return self._open(assignment, asked, opening, watch)

    def open_again(
        self,
        assignment: Assignment,
        before: Outcome,
        opening: Signed[Opening],
        watch: Stopwatch,
    ) -> Outcome:
        """Go on with a set that an earlier process has fixed; it is spent already."""
        receipts = receipts_in(opening.statement, self.owner.author.federation)
        received = {name: len(receipts) for name in self.owner.aggregators}
        before = replace(before, receipts=receipts, received=received)
        return self._open(assignment, before, opening, watch)

    def _open(
        self,
        assignment: Assignment,
        asked: Outcome,
        opening: Signed[Opening],
        watch: Stopwatch,
    ) -> Outcome:
        """Open a set that is fixed: it is this one or none, whatever happens."""
        try:
            opened = self.owner.open_again(asked.proposal, opening)
        except PeerError as error:
            if not is_hopeless(error):
                raise
            return self._hopeless(asked, error)
        watch.lap("open")
        model = asked.model
        if assignment.step is not None:
            mean = opened.mean
            model = assignment.step(len(asked.included), mean.update, mean.scalars)
            watch.lap("apply")
        return replace(asked, opened=opened, model=model)

    def _without_lost(self, asked: Outcome) -> Outcome:
        """Leave out whose report an aggregator has lost: no set is fixed yet."""
        if len(asked.receipts) < self.min_cohort:
            return asked
        lost = self.owner.lost(asked.proposal, asked.receipts)
        if not lost:
            return asked
        absent = [
            Participation(name, Status.LOST, f"{server} lost its report")
            for name, server in sorted(lost.items())
        ]
        kept = {name: one for name, one in asked.receipts.items() if name not in lost}
        missing = [*asked.missing, *absent]
        return self._without_lost(replace(asked, receipts=kept, missing=missing))

    def _hopeless(self, asked: Outcome, error: PeerError) -> Outcome:
        """Give up a round that will never be opened; a person hears what is unusual.

        Raises:
            PeerError: `error`, once the round is recorded.
        """
        outcome = self.voided(asked, error)
        burnt = outcome.burnt and is_refusal(error)
        if not (burnt or is_worth_another_attempt(error)):
            self.close(outcome)
            raise error
        return outcome

    def voided(self, before: Outcome, error: FedsecureError) -> Outcome:
        """Void a round that cannot be opened; burnt if an aggregator has opened it."""
        voided = self.owner.void(before.proposal.spec, f"given up after {error.code}")
        reason = f"given up: {error}"
        if voided.opened:
            servers = " and ".join(voided.opened)
            reason = f"burnt: opened at {servers} and lost ({error})"
        return replace(
            before,
            reason=reason,
            voids=voided.confirmations,
            burnt=bool(voided.opened),
        )

    @contextmanager
    def given_up(self, before: Outcome) -> Iterator[None]:
        """Void a round whose set is not fixed when it cannot go on."""
        try:
            yield
        except BaseException as error:
            if may_pass(error):
                raise
            reason = "stopped by its owner"
            if isinstance(error, FedsecureError):
                reason = f"given up after {error.code}"  # its text: the owner's alone
            with suppress(FedsecureError):
                voided = self.owner.void(before.proposal.spec, reason)
                voids = voided.confirmations
                self.close(replace(before, reason=reason, voids=voids))
            raise

    def close(self, outcome: Outcome) -> None:
        """Have an attempt recorded, and tell the accountant how it ended."""
        self.record(outcome)
        spec = outcome.proposal.spec
        if outcome.opened is None:
            self.accountant.void(spec, burnt=outcome.burnt)
        else:
            self.accountant.opened(spec)
