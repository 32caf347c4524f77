"""A study folder: what the model owner writes.

    study.toml    name, training, aggregation, metrics, privacy
    schema.toml   what an example means (module `schema`)
    model.py      `def build()`: a compiled Keras model

Only the model owner runs model.py. Data owners receive the model as data.

A study that another app trains has a section `[app]`, and no schema (`app_study`).
"""

import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError
from fedsecure.protocol.statements import PrivacyField, StatisticsField, Weighting
from fedsecure.study.metrics import Metrics, ScalarDeclaration, declare
from fedsecure.study.model_data import ModelData, statistics_field
from fedsecure.study.privacy import Privacy
from fedsecure.study.schema.features import AnySchema, load_schema
from fedsecure.study.strict import Strict, canonical, read_strict
from fedsecure.study.task import MAX_BATCH, MAX_EPOCHS, MAX_SEED, STUDY, Step, Task
from fedsecure.study.terms import SUITE, StudyRequest, Terms, scalar_fields
from fedsecure.system.toml_file import read_toml
from fedsecure.system.wording import form

STUDY_FILE: Final = "study.toml"
APP: Final = "app"  # the section of a study that another app trains
MAX_ROUNDS: Final = 100_000
PROXIMAL: Final = "FedProx"  # the strategy that needs local epochs
NAME: Final = form(
    r"^[a-z0-9][a-z0-9-]{0,62}$", "of a to z, 0 to 9 and hyphens, 63 characters at most"
)
MODEL: Final = form(
    r"^[A-Za-z_]\w*:[A-Za-z_]\w*$", "file:function, the file without .py"
)
STRATEGY: Final = form(
    r"^(?:[A-Za-z_]\w*:)?[A-Za-z_]\w*$",
    "the name of a Flower strategy, or file:Class, the file without .py",
)


class Length(Strict):
    """How long a study trains, whichever app does, and from which first weights."""

    rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)]
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0


class Training(Length):
    """The section `[training]`: what one round does at a data owner.

    With the step "epochs" the learning rate is the optimizer's, in model.py; the
    optimizer starts afresh in every round. With "gradient" it is the strategy's, and
    the optimizer is not used.
    """

    step: Step = "epochs"
    local_epochs: Annotated[int, Field(ge=1, le=MAX_EPOCHS)] = 1
    batch_size: Annotated[int, Field(ge=1, le=MAX_BATCH)] = 32
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.25

    @model_validator(mode="after")
    def _of_one_step(self) -> Self:
        if self.step == "gradient" and self.local_epochs != 1:
            msg = (
                f'step "gradient" is one pass over the rows, not {self.local_epochs}: '
                'leave local_epochs out, or set step = "epochs"'
            )
            raise ValueError(msg)
        return self


class Aggregation(Strict):
    """The section `[aggregation]`: how updates become one.

    `strategy` is one of Flower's, or `file:Class` for one in the study folder that its
    author declares `linear`. `options` are the strategy's own, by its own names. `clip`
    is the largest L2 norm of one update, in model units; `statistics_clip` that of the
    part of it that is not trained; `weight_cap` the largest weight.
    """

    strategy: Annotated[str, Field(pattern=STRATEGY)] = "FedAvg"
    linear: bool = False
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    clip: Annotated[float, Field(gt=0)]
    statistics_clip: Annotated[float, Field(gt=0)] = 100.0
    weighting: Literal["equal", "rounded", "exact"] = "equal"
    weight_cap: Annotated[int, Field(ge=1, le=2**31)] = 1
    min_cohort: Annotated[int, Field(ge=2)] = 3

    @model_validator(mode="after")
    def _weights_can_differ(self) -> Self:
        if self.weighting != "equal" and self.weight_cap == 1:
            msg = f'{self.weighting} weights need weight_cap; at most 1 is "equal"'
            raise ValueError(msg)
        return self


