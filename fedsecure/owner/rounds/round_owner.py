"""The model owner's end of a round: propose, collect, open, or void.

    propose  sign a spec, get a grant from both aggregators
    collect  believe a data owner only with the receipts of both aggregators
    fold     have both add up, so that what one of them has lost is left out
    open     name the set, get both aggregate shares, unshard the mean
    void     say at both aggregators that the round will never be opened

Each step is written to the round store before it can be seen outside. Knows neither
Flower nor a framework; clock, randomness, storage and network come in from outside.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

from fedsecure.core import scheme, seal
from fedsecure.core.params import Params
from fedsecure.errors import Finality, OperatorError, PeerError, Spoiled, Stands
from fedsecure.owner.rounds.proposal import (
    Opened,
    Proposal,
    ReceiptPair,
    RoundLog,
    RoundRequest,
    Voided,
)
from fedsecure.owner.store.records import RoundRecord
from fedsecure.owner.store.states import RoundState
from fedsecure.protocol import identity, signing
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.identity import Federation, Party
from fedsecure.protocol.parameters import params_of, scalars_of, statistics_of
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Fold,
    Member,
    Opening,
    Purpose,
    Read,
    Receipt,
    RoundGrant,
    RoundSpec,
    Void,
)
from fedsecure.protocol.stored_statements import stored
from fedsecure.study.terms import SUITE
from fedsecure.system.crash_points import Point, reached
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import UnreachableError

TICKET_SECONDS: Final = 300
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
        key = seal.SealingKey.from_seed(self.rand(seal.SEED_BYTES))
        spec = self.author.sign(self._spec(request, key))
        params = params_of(spec.statement)
        identity.write_private(self._key_file(spec.digest), key.to_bytes())
        self.log.propose(spec)
        reached(Point.SPEC_RECORDED)
        return Proposal(spec, params, self._granted(spec), key)

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
        said = stored(left.spec, RoundSpec).statement
        return said.federation != self.author.federation.digest

    def proposal_of(self, left: RoundRecord) -> Proposal:
        """Read a recorded round; its key, too, if that is still there and whole."""
        # They were checked before they were recorded; the keys may be others now.
        spec = stored(left.spec, RoundSpec)
        grants = {
            name: stored(token, RoundGrant) for name, token in left.grants.items()
        }
        return Proposal(spec, params_of(spec.statement), grants, self._key_of(spec))

    def _key_of(self, spec: Signed[RoundSpec]) -> seal.SealingKey | None:
        """Return a round's key; None when it is gone, or is not that key any more."""
        file = self._key_file(spec.digest)
        if not file.exists():
            return None
        try:
            key = seal.SealingKey.from_bytes(identity.read_private(file))
        except PeerError:  # it has another length
            return None
        whole = base64url(key.public_bytes) == spec.statement.sealing_key
        return key if whole else None

    def _granted(self, spec: Signed[RoundSpec]) -> dict[str, Signed[RoundGrant]]:
        grants = self._both(lambda client: client.propose(spec))
        for grant in grants.values():
            if grant.statement.spec != spec.digest:
                raise PeerError("FS-351", f"{grant.signer} granted another spec")
        self.log.granted(spec.digest, {n: g.token for n, g in grants.items()})
        reached(Point.GRANTS_RECORDED)
        return grants

    def collect(
        self, proposal: Proposal, reporter: str, tokens: Sequence[str]
    ) -> dict[str, Signed[Receipt]]:
        """Check the receipts that one data owner replied with.

        Raises:
            PeerError: FS-352 unless they are one receipt of each aggregator, for one
                report of this data owner in this round; FS-7xx for signatures.
        """
        receipts = {
            signed.signer: signed
            for signed in (
                signing.verify(token, Receipt, self.author.federation)
                for token in tokens
            )
        }
        said = [signed.statement for signed in receipts.values()]
        if (
            set(receipts) != set(self.aggregators)
            or {r.spec for r in said} != {proposal.spec.digest}
            or {r.reporter for r in said} != {reporter}
            or len({r.report_id for r in said}) != 1
        ):
            raise PeerError("FS-352", f"{reporter} sent receipts that do not match")
        return receipts

    def held(self, proposal: Proposal) -> dict[str, dict[str, Signed[Receipt]]]:
        """Ask both aggregators who reported: for replies that were lost on the way.

        Returns:
            For each aggregator, its receipt for each data owner whose report it holds.
        """
        spec = proposal.spec.digest
        tokens = self._both(lambda client: self._receipts(client, proposal))
        return {
            name: {
                signed.statement.reporter: signed
                for signed in (
                    signing.verify(token, Receipt, self.author.federation)
                    for token in receipts
                )
                if (signed.signer, signed.statement.spec) == (name, spec)
            }
            for name, receipts in tokens.items()
        }

    def lost(
        self, proposal: Proposal, receipts: Mapping[str, ReceiptPair]
    ) -> dict[str, str]:
        """Have both aggregators add a set up, before it is fixed.

        Returns:
            Whose report was lost, and by which aggregator.

        Raises:
            PeerError: An aggregator's refusal.
        """
        statement = Fold(
            federation=self.author.federation.digest,
            spec=proposal.spec.digest,
            set=_members(receipts),
        )
        signed = self.author.sign(statement)
        answers = self._both(lambda client: client.fold(signed))
        return {
            name: server
            for server in sorted(answers, reverse=True)
            for name in answers[server]
            if name in receipts
        }

    def open(self, proposal: Proposal, receipts: Mapping[str, ReceiptPair]) -> Opened:
        """Open the sum over exactly these reporters; once in the life of a round.

        Args:
            proposal: The round.
            receipts: For each member of the set, the receipts of both aggregators.

        Raises:
            PeerError: FS-353 below min_cohort; FS-354 when the shares do not belong
                together; an aggregator's refusal.
        """
        return self.open_again(proposal, self.fix_set(proposal, receipts))

    def fix_set(
        self, proposal: Proposal, receipts: Mapping[str, ReceiptPair]
    ) -> Signed[Opening]:
        """Record which sum is opened; nothing is sent. From now on there is no other.

        Raises:
            PeerError: FS-353 below min_cohort.
        """
        spec = proposal.spec.statement
        if not len(receipts) >= spec.min_cohort:
            raise PeerError(
                "FS-353", f"{len(receipts)} reported, {spec.min_cohort} needed"
            )
        opening = self.author.sign(self._opening(proposal, receipts))
        self.log.opening(opening)
        reached(Point.OPENING_RECORDED)
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
            {name: said for name, said in answers.items() if isinstance(said, Signed)},
            [name for name, said in answers.items() if said is Stands.OPENED],
        )

    def forget(self, spec: str) -> None:
        """Delete the round's key and sealed shares, once its result is recorded."""
        self._key_file(spec).unlink(missing_ok=True)
        for party in self.author.federation.aggregators:
            self._share_file(spec, party).unlink(missing_ok=True)

    def _spec(self, request: RoundRequest, key: seal.SealingKey) -> RoundSpec:
        if (request.purpose is Purpose.TRAIN) != (request.dimension > 0):
            raise OperatorError(
                "FS-200", f"{request.dimension} parameters to {request.purpose}"
            )
        params = Params.derive(
            dimension=request.dimension,
            scalars=scalars_of(request.scalars),
            max_reports=len(request.cohort),
            clip=request.clip,
            weight_cap=request.weight_cap,
            statistics=statistics_of(request.statistics, request.dimension),
        )
        return RoundSpec(
            federation=self.author.federation.digest,
            run=request.run,
            round=request.round,
            purpose=request.purpose,
            attempt=request.attempt,
            task=request.task,
            model=request.model,
            dimension=request.dimension,
            scalars=list(request.scalars),
            suite=SUITE,
            fraction_bits=params.fraction_bits,
            clip=request.clip,
            statistics=request.statistics,
            weight_cap=request.weight_cap,
            weighting=request.weighting,
            cohort=sorted(request.cohort),
            min_cohort=request.min_cohort,
            deadline=int(self.clock() + request.seconds),
            sealing_key=base64url(key.public_bytes),
        )

    def _opening(
        self, proposal: Proposal, receipts: Mapping[str, ReceiptPair]
    ) -> Opening:
        names = sorted(receipts)
        return Opening(
            federation=self.author.federation.digest,
            spec=proposal.spec.digest,
            set=_members(receipts),
            receipts={
                server: [receipts[name][server].token for name in names]
                for server in sorted(self.aggregators)
            },
        )

    def _receipts(self, client: AggregatorClient, proposal: Proposal) -> list[str]:
        ticket = Read(
            federation=self.author.federation.digest,
            aggregator=client.party.name,
            reader=self.author.name,
            method="GET",
            path=f"/v1/rounds/{proposal.spec.digest}",
            expires=int(self.clock()) + TICKET_SECONDS,
        )
        return client.standing(proposal.spec.digest, self.author.sign(ticket)).receipts

    def _fetch(
        self, client: AggregatorClient, proposal: Proposal, opening: Signed[Opening]
    ) -> Signed[AggregateShareHeader]:
        length = seal.sealed_length(proposal.params.layout.plaintext_bytes)
        file = self._share_file(proposal.spec.digest, client.party)
        try:
            share = client.open(opening, file, length)
        except OSError as error:
            raise OperatorError("FS-606", f"{file}: {error.strerror}") from error
        first = client.party.name == self.author.federation.pair[0].name
        reached(Point.SHARE_A_FETCHED if first else Point.SHARE_B_FETCHED)
        return share

    def _unseal(
        self,
        proposal: Proposal,
        opening: Signed[Opening],
        share: Signed[AggregateShareHeader],
    ) -> scheme.AggregateShare:
        said, params = share.statement, proposal.params
        path = self._share_file(proposal.spec.digest, self._party(share.signer))
        # (1) Summed over the very set that was asked for.
        expected = (opening.digest, signing.set_digest(opening.statement.set))
        if (said.opening, said.set) != expected or said.count != len(
            opening.statement.set
        ):
            raise PeerError("FS-354", f"{share.signer} opened another set")
        # (2) The bytes are those that it signed for.
        if (path.stat().st_size, _sha256(path)) != (said.length, said.digest):
            raise PeerError("FS-354", f"{share.signer} sent other bytes than it signed")
        # (3) They open with this round's key, for this opening.
        info = seal.share_info(
            bytes.fromhex(self.author.federation.digest),
            bytes.fromhex(proposal.spec.digest),
            share.signer,
            self.author.name,
            bytes.fromhex(opening.digest),
        )
        if proposal.key is None:
            raise OperatorError("FS-355", f"{self._key_file(proposal.spec.digest)}")
        plaintext = bytearray(params.layout.plaintext_bytes)
        with path.open("rb") as file:
            seal.open_sealed(
                proposal.key, info, file, said.length, memoryview(plaintext)
            )
        return scheme.AggregateShare.from_plaintext(params, plaintext, said.count)

    def _both(self, call: Callable[[AggregatorClient], T]) -> dict[str, T]:
        """Ask both aggregators at the same time; fails if either fails."""
        names = sorted(self.aggregators)
        with ThreadPoolExecutor(max_workers=len(names)) as pool:
            answers = pool.map(lambda name: call(self.aggregators[name]), names)
            return dict(zip(names, answers, strict=True))

    def _party(self, name: str) -> Party:
        return self.author.federation.find(name)[1]

    def _key_file(self, spec: str) -> Path:
        return self.folder / f"{spec}.key"

    def _share_file(self, spec: str, party: Party) -> Path:
        return self.folder / f"{spec}.{party.name}.share"


