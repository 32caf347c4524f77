"""Rows of a store's views as data: a class for each view, one field per column.

A view is defined once (`fedsecure.storage.views`). A class of rows names it, and adds
the types; `of_its_view` refuses one that says otherwise.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, ClassVar, Protocol, TypeVar

from sqlalchemy import TableClause, column, select, table
from sqlalchemy.orm import Session

from fedsecure.storage.views import View


class ViewRow(Protocol):
    """A dataclass whose fields are the columns of the view `VIEW`, read by `ORDER`."""

    VIEW: ClassVar[View]
    ORDER: ClassVar[tuple[str, ...]]
    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=ViewRow)


def of_its_view(kind: type[R]) -> type[R]:
    """Decorate a class of rows whose fields are columns of its view, in their order.

    Raises:
        TypeError: They are not.
    """
    columns = iter([one.name for one in kind.VIEW.columns])
    for field in fields(kind):
        if field.name not in columns:  # goes on behind the one before
            msg = f"{kind.__name__}: {field.name} is no column of {kind.VIEW.name} here"
            raise TypeError(msg)
    return kind


def view_of(kind: type[R]) -> TableClause:
    """Return a view with the columns that its class has fields for."""
    return table(kind.VIEW.name, *(column(field.name) for field in fields(kind)))


def read(session: Session, kind: type[R], **equal: object) -> list[R]:
    """Return the rows of a view, those alone whose columns have these values."""
    view = view_of(kind)
    chosen = select(view).where(*(view.c[name] == equal[name] for name in equal))
    ordered = chosen.order_by(*(view.c[name] for name in kind.ORDER))
    return [kind(*row) for row in session.execute(ordered)]


def read_in(
    session: Session, kind: type[R], name: str, values: Sequence[object]
) -> list[R]:
    """Return the rows of a view of which a column has one of these values."""
    view = view_of(kind)
    query = select(view).where(view.c[name].in_(values))
    ordered = query.order_by(*(view.c[name] for name in kind.ORDER))
    return [kind(*row) for row in session.execute(ordered)]
