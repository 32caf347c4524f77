"""The curves of runs as pictures, each drawn once for each state of a run.

matplotlib keeps its style in one place for all threads, so one draws at a time.
"""

import threading
from collections import OrderedDict
from typing import Final

from sqlalchemy.orm import Session

from fedsecure.review import records
from fedsecure.review.choosing import Page
from fedsecure.review.plots.figure import darkened, picture

SHOWN: Final = Page(size=500)  # rounds; the newest
KEPT: Final = 8  # pictures
Key = tuple[str, str, int, int]


class Pictures:
    """Draws runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, bytes] = OrderedDict()

    def of(self, session: Session, name: str, *, dark: bool) -> bytes:
        """Return a run's curves as SVG.

        Raises:
            OperatorError: FS-861 when there is no such run, FS-864 when no round of
                it was opened.
        """
        run = records.find_run(session, name)
        newest = records.rounds(session, run.run, page=Page(size=1))
        entry = newest[0].entry if newest else 0
        key = (run.run, run.state, run.opened_rounds + run.void_rounds, entry)
        with self._lock:
            drawn = self._kept.get(key)
            if drawn is None:
                found = records.rounds(session, run.run, page=SHOWN)
                drawn = self._kept[key] = picture(run, found, "svg", titled=False)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return darkened(drawn) if dark else drawn
