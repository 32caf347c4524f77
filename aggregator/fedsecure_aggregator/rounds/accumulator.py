"""Opens input shares and adds them up: one thread, one vector a round.

    add     open a payload record by record and add it to the round's sum: all of it,
            every tag checked, or nothing
    gather  make the sum the one over exactly one set, and tell what no longer opens
    total   that sum

A sum is a cache. It knows whose reports it holds; when that is not the set that is
asked for, or nothing is left of it after a restart, it is formed anew from the spool.
Memory is one sum for each of the last rounds and a few records, whatever the number of
reports.
"""

import ctypes
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader
from typing import Final

from fedsecure.core import scheme
from fedsecure.core.buffers import Memory, carve
from fedsecure.core.layout import Buffer
from fedsecure.core.mask import ReportContext
from fedsecure.core.params import Params
from fedsecure.core.sealing import seal, seal_info, sealing_key
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statements import ReportHeader
from fedsecure_aggregator.storage.disk import is_of_one_file
from fedsecure_aggregator.storage.spool import Sealed, Spool

SUMS: Final = 2  # rounds whose sums are held in memory: one train, one evaluate


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A report as it was received: in `content` `offset` bytes, then the payload."""

    content: Sealed
    header: ReportHeader
    offset: int

    @property
    def member(self) -> tuple[str, str]:
        """Reporter and report id."""
        return self.header.reporter, self.header.report_id


@dataclass(slots=True)
class _Sum:
    key: sealing_key.SealingKey
    share: scheme.AggregateShare = field(repr=False)
    members: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Memory:
    """What is used again for every report."""

    records: seal.Pieces = field(default_factory=seal.Pieces.allocate)
    expansion: Memory = field(
        default_factory=lambda: carve(scheme.EXPANSION_BYTES)[0], repr=False
    )


class Accumulator:
    """The sums of the rounds under way. Used by the worker's thread alone."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._memory: _Memory | None = None
        self._sums: OrderedDict[str, _Sum] = OrderedDict()

    def add(self, params: Params, report: ReceivedReport) -> None:
        """Open a report and add it to its round's sum.

        Raises:
            PeerError: FS-314 when any part of it does not open; nothing was added.
            OperatorError: FS-524 when it cannot be read.
        """
        spec = report.header.spec
        held = self._sum(params, spec)
        if report.member in held.members:
            return
        try:
            what = f"report {report.header.report_id}"
            with report.content.reading(what) as file:
                share = partial(self._output_share, params, report, held.key, file)
                scheme.aggregate(params, held.share, share)
        except PeerError as error:
            raise PeerError("FS-314", error.detail) from error
        except BaseException:
            self.forget(spec)  # it may hold a part of the report
            raise
        held.members.add(report.member)

    def gather(
        self, params: Params, spec: str, reports: Iterable[ReceivedReport]
    ) -> dict[str, str]:
        """Make a round's sum the one over these reports; from the spool if need be.

        Returns:
            By reporter, why a stored report no longer opens. The sum has the others.

        Raises:
            OperatorError: FS-524 and its like for a disk that fails as a whole.
        """
        wanted = {report.member: report for report in reports}
        if self._sum(params, spec).members == set(wanted):
            return {}
        self.forget(spec)
        lost: dict[str, str] = {}
        for member, report in list(wanted.items()):
            cause = self._add_again(params, report)
            if cause is not None:
                lost[report.header.reporter] = cause
                del wanted[member]
        # A file that failed half way took the sum with it.
        return {**lost, **(self.gather(params, spec, wanted.values()) if lost else {})}

    def total(self, spec: str) -> scheme.AggregateShare:
        """Return the sum that was gathered last for a round."""
        return self._sums[spec].share

    def forget(self, spec: str) -> None:
        """Drop what memory holds of a round; with the last one, all of it."""
        if spec not in self._sums:
            return
        del self._sums[spec]
        if not self._sums:
            self._memory = None
            _give_back()

    def _sum(self, params: Params, spec: str) -> _Sum:
        if spec not in self._sums:
            key = self._spool.load_key(spec)
            self._sums[spec] = _Sum(key, scheme.AggregateShare.empty(params))
        self._sums.move_to_end(spec)
        while len(self._sums) > SUMS:
            self._sums.popitem(last=False)
        return self._sums[spec]

    def _add_again(self, params: Params, report: ReceivedReport) -> str | None:
        """Add a stored report; return why it cannot be read, if it is this one alone.

        Raises:
            OperatorError: As `add`, for what concerns more than this file.
        """
        try:
            self.add(params, report)
        except PeerError as error:
            return error.detail
        except OperatorError as error:
            if not is_of_one_file(error):
                raise
            return error.detail
        return None

    def _output_share(
        self,
        params: Params,
        report: ReceivedReport,
        key: sealing_key.SealingKey,
        file: BufferedReader,
    ) -> Iterator[Buffer]:
        """Return a report's output share, in pieces, from its beginning."""
        header = report.header
        memory = self._memory = self._memory or _Memory()
        info = seal_info.report_info(
            bytes.fromhex(header.federation),
            bytes.fromhex(header.spec),
            header.reporter,
            header.aggregator,
            bytes.fromhex(header.report_id),
            header.kind,
        )
        file.seek(report.offset)
        size = scheme.input_share_bytes(params, header.kind)
        opened = memory.records.of(key, info, file, header.length, size)
        context = ReportContext(
            bytes.fromhex(header.spec), bytes.fromhex(header.report_id), header.reporter
        )
        return scheme.prepare(params, context, header.kind, opened, memory.expansion)


def _give_back() -> None:
    """Return free memory to the system: glibc keeps what many reports took."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
