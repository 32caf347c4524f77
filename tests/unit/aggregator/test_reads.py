from collections.abc import Callable

import pytest

from fedsecure.errors import FedsecureError
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Inclusion
from fedsecure_aggregator.rounds import reads
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import HOSPITALS, NOW, OWNER

PATH = "/v1/rounds/" + "0" * 64


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(FedsecureError) as caught:
        call()
    return caught.value.code


def test_a_ticket_is_for_one_reader_aggregator_path_and_time(pair: Pair) -> None:
    context, ticket = pair.north.context, pair.world.ticket

    def read(authorization: str | None) -> None:
        reads.require_ticket(context, authorization, PATH, OWNER)

    read(f"Bearer {ticket('north', OWNER, PATH)}")
    for code, authorization in (
        ("FS-332", None),
        ("FS-332", "Basic abc"),
        ("FS-701", "Bearer abc"),
        ("FS-333", f"Bearer {ticket('north', 'basel', PATH)}"),
        ("FS-333", f"Bearer {ticket('south', OWNER, PATH)}"),
        ("FS-333", f"Bearer {ticket('north', OWNER, PATH + '/open')}"),
        ("FS-333", f"Bearer {ticket('north', OWNER, PATH, expires=NOW)}"),
        ("FS-702", f"Bearer {pair.world.void(pair.world.propose())}"),
    ):
        assert refused(lambda: read(authorization)) == code  # noqa: B023


def test_the_standing_holds_the_state_and_every_receipt(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, "chur", "basel")
    assert reads.standing(pair.north.context, asked.digest) == {
        "state": "collecting",
        "receipts": [receipts["basel"]["north"], receipts["chur"]["north"]],
        "lost": [],
    }


def test_inclusion_is_told_once_the_round_is_opened(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    context = pair.north.context

    def ask(name: str) -> str:
        return reads.inclusion(context, asked.digest, name)

    assert refused(lambda: ask("basel")) == "FS-330"
    fewer = {name: receipts[name] for name in HOSPITALS[:3]}
    opening = pair.world.opening(asked, fewer)
    pair.north.open(asked, opening)
    statement = {
        name: verify(ask(name), Inclusion, pair.world.federation).statement
        for name in ("basel", "genf")
    }
    assert (statement["basel"].included, statement["genf"].included) == (True, False)
    assert {word.opening for word in statement.values()} == {opening.digest}
    assert {word.count for word in statement.values()} == {3}


def test_inclusion_in_a_void_round_names_no_opening(pair: Pair) -> None:
    asked = pair.world.propose()
    pair.collect(asked, "basel")
    context = pair.north.context
    pair.north.void(asked, pair.world.void(asked))
    token = reads.inclusion(context, asked.digest, "basel")
    statement = verify(token, Inclusion, pair.world.federation).statement
    assert (statement.included, statement.opening, statement.set, statement.count) == (
        False,
        None,
        None,
        0,
    )
    assert refused(lambda: reads.inclusion(context, asked.digest, "bern")) == "FS-331"
