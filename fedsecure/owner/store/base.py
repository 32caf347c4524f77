"""What all tables of the round store are made of."""

from typing import Any, Final

import rfc8785
from pydantic_core import from_json
from sqlalchemy import (
    BigInteger,
    Dialect,
    Double,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase

DIGEST: Final = String(64)
NAME: Final = String(63)


class CanonicalJson(TypeDecorator[Any]):
    """JSON as text in its one canonical form (RFC 8785), on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002
        """Encode."""
        return rfc8785.dumps(value).decode("utf-8")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """Decode."""
        return from_json(value)


class Base(DeclarativeBase):
    """Base of every table of the round store."""

    # Names, so that a later revision can change a constraint on every database.
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own protocol
        float: Double(53),
        int: BigInteger(),
        str: Text(),
    }
