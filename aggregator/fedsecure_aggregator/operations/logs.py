"""Logs: one JSON object a line, on standard output.

They hold round ids, report ids, counts and codes; never names of data owners and
clients, tokens, keys or shares. What is logged here is chosen so; and since messages of
libraries and paths may hold more, every text is looked through before it is written.
Tracebacks come without local variables.
"""

import logging
import re
import sys
from collections.abc import Collection, Mapping
from typing import Any, Final

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from fedsecure.protocol.identity import Federation

HIDDEN: Final = "[hidden]"
SECRETS: Final = re.compile(
    r"(?P<jws>eyJ[\w-]+\.[\w-]+\.[\w-]+)"  # statements and tickets
    r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|\Z))"
    r"|(?P<password>(?<=://)[^\s/@:]+:[^\s/@]+(?=@))",  # of a database's URL
    re.DOTALL,
)


def names_to_hide(federation: Federation) -> list[str]:
    """Return who shall not be named: data owners and clients."""
    return [party.name for party in (*federation.data_owners, *federation.clients)]


def configure(names: Collection[str] = ()) -> None:
    """Send our logs and those of the libraries to standard output.

    Args:
        names: Of parties that are nobody's business; hidden from now on.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Redaction(names),
    ]
    render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, render],
        # Each line in one piece, or threads would write into one another's.
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


class Redaction:
    """Replaces secrets, and names of data owners, in all texts of a line."""

    def __init__(self, names: Collection[str] = ()) -> None:
        longest_first = sorted(map(re.escape, names), key=len, reverse=True)
        words = "|".join(longest_first)
        # A name is hidden where it stands alone: as a word, or a part of a path.
        self._names = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])") if words else None

    def __call__(self, _: WrappedLogger, __: str, line: EventDict) -> EventDict:
        """Return a line as it may be written."""
        return {key: self._clean(value) for key, value in line.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            clean = SECRETS.sub(HIDDEN, value)
            return self._names.sub(HIDDEN, clean) if self._names else clean
        if isinstance(value, Mapping):
            return {key: self._clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        return value