class NoisyFile(Strict):
    """A study.toml that may have a section `[privacy]`, after those that it needs."""

    @field_validator("privacy", check_fields=False)
    @classmethod
    def _noise_fits(
        cls, privacy: Privacy | None, info: ValidationInfo
    ) -> Privacy | None:
        training, aggregation = info.data.get("training"), info.data.get("aggregation")
        if privacy and training and aggregation:  # else it is said what is wrong there
            _require_fit(privacy, training, aggregation)
        return privacy


def _require_fit(privacy: Privacy, training: Length, aggregation: Aggregation) -> None:
    """Check what noise needs of the other sections.

    Raises:
        ValueError: With the key to change.
    """
    if (aggregation.weighting, aggregation.weight_cap) != ("equal", 1):
        msg = 'noise needs weighting = "equal" and weight_cap = 1 in [aggregation]'
        raise ValueError(msg)
    by_row = isinstance(training, Training) and training.step == "gradient"
    if privacy.unit is Unit.ROW and not by_row:
        msg = 'unit "row" needs step = "gradient" in [training], of a Keras model'
        raise ValueError(msg)
    if privacy.unit_clip is not None and privacy.unit_clip > aggregation.clip:
        msg = f"unit_clip is above `clip` in [aggregation], {aggregation.clip:g}"
        raise ValueError(msg)


class StudyFile(NoisyFile):
    """What study.toml holds."""

    version: Literal[1]
    name: Annotated[str, Field(pattern=NAME)]
    title: Annotated[str, Field(max_length=200)]
    model: Annotated[str, Field(pattern=MODEL)]
    features: Annotated[str, Field(alias="schema")]
    training: Training
    aggregation: Aggregation
    metrics: Metrics = Metrics()
    privacy: Privacy | None = None

    @model_validator(mode="after")
    def _no_pull_on_a_gradient(self) -> Self:
        if self.training.step == "gradient" and self.aggregation.strategy == PROXIMAL:
            msg = (
                f'{PROXIMAL} pulls on local epochs, and step "gradient" has none: take '
                'another strategy, such as FedAvgM, or set step = "epochs"'
            )
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyStudy:
    """A study as its folder describes it, whichever app trains it."""

    folder: Path
    name: str
    title: str
    model: str
    training: Length
    aggregation: Aggregation
    privacy: Privacy | None = None
    weights_seed: int | None = None  # of the first weights; default: the study's own

    @property
    def first_seed(self) -> int:
        """The seed of the first weights."""
        return self.training.seed if self.weights_seed is None else self.weights_seed

    def sections(self) -> Mapping[str, BaseModel]:
        """Return the sections of study.toml that a run that goes on must find again."""
        known = {"training": self.training, "aggregation": self.aggregation}
        return {**known, "privacy": self.privacy} if self.privacy else known

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return those sections as the round store keeps them."""
        return {
            name: section.model_dump(mode="json")
            for name, section in self.sections().items()
        }

    def noise(self) -> PrivacyField | None:
        """Return the noise of the study's rounds, planned for as many as it has.

        Raises:
            OperatorError: FS-200 when its budget is too small for them.
        """
        if self.privacy is None:
            return None
        return self.privacy.planned(self.training.rounds, self.aggregation.clip)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study(AnyStudy):
    """A study that fedsecure's own app trains: a Keras model, on a schema's rows."""

    features: AnySchema
    training: Training
    metrics: Metrics

    def sections(self) -> Mapping[str, BaseModel]:
        """Return the sections of study.toml that a run that goes on must find again."""
        return {**AnyStudy.sections(self), "metrics": self.metrics}

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return those sections, and which schema a model of the study is for."""
        digest = hashlib.sha256(canonical(self.features).encode()).hexdigest()
        return {**AnyStudy.settings(self), "schema": {"sha256": digest}}

    def terms(self, data: ModelData) -> Terms:
        """Return what leaves every data owner, and how it is hidden."""
        statistics_clip = self.aggregation.statistics_clip
        statistics = statistics_field(data.layers, data.statistics, statistics_clip)
        return terms_for(self, declared_scalars(self), statistics)

    def request(self, data: ModelData) -> StudyRequest:
        """Return what every data owner is asked to agree to."""
        return StudyRequest({STUDY: self.task(data).text}, self.terms(data))

    def task(self, data: ModelData) -> Task:
        """Return what every data owner is asked to do."""
        return Task(
            study=self.name,
            model=data.model,
            compilation=data.compilation,
            features=self.features,
            local_epochs=self.training.local_epochs,
            batch_size=self.training.batch_size,
            seed=self.training.seed,
            holdout=self.training.holdout,
            metrics=self.metrics,
            step=self.training.step,
            unit_clip=self.privacy.unit_clip if self.privacy else None,
        )


