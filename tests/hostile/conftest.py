from tests.service.aggregator.conftest import start_federation

__all__ = ["start_federation"]  # a fixture
