"""The exceptions: one root, three blames."""

from fedsecure.errors.printing import printable
from fedsecure.errors.registry import PROBLEMS


class FedsecureError(Exception):
    """Root of every error that fedsecure raises on purpose.

    Args:
        code: A key of `PROBLEMS`.
        detail: What happened and where, one sentence, no secrets.
    """

    def __init__(self, code: str, detail: str) -> None:
        detail = printable(detail)
        super().__init__(code, detail)  # with both, it can be copied and pickled
        self.problem = PROBLEMS[code]
        self.detail = detail

    @property
    def code(self) -> str:
        """The stable code, such as `FS-310`."""
        return self.problem.code

    def __str__(self) -> str:
        """Return code, title and detail on one line."""
        return f"{self.code} {self.problem.title}: {self.detail}"


class PeerError(FedsecureError):
    """Another party sent something that must be refused."""


class RoundStateError(FedsecureError):
    """A request that is right in itself came at the wrong time."""


class OperatorError(FedsecureError):
    """This party's own files, settings or surroundings are wrong."""


def described(error: Exception) -> tuple[str, str]:
    """Return code and detail for the log, also of what was not raised on purpose."""
    if isinstance(error, FedsecureError):
        return error.code, error.detail
    return "FS-540", f"{type(error).__name__}: {error}"
