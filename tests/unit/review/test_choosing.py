"""Which rounds are listed; watching, exporting, asking in SQL, judging."""

import csv
import io
import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from fedsecure.cli.rounds import app
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.membership.accepted import Accepted, save_accepted
from fedsecure.owner.store.records import RoundJudged, RunFinished, Verdict
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.signing_keys import save_signing_key
from fedsecure.review import formats, html_report, records, sql_shell
from fedsecure.review.reading import open_round_store
from fedsecure.review.terminal import live
from tests.postgres import Cluster
from tests.unit.owner_store.round_story import (
    FEDERATION,
    HOSPITALS,
    RUN,
    _key,
    author,
    model,
    open_store,
    run_started,
    spec,
    tell,
    train,
)


def run(*words: str | Path, typed: str | None = None) -> Result:
    env = {"COLUMNS": "120", "TERM": "xterm"}
    return CliRunner().invoke(app, [str(word) for word in words], env=env, input=typed)


def output_of(*words: str | Path, typed: str | None = None) -> str:
    result = run(*words, typed=typed)
    if result.exception:
        raise result.exception
    return result.stdout


def code_of(*words: str | Path) -> str:
    with pytest.raises(FedsecureError) as caught:
        output_of(*words)
    return caught.value.code


def listed(told: Path, *words: str) -> list[str]:
    """Return round and attempt of what is listed."""
    answer = json.loads(output_of("list", "--db", told, "--json", *words))
    return [f"{one['round']}.{one['attempt']}" for one in answer["rounds"]]


@pytest.fixture
def judged(told: Path) -> Path:
    """The story, with a verdict on rounds 1 and 2."""
    with open_store(str(told)) as store:
        for number, verdict in ((1, Verdict.ACCEPTED), (2, Verdict.REJECTED)):
            digest = spec(number).digest
            store.judge_round(RoundJudged(digest, verdict, "as seen", "ada"))
    return told


def test_rounds_are_chosen_by_verdict(judged: Path) -> None:
    assert listed(judged, "--verdict", "accepted") == ["1.1"]
    assert listed(judged, "--verdict", "rejected") == ["2.1"]
    assert listed(judged, "--verdict", "none") == ["3.1", "3.2", "4.1"]
    assert re.search(r"1 +4/4.*accepted", output_of("list", "--db", judged))


def test_rounds_are_chosen_by_date(told: Path) -> None:
    assert len(listed(told, "--since", "2026-03-02")) == 5
    assert listed(told, "--since", "2026-03-03") == []
    assert listed(told, "--until", "2026-03-02T14:00:02") == ["1.1", "2.1"]
    assert listed(told, "--since", "2026-03-02T15:00:02+01:00", "--until", "2027-01-01")
    assert code_of("list", "--db", told, "--since", "yesterday") == "FS-650"


def test_a_long_list_comes_in_pages_newest_first(told: Path) -> None:
    assert listed(told, "--per-page", "2") == ["3.2", "4.1"]
    assert listed(told, "--per-page", "2", "--page", "2") == ["2.1", "3.1"]
    assert listed(told, "--per-page", "2", "--page", "3") == ["1.1"]
    shown = output_of("list", "--db", told, "--per-page", "2")
    assert "Page 1 of 3, 5 in all; older: --page" in shown
    assert "Page" not in output_of("list", "--db", told)


def test_a_verdict_is_shown_with_who_said_it_and_why(judged: Path) -> None:
    shown = output_of("show", "2", "--db", judged)
    assert re.search(r"verdict +rejected at 2026-.* UTC, by ada: as seen", shown)


@pytest.fixture
def owner(told: Path) -> Path:
    """Path of an owner.toml whose store is the story's."""
    folder = told.parent
    federation = FEDERATION.model_dump(mode="json", exclude_none=True)
    (folder / "federation.toml").write_text(_toml(federation), "utf-8")
    save_signing_key(folder / "owner.pem", _key("consortium"))
    accepted = Accepted.of(FEDERATION, "consortium", None)
    save_accepted(folder / "accepted.toml", accepted)
    text = f"""
name = "consortium"
federation = "federation.toml"
key = "owner.pem"
study = "study"
folder = "{folder}"
[superlink]
listen = "127.0.0.1:9092"
authority = "ca.pem"
certificate = "tls.pem"
key = "tls.key"
"""
    (folder / "owner.toml").write_text(text, "utf-8")
    return folder / "owner.toml"


def _toml(content: dict[str, Any]) -> str:
    import tomli_w  # noqa: PLC0415

    return tomli_w.dumps(content)


