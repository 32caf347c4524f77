import hashlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.review import records
from fedsecure.review.reading import open_round_store
from tests.unit.owner_store.round_story import RUN, model, open_store, run_started, spec


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_reading_creates_no_file_and_changes_none(told: Path) -> None:
    before = content(told.parent)
    with open_round_store(told) as session:
        assert len(records.rounds(session, RUN)) == 5
        assert content(told.parent) == before
    assert content(told.parent) == before


def test_nothing_can_be_written_through_a_reader(told: Path) -> None:
    with (
        pytest.raises(OperatorError, match=r"FS-604.*readonly"),
        open_round_store(told) as session,
    ):
        session.execute(text("DELETE FROM metrics"))


def test_a_running_training_is_seen_as_of_its_last_commit(tmp_path: Path) -> None:
    path = tmp_path / "rounds.db"
    with open_store(str(path)) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        with open_round_store(path) as session:
            assert records.rounds(session, RUN) == []
        store.propose(spec(1))
        with open_round_store(path) as session:
            assert [row.state for row in records.rounds(session, RUN)] == ["proposed"]

        def unfinished(writing: Session) -> None:
            writing.execute(text("UPDATE rounds SET state = 'void'"))
            with open_round_store(path) as session:
                assert [row.state for row in records.rounds(session, RUN)] == [
                    "proposed"
                ]

        store.change("unfinished", unfinished)


def test_a_folder_with_odd_characters_is_no_obstacle(told: Path) -> None:
    odd = told.parent.rename(told.parents[1] / "50% of a ?#folder")
    with open_round_store(odd / "rounds.db") as session:
        assert records.find_run(session).run == RUN


def test_the_usual_places_are_looked_at_in_order(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OperatorError, match=r"FS-860.*rounds\.db.*demo"):
        open_round_store().__enter__()
    demo = tmp_path / "runs/demo/owner"
    demo.parent.mkdir(parents=True)
    told.parent.rename(demo)
    with open_round_store() as session:
        assert records.find_run(session).run == RUN
    with open_store("rounds.db"):
        pass
    with (
        open_round_store() as session,
        pytest.raises(OperatorError, match="FS-863"),
    ):
        records.find_run(session)


@pytest.mark.parametrize("says", ['folder = "records"', "folder = 'records/'"])
def test_the_store_that_owner_toml_names_is_the_usual_one(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    told.parent.rename(tmp_path / "records")
    owner = tmp_path / "owner.toml"
    owner.write_text(f'name = "ada"\n{says}\n', "utf-8")
    with open_round_store() as session:
        assert records.find_run(session).run == RUN
    owner.write_text(f"{says}\ndatabase = 'sqlite:///records/rounds.db'\n", "utf-8")
    with open_round_store() as session:
        assert records.find_run(session).run == RUN
    owner.write_text('folder = "elsewhere"\n', "utf-8")
    with pytest.raises(OperatorError, match=r"FS-860.*elsewhere/rounds\.db"):
        open_round_store().__enter__()


def test_what_is_no_round_store_of_this_version_is_refused(
    told: Path, tmp_path: Path
) -> None:
    patients, newer = tmp_path / "patients.db", told
    empty, noise = tmp_path / "empty.db", tmp_path / "noise.db"
    connection = sqlite3.connect(patients)
    connection.execute("CREATE TABLE patients (name)")
    connection.close()
    connection = sqlite3.connect(newer)
    connection.execute("UPDATE alembic_version SET version_num = 'from_2031'")
    connection.commit()
    connection.close()
    empty.touch()
    noise.write_text("noise " * 99)
    for path, code in (
        (patients, "FS-607"),
        (newer, "FS-603"),
        (empty, "FS-860"),
        (noise, "FS-604"),
        (tmp_path / "missing.db", "FS-860"),
        (tmp_path, "FS-860"),
    ):
        with pytest.raises(OperatorError, match=rf"{code}.*{path.name}"):
            open_round_store(path).__enter__()
