"""Which of Flower's strategies work on sums, and why the others do not.

A strategy is linear when what it computes from everybody's arrays follows from their
weighted mean. It may then be given replies that all hold that mean.
"""

from typing import Final

from flwr.serverapp.strategy import (
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedYogi,
    Strategy,
)

from fedsecure.errors import OperatorError

LINEAR: Final[tuple[type[Strategy], ...]] = (
    FedAvg,
    FedAvgM,
    FedAdam,
    FedAdagrad,
    FedYogi,
    FedProx,
)

NOT_LINEAR: Final = {
    "Bulyan": "it compares single updates with each other",
    "Krum": "it compares single updates with each other",
    "MultiKrum": "it compares single updates with each other",
    "FedMedian": "it sorts the values of single updates",
    "FedTrimmedAvg": "it sorts the values of single updates",
    "QFedAvg": "it weights each update by its data owner's own loss",
    "FedXgbBagging": "it collects each data owner's trees",
    "FedXgbCyclic": "it hands one data owner's model to the next",
    "DifferentialPrivacyServerSideFixedClipping": "it clips single updates",
    "DifferentialPrivacyServerSideAdaptiveClipping": "it clips single updates",
    "DifferentialPrivacyClientSideAdaptiveClipping": "it reads single clip marks",
}
"""Why a strategy of Flower's cannot run: by its name."""


def require_linear(strategy: type[Strategy], *, declared: bool = False) -> None:
    """Refuse a strategy that needs to see individual updates.

    Args:
        strategy: Its class. One that merely derives from a linear strategy may do
            anything, so it must be declared.
        declared: The author's word that it is linear.

    Raises:
        OperatorError: FS-368 with its name and the reason.
    """
    if not (declared or strategy in LINEAR):
        name = strategy.__name__
        reason = NOT_LINEAR.get(name, "nobody declared it linear")
        raise OperatorError("FS-368", f"{name}: {reason}")
