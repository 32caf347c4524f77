"""The study file: what a model owner hands to data owners before the first round.

One line of canonical JSON:

    version      1
    kind         "keras"; "app": a study that another app trains; or "statistics"
    study        the task's text; of another app's study what its app sees, as JSON
    terms        what leaves, and how it is hidden
    parameters   of the model, as the model owner says; not in the digest

Who reads it computes the study's digest anew. It needs no signature: a data owner
approves what it reads, and its agent answers rounds of that digest alone.
"""

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statement_fields import MAX_DIMENSION
from fedsecure.study.statistics.task import parse_statistics_task
from fedsecure.study.strict import Strict, canonical
from fedsecure.study.task import MAX_TASK, STUDY, parse_task
from fedsecure.study.terms import StudyRequest, Terms, require_declared
from fedsecure.system.toml_file import explain

_config = TypeAdapter(dict[str, bool | int | float | str], config={"strict": True})

Kind: TypeAlias = Literal["keras", "app", "statistics"]

MAX_FILE: Final = 4 * MAX_TASK  # bytes; the text is escaped in it


class StudyFile(Strict):
    """The content of a study file."""

    version: Literal[1] = 1
    kind: Kind = "keras"
    study: Annotated[str, Field(max_length=MAX_TASK)]
    terms: Terms
    parameters: Annotated[int, Field(ge=0, le=MAX_DIMENSION)]

    @property
    def text(self) -> str:
        """The canonical JSON text."""
        return canonical(self)

    @property
    def request(self) -> StudyRequest:
        """What the file asks a data owner to agree to.

        Raises:
            ValidationError: It is another app's study, and no JSON of config values.
        """
        if self.kind != "app":
            return StudyRequest({STUDY: self.study}, self.terms)
        return StudyRequest(_config.validate_json(self.study), self.terms)


def read_study_file(path: Path) -> StudyFile:
    """Read a file that a model owner handed over; run by a data owner.

    Raises:
        OperatorError: FS-429 when it cannot be read or is no study file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise OperatorError("FS-429", f"{path}: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise OperatorError("FS-429", f"{path} has more than {MAX_FILE:,} bytes")
    try:
        found = StudyFile.model_validate_json(content)
        _require_whole(found)
    except ValidationError as error:
        raise OperatorError("FS-429", f"{path}: {explain(error)}") from error
    except PeerError as error:
        raise OperatorError("FS-429", f"{path}: {error}") from error
    return found


def _require_whole(file: StudyFile) -> None:
    """Check that a file says one thing, and that this version knows what.

    Raises:
        PeerError: FS-421, its text is another than the study's; as `require_declared`.
    """
    if file.kind == "keras":
        parse_task(file.study)
    elif file.kind == "statistics":
        parse_statistics_task(file.study)
    elif file.request.text != file.study:
        raise PeerError("FS-421", "the config is not written as agents write it")
    require_declared(file.request)
