"""A server whose database was put aside is not ready, though it still could read."""

from pathlib import Path

import pytest

from fedsecure.errors import OperatorError
from fedsecure_aggregator.http.readiness import Readiness
from tests.unit.aggregator.conftest import Pair


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_database_that_is_not_where_it_was_is_not_ready(pair: Pair, how: str) -> None:
    context = pair.north.context
    if context.store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL keeps its own files")
    ready = Readiness(context)
    ready.require()
    path = Path(context.store.engine.url.database or "")
    aside = path.with_name("aside.db")
    path.rename(aside)
    if how == "deleted":
        aside.unlink()
    if how == "replaced":
        path.write_bytes(aside.read_bytes())
    with pytest.raises(OperatorError, match=r"FS-525.*moved or deleted"):
        ready.require()
    if how == "moved":
        aside.rename(path)
        ready.require()