def pairs(
    held: Mapping[str, Mapping[str, Signed[Receipt]]],
) -> dict[str, dict[str, Signed[Receipt]]]:
    """Return, for each data owner that both aggregators hold the report of, both.

    Receipts for two different reports of one data owner make no pair.
    """
    reporters = set.intersection(*(set(found) for found in held.values()))
    found = {
        reporter: {name: receipts[reporter] for name, receipts in held.items()}
        for reporter in sorted(reporters)
    }
    return {
        reporter: pair
        for reporter, pair in found.items()
        if len({signed.statement.report_id for signed in pair.values()}) == 1
    }


def is_refusal(error: BaseException) -> bool:
    """Tell whether an aggregator has refused, and will refuse again."""
    return _settles(error) in {Finality.ATTEMPT, Finality.ROUND}


def is_worth_another_attempt(error: BaseException) -> bool:
    """Tell whether an aggregator has a round no more that it can be asked for anew."""
    return _settles(error) is Finality.ATTEMPT


def is_hopeless(error: BaseException) -> bool:
    """Tell whether a fixed set will never be opened, however often it is asked for."""
    return _settles(error) is not Finality.NOTHING


def _settles(error: BaseException) -> Finality:
    if isinstance(error, UnreachableError) or not isinstance(error, PeerError):
        return Finality.NOTHING
    return error.problem.final


def receipts_in(opening: Opening, federation: Federation) -> dict[str, ReceiptPair]:
    """Return, for each member of an opened set, the receipts of both aggregators."""
    said = {
        server: [signing.verify(token, Receipt, federation) for token in tokens]
        for server, tokens in opening.receipts.items()
    }
    return {
        member.reporter: {server: said[server][place] for server in said}
        for place, member in enumerate(opening.set)
    }


def _void_at(client: AggregatorClient, void: Signed[Void]) -> Signed[Void] | Stands:
    try:
        return client.void(void)
    except PeerError as error:
        # Never granted: nothing to open there, and earlier attempts are refused.
        if error.problem.stands is None:
            raise
        return error.problem.stands


def _members(receipts: Mapping[str, ReceiptPair]) -> list[Member]:
    return [
        Member(reporter=name, report_id=_report_id(receipts[name]))
        for name in sorted(receipts)
    ]


def _report_id(receipts: ReceiptPair) -> str:
    return next(iter(receipts.values())).statement.report_id


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
