"""The rows of a client's table, as the model of a service sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedsecure.errors import OperatorError
from fedsecure.study.lowering.description import ServiceDescription
from fedsecure.study.schema.tabular import TableSchema
from fedsecure_clients.data.cells import Unlabelled, inspect_unlabelled
from fedsecure_clients.data.data_report import DataReport


@dataclass(frozen=True, slots=True)
class ReadRows:
    """A table as it was read; None where `report` says what does not fit."""

    report: DataReport
    table: Unlabelled | None = field(repr=False)


def read_rows(
    path: Path, description: ServiceDescription, keep: Sequence[str]
) -> ReadRows:
    """Read a table by a service's schema; run by a client.

    A column of labels is not read, whether there is one or not.

    Args:
        path: The file.
        description: Of the service.
        keep: Columns that are kept beside the answers.

    Raises:
        OperatorError: FS-109, the service's rows are no table's.
    """
    schema = description.features
    if not isinstance(schema, TableSchema):
        raise OperatorError(
            "FS-109",
            f"{path}: the service takes {schema.kind}; ask it from Python, with "
            "fedsecure.private.connect",
        )
    whole: list[OperatorError] = []
    table = None
    try:
        table = inspect_unlabelled(path, schema, keep, whole.append)
    except OperatorError as error:
        whole.append(error)
    else:
        if not whole and not table.rows:
            whole.append(OperatorError("FS-108", f"{path} holds no row"))
    inspection = None if table is None else table.inspection
    report = DataReport(path, inspection, tuple(whole), ())
    return ReadRows(report, table if report.fits else None)