def load_study(folder: Path) -> Study:
    """Read the folder of a Keras study, but for model.py; run by the model owner.

    Raises:
        OperatorError: FS-801, FS-802, or FS-840 with the line that is wrong, also for
            a study that another app trains.
    """
    path = folder / STUDY_FILE
    if APP in read_toml(path):
        raise OperatorError("FS-840", f"{path}: [{APP}] says that it is no Keras study")
    file = read_strict(path, StudyFile)
    return Study(
        folder=folder,
        name=file.name,
        title=file.title,
        model=file.model,
        features=load_schema(folder / file.features),
        training=file.training,
        aggregation=file.aggregation,
        metrics=file.metrics,
        privacy=file.privacy,
    )


def schema_file(study: Study) -> Path:
    """Return where a study's schema lies, as its study.toml says.

    Raises:
        OperatorError: FS-801, FS-802, or FS-840 with the line that is wrong.
    """
    return study.folder / read_strict(study.folder / STUDY_FILE, StudyFile).features


def terms_for(
    study: AnyStudy,
    declared: Iterable[ScalarDeclaration],
    statistics: StatisticsField | None = None,
) -> Terms:
    """Return a study's terms: what leaves every data owner, and how it is hidden.

    Raises:
        OperatorError: FS-200 when the budget is too small for so many rounds.
    """
    aggregation = study.aggregation
    return Terms(
        scalars=scalar_fields(declared),
        clip=aggregation.clip,
        statistics=statistics,
        privacy=study.noise(),
        weight_cap=aggregation.weight_cap,
        weighting=Weighting(aggregation.weighting),
        min_cohort=aggregation.min_cohort,
        suite=SUITE,
    )


def declared_scalars(study: Study) -> tuple[ScalarDeclaration, ...]:
    """Return the metrics that every data owner of the study reports, in order."""
    return declare(study.metrics, len(study.features.class_names))


def load_own(study: AnyStudy, reference: str) -> Any:
    """Return what a Python file of the study folder defines; run by the model owner.

    Args:
        study: The study.
        reference: `file:name`, the file without its ending.

    Raises:
        OperatorError: FS-841 when the file is missing, raises, or lacks the name.
    """
    module_name, name = reference.split(":")
    path = study.folder / f"{module_name}.py"
    if not path.is_file():
        raise OperatorError("FS-841", f"{path} does not exist")
    spec = importlib.util.spec_from_file_location(f"_study_{module_name}", path)
    if spec is None or spec.loader is None:
        raise OperatorError("FS-841", f"{path} is not a Python file")
    module: ModuleType = importlib.util.module_from_spec(spec)
    loader = spec.loader
    run_own(f"{study.folder}, {reference}", lambda: loader.exec_module(module))
    found = getattr(module, name, None)
    if not callable(found):
        raise OperatorError("FS-841", f"{path} defines no function or class {name}")
    return found


def run_own(where: str, step: Callable[[], Any]) -> Any:
    """Run what a file of the study folder holds.

    Raises:
        OperatorError: FS-841 with `where` and what it raised.
    """
    try:
        return step()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise OperatorError("FS-841", f"{where}: {reason}") from error
