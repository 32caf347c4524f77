from collections.abc import Iterator
from pathlib import Path

import pytest

from fedsecure.owner.rounds.proposal import Proposal
from tests.protocol.attacks.forging import Receipts, propose, report_all
from tests.protocol.attacks.promises import require_promises
from tests.protocol.federation import MemoryFederation, federate


@pytest.fixture
def dishonest() -> frozenset[str]:
    """Data owners that attack, to whom nothing is promised."""
    return frozenset()


@pytest.fixture
def memory(tmp_path: Path, dishonest: frozenset[str]) -> Iterator[MemoryFederation]:
    """Everybody; after the attack, the promises to data owners still hold."""
    with federate(tmp_path) as federation:
        yield federation
        require_promises(federation, dishonest)


@pytest.fixture
def proposal(memory: MemoryFederation) -> Proposal:
    return propose(memory)


@pytest.fixture
def receipts(memory: MemoryFederation, proposal: Proposal) -> Receipts:
    return report_all(memory, proposal)
