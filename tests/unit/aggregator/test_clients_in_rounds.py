"""A client, and a dealer, have no part in rounds: each attempt is an attack.

What each says here is rightly signed, with the key that stands in the federation.
"""

from collections.abc import Callable

import pytest

from fedsecure.errors import FedsecureError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Receipt, RoundGrant
from fedsecure_aggregator.rounds import reads
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import CLINIC, HOSPITALS, OWNER, World

DEALER = "dealer"


class Dealt(World):
    """With a dealer, whose key is the last that is drawn."""

    def __init__(self) -> None:
        super().__init__(clients=(CLINIC, DEALER))
        content = self.federation_content()
        content["dealer"] = content["clients"].pop()
        self.versions.clear()
        self.federation = Federation.model_validate(content)


@pytest.fixture
def world() -> World:
    return Dealt()


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(FedsecureError) as caught:
        call()
    return caught.value.code


OUTSIDERS = pytest.mark.parametrize("outsider", [CLINIC, DEALER])


@OUTSIDERS
def test_they_propose_no_round(pair: Pair, outsider: str) -> None:
    asked = pair.world.propose(signer=outsider)
    assert refused(lambda: pair.north.grant(asked)) == "FS-703"
    assert not pair.north.key_file(asked).exists()


@OUTSIDERS
def test_no_round_asks_them(pair: Pair, outsider: str) -> None:
    """A model owner that names its own clinic would have a report less to hide in."""
    asked = pair.world.propose(cohort=sorted([*HOSPITALS, outsider]))
    for server in pair.servers.values():
        assert refused(lambda: server.grant(asked)) == "FS-404"  # noqa: B023


@OUTSIDERS
def test_they_report_in_no_round(pair: Pair, outsider: str) -> None:
    """Neither in a hospital's place, nor in their own."""
    asked = pair.world.propose()
    grants = pair.grant(asked)
    own = pair.world.report(asked, grants, outsider)["north"]
    assert refused(lambda: pair.north.report(own)) == "FS-703"
    theirs = pair.world.report(asked, grants, "basel")["north"].header.statement
    forged = pair.world.author(outsider).sign(theirs)
    assert refused(lambda: pair.north.verified(forged)) == "FS-703"
    assert pair.north.report_files(asked) == []


@OUTSIDERS
def test_they_open_and_void_no_round(pair: Pair, outsider: str) -> None:
    asked = pair.world.propose()
    opening = pair.world.opening(asked, pair.collect(asked, *HOSPITALS)).statement
    forged = pair.world.author(outsider).sign(opening)
    assert refused(lambda: pair.north.open(asked, forged)) == "FS-703"
    void = pair.world.void(asked, outsider)
    assert refused(lambda: pair.north.void(asked, void)) == "FS-703"
    state = reads.standing(pair.north.context, asked.digest)["state"]
    assert state == "collecting"


@OUTSIDERS
def test_their_receipts_and_grants_are_believed_by_nobody(
    pair: Pair, outsider: str
) -> None:
    asked = pair.world.propose()
    token = pair.collect(asked, "basel")["basel"]["north"]
    receipt = verify(token, Receipt, pair.world.federation).statement
    grant = verify(pair.north.grant(asked), RoundGrant, pair.world.federation)
    for kind, statement in ((Receipt, receipt), (RoundGrant, grant.statement)):
        own = statement.model_copy(update={"aggregator": outsider})
        for said in (statement, own):
            forged = pair.world.author(outsider).sign(said).token
            assert refused(lambda: verify(forged, kind, pair.world.federation)) == (  # noqa: B023
                "FS-703"
            )


def test_a_clients_ticket_reads_nothing_of_a_round(pair: Pair) -> None:
    """It may ask about jobs, so its tickets are well formed."""
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    context, path = pair.north.context, f"/v1/rounds/{asked.digest}"
    for place, reader in (
        (path, OWNER),
        (f"{path}/inclusion/basel", "basel"),
    ):
        ticket = f"Bearer {pair.world.ticket('north', CLINIC, place)}"
        asking = (context, ticket, place, reader)
        assert refused(lambda: reads.require_ticket(*asking)) == "FS-333"  # noqa: B023
    # Of itself it may ask, and there is nothing.
    place = f"{path}/inclusion/{CLINIC}"
    ticket = f"Bearer {pair.world.ticket('north', CLINIC, place)}"
    reads.require_ticket(context, ticket, place, CLINIC)
    own = (context, asked.digest, CLINIC)
    assert refused(lambda: reads.inclusion(*own)) == "FS-331"


def test_a_dealer_reads_nothing_at_all(pair: Pair) -> None:
    path = "/v1/rounds/" + "0" * 64
    ticket = f"Bearer {pair.world.ticket('north', DEALER, path)}"
    asking = (pair.north.context, ticket, path, DEALER)
    assert refused(lambda: reads.require_ticket(*asking)) == "FS-703"
