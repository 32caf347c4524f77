import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from aggregator.opening_rules import Facts, require_distance, require_openable
from fedsecure.errors import FedsecureError, PeerError
from fedsecure.ledger import GENESIS
from fedsecure.signing import verify
from fedsecure.statements import LedgerHead, Member, Opening, Receipt
from tests.unit.aggregator.world import HOSPITALS, SERVERS, Round, World

Change = Callable[[Opening, World], dict[str, Any]]


@pytest.fixture
def asked(world: World) -> Round:
    return world.propose()


def receipt(world: World, asked: Round, server: str, reporter: str) -> str:
    said = Receipt(
        federation=world.federation.digest,
        spec=asked.digest,
        aggregator=server,
        reporter=reporter,
        report_id=hashlib.sha256(reporter.encode()).hexdigest()[:32],
        digest=hashlib.sha256(f"{server} {reporter}".encode()).hexdigest(),
        head=LedgerHead(entries=0, hash=GENESIS),
    )
    return world.author(server).sign(said).token


@pytest.fixture
def opening(world: World, asked: Round) -> Opening:
    receipts = {
        reporter: {
            server: receipt(world, asked, server, reporter) for server in SERVERS
        }
        for reporter in HOSPITALS[:3]
    }
    return world.opening(asked, receipts).statement


@pytest.fixture
def facts(world: World, asked: Round, opening: Opening) -> Facts:
    receipts = [
        verify(token, Receipt, world.federation).statement
        for token in opening.receipts["north"]
    ]
    return Facts(
        name="north",
        federation=world.federation,
        spec=asked.spec.statement,
        least=3,
        digests={(said.reporter, said.report_id): said.digest for said in receipts},
        opened=[],
    )


def forge(
    world: World, opening: Opening, server: str, **changes: Any
) -> dict[str, Any]:
    """Replace the first receipt by one that the aggregator signed otherwise."""
    first, *rest = opening.receipts[server]
    said = verify(first, Receipt, world.federation).statement
    token = world.author(server).sign(said.model_copy(update=changes)).token
    return {"receipts": {**opening.receipts, server: [token, *rest]}}


REFUSALS: dict[str, tuple[str, Change]] = {
    "too few members": (
        "FS-320",
        lambda said, _: {
            "set": said.set[:2],
            "receipts": {name: tokens[:2] for name, tokens in said.receipts.items()},
        },
    ),
    "a member outside the cohort": (
        "FS-321",
        lambda said, _: {
            "set": [*said.set[:2], Member(reporter="zug", report_id="0" * 32)]
        },
    ),
    "a member who did not report": (
        "FS-322",
        lambda said, _: {
            "set": [*said.set[:2], Member(reporter="genf", report_id="0" * 32)]
        },
    ),
    "another report of a member": (
        "FS-322",
        lambda said, _: {
            "set": [Member(reporter="basel", report_id="0" * 32), *said.set[1:]]
        },
    ),
    "no receipts of the other aggregator": (
        "FS-323",
        lambda said, _: {"receipts": {"north": said.receipts["north"]}},
    ),
    "a receipt too few of the other aggregator": (
        "FS-323",
        lambda said, _: {
            "receipts": {**said.receipts, "south": said.receipts["south"][:2]}
        },
    ),
    "receipts in another order": (
        "FS-323",
        lambda said, _: {
            "receipts": {**said.receipts, "south": said.receipts["south"][::-1]}
        },
    ),
    "own receipts in the other's place": (
        "FS-323",
        lambda said, _: {
            "receipts": {"north": said.receipts["north"]}
            | {"south": said.receipts["north"]}
        },
    ),
    "a receipt of another round": (
        "FS-323",
        lambda said, world: forge(world, said, "south", spec="0" * 64),
    ),
    "a receipt for another report": (
        "FS-323",
        lambda said, world: forge(world, said, "south", report_id="0" * 32),
    ),
    "an own receipt for other bytes": (
        "FS-323",
        lambda said, world: forge(world, said, "north", digest="0" * 64),
    ),
    "a receipt that nobody signed": (
        "FS-704",
        lambda said, _: {
            "receipts": {
                **said.receipts,
                "south": [
                    token.rpartition(".")[0] + "." + "A" * 86
                    for token in said.receipts["south"]
                ],
            }
        },
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_an_opening_is_refused_with(
    what: str, world: World, opening: Opening, facts: Facts
) -> None:
    code, change = REFUSALS[what]
    changed = opening.model_copy(update=change(opening, world))
    with pytest.raises(FedsecureError) as caught:
        require_openable(changed, facts)
    assert caught.value.code == code


def test_an_opening_with_all_receipts_passes(opening: Opening, facts: Facts) -> None:
    require_openable(opening, facts)


def test_the_own_minimum_holds_when_the_spec_asks_for_less(
    opening: Opening, facts: Facts
) -> None:
    with pytest.raises(PeerError, match="FS-320"):
        require_openable(opening, replace(facts, least=4))


@pytest.mark.parametrize(
    ("members", "apart"),
    [
        ("abcd", 0),
        ("abc", 1),
        ("abcde", 1),
        ("abce", 2),
        ("abcdef", 2),
        ("abcef", 3),
        ("abefg", 5),
        ("efgh", 8),
    ],
)
def test_sets_less_than_a_cohort_apart_are_refused(
    facts: Facts, members: str, apart: int
) -> None:
    seen = replace(facts, opened=[frozenset("wxyz"), frozenset("abcd")])
    if apart in {1, 2}:
        with pytest.raises(PeerError, match=f"FS-324.*{apart} members apart"):
            require_distance(set(members), seen)
    else:
        require_distance(set(members), seen)
