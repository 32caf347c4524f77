"""docs/code-map.md: each place it names is there; its picture is the contracts'."""

import re
from typing import Final

from tests.unit.docs import page
from tools import rooms

PAGE: Final = (page.DOCS / "code-map.md").read_text("utf-8")
PLACE: Final = re.compile(
    r"`((?:fedsecure|aggregator|clients|bench|tests|tools)/[^`]*)`"
)
WALK: Final = PAGE.partition("<!-- walk -->")[2].partition("<!-- end -->")[0]


def test_every_place_that_it_names_is_there() -> None:
    gone = [name for name in PLACE.findall(PAGE) if not (page.ROOT / name).exists()]
    assert gone == []


def test_a_round_is_read_from_its_entry_to_sql_in_at_most_35_modules() -> None:
    steps = re.findall(r"^(\d+)\. `([^`]+)`", WALK, re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    modules = [name for _, name in steps]
    assert len(set(modules)) == len(modules) <= 35
    assert all((page.ROOT / name).is_file() for name in modules)


def test_the_picture_shows_the_rooms_of_the_contracts_in_their_order() -> None:
    assert rooms.PICTURE.read_text("utf-8") == rooms.picture()
    for package, heights in rooms.layers().items():
        drawn = [room for height in heights for room in height]
        assert sorted(drawn) == sorted(rooms.SAYS[package])


def test_the_page_tells_of_every_package_that_is_installed() -> None:
    named = set(re.findall(r"^\| `(fedsecure\w*)`", PAGE, re.MULTILINE))
    assert named == {"fedsecure", "fedsecure_bench", *rooms.SAYS}