def test_accept_and_reject_are_signed_into_the_ledger(owner: Path) -> None:
    words = ("--note", "AUC is stable", "--config", owner, "--by", "ada")
    assert output_of("accept", "2", *words) == "round 2 of heart-1: accepted\n"
    answer = json.loads(output_of("reject", "final", *words, "--json"))
    assert (answer["verdict"], answer["verdict_by"]) == ("rejected", "ada")
    with open_round_store(owner.parent / "rounds.db") as session:
        chosen = records.find_round(session, RUN, "2")
        kinds = [one.kind for one in records.events(session, chosen)]
    assert kinds[-1] == "round-verdict"
    assert code_of("accept", "3.1", *words) == "FS-645"
    assert code_of("accept", "9", *words) == "FS-862"


def test_a_csv_has_the_columns_of_the_view_and_no_formulas(told: Path) -> None:
    output = told.parent / "rounds.csv"
    output_of("export", "--db", told, "-o", output)
    lines = list(csv.DictReader(io.StringIO(output.read_text("utf-8"))))
    assert [line["outcome"] for line in lines][:2] == ["complete", "1 missing"]
    with open_round_store(told) as session:
        (first, *_) = records.rounds(session, RUN)
    hostile = formats.as_csv([replace(first, verdict_note="=cmd|'/c calc'!A0")])
    assert "\n=" not in hostile.replace(",", "\n")
    assert "'=cmd" in hostile


def test_json_has_the_run_its_rounds_and_who_took_part(told: Path) -> None:
    output = told.parent / "rounds.json"
    answer = json.loads(output_of("export", "--db", told, "-o", output, "--json"))
    assert answer == {"file": str(output), "run": RUN, "rounds": 5}
    content = json.loads(output.read_text("utf-8"))
    assert set(content) == {"run", "rounds", "participations"}
    assert len(content["participations"]) == 5 * len(HOSPITALS)


class Seen(HTMLParser):
    """What a browser would load, and the words."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            outside = name in {"src", "href", "xlink:href", "action", "data"}
            if outside and not (value or "").startswith("#"):
                self.loads.append(f"{tag} {name} {value}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_html_page_shows_the_run_and_loads_nothing(judged: Path) -> None:
    output = judged.parent / "report.html"
    output_of("export", "--db", judged, "-o", output)
    content = output.read_text("utf-8")
    seen = Seen()
    seen.feed(content)
    assert seen.loads == []
    assert "script" not in seen.tags
    assert "@import" not in content
    assert "url(http" not in content
    assert seen.tags.count("svg") == 1
    words = " ".join(seen.words)
    for wanted in ("Heart disease, four hospitals", "void: 2 reported", "no answer in"):
        assert wanted in words
    assert words.count("ada: as seen") == 2
    assert spec(2).digest in words


def test_the_page_of_a_run_without_an_opened_round_has_no_picture(told: Path) -> None:
    with open_round_store(told) as session:
        chosen = records.find_run(session)
    assert "<svg" not in html_report.page(replace(chosen, state="failed"), [], [])


def test_what_a_person_named_is_no_markup(told: Path) -> None:
    with open_round_store(told) as session:
        chosen = records.find_run(session)
        found = records.rounds(session, RUN)
    hostile = "<script>alert(1)</script>\x1b[2J & \"'"
    page = html_report.page(
        replace(chosen, title=hostile, reason=hostile),
        [replace(found[0], verdict=hostile, verdict_note=hostile, outcome=hostile)],
        [],
    )
    assert "<script" not in page
    assert "\x1b" not in page


def test_another_form_or_place_has_a_code(told: Path) -> None:
    assert code_of("export", "--db", told, "-o", told.parent / "r.xls") == "FS-649"
    nowhere = told.parent / "nowhere" / "r.csv"
    assert code_of("export", "--db", told, "-o", nowhere) == "FS-648"


QUERY = "SELECT round, in_set, outcome FROM v_round WHERE round < 3"


def test_sql_answers_as_table_csv_or_json(told: Path) -> None:
    answer = output_of("sql", "--db", told, "-c", QUERY)
    assert re.search(r"2 +3 +1 missing", answer)
    as_csv = output_of("sql", "--db", told, "-c", QUERY, "--as", "csv")
    assert as_csv == "round,in_set,outcome\n1,4,complete\n2,3,1 missing\n"
    as_json = json.loads(output_of("sql", "--db", told, "-c", QUERY, "--json"))
    assert as_json[1] == {"round": 2, "in_set": 3, "outcome": "1 missing"}


def test_queries_are_read_one_after_the_other(told: Path) -> None:
    typed = "SELECT 1 AS a;\nSELECT\n 2 AS b;\n"
    answer = output_of("sql", "--db", told, "--as", "csv", typed=typed)
    assert answer == "a\n1\nb\n2\n"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM rounds",
        "UPDATE rounds SET state = 'void'",
        "WITH x AS (SELECT 1) DELETE FROM rounds",
        "DROP VIEW v_round",
        "CREATE TEMP TABLE t (x)",
        "ATTACH 'other.db' AS other",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "SELECT 1; DELETE FROM rounds",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "SELECT nothing FROM v_round",
        "",
    ],
)
def test_nothing_can_be_changed_in_the_shell(
    told: Path, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(told.parent)
    before = sorted(path.name for path in told.parent.iterdir())
    content = told.read_bytes()
    if query:
        assert code_of("sql", "--db", told, "-c", query) == "FS-647"
    else:
        assert output_of("sql", "--db", told, "-c", query, "--as", "csv") == "\n"
    assert told.read_bytes() == content
    assert sorted(path.name for path in told.parent.iterdir()) == before


def test_the_authorizer_holds_even_where_the_file_could_be_written(told: Path) -> None:
    connection = sqlite3.connect(told)
    connection.set_authorizer(sql_shell._only_reading)
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        connection.execute("DELETE FROM metrics")
    connection.close()


@pytest.fixture
def going_on(tmp_path: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A run that takes its next step whenever the event is set."""
    path, turn = tmp_path / "rounds.db", threading.Event()
    with open_store(str(path)) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        steps = [
            lambda: train(store, tmp_path, spec(1)),
            lambda: store.propose(spec(2)),
            lambda: store.finish_run(RunFinished(RUN, RunState.STOPPED, "by hand")),
        ]

        def work() -> None:
            for step in steps:
                turn.wait(30)
                turn.clear()
                step()

        thread = threading.Thread(target=work)
        thread.start()
        yield path, turn
        thread.join(30)


