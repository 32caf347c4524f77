"""A run goes on by itself after what passes, as `train --resume` would.

    drive    from what the round store holds, until the last round or an error
    judge    whether the error is one that passes: `may_pass`
    wait     doubling, bounded, said; an attempt that decided a round counts anew

An error that passes voids nothing: the round under way is taken up as it was.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from fedsecure.errors import FedsecureError
from fedsecure.owner.run.pauses import Pausing
from fedsecure.owner.run.resume import Past
from fedsecure.storage.transactions import DatabaseAwayError
from fedsecure.transport.retries import UnreachableError

T = TypeVar("T")


def may_pass(error: BaseException) -> bool:
    """Tell whether a run that failed with this can be expected to go on in a while."""
    return isinstance(error, UnreachableError | DatabaseAwayError) or (
        isinstance(error, FedsecureError) and error.problem.passes
    )


def keep_going(
    drive: Callable[[Past], T],
    past: Past,
    read: Callable[[], Past],
    pausing: Pausing,
) -> T:
    """Drive a run to its end; run by the model owner.

    Args:
        drive: Goes on from there and returns what came of it.
        past: What the run did before.
        read: Reads anew what it did.
        pausing: Waits in between.

    Raises:
        FedsecureError: What does not pass, or what failed in every attempt in a row.
    """
    failed, is_read = 0, True
    while True:
        try:
            if not is_read:
                past, is_read = read(), True
            return drive(past)
        except FedsecureError as error:
            before, failed, is_read = past, failed + 1, False
            with suppress(DatabaseAwayError):  # then after the pause
                past, is_read = read(), True
                if past.decided - before.decided:
                    failed = 1
            if not may_pass(error) or failed >= pausing.pauses.attempts:
                raise
            pausing.wait(f"it goes on after: {error}", failed, lambda: False)
