import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from fedsecure.errors import FedsecureError, PeerError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.ledger import GENESIS
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import LedgerHead, Member, Opening, Receipt
from fedsecure_aggregator.rules.opening import (
    OpeningContext,
    require_groups,
    require_openable,
)
from tests.protocol.attacks.subtraction import fewest_told_apart
from tests.unit.aggregator.world import HOSPITALS, SERVERS, Round, World

Change = Callable[[Opening, World], dict[str, Any]]


@pytest.fixture
def asked(world: World) -> Round:
    return world.propose()


def receipt(world: World, asked: Round, server: str, reporter: str) -> str:
    receipt = Receipt(
        federation=world.federation.digest,
        spec=asked.digest,
        aggregator=server,
        reporter=reporter,
        report_id=hashlib.sha256(reporter.encode()).hexdigest()[:32],
        digest=hashlib.sha256(f"{server} {reporter}".encode()).hexdigest(),
        head=LedgerHead(entries=0, hash=GENESIS),
    )
    return world.author(server).sign(receipt).token


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
def context(world: World, asked: Round, opening: Opening) -> OpeningContext:
    receipts = [
        verify(token, Receipt, world.federation).statement
        for token in opening.receipts["north"]
    ]
    return OpeningContext(
        name="north",
        federation=world.federation,
        spec=asked.spec.statement,
        least=3,
        digests={(one.reporter, one.report_id): one.digest for one in receipts},
        opened={},
    )


def forge(
    world: World, opening: Opening, server: str, **changes: Any
) -> dict[str, Any]:
    """Replace the first receipt by one that the aggregator signed otherwise."""
    first, *rest = opening.receipts[server]
    statement = verify(first, Receipt, world.federation).statement
    token = world.author(server).sign(statement.model_copy(update=changes)).token
    return {"receipts": {**opening.receipts, server: [token, *rest]}}


