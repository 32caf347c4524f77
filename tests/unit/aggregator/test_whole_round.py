from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import HOSPITALS


def test_two_aggregators_open_the_exact_mean(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    opening = pair.world.opening(asked, receipts)
    shares = [
        pair.world.unseal(asked, opening, server.open(asked, opening))
        for server in pair.servers.values()
    ]
    pair.world.require_mean(asked, shares, HOSPITALS)
