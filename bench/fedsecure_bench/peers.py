"""What one would use instead, each called as its own authors call it.

    Flower FedAvg   no protection: the server's own aggregation of four replies
    SecAgg+         Flower's: pairwise masks between data owners, one server
    CKKS            TenSEAL: homomorphic, polynomials of degree 8192
    Paillier        phe: homomorphic, 2048 bits, one number for each ciphertext

Homomorphic peers work on a part of the update: their cost is the same for every part.
They are measured at one size, and not at all when they are not installed.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np

from fedsecure_bench.results import Step

DATA_OWNER: Final = ("data owner",)
AGGREGATORS: Final = ("both aggregators",)
FEDAVG: Final = "Flower FedAvg"
REPLIES: Final = 4
NEIGHBOURS: Final = 3  # with which a data owner of SecAgg+ shares masks
SLOTS: Final = 4096  # numbers of one CKKS ciphertext
CKKS_PART: Final = 12 * SLOTS
PAILLIER_PART: Final = 16
PAILLIER_BITS: Final = 2048
OWNER: Final = "pip install 'fedsecure[owner]'"
EXTRA: Final = "pip install 'fedsecure[bench]'"


class Absent(Exception):  # noqa: N818 - no error: a peer is left out
    """A peer that is not installed; its text is for people."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One alternative: the sizes at which it is measured, and its steps at a size."""

    least: int
    most: int
    steps: Callable[[int], Sequence[Step]]

    def fits(self, size: int) -> bool:
        """Tell whether it is measured at this size."""
        return self.least <= size <= self.most

    def __call__(self, size: int) -> Sequence[Step]:
        """Return its steps at a size."""
        return self.steps(size)


def fedavg() -> Peer:
    """Load Flower's aggregation."""
    flwr = load_peer("flwr.app", FEDAVG, OWNER)
    utils = import_module("flwr.serverapp.strategy.strategy_utils")

    def steps(size: int) -> list[Step]:
        rng = np.random.default_rng(0)
        replies = [
            flwr.RecordDict(
                {
                    "arrays": flwr.ArrayRecord([rng.random(size, np.float32)]),
                    "metrics": flwr.MetricRecord({"num-examples": 1}),
                }
            )
            for _ in range(REPLIES)
        ]

        def run() -> None:
            utils.aggregate_arrayrecords(replies, "num-examples")

        return [Step(FEDAVG, run, size * REPLIES, ("sum",))]

    return Peer(10**3, 10**8, steps)


def secagg() -> Peer:
    """Load the arithmetic of Flower's SecAgg+."""
    arithmetic = load_peer("fedsecure_bench.rounds.secagg", "SecAgg+", OWNER)

    def steps(size: int) -> list[Step]:
        update = np.random.default_rng(0).random(size, np.float32)
        run = arithmetic.protecting(update, 1 + NEIGHBOURS)
        return [Step("SecAgg+: client", run, size, DATA_OWNER)]

    return Peer(10**3, 10**7, steps)


def ckks() -> Peer:
    """Load TenSEAL, with the parameters that NVFlare documents as its defaults."""
    tenseal = load_tenseal()
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS,
        poly_modulus_degree=8192,
        coeff_mod_bit_sizes=[60, 40, 40],
        n_threads=1,
    )
    context.global_scale = 2**40

    def encrypt(update: Sequence[float]) -> list[bytes]:
        parts = [update[i : i + SLOTS] for i in range(0, len(update), SLOTS)]
        return [tenseal.ckks_vector(context, part).serialize() for part in parts]

    def steps(_size: int) -> list[Step]:
        update = np.random.default_rng(0).random(CKKS_PART).tolist()
        sent = encrypt(update)
        sums = [tenseal.ckks_vector_from(context, one) for one in sent]

        def add() -> None:
            for total, one in zip(sums, sent, strict=True):
                total.add_(tenseal.ckks_vector_from(context, one))

        return [
            Step("CKKS 8192: client", lambda: encrypt(update), CKKS_PART, DATA_OWNER),
            Step("CKKS 8192: server", add, CKKS_PART, AGGREGATORS),
        ]

    return Peer(10**6, 10**6, steps)


def load_tenseal() -> Any:
    """Import TenSEAL.

    Raises:
        Absent: It is not installed, or cannot run beside what this process loaded.
    """
    if "tensorflow" in sys.modules:  # two copies of protobuf: it crashes
        raise Absent("CKKS: TenSEAL cannot run in a process that loaded TensorFlow")
    return load_peer("tenseal", "CKKS", EXTRA)


def paillier() -> Peer:
    """Load phe; with gmpy2, without which it would be slower yet."""
    load_peer("gmpy2", "Paillier", EXTRA)
    phe = load_peer("phe.paillier", "Paillier", EXTRA)
    public, _private = phe.generate_paillier_keypair(n_length=PAILLIER_BITS)

    def steps(_size: int) -> list[Step]:
        update = np.random.default_rng(0).random(PAILLIER_PART).tolist()
        sent = [public.encrypt(number) for number in update]
        name = f"Paillier {PAILLIER_BITS}"

        def encrypt() -> None:
            for number in update:
                public.encrypt(number)

        def add() -> None:
            for one in sent:
                _sum = one + one

        return [
            Step(f"{name}: client", encrypt, PAILLIER_PART, DATA_OWNER),
            Step(f"{name}: server", add, PAILLIER_PART, AGGREGATORS),
        ]

    return Peer(10**6, 10**6, steps)


PEERS: Final[Sequence[Callable[[], Peer]]] = (fedavg, secagg, ckks, paillier)
PARTS: Final[Mapping[str, int]] = {"CKKS": CKKS_PART, "Paillier": PAILLIER_PART}


def load_peer(module: str, name: str, remedy: str) -> Any:
    """Import a peer.

    Raises:
        Absent: It is not installed; says what to type.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise Absent(f"{name}: {error.name} is not installed; {remedy}") from error
