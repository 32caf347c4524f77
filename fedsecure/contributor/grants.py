"""Both aggregators' grants of a round, as a data owner checks them before it trains."""

from collections.abc import Sequence

from fedsecure.errors import PeerError
from fedsecure.protocol import signing
from fedsecure.protocol.grants import require_pair
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import RoundGrant, RoundSpec


def require_grants(
    federation: Federation, spec: Signed[RoundSpec], tokens: Sequence[str], now: float
) -> dict[str, Signed[RoundGrant]]:
    """Return the grants by aggregator. Run by a data owner.

    Args:
        federation: Whose aggregators they must be.
        spec: What they must be for.
        tokens: As they came.
        now: Seconds since 1970.

    Raises:
        PeerError: FS-344 when one is missing, FS-345 when one does not fit, FS-7xx of
            signatures.
    """
    grants = [signing.verify(token, RoundGrant, federation) for token in tokens]
    by_name = require_pair(federation, spec, grants)
    if any(not now < grant.statement.expires for grant in grants):
        raise PeerError("FS-345", "a grant has expired")
    _require_noise(spec.statement, [grant.statement.noise for grant in grants])
    return by_name


def _require_noise(spec: RoundSpec, seeds: Sequence[str | None]) -> None:
    """Check that each aggregator is bound to a seed of its own, or both to none.

    With the same seed at both, either one alone could take all noise off a sum.
    """
    if spec.privacy is None:
        if any(seed is not None for seed in seeds):
            raise PeerError("FS-345", "a grant has noise, and the round has none")
        return
    if any(seed is None for seed in seeds):
        raise PeerError("FS-345", "a grant has no noise, and the round has some")
    if len(set(seeds)) != len(seeds):
        raise PeerError("FS-345", "both aggregators have the same noise")
