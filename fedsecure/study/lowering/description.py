"""What the file of a service tells a client beside the job: what rows and scores mean.

    {"title": ..., "schema": {...}, "activation": "sigmoid", "labels": [...]}

The job's spec names it by its digest, so all clients of a service are told the same.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from fedsecure.core.mpc.program import Linear, Program
from fedsecure.errors import PeerError
from fedsecure.study.schema.columns import Text, Values
from fedsecure.study.schema.features import FeatureSchema
from fedsecure.study.strict import Strict
from fedsecure.system.toml_file import explain

ActivationName: TypeAlias = Literal["linear", "sigmoid", "softmax"]
Scores: TypeAlias = NDArray[np.float64]  # shape (rows, outputs)

THRESHOLD: Final = 0.5  # of a single probability; from it on the second class


class ServiceDescription(Strict):
    """What a client of a service has to know, beside its program.

    `features` is the study's schema, `schema` in JSON: how a table becomes numbers.
    `activation` makes scores of logits. `labels` are the classes by their number.
    """

    title: Text
    features: Annotated[FeatureSchema, Field(alias="schema")]
    activation: ActivationName
    labels: Values

    @model_validator(mode="after")
    def _has_labels_for_its_schema(self) -> Self:
        if self.labels != self.features.class_names:
            msg = "labels are not the classes of the schema"
            raise ValueError(msg)
        return self

    def as_json(self) -> dict[str, Any]:
        """Return it as the service's file holds it."""
        return self.model_dump(mode="json", by_alias=True)

    def scores(self, logits: Scores) -> Scores:
        """Return what the model says of rows: probabilities, if it is a classifier.

        Run by the receiver of the logits. Shape (rows, outputs), float64, both ways.
        """
        return scores(self.activation, logits)

    def label_numbers(self, of: Scores) -> NDArray[np.intp]:
        """Return the class of each row, shape (rows,), intp.

        Args:
            of: Scores, shape (rows, outputs), float64.
        """
        if of.shape[1] == 1:
            return (of[:, 0] >= THRESHOLD).astype(np.intp)
        highest: NDArray[np.intp] = of.argmax(axis=1)
        return highest


def scores(activation: ActivationName, logits: Scores) -> Scores:
    """Apply a last activation to logits, shape (rows, outputs), float64."""
    match activation:
        case "sigmoid":
            return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))
        case "softmax":
            shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
            parts: Scores = shifted / shifted.sum(axis=1, keepdims=True)
            return parts
        case "linear":
            return logits


def read_description(
    content: Mapping[str, Any] | None, program: Program
) -> ServiceDescription:
    """Read what came in a service's file; run by a client.

    Args:
        content: Its description.
        program: What the aggregators compute.

    Raises:
        PeerError: FS-701 when it is of a job that is no service, FS-424 when it is no
            description, or one of another program.
    """
    if not isinstance(program, Linear):
        raise PeerError("FS-701", "the job is no service")
    try:
        found = ServiceDescription.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise PeerError("FS-424", f"the description: {explain(error)}") from error
    width, classes = int(np.prod(found.features.shape)), len(found.labels)
    if width != program.features:
        raise PeerError(
            "FS-424", f"rows of {program.features} numbers, the schema has {width}"
        )
    if program.outputs not in {classes, 1 if classes == 2 else classes}:
        raise PeerError("FS-424", f"{program.outputs} logits for {classes} labels")
    return found
