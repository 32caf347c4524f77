"""Small files that an aggregator reads back: what is damaged is named, or mended."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fedsecure.errors import FedsecureError
from fedsecure_aggregator.http.readiness import Readiness
from fedsecure_aggregator.rounds import deletion, reads
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.test_grants import ordered
from tests.unit.aggregator.world import HOSPITALS


def refused(call: Callable[[], object]) -> FedsecureError:
    with pytest.raises(FedsecureError) as caught:
        call()
    return caught.value


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 0x10
    file.write_bytes(content)


HARMS: dict[str, Callable[[Path], None]] = {
    "a digit of the number": lambda file: flip(file, 11),
    "a digit of the hash": lambda file: flip(file, 40),
    "a letter": lambda file: flip(file, 3),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:60]),
    "empty": lambda file: file.write_bytes(b""),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_note_of_the_ledger_fails_no_request_and_is_written_anew(
    pair: Pair, harm: str
) -> None:
    asked = pair.world.propose()
    granted = pair.grant(asked)
    HARMS[harm](pair.north.folder / "ledger-head")
    assert pair.north.report(pair.world.report(asked, granted, "basel")["north"])
    assert pair.restart("north").grant(asked) == granted["north"]


@pytest.mark.parametrize("harm", HARMS)
def test_it_is_not_ready_until_the_note_is_whole_again_which_tidying_sees_to(
    pair: Pair, harm: str
) -> None:
    asked = pair.world.propose()
    pair.grant(asked)
    note = pair.north.folder / "ledger-head"
    ready = Readiness(pair.north.context)
    ready.require()
    HARMS[harm](note)
    error = refused(ready.require)
    assert error.code == "FS-541"
    assert str(note) in error.detail
    deletion.tidy(pair.north.context)
    ready.require()
    assert pair.restart("north").context.spool.notes.ledger_head() is not None


@pytest.mark.parametrize("harm", HARMS)
def test_a_start_with_a_damaged_note_names_it_and_what_to_type(
    pair: Pair, harm: str
) -> None:
    asked = pair.world.propose()
    pair.grant(asked)
    note = pair.north.folder / "ledger-head"
    HARMS[harm](note)
    error = refused(lambda: pair.restart("north"))
    assert error.code == "FS-541"
    assert f"rm {note}" in error.detail
    assert "restore --as-it-is" in error.detail
    note.unlink()
    assert refused(lambda: pair.restart("north")).code == "FS-546"
    ordered(pair.north)
    north = pair.restart("north")
    assert reads.standing(north.context, asked.digest)["state"] == "void"


def test_a_note_that_is_gone_comes_back(pair: Pair) -> None:
    asked = pair.world.propose()
    granted = pair.grant(asked)
    (pair.north.folder / "ledger-head").unlink()
    assert refused(Readiness(pair.north.context).require).code == "FS-541"
    deletion.tidy(pair.north.context)
    assert pair.restart("north").grant(asked) == granted["north"]


@pytest.mark.parametrize("place", [0, 31, 40])
def test_a_damaged_key_is_not_taken_for_reports_that_were_lost(
    pair: Pair, place: int
) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    key = pair.north.key_file(asked)
    pair.north.context.accumulator.forget(asked.digest)
    flip(key, place)
    opening = pair.world.opening(asked, receipts)
    assert refused(lambda: pair.north.open(asked, opening)).code == "FS-308"
    assert reads.standing(pair.north.context, asked.digest)["lost"] == []
    assert pair.north.void(asked, pair.world.void(asked))


def test_a_start_with_a_damaged_key_voids_that_round_alone(pair: Pair) -> None:
    asked, other = pair.world.propose(), pair.world.propose(round=2)
    pair.grant(asked)
    pair.grant(other)
    flip(pair.north.key_file(asked), 5)
    north = pair.restart("north")
    assert reads.standing(north.context, asked.digest)["state"] == "void"
    assert reads.standing(north.context, other.digest)["state"] == "granted"
