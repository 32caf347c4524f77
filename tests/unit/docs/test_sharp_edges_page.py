"""docs/sharp-edges.md: its examples are computed, and what it warns of is possible."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fedsecure.contributor.contribution import weight_of
from fedsecure.core import scheme
from fedsecure.core.params import Params, Scalar
from fedsecure.core.scheme import AggregateShare, Mean, Measurement
from fedsecure.errors import PeerError
from fedsecure.protocol.statements import Weighting
from fedsecure.study.task import Layer, model_digest, task_digest
from tests import stages
from tests.protocol.federation import (
    HOSPITALS,
    MODEL,
    MemoryFederation,
    federate,
    measurement_of,
    update_of,
)
from tests.unit.docs import page

PAGE = page.read("sharp-edges.md")
SEVERITIES = ("critical", "high", "medium", "low")

UPDATES = {"A": [0.1, 0.0], "B": [-0.1, 0.2], "C": [0.3, 0.2], "D": [0.3, -0.2]}
LOSSES = {"A": 0.4, "B": 0.6, "C": 0.5, "D": 0.9}
EXAMPLES = {"A": 240, "B": 310, "C": 95, "D": 130}


def sections() -> dict[str, str]:
    parts = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return dict(parts)


@pytest.mark.parametrize("title", sections())
def test_every_edge_has_a_severity_and_says_what_to_do(title: str) -> None:
    text = sections()[title]
    severity = re.match(r"\n\*\*Severity: (\w+)\.\*\* ", text)
    assert severity is not None
    assert severity[1] in SEVERITIES
    assert len(re.findall(r"^What to do: ", text, re.MULTILINE)) == 1


def test_the_overview_lists_every_edge_with_its_severity_worst_first() -> None:
    overview = [
        (row[0][1:].split("]")[0], row[1]) for row in page.table(PAGE.split("\n## ")[0])
    ]
    found = [
        (title, re.findall(r"Severity: (\w+)", text)[0])
        for title, text in sections().items()
    ]
    assert overview == found
    ranks = [SEVERITIES.index(severity) for _, severity in overview]
    assert ranks == sorted(ranks)


def opened(names: str, weighting: Weighting) -> Mean:
    """Open the sum over some of the four hospitals of the page."""
    cap = 1 if weighting is Weighting.EQUAL else 1000
    params = Params.derive(2, (Scalar("loss", 0.0, 4.0),), len(names), 1.0, cap)
    measurements = [
        Measurement(
            np.array(UPDATES[name], np.float32),
            weight_of(EXAMPLES[name], weighting, cap),
            {"loss": LOSSES[name]},
        )
        for name in names
    ]
    rands = [bytes([number]) * scheme.RAND_BYTES for number in range(len(names))]
    return stages.run(params, measurements, rands)


def shown(numbers: NDArray[np.float64]) -> str:
    return ", ".join(f"{round(float(number), 4):g}" for number in numbers)


def test_the_example_of_two_sums_is_what_the_scheme_opens() -> None:
    (example,) = re.findall(
        r"<!-- example: subtraction -->\n(.*?)\n\n", PAGE, re.DOTALL
    )
    rows = {row[0]: row[1:] for row in page.table(example)}
    both = [opened(names, Weighting.EQUAL) for names in ("ABCD", "ABC")]
    sums = [mean.update * mean.count for mean in both]
    assert rows.pop("mean update") == [
        *(shown(mean.update) for mean in both),
        shown(sums[0] - sums[1]),
    ]
    assert shown(sums[0] - sums[1]) == shown(np.array(UPDATES["D"]))
    losses = np.array([mean.scalars["loss"] for mean in both], np.float64)
    assert rows.pop("mean loss") == [
        *(shown(np.array([loss])) for loss in losses),
        shown(np.array([losses[0] * 4 - losses[1] * 3])),
    ]
    for weighting in Weighting:
        totals = [opened(names, weighting).total_weight for names in ("ABCD", "ABC")]
        expected = [*totals, totals[0] - totals[1]]
        row = rows.pop(f"sum of weights, `{weighting.value}`")
        assert row == [str(number) for number in expected]
    assert rows == {}


def test_a_rounded_weight_of_128_is_96_to_191_examples() -> None:
    weights = [weight_of(e, Weighting.ROUNDED, 1000) for e in range(1, 1000)]
    same = [e for e, weight in enumerate(weights, start=1) if weight == 128]
    assert (same[0], same[-1], len(same)) == (96, 191, 96)
    assert "128 is 96 to 191" in PAGE


def open_over(memory: MemoryFederation, number: int, model: str, *names: str) -> Mean:
    """Propose a round to some hospitals and open it over all of them."""
    request = memory.request(
        round=number, task=model, model=model, cohort=names, weight_cap=128
    )
    proposal = memory.owner.propose(request)
    receipts = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in names
    }
    return memory.owner.open(proposal, receipts).mean


@pytest.fixture
def memory(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MemoryFederation]:
    with federate(tmp_path_factory.mktemp("memory")) as federation:
        yield federation


def test_sets_that_differ_by_one_are_opened_for_another_model(
    memory: MemoryFederation,
) -> None:
    four = open_over(memory, 1, MODEL, *HOSPITALS)
    three = open_over(memory, 2, "1" * 64, *HOSPITALS[:3])
    alone = four.update * four.count - three.update * three.count
    np.testing.assert_allclose(alone, update_of(HOSPITALS[3]), atol=1e-6)


def test_sets_that_differ_by_one_are_not_opened_for_the_same_model(
    memory: MemoryFederation,
) -> None:
    open_over(memory, 1, MODEL, *HOSPITALS)
    with pytest.raises(PeerError, match="FS-324"):
        open_over(memory, 2, MODEL, *HOSPITALS[:3])


def test_the_last_digit_of_one_weight_gives_another_model_and_a_config_does_not() -> (
    None
):
    layers, weights = [Layer("0", (2,))], np.ones(2, np.float32)
    touched = weights.copy()
    touched[1] = np.nextafter(touched[1], 2, dtype=np.float32)
    models = [model_digest(layers, one) for one in (weights, touched)]
    assert models[0] != models[1]
    configs: list[Mapping[str, int | float]] = [
        {"server-round": 1},
        {"server-round": 2},
        {"server-round": 1, "proximal-mu": 0.0},
    ]
    tasks = {task_digest("train", models[0], one) for one in configs}
    assert len(tasks) == len(configs)


PARAMS = Params.derive(8, (), max_reports=4, clip=1.0, weight_cap=1)


def sum_with(extra: int) -> Mean:
    """Open a sum of four zero updates to which somebody adds `extra` steps."""
    shares = AggregateShare.empty(PARAMS), AggregateShare.empty(PARAMS)
    for number in range(4):
        sharding = scheme.shard(
            PARAMS,
            bytes(32),
            f"{number}",
            Measurement(np.zeros(8, np.float32), 1, {}),
            bytes([number]) * scheme.RAND_BYTES,
        )
        context = scheme.ReportContext(bytes(32), sharding.report_id, f"{number}")
        vector = b"".join(bytes(piece) for piece in sharding.vector)
        for share, (kind, plaintext) in zip(
            shares, {"seed": sharding.seed, "vector": vector}.items(), strict=True
        ):
            stages.add(PARAMS, share, context, kind, plaintext)
    shares[0].tensor += np.uint32(extra)
    return scheme.unshard(PARAMS, *shares)


def test_one_party_can_move_every_coordinate_up_to_the_limit_of_all_clips() -> None:
    most = int(4 * PARAMS.clip * PARAMS.scale)
    mean = sum_with(most)
    np.testing.assert_allclose(mean.update, PARAMS.clip)
    assert np.linalg.norm(mean.update) > 2 * PARAMS.clip
    with pytest.raises(PeerError, match="FS-725"):
        sum_with(most + 5)


def test_a_set_of_puppets_tells_the_one_real_update() -> None:
    params = replace(PARAMS, dimension=2)
    victim = Measurement(np.array([0.25, -0.5], np.float32), 1, {})
    puppet = Measurement(np.zeros(2, np.float32), 1, {})
    rands = [bytes([number]) * scheme.RAND_BYTES for number in range(3)]
    mean = stages.run(params, [victim, puppet, puppet], rands)
    np.testing.assert_allclose(mean.update * 3, [0.25, -0.5], atol=1e-6)


def test_a_bin_with_one_row_tells_how_many_rows_somebody_held_out() -> None:
    (claimed,) = re.findall(r"with four\nmembers and ([\d.]+) in a bin", PAGE)
    (rows,) = re.findall(r"somebody of the four held out (\d+) rows", PAGE)
    params = Params.derive(0, (Scalar("bin", 0.0, 1.0),), 4, 1.0, 1)
    fractions = [1 / int(rows), 0.0, 0.0, 0.0]
    mean = stages.run(
        params,
        [Measurement(None, 1, {"bin": fraction}) for fraction in fractions],
        [bytes([n] * scheme.RAND_BYTES) for n in range(4)],
    )
    opened = mean.scalars["bin"]
    assert isinstance(opened, float)
    assert round(opened, 6) == float(claimed)
    assert round(1 / 4 / opened) == int(rows)
