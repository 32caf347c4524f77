"""The model owner's end of a round: propose, collect, open, or void.

    propose  sign a spec, get a grant from both aggregators
    collect  believe a data owner only with the receipts of both aggregators
    fold     have both add up, so that what one of them has lost is left out
    open     name the set, get both aggregate shares, unshard the mean
    void     say at both aggregators that the round will never be opened

Each step is written to the round store before it can be seen outside. Knows neither
Flower nor a framework; clock, randomness, storage and network come in from outside.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from fedsecure.core import scheme
from fedsecure.core.sealing import sealing_key
from fedsecure.errors import OperatorError, PeerError, Spoiled, Stands
from fedsecure.owner.rounds import aggregate_shares, receipts
from fedsecure.owner.rounds.files import RoundFiles
from fedsecure.owner.rounds.proposal import (
    Opened,
    Proposal,
    ReceiptPair,
    RoundLog,
    RoundRequest,
    Voided,
)
from fedsecure.owner.rounds.specs import fold_of, opening_of, spec_of, ticket_for
from fedsecure.owner.store.records import RoundRecord
from fedsecure.owner.store.states import RoundState
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Opening,
    Receipt,
    RoundGrant,
    RoundSpec,
    Void,
)
from fedsecure.protocol.stored_statements import stored
from fedsecure.system.crash_points import Point, crash_point
from fedsecure.transport.aggregator_client import AggregatorClient

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RoundOwner:
    """The model owner in its rounds.

    Args:
        author: Signs.
        aggregators: Both, by name.
        log: The round store.
        folder: For round keys (0600) and sealed shares on their way.
        clock: Seconds since 1970.
        rand: `rand(n)` returns n random bytes.
    """

    author: Author
    aggregators: Mapping[str, AggregatorClient]
    log: RoundLog
    folder: Path
    clock: Callable[[], float]
    rand: Callable[[int], bytes] = field(repr=False)

    def propose(self, request: RoundRequest) -> Proposal:
        """Sign a spec and get both grants.

        Raises:
            FedsecureError: FS-2xx when the numbers do not fit, PeerError when an
                aggregator refuses, answers wrongly (FS-351) or not at all.
        """
        return self.granted(self.draft(request))

    def draft(self, request: RoundRequest) -> Proposal:
        """Sign a spec and record it; nothing is sent.

        Raises:
            FedsecureError: FS-2xx when the numbers do not fit.
        """
        key = sealing_key.SealingKey.from_seed(self.rand(sealing_key.SEED_BYTES))
        federation = self.author.federation.digest
        spec = self.author.sign(spec_of(request, federation, key, self.clock()))
        params = params_of(spec.statement)
        self._files.save_key(spec.digest, key)
        self.log.propose(spec)
        crash_point(Point.SPEC_RECORDED)
        return Proposal(spec, params, {}, key)

    def granted(self, draft: Proposal) -> Proposal:
        """Get both grants for a spec.

        Raises:
            PeerError: An aggregator refuses, answers wrongly (FS-351) or not at all.
        """
        return replace(draft, grants=self._granted(draft.spec))

    def take_up(self, left: RoundRecord) -> Proposal:
        """Return a round that an earlier process left undecided, as it was proposed.

        Raises:
            PeerError: When an aggregator had not granted it, and refuses to now.
        """
        proposal = self.proposal_of(left)
        if left.state is RoundState.PROPOSED:
            return replace(proposal, grants=self._granted(proposal.spec))
        return proposal

    def is_of_other_version(self, left: RoundRecord) -> bool:
        """Tell whether a recorded round was proposed under another federation.toml.

        Aggregators void such a round when they start under the new version.
        """
        spec = stored(left.spec, RoundSpec).statement
        return spec.federation != self.author.federation.digest

    def proposal_of(self, left: RoundRecord) -> Proposal:
        """Read a recorded round; its key, too, if that is still there and whole."""
        # They were checked before they were recorded; the keys may be others now.
        spec = stored(left.spec, RoundSpec)
        grants = {
            name: stored(token, RoundGrant) for name, token in left.grants.items()
        }
        key = self._files.read_key(spec)
        return Proposal(spec, params_of(spec.statement), grants, key)

    def _granted(self, spec: Signed[RoundSpec]) -> dict[str, Signed[RoundGrant]]:
        grants = self._both(lambda client: client.propose(spec))
        for grant in grants.values():
            if grant.statement.spec != spec.digest:
                raise PeerError("FS-351", f"{grant.signer} granted another spec")
        self.log.granted(spec.digest, {n: g.token for n, g in grants.items()})
        crash_point(Point.GRANTS_RECORDED)
        return grants

    def collect(
        self, proposal: Proposal, reporter: str, tokens: Sequence[str]
    ) -> dict[str, Signed[Receipt]]:
        """Check the receipts that one data owner replied with.

        Raises:
            PeerError: FS-352 unless they are one receipt of each aggregator, for one
                report of this data owner in this round; FS-7xx for signatures.
        """
        spec, federation = proposal.spec.digest, self.author.federation
        return receipts.require_pair(
            tokens, spec, reporter, federation, self.aggregators
        )

    def held(self, proposal: Proposal) -> dict[str, dict[str, Signed[Receipt]]]:
        """Ask both aggregators who reported: for replies that were lost on the way.

        Returns:
            For each aggregator, its receipt for each data owner whose report it holds.
        """
        spec, federation = proposal.spec.digest, self.author.federation
        tokens = self._both(lambda client: self._receipts(client, proposal))
        return {
            name: receipts.by_reporter(token, spec, name, federation)
            for name, token in tokens.items()
        }

    def lost(
        self, proposal: Proposal, reported: Mapping[str, ReceiptPair]
    ) -> dict[str, str]:
        """Have both aggregators add a set up, before it is fixed.

        Returns:
            Whose report was lost, and by which aggregator.

        Raises:
            PeerError: An aggregator's refusal.
        """
        signed = self.author.sign(fold_of(proposal, reported))
        answers = self._both(lambda client: client.fold(signed))
        return {
            name: server
            for server in sorted(answers, reverse=True)
            for name in answers[server]
            if name in reported
        }

    def open(self, proposal: Proposal, reported: Mapping[str, ReceiptPair]) -> Opened:
        """Open the sum over exactly these reporters; once in the life of a round.

        Args:
            proposal: The round.
            reported: For each member of the set, the receipts of both aggregators.

        Raises:
            PeerError: FS-353 below min_cohort; FS-354 when the shares do not belong
                together; an aggregator's refusal.
        """
        return self.open_again(proposal, self.fix_set(proposal, reported))

    def fix_set(
        self, proposal: Proposal, reported: Mapping[str, ReceiptPair]
    ) -> Signed[Opening]:
        """Record which sum is opened; nothing is sent. From now on there is no other.

        Raises:
            PeerError: FS-353 below min_cohort.
        """
        spec = proposal.spec.statement
        if not len(reported) >= spec.min_cohort:
            raise PeerError(
                "FS-353", f"{len(reported)} reported, {spec.min_cohort} needed"
            )
        opening = self.author.sign(opening_of(proposal, reported, self.aggregators))
        self.log.opening(opening)
        crash_point(Point.OPENING_RECORDED)
        return opening

    def open_again(self, proposal: Proposal, opening: Signed[Opening]) -> Opened:
        """Fetch and combine the shares of an opening that is stored already.

        Raises:
            PeerError: FS-354 when the shares do not belong together; an aggregator's
                refusal.
            OperatorError: FS-355 without the round's key, FS-606 when a share cannot
                be written.
        """
        try:
            return self._opened(proposal, opening)
        except PeerError as error:
            if error.problem.spoiled is not Spoiled.SHARE:
                raise
            # Once more: this side's disk may have spoiled what was sent.
            return self._opened(proposal, opening)

    def _opened(self, proposal: Proposal, opening: Signed[Opening]) -> Opened:
        shares = self._both(lambda client: self._fetch(client, proposal, opening))
        a, b = (
            self._unseal(proposal, opening, shares[name]) for name in sorted(shares)
        )
        mean = scheme.unshard(proposal.params, a, b)
        fewest = proposal.spec.statement.min_cohort
        return Opened(mean.over_at_least(fewest), opening, shares)

    def void(self, spec: Signed[RoundSpec], reason: str) -> Voided:
        """Void a round at both aggregators, and forget its key.

        Raises:
            PeerError: One of them is away; the key is kept.
        """
        statement = Void(
            federation=self.author.federation.digest,
            spec=spec.digest,
            author=self.author.name,
            reason=reason,
        )
        signed = self.author.sign(statement)
        answers = self._both(lambda client: _void_at(client, signed))
        self.forget(spec.digest)
        return Voided(
            {
                name: answer
                for name, answer in answers.items()
                if isinstance(answer, Signed)
            },
            [name for name, answer in answers.items() if answer is Stands.OPENED],
        )

    def forget(self, spec: str) -> None:
        """Delete the round's key and sealed shares, once its result is recorded."""
        self._files.forget(spec, self.author.federation.aggregators)

    def _receipts(self, client: AggregatorClient, proposal: Proposal) -> list[str]:
        name, now = client.party.name, self.clock()
        ticket = ticket_for(proposal, name, self.author.name, now)
        return client.standing(proposal.spec.digest, self.author.sign(ticket)).receipts

    def _fetch(
        self, client: AggregatorClient, proposal: Proposal, opening: Signed[Opening]
    ) -> Signed[AggregateShareHeader]:
        file = self._files.share(proposal.spec.digest, client.party)
        share = aggregate_shares.fetch(client, proposal, opening, file)
        first = client.party.name == self.author.federation.pair[0].name
        crash_point(Point.SHARE_A_FETCHED if first else Point.SHARE_B_FETCHED)
        return share

    def _unseal(
        self,
        proposal: Proposal,
        opening: Signed[Opening],
        share: Signed[AggregateShareHeader],
    ) -> scheme.AggregateShare:
        if proposal.key is None:
            raise OperatorError("FS-355", f"{self._files.key(proposal.spec.digest)}")
        party = self.author.federation.find(share.signer)[1]
        file = self._files.share(proposal.spec.digest, party)
        return aggregate_shares.unseal(proposal, opening, share, file, proposal.key)

    def _both(self, call: Callable[[AggregatorClient], T]) -> dict[str, T]:
        """Ask both aggregators at the same time; fails if either fails."""
        names = sorted(self.aggregators)
        with ThreadPoolExecutor(max_workers=len(names)) as pool:
            answers = pool.map(lambda name: call(self.aggregators[name]), names)
            return dict(zip(names, answers, strict=True))

    @property
    def _files(self) -> RoundFiles:
        return RoundFiles(self.folder)


def _void_at(client: AggregatorClient, void: Signed[Void]) -> Signed[Void] | Stands:
    try:
        return client.void(void)
    except PeerError as error:
        # Never granted: nothing to open there, and earlier attempts are refused.
        if error.problem.stands is None:
            raise
        return error.problem.stands
