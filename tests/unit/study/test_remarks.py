"""What is strange about a round is said, with what to do, and nothing else is."""

from dataclasses import replace

import pytest

from fedsecure.study.remarks import KINDS, Figures, over_all, remarks

FINE = Figures(
    train=True,
    in_set=4,
    clip_rate=0.5,
    statistics_clip_rate=0.0,
    clamped=0,
    undefined=0,
    moved=True,
)
EVALUATION = replace(
    FINE, train=False, clip_rate=None, statistics_clip_rate=None, moved=False
)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (FINE, []),
        (EVALUATION, []),
        (replace(FINE, clip_rate=0.75), ["75% of the updates were cut to the clip"]),
        (
            replace(FINE, statistics_clip_rate=1.0),
            ["100% of the updates had statistics cut to their clip"],
        ),
        (
            replace(EVALUATION, clamped=3),
            ["3 numbers lay outside their range and count as its end"],
        ),
        (
            replace(FINE, undefined=1),
            [
                "1 of 4 data owners got no number from the model: the metrics are of "
                "the others"
            ],
        ),
        (
            replace(FINE, moved=False),
            ["the mean update is zero: the round moved nothing"],
        ),
    ],
)
def test_a_round_is_told_by_its_figures(figures: Figures, said: list[str]) -> None:
    assert [words for _, words in remarks(figures)] == said


def test_what_is_usual_at_first_is_said_of_a_run_only_if_it_stays_so() -> None:
    cut = replace(FINE, clip_rate=1.0)
    assert list(over_all([cut, cut, FINE, FINE, EVALUATION])) == []
    (sentence,) = over_all([cut, cut, FINE, EVALUATION])
    assert sentence.startswith("In 2 of 3 rounds more than half of the updates were")
    assert "double `clip` in study.toml" in sentence


def test_what_is_never_usual_is_said_of_a_run_even_if_it_was_so_once() -> None:
    (sentence,) = over_all([FINE, FINE, FINE, replace(EVALUATION, clamped=1)])
    assert sentence.startswith("In 1 of 4 rounds numbers lay outside their range")


def test_every_remark_says_what_to_do() -> None:
    assert all(kind.advice for kind in KINDS)
