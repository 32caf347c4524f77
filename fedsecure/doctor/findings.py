"""A check, and what it found: a state, and for a failure what makes it pass."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from fedsecure.errors import FedsecureError, OperatorError


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILS = "fails"
    WAITS = "waits"  # not now, but nothing is wrong here
    SKIPPED = "skipped"  # another failure hides it


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table; `fix` is something to type or to do."""

    check: str
    state: State
    seen: str
    code: str | None = None
    fix: str = ""


class WaitsError(Exception):
    """Nothing is wrong, but what is asked for is not there just now."""


class SkippedError(Exception):
    """The check cannot be made before another passes."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at.

    `look` returns what it saw, or raises. `fix` is what to do when it raises an error
    of ours; without it, the remedy of the error's code.
    """

    name: str
    look: Callable[[], str]
    fix: str | Callable[[FedsecureError], str] = ""

    def run(self) -> Finding:
        """Look, and say what was found; raises nothing of ours."""
        try:
            return Finding(self.name, State.OK, self.look())
        except FedsecureError as error:
            seen = f"{error.problem.title}: {error.detail}"
            return Finding(
                self.name, State.FAILS, seen, error.code, self._fix_of(error)
            )
        except OSError as error:
            unread = OperatorError("FS-801", f"{error.filename}: {error.strerror}")
            seen = f"{unread.problem.title}: {unread.detail}"
            return Finding(
                self.name, State.FAILS, seen, unread.code, self._fix_of(unread)
            )
        except WaitsError as error:
            return Finding(self.name, State.WAITS, str(error))
        except SkippedError as error:
            return Finding(self.name, State.SKIPPED, str(error))

    def _fix_of(self, error: FedsecureError) -> str:
        fix = self.fix(error) if callable(self.fix) else self.fix
        return fix or error.problem.remedy


def run(checks: Iterable[Check]) -> Iterator[Finding]:
    """Make all checks, one after the other."""
    for check in checks:
        yield check.run()