def test_watching_shows_what_another_writes_and_ends_with_the_run(
    going_on: tuple[Path, threading.Event],
) -> None:
    path, turn = going_on
    seen = []
    told: list[str] = []
    known: set[str] = set()

    def wait() -> None:
        turn.set()
        while turn.is_set():
            threading.Event().wait(0.01)
        threading.Event().wait(0.05)

    for look in live.looks(path, None, wait):
        console = Console(width=100, file=io.StringIO(), record=True)
        console.print(live.view(look))
        seen.append(console.export_text())
        told += live.lines(look, known)
    assert told == ["heart-1 round 1: 4/4, loss 0.7000, complete"]
    assert "running" in seen[0]
    assert any("round 2: asking both aggregators" in text for text in seen)
    assert "stopped" in seen[-1]
    assert "by hand" in seen[-1]


def test_without_a_terminal_there_is_a_line_for_each_round(told: Path) -> None:
    lines = output_of("watch", "--db", told).splitlines()
    assert lines[0] == "heart-1 round 1: 4/4, loss 0.7000, complete"
    assert lines[2] == "heart-1 round 3.1: -/4, loss -, void: 2 reported, 3 needed"
    assert lines[-1] == "heart-1: completed"
    told_json = output_of("watch", "--db", told, "--json").splitlines()
    assert [json.loads(line)["round"] for line in told_json] == [1, 2, 3, 3, 4]


@pytest.mark.parametrize("command", ["watch", "export", "sql", "accept", "reject"])
def test_every_command_has_an_example(command: str) -> None:
    assert f"Example: fedsecure rounds {command}" in output_of(command, "--help")


def test_a_verdict_needs_the_model_owners_key(told: Path) -> None:
    from fedsecure.review.judging import judge  # noqa: PLC0415

    place = str(told)
    judge(place, author(), spec(1).digest, Verdict.ACCEPTED, "yes", "ada")
    with pytest.raises(OperatorError, match="FS-860"), open_round_store("nowhere.db"):
        pass


@pytest.fixture
def on_postgresql(postgresql: Cluster, tmp_path: Path) -> Iterator[str]:
    """The story in a PostgreSQL database."""
    place = postgresql.new_database()
    with open_store(place) as store:
        tell(store, tmp_path)
    yield place
    postgresql.drop(place)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM metrics",
        "WITH gone AS (DELETE FROM metrics RETURNING 1) SELECT * FROM gone",
        "COMMIT; DELETE FROM metrics",
        "SET TRANSACTION READ WRITE; DELETE FROM metrics",
        "DROP VIEW v_round",
        "SELECT nothing FROM v_round",
    ],
)
def test_nothing_can_be_changed_on_postgresql(on_postgresql: str, query: str) -> None:
    count = "SELECT count(*) FROM metrics"
    with open_round_store(on_postgresql) as session:
        before = sql_shell.ask(session, count)
        with pytest.raises(OperatorError, match="FS-647"):
            sql_shell.ask(session, query)
        assert sql_shell.ask(session, count) == before
        answer = sql_shell.ask(session, QUERY + " ORDER BY entry")
    assert [list(row) for row in answer.rows] == [
        [1, 4, "complete"],
        [2, 3, "1 missing"],
    ]


def test_rounds_are_chosen_on_postgresql_too(on_postgresql: str) -> None:
    place = on_postgresql
    whole = json.loads(
        output_of("list", "--db", place, "--json", "--since", "2026-03-02")
    )
    assert len(whole["rounds"]) == 5
    part = json.loads(output_of("list", "--db", place, "--json", "--per-page", "2"))
    assert [one["round"] for one in part["rounds"]] == [3, 4]
