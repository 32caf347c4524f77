"""A study that data owners train with a ClientApp of their own: any of Flower's.

    study.toml    name, rounds, aggregation, metrics, privacy, and a section [app]
    model.py      `def build(seed)`: the first weights, named float32 arrays

The app is code, and code does not travel: each data owner installs it and names it in
its own agent.toml. What travels is the section [app.config], word for word as the app
sees it, and the weights. Both are in the study's digest, as is what the metrics may be.

    study, in the digest     [app.config]          a data owner's ClientApp sees it
    terms, in the digest     [metrics], clip, ...  what leaves
    neither                  app.client            for people, and for the demo
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, RootModel, field_validator

from fedsecure.errors import OperatorError
from fedsecure.protocol.statement_fields import MAX_SCALARS, Label
from fedsecure.study.config import (
    APP,
    MODEL,
    NAME,
    STUDY_FILE,
    Aggregation,
    AnyStudy,
    Length,
    NoisyFile,
    load_study,
    terms_for,
)
from fedsecure.study.metrics import ScalarDeclaration
from fedsecure.study.privacy import Privacy
from fedsecure.study.schema.columns import Bounds
from fedsecure.study.strict import Strict, read_strict
from fedsecure.study.task import ROUND, STUDY
from fedsecure.study.terms import StudyRequest
from fedsecure.system.toml_file import read_toml
from fedsecure.system.wording import form

CLIENT: Final = form(r"^[\w.]+:\w+$", "package.module:app")
CLIENT_FOLDER: Final = "client"  # of a study folder: what data owners install
OURS: Final = frozenset({STUDY, ROUND})  # config values that no study sets

Value = bool | int | float | str


class App(Strict):
    """The section `[app]`: the ClientApp that data owners install, and what it sees.

    `client` is its name for people, and for a demo; it is not sent. `config` is.
    """

    client: Annotated[str, Field(pattern=CLIENT)]
    config: dict[Label, Value] = Field(default_factory=dict)

    @field_validator("config")
    @classmethod
    def _not_ours(cls, config: dict[str, Value]) -> dict[str, Value]:
        if taken := sorted(OURS & set(config)):
            msg = f"{' and '.join(taken)} cannot be set: fedsecure writes it"
            raise ValueError(msg)
        return config


Ranges = Annotated[dict[Label, Bounds], Field(max_length=MAX_SCALARS)]


class AppMetrics(RootModel[Ranges]):
    """The section `[metrics]`: by name, the range of a number that the app reports."""


class AppStudyFile(NoisyFile):
    """What study.toml holds, with a section `[app]`."""

    version: Literal[1]
    name: Annotated[str, Field(pattern=NAME)]
    title: Annotated[str, Field(max_length=200)]
    model: Annotated[str, Field(pattern=MODEL)]
    app: App
    training: Length
    aggregation: Aggregation
    metrics: AppMetrics = AppMetrics({})
    privacy: Privacy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppStudy(AnyStudy):
    """A study that data owners train with an app of their own."""

    app: App
    metrics: AppMetrics

    def sections(self) -> Mapping[str, BaseModel]:
        """Return the sections of study.toml that a run that goes on must find again."""
        ours = {"metrics": self.metrics, "app": self.app}
        return {**AnyStudy.sections(self), **ours}

    @property
    def request(self) -> StudyRequest:
        """What every data owner is asked to agree to."""
        return StudyRequest(self.app.config, terms_for(self, self._declared()))

    def require_client(self) -> Path:
        """Return the folder of the code that data owners install, where it is here.

        Raises:
            OperatorError: FS-822 when the study folder does not hold it.
        """
        folder = self.folder / CLIENT_FOLDER
        if not folder.is_dir():
            raise OperatorError("FS-822", f"{self.app.client}: there is no {folder}")
        return folder

    def _declared(self) -> Iterator[ScalarDeclaration]:
        for name, bounds in self.metrics.root.items():
            yield ScalarDeclaration(name, bounds.low, bounds.high)


def load_any_study(folder: Path) -> AnyStudy:
    """Read a study folder, but for model.py; run by the model owner.

    Raises:
        OperatorError: FS-801, FS-802, or FS-840 with the line that is wrong.
    """
    path = folder / STUDY_FILE
    if APP not in read_toml(path):
        return load_study(folder)
    file = read_strict(path, AppStudyFile)
    return AppStudy(
        folder=folder,
        name=file.name,
        title=file.title,
        model=file.model,
        training=file.training,
        aggregation=file.aggregation,
        app=file.app,
        metrics=file.metrics,
        privacy=file.privacy,
    )
