"""Who keeps the account of what a study gives away, and may stop its run.

    require  before a spec is signed: may this round be asked at all? nothing is spent
    spend    before an opening is recorded or sent: it counts for each member of the set
    opened   the mean is recorded
    void     the round will not be opened; `burnt`: one aggregator has opened it already

An account must never lag behind what can have been learnt. So a round is spent before
the first aggregator can open it, and given back only once both have confirmed that they
never will. A round that is taken up again after a crash is not asked for anew, and may
be spent again: that counts once, by the digest of its spec.

A refusal is an error like others: the run ends with it, and nothing of the round was
sent, unless it was refused at `spend`: then the round is void, and unopened.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from fedsecure.owner.rounds.proposal import RoundRequest
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import RoundSpec


class Accountant(Protocol):
    """Keeps the account of one run; called by the run loop alone."""

    def require(self, request: RoundRequest) -> None:
        """Refuse a round that there is no room for; nothing is signed or sent yet.

        Raises:
            FedsecureError: It is refused, and the run ends.
        """

    def spend(self, spec: Signed[RoundSpec], members: Sequence[str]) -> None:
        """Charge a round to the members of its set, before anybody can open it.

        Has to be on the disk when it returns. The same spec again is charged once.

        Raises:
            FedsecureError: It is refused: the round is void, and the run ends.
        """

    def opened(self, spec: Signed[RoundSpec]) -> None:
        """Hear that a round was opened and recorded."""

    def void(self, spec: Signed[RoundSpec], *, burnt: bool) -> None:
        """Hear that a round was given up and recorded; if burnt, it stays charged."""


class _Unlimited:
    """Keeps no account and refuses nothing."""

    def require(self, request: RoundRequest) -> None:
        """Allow it."""

    def spend(self, spec: Signed[RoundSpec], members: Sequence[str]) -> None:
        """Charge nothing."""

    def opened(self, spec: Signed[RoundSpec]) -> None:
        """Note nothing."""

    def void(self, spec: Signed[RoundSpec], *, burnt: bool) -> None:
        """Note nothing."""


UNLIMITED: Final[Accountant] = _Unlimited()
