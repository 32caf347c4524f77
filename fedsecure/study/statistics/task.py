"""What a data owner is asked in a round of statistics, as data that travels.

A task of this kind names no model and no code: the schema alone says what is counted.
It is the config value `study` of the round, like the text of a Keras task, and so it is
in the digest that people approve. There are three forms, for what noise is to hide:

    exact       no noise       counts; and of each number the sums of its place p in the
                               range and of p**2, in steps of 2**-32: mean and variance
    counts      unit row       counts
    fractions   unit           each count over the data owner's own rows, 0 to 1: what
                data-owner     is opened is the mean over data owners, and no number of
                               rows is told

Guarantee, with noise: one unit moves each vector by at most 1 (L2). A row counts in one
cell of it, by one; and a data owner's fractions are at most 1 together.
"""

from typing import Final, Literal, TypeAlias

from pydantic import ValidationError

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statement_fields import MAX_SCALARS
from fedsecure.protocol.statements import PrivacyField, ScalarField
from fedsecure.study.schema.features import AnySchema, FeatureSchema
from fedsecure.study.statistics.cells import Cells, cells_of
from fedsecure.study.strict import Strict, canonical
from fedsecure.system.toml_file import explain

MAX_TEXT: Final = 8 * 2**20  # characters
SUM_STEPS: Final = 2**32  # of a sum of places in a range, to 1
SUMS: Final = 2  # of p, and of p**2

Form: TypeAlias = Literal["exact", "counts", "fractions"]


class StatisticsTask(Strict):
    """All that a data owner needs to count."""

    kind: Literal["statistics"]
    study: str
    features: FeatureSchema
    form: Form

    @property
    def text(self) -> str:
        """The canonical JSON text."""
        return canonical(self)

    @property
    def cells(self) -> tuple[Cells, ...]:
        """What is counted, the label last."""
        return cells_of(self.features)

    @property
    def scalars(self) -> tuple[ScalarField, ...]:
        """What a data owner reports, as a spec names it."""
        ends = (0.0, 1.0) if self.form == "fractions" else (None, None)
        low, high = ends
        counts = tuple(
            ScalarField(name=one.scalar, low=low, high=high, size=one.size)
            for one in self.cells
        )
        if self.form != "exact":
            return counts
        numbers = [one for one in self.cells if one.range is not None]
        sums = (ScalarField(name=sums_of(one), size=SUMS) for one in numbers)
        return (*counts, *sums)


def sums_of(cells: Cells) -> str:
    """Return the name of the scalar with the sums of a column's numbers."""
    return f"{cells.scalar}-sums"


def form_for(privacy: PrivacyField | None) -> Form:
    """Return the form that is asked under this noise, and no other."""
    if privacy is None:
        return "exact"
    return "counts" if privacy.unit is Unit.ROW else "fractions"


def statistics_task(name: str, features: AnySchema, form: Form) -> StatisticsTask:
    """Return what a study asks about its columns. Run by the model owner.

    Raises:
        OperatorError: FS-375 when a round cannot carry so many counts.
    """
    widest = max(cells_of(features), key=lambda one: one.size)
    if not widest.size <= MAX_SCALARS:
        raise OperatorError(
            "FS-375",
            f"{widest.column} has {widest.size:,} cells, at most {MAX_SCALARS:,}",
        )
    count = sum(1 + (one.range is not None) for one in cells_of(features))
    if not count <= MAX_SCALARS:
        raise OperatorError(
            "FS-375", f"{count:,} vectors of counts, at most {MAX_SCALARS:,}"
        )
    return StatisticsTask(kind="statistics", study=name, features=features, form=form)


def read_statistics_task(text: str) -> StatisticsTask | None:
    """Return the task that a text is; None: it is another kind's.

    Run by a data owner on what came over the network.
    """
    if not len(text) <= MAX_TEXT:
        return None
    try:
        task = StatisticsTask.model_validate_json(text)
    except ValidationError:
        return None
    return task if task.text == text else None


def parse_statistics_task(text: str) -> StatisticsTask:
    """Read a task that came over the network; run by a data owner.

    Raises:
        PeerError: FS-421, it is not one canonical text of such a task.
    """
    task = read_statistics_task(text)
    if task is None:
        raise PeerError("FS-421", f"the task of statistics: {_why_not(text)}")
    return task


def _why_not(text: str) -> str:
    if not len(text) <= MAX_TEXT:
        return f"{len(text)} characters, at most {MAX_TEXT}"
    try:
        StatisticsTask.model_validate_json(text)
    except ValidationError as error:
        return explain(error)
    return "it is not in canonical JSON"
