"""The feature schema: what one example at a data owner means to a model.

There are three kinds, each in its own module:

    table    rows of a CSV or Parquet file      (module `table_schema`)
    arrays   two named arrays of an NPZ file    (module `array_schema`)
    images   PNG or JPEG files in class folders (module `image_schema`)

Class numbers come from the order in schema.toml and never from what one data owner
happens to hold: the same label means the same thing everywhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from fedsecure.errors import OperatorError
from fedsecure.study.schema.arrays import ArraysSchema
from fedsecure.study.schema.images import ImagesSchema
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.strict import read_strict
from fedsecure.system.toml_file import read_toml

AnySchema = TableSchema | ArraysSchema | ImagesSchema
FeatureSchema = Annotated[AnySchema, Field(discriminator="kind")]

KINDS: Final[Mapping[object, type[AnySchema]]] = {
    "table": TableSchema,
    "arrays": ArraysSchema,
    "images": ImagesSchema,
}


def load_schema(path: Path) -> AnySchema:
    """Read schema.toml; run by the model owner.

    Raises:
        OperatorError: FS-801, FS-802, or FS-840 with the line that is wrong.
    """
    kind = read_toml(path).get("kind", "table")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(map(repr, KINDS))
        raise OperatorError("FS-840", f"{path}, kind: none of {known}")
    return read_strict(path, model)
