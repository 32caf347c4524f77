"""What a row of the table of errors is, and a family of rows.

A row says what follows from its problem, for whoever meets it: no other module decides
anything by a code.
"""

from dataclasses import KW_ONLY, dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

ALONE: Final = (
    "Only this data owner sees it; the model owner hears `not_reported`, never why."
)


class Finality(Enum):
    """What an error of a round settles for the model owner, however often it asks."""

    NOTHING = auto()
    ATTEMPT = auto()  # an aggregator has the attempt no more: another is worth it
    ROUND = auto()  # an aggregator's word about the round, for good
    SHARES = auto()  # both shares stay as they are: their mean will never be had


class Stands(Enum):
    """How a round or a job stands at the aggregator that answers with an error."""

    NEVER_GRANTED = auto()
    OPENED = auto()
    ENDED = auto()  # a job that is void or closed


class Spoiled(Enum):
    """Which bytes are not those that were signed; a disk may have spoiled them."""

    UPLOAD = auto()  # a data owner looks whether what it stored is whole
    SHARE = auto()  # the model owner fetches it once more


class Evidence(Enum):
    """What a refusal shows about the party that signed what is refused."""

    FAULT = auto()  # an honest party would not have asked for it
    FAULT_IF_COVERED = auto()  # only where the signature covers all that was sent
    NONE = auto()  # it can happen to honest parties, or others can bring it about


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table, with what follows from it.

    Args:
        code: `FS-` and three digits, the same for ever.
        title: What went wrong, for people.
        remedy: What to do next, for people.
        status: The HTTP status with which an aggregator answers it.
        retry: Seconds after which an aggregator tells who asked to ask again.
        undecided: It answers who asks again and again until a round is decided, so it
            is no refusal.
        evidence: What an aggregator's refusal shows about who signed what it refuses.
        answered: An aggregator answers with it, though not with all of its family.
        final: What it settles for the model owner when an aggregator says so, or when
            it is found in shares.
        stands: How the round or job stands at the aggregator that says so.
        spoiled: Which bytes may be whole the next time, or at their source.
        passes: It passes with time: a run waits and goes on by itself, an agent waits
            for the next training.
        spent: A privacy budget is used up: the run ends, with the model so far.
        own_key: This party's own key is at fault, and not its federation.toml.
        consent: A person at the data owner decides it, by approving a study or not.
        behind: In an audit, a store shows so that it ends before others do.
        not_finite: A data owner's own numbers are none. In a round with noise it sends
            zeros instead of an error, for noise is to hide that, too.
        absent: What a page was asked for is not there: a console answers 404.
    """

    code: str
    title: str
    remedy: str
    status: HTTPStatus = HTTPStatus.BAD_REQUEST
    _: KW_ONLY
    retry: int | None = None
    undecided: bool = False
    evidence: Evidence = Evidence.FAULT
    answered: bool = False
    final: Finality = Finality.NOTHING
    stands: Stands | None = None
    spoiled: Spoiled | None = None
    passes: bool = False
    spent: bool = False
    own_key: bool = False
    consent: bool = False
    behind: bool = False
    not_finite: bool = False
    absent: bool = False

    @property
    def innocent(self) -> bool:
        """Whether a refusal says nothing about whether a party keeps to the protocol.

        What can be asked for again later is no fault of who asked.
        """
        return self.retry is not None or self.evidence is Evidence.NONE


@dataclass(frozen=True, slots=True)
class Family:
    """The codes up to `last` that the same people meet, for the same kind of reason.

    `answered`: an aggregator gives each of them as its answer to a request.
    """

    last: int
    name: str
    meaning: str
    answered: bool = False
