"""What an error says about a round: for good, worth another attempt, or nothing."""

from fedsecure.errors import Finality, PeerError
from fedsecure.transport.retries import UnreachableError


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
