"""Both aggregators' grants of one spec, as everybody checks them who relies on them."""

from collections.abc import Sequence
from typing import TypeVar

from fedsecure.errors import PeerError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.jobs.statements import JobGrant, JobSpec
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import RoundGrant, RoundSpec

Spec = Signed[RoundSpec] | Signed[JobSpec]
G = TypeVar("G", RoundGrant, JobGrant)


def require_pair(
    federation: Federation, spec: Spec, grants: Sequence[Signed[G]]
) -> dict[str, Signed[G]]:
    """Return the grants by aggregator.

    Args:
        federation: Whose aggregators they must be.
        spec: What they must be for.
        grants: As they came; their signatures hold.

    Raises:
        PeerError: FS-344 when one is missing, FS-345 when one does not fit.
    """
    by_name = {grant.signer: grant for grant in grants}
    names = sorted(party.name for party in federation.aggregators)
    if sorted(grant.signer for grant in grants) != names:
        raise PeerError("FS-344", f"grants of {', '.join(by_name) or 'nobody'}")
    if any(grant.statement.spec != spec.digest for grant in grants):
        raise PeerError("FS-345", "a grant is for another spec")
    keys = {grant.statement.sealing_key for grant in grants}
    if len(keys | {spec.statement.sealing_key}) != len(grants) + 1:
        raise PeerError("FS-345", "two parties have the same sealing key")
    return by_name
