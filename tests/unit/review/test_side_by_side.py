"""Who was in which round, where the seconds went, and what both aggregators say."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from fedsecure.console.paging import part_of
from fedsecure.errors import OperatorError
from fedsecure.owner.store.records import Status
from fedsecure.review import participation as grids, records, sides, stages
from fedsecure.review.participation import MARKS
from fedsecure.review.plots import figure
from fedsecure.review.reading import open_round_store
from tests.unit.owner_store.round_story import HOSPITALS, RUN, SERVERS, spec


def test_everybody_has_a_cell_in_every_round(told: Path) -> None:
    with open_round_store(told) as session:
        found = records.rounds(session, RUN)
        grid = grids.grid(found, records.participations_in(session, found))
    assert [line.data_owner for line in grid.lines] == list(HOSPITALS)
    (_, _, _, va) = grid.lines
    shown = [one and one.status for one in va.cells]
    assert shown == ["in set", "offline", "not reported", "in set", "in set"]
    assert grid.left_out == 0


def test_who_was_not_asked_has_an_empty_cell(told: Path) -> None:
    with open_round_store(told) as session:
        found = records.rounds(session, RUN)
        people = records.participations_in(session, found)
    first, last = found[0].spec_digest, found[-1].spec_digest
    some = [
        one
        for one in people
        if not (one.data_owner == "va" and one.spec_digest == last)
    ]
    line = grids.grid(found, some).lines[-1]
    assert line.cells[-1] is None
    assert line.cells[0] is not None
    assert line.cells[0].spec_digest == first


def test_of_very_many_data_owners_some_are_counted_only(told: Path) -> None:
    with open_round_store(told) as session:
        found = records.rounds(session, RUN)
        people = records.participations_in(session, found[:1])
    many = [replace(people[0], data_owner=f"h{i:03}") for i in range(grids.MOST + 7)]
    grid = grids.grid(found[:1], many)
    assert (len(grid.lines), grid.left_out) == (grids.MOST, 7)


def test_every_status_has_a_mark_of_its_own() -> None:
    assert set(MARKS) == {status.value for status in Status} - {"in set"}
    assert len(set(MARKS.values())) == len(MARKS)


def test_seconds_by_stage_are_of_opened_rounds_the_longest_first(told: Path) -> None:
    with open_round_store(told) as session:
        found = [row for row in records.rounds(session, RUN) if row.purpose == "train"]
        spent = stages.spent(session, found)
    assert spent.rounds == 3
    train, opening = spent.stages
    assert (train.name, train.seconds, opening.seconds) == ("train", 2.0, 0.25)
    assert train.part + opening.part == pytest.approx(1.0)
    assert spent.bytes_up == 4 * 3012


def test_of_no_opened_round_nothing_was_spent(told: Path) -> None:
    with open_round_store(told) as session:
        void = [row for row in records.rounds(session, RUN) if row.state == "void"]
        spent = stages.spent(session, void)
    assert (spent.rounds, list(spent.stages), spent.seconds) == (0, [], 0.0)


def test_both_aggregators_say_the_same_under_different_keys(told: Path) -> None:
    with open_round_store(told) as session:
        both = sides.read_sides(session, spec(2).digest)
    facts = {one.what: one for one in both.facts}
    assert both.names == SERVERS
    assert both.differ == []
    assert facts["granted this spec"].values == (spec(2).digest[:12],) * 2
    assert facts["receipts of the set"].values == ("3", "3")
    (a, b) = facts["sealing key of this round"].values
    assert a != b


def test_of_a_void_round_the_confirmations_are_shown(told: Path) -> None:
    with open_round_store(told) as session:
        both = sides.read_sides(session, spec(3).digest)
    assert [one.what for one in both.facts][-1] == "void"
    assert both.facts[-1].values == ("confirmed", "confirmed")


def test_neighbours_are_in_order_of_proposal(told: Path) -> None:
    with open_round_store(told) as session:
        found = records.rounds(session, RUN)
        for before, row in pairwise(found):
            assert records.beside(session, row, -1) == before
            assert records.beside(session, before, 1) == row
        assert records.beside(session, found[0], -1) is None
        assert records.beside(session, found[-1], 1) is None


@pytest.mark.parametrize(("page", "number"), [(0, 5), (2, 25), (3, 50), (-1, 5)])
def test_a_part_that_is_not_there_is_refused(page: int, number: int) -> None:
    with pytest.raises(OperatorError, match="FS-862"):
        part_of(page, number, 25)


def test_parts_cover_a_list_and_an_empty_one_has_one() -> None:
    assert part_of(1, 0, 25).pages == 1
    assert part_of(2, 26, 25).offset == 25


def test_a_dark_picture_has_every_colour_changed_and_nothing_else(told: Path) -> None:
    with open_round_store(told) as session:
        run = records.find_run(session)
        light = figure.picture(run, records.rounds(session, RUN), "svg")
    dark = figure.darkened(light).decode()
    colour = re.compile(r"#[0-9a-f]{6}\b")
    assert set(colour.findall(light.decode())) <= {one.lower() for one in figure.DARK}
    assert set(colour.findall(dark)) <= set(figure.DARK.values())
    assert colour.sub("", dark) == colour.sub("", light.decode())


def test_a_picture_without_a_title_names_no_run(told: Path) -> None:
    with open_round_store(told) as session:
        run = records.find_run(session)
        found = records.rounds(session, RUN)
    titled = figure.picture(run, found, "svg").decode()
    bare = figure.picture(run, found, "svg", titled=False).decode()
    assert run.title in titled
    assert run.title not in bare
    assert "Loss" in bare