REFUSALS: dict[str, tuple[str, Change]] = {
    "too few members": (
        "FS-320",
        lambda opening, _: {
            "set": opening.set[:2],
            "receipts": {name: tokens[:2] for name, tokens in opening.receipts.items()},
        },
    ),
    "a member outside the cohort": (
        "FS-321",
        lambda opening, _: {
            "set": [*opening.set[:2], Member(reporter="zug", report_id="0" * 32)]
        },
    ),
    "a member who did not report": (
        "FS-322",
        lambda opening, _: {
            "set": [*opening.set[:2], Member(reporter="genf", report_id="0" * 32)]
        },
    ),
    "another report of a member": (
        "FS-322",
        lambda opening, _: {
            "set": [Member(reporter="basel", report_id="0" * 32), *opening.set[1:]]
        },
    ),
    "no receipts of the other aggregator": (
        "FS-323",
        lambda opening, _: {"receipts": {"north": opening.receipts["north"]}},
    ),
    "a receipt too few of the other aggregator": (
        "FS-323",
        lambda opening, _: {
            "receipts": {**opening.receipts, "south": opening.receipts["south"][:2]}
        },
    ),
    "receipts in another order": (
        "FS-323",
        lambda opening, _: {
            "receipts": {**opening.receipts, "south": opening.receipts["south"][::-1]}
        },
    ),
    "own receipts in the other's place": (
        "FS-323",
        lambda opening, _: {
            "receipts": {"north": opening.receipts["north"]}
            | {"south": opening.receipts["north"]}
        },
    ),
    "a receipt of another round": (
        "FS-323",
        lambda opening, world: forge(world, opening, "south", spec="0" * 64),
    ),
    "a receipt for another report": (
        "FS-323",
        lambda opening, world: forge(world, opening, "south", report_id="0" * 32),
    ),
    "an own receipt for other bytes": (
        "FS-323",
        lambda opening, world: forge(world, opening, "north", digest="0" * 64),
    ),
    "a receipt that nobody signed": (
        "FS-704",
        lambda opening, _: {
            "receipts": {
                **opening.receipts,
                "south": [
                    token.rpartition(".")[0] + "." + "A" * 86
                    for token in opening.receipts["south"]
                ],
            }
        },
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_an_opening_is_refused_with(
    what: str, world: World, opening: Opening, context: OpeningContext
) -> None:
    code, change = REFUSALS[what]
    changed = opening.model_copy(update=change(opening, world))
    with pytest.raises(FedsecureError) as caught:
        require_openable(changed, context)
    assert caught.value.code == code


def test_a_member_who_left_the_roster_is_in_no_set(
    world: World, opening: Opening, context: OpeningContext
) -> None:
    content = world.federation_content()
    content["data_owners"] = content["data_owners"][1:]
    left = replace(context, federation=Federation.model_validate(content))
    with pytest.raises(PeerError, match="FS-741"):
        require_openable(opening, left)
    with_server = context.spec.model_copy(update={"cohort": ["basel", "bern", "north"]})
    odd = opening.model_copy(
        update={"set": [*opening.set[:2], Member(reporter="north", report_id="0" * 32)]}
    )
    with pytest.raises(PeerError, match="FS-404"):
        require_openable(odd, replace(context, spec=with_server))


def test_an_opening_with_all_receipts_passes(
    opening: Opening, context: OpeningContext
) -> None:
    require_openable(opening, context)


def test_the_own_minimum_holds_when_the_spec_asks_for_less(
    opening: Opening, context: OpeningContext
) -> None:
    with pytest.raises(PeerError, match="FS-320"):
        require_openable(opening, replace(context, least=4))


@cache
def nothing_opened() -> OpeningContext:
    world = World()
    spec = world.propose().spec.statement
    return OpeningContext("north", world.federation, spec, 3, {}, {})


def opened(
    *sets: str, least: int = 3, before: Mapping[str, int] | None = None
) -> OpeningContext:
    """What an aggregator knows after opening these sets, each with its minimum."""
    known = dict.fromkeys(map(frozenset, sets), least)
    known.update({frozenset(one): value for one, value in (before or {}).items()})
    return replace(nothing_opened(), least=least, opened=known)


@pytest.mark.parametrize(
    ("members", "smallest"),
    [
        ("abc", 1),  # d alone is left over
        ("abcde", 1),
        ("abce", 1),
        ("abcdef", 2),
        ("abcef", 1),
        ("cdefg", 2),
        ("abefgh", 2),
        ("bcdefg", 1),
    ],
)
def test_a_set_is_refused_that_tells_few_apart_from_an_earlier_one(
    members: str, smallest: int
) -> None:
    with pytest.raises(PeerError, match=rf"FS-324.*{smallest} members apart"):
        require_groups(frozenset(members), opened("abcd"))


@pytest.mark.parametrize(
    ("members", "earlier"),
    [
        ("abcd", ["abcd"]),
        ("efgh", ["abcd"]),
        ("abcdefg", ["abcd"]),
        ("abcd", ["abcdefg"]),
        ("abcdefg", ["abcd", "efg", "xyz"]),
        ("abcxyz", ["abcdef", "abc"]),
        ("abc", []),
    ],
)
def test_a_set_that_tells_only_large_groups_apart_passes(
    members: str, earlier: list[str]
) -> None:
    require_groups(frozenset(members), opened(*earlier))


# Any two of these differ by four or six: no difference of two sums tells of fewer.
# But one plus two minus three is twice a, and nothing else.
THREE_SETS = ("abcdef", "aghijk", "bcdefghijk")


@pytest.mark.parametrize("last", THREE_SETS)
def test_three_sets_are_refused_whose_combination_singles_one_out(last: str) -> None:
    for one, other in combinations(map(frozenset, THREE_SETS), 2):
        assert len(one ^ other) >= 3
    earlier = [one for one in THREE_SETS if one != last]
    with pytest.raises(PeerError, match="FS-324"):
        require_groups(frozenset(last), opened(*earlier))


@pytest.mark.parametrize(
    ("before", "members", "least", "refused"),
    [
        ({"abcdefg": 5}, "abcd", 3, True),  # efg were promised sums of five
        ({"abcdefghi": 4}, "abcde", 3, False),
        ({"abcd": 3}, "abcdefg", 5, True),  # efg now ask for five
        ({"abc": 3}, "uvwxyz", 6, False),  # nobody of the earlier set is in it
        ({"abc": 3}, "abc", 5, True),
        ({"abc": 5}, "abc", 3, True),
    ],
)
def test_a_lower_minimum_undoes_no_promise_of_an_earlier_round(
    before: dict[str, int], members: str, least: int, refused: bool
) -> None:
    context = opened(least=least, before=before)
    if refused:
        with pytest.raises(PeerError, match=r"FS-324.*at least 5"):
            require_groups(frozenset(members), context)
    else:
        require_groups(frozenset(members), context)


def test_the_brute_force_finds_what_three_sets_tell() -> None:
    assert fewest_told_apart(map(frozenset, THREE_SETS), "abcdefghijk") == 1
    assert fewest_told_apart([frozenset("abc"), frozenset("abcde")], "abcde") == 2


UNIVERSE = "abcdefgh"
# Unions of a few blocks, or most random sets would be refused.
BLOCKS = st.sampled_from(["a", "b", "abc", "def", "gh", "ab", "cde", "fgh", "abcdefgh"])
SETS = st.lists(st.sets(BLOCKS, min_size=1, max_size=3), min_size=2, max_size=6)


@given(asked=SETS, least=st.integers(2, 4))
@settings(max_examples=150)
def test_no_combination_of_accepted_sets_tells_about_fewer(
    asked: list[set[str]], least: int
) -> None:
    accepted: dict[frozenset[str], int] = {}
    for blocks in asked:
        members = frozenset("".join(blocks))
        try:
            require_groups(
                members, replace(nothing_opened(), least=least, opened=accepted)
            )
        except PeerError:
            continue
        accepted[members] = least
    if accepted:
        assert fewest_told_apart(accepted, UNIVERSE) >= least
