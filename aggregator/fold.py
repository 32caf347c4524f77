"""Opens input shares and adds them up: one thread, two vectors a round.

    check   open a payload into the scratch vector, every tag of it
    add     add the scratch vector to the round's sum
    total   the sum over exactly one set

A sum is a cache. It knows whose reports it holds; when that is not the set that is
asked for, or nothing is left of it after a restart, it is formed anew from the spool.
Memory is the scratch vector and one sum for each of the last rounds, whatever the
number of reports.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import numpy as np

from aggregator.spool import Spool, disk
from fedsecure.core import scheme, seal
from fedsecure.core.mask import ReportContext
from fedsecure.core.params import Params
from fedsecure.errors import OperatorError, PeerError
from fedsecure.statements import Kind, ReportHeader

SUMS: Final = 2  # rounds whose sums are held in memory: one train, one evaluate

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that holds a report as it was received: `offset` bytes, then payload."""

    path: Path
    header: ReportHeader
    offset: int

    @property
    def member(self) -> tuple[str, str]:
        """Reporter and report id."""
        return self.header.reporter, self.header.report_id


@dataclass(slots=True)
class _Sum:
    key: seal.SealingKey
    share: scheme.AggregateShare = field(repr=False)
    members: set[tuple[str, str]] = field(default_factory=set)


class Fold:
    """The sums of the rounds under way. Used by the worker's thread alone."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._scratch = memoryview(b"")
        self._sums: OrderedDict[str, _Sum] = OrderedDict()

    def check(self, params: Params, upload: Upload) -> scheme.OutputShare:
        """Open an upload into the scratch vector and return its output share.

        Raises:
            PeerError: FS-314 when any part of it does not open; nothing was added.
        """
        header = upload.header
        out = self._output(params)
        length = scheme.input_share_bytes(params, header.kind)
        # A vector is its own output share: opened in place, never copied.
        in_place = header.kind is Kind.VECTOR
        plaintext = out.memory if in_place else bytearray(length)
        context = ReportContext(
            bytes.fromhex(header.spec), bytes.fromhex(header.report_id), header.reporter
        )
        try:
            self._open(params, upload, memoryview(plaintext))
            return scheme.prepare(params, context, header.kind, plaintext, out)
        except PeerError as error:
            raise PeerError("FS-314", error.detail) from error

    def add(self, params: Params, upload: Upload, share: scheme.OutputShare) -> None:
        """Add a checked report, the scratch vector, to its round's sum."""
        held = self._sum(params, upload.header.spec)
        if upload.member not in held.members:
            scheme.aggregate(held.share, share)
            held.members.add(upload.member)

    def total(
        self, params: Params, spec: str, uploads: Iterable[Upload]
    ) -> scheme.AggregateShare:
        """Return the sum over exactly these reports; from the spool if need be.

        Raises:
            OperatorError: FS-524 when a stored report no longer opens.
        """
        wanted = {upload.member: upload for upload in uploads}
        if self._sum(params, spec).members != set(wanted):
            self.forget(spec)
            for upload in wanted.values():
                self.add(params, upload, self._check_again(params, upload))
        return self._sums[spec].share

    def forget(self, spec: str) -> None:
        """Drop what memory holds of a round; with the last one, the scratch too."""
        self._sums.pop(spec, None)
        if not self._sums:
            self._scratch = memoryview(b"")

    def _sum(self, params: Params, spec: str) -> _Sum:
        if spec not in self._sums:
            key = self._spool.load_key(spec)
            self._sums[spec] = _Sum(key, scheme.AggregateShare.empty(params))
        self._sums.move_to_end(spec)
        while len(self._sums) > SUMS:
            self._sums.popitem(last=False)
        return self._sums[spec]

    def _check_again(self, params: Params, upload: Upload) -> scheme.OutputShare:
        try:
            return self.check(params, upload)
        except PeerError as error:
            stored = f"stored report {upload.header.report_id}"
            raise OperatorError("FS-524", f"{stored}: {error.detail}") from error

    def _output(self, params: Params) -> scheme.OutputShare:
        size = params.plaintext_bytes
        if len(self._scratch) < size:
            self._scratch = np.empty(size, np.uint8).data
        return scheme.OutputShare.over(params, self._scratch[:size])

    def _open(self, params: Params, upload: Upload, out: memoryview) -> None:
        header = upload.header
        info = seal.report_info(
            bytes.fromhex(header.federation),
            bytes.fromhex(header.spec),
            header.reporter,
            header.aggregator,
            bytes.fromhex(header.report_id),
            header.kind,
        )
        key = self._sum(params, header.spec).key
        with disk(f"report {header.report_id}"), upload.path.open("rb") as file:
            file.seek(upload.offset)
            seal.open_sealed(key, info, file, header.length, out)


class Worker:
    """The one thread that changes anything: grants, folds, openings, voids."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="worker")

    async def run(self, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one change after all that were asked for before it."""
        future = self._thread.submit(change, *args, **kwargs)
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Finish what was begun; nothing new is taken."""
        self._thread.shutdown(wait=True)
