"""Records of jobs: honest ones agree, and whoever changes one is found."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from fedsecure.audit.findings import Report
from fedsecure.core.mpc.sharing import QUERY
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.jobs.digests import WentIn, inputs_digest
from fedsecure.protocol.jobs.statements import JobChannel, JobInput
from fedsecure.protocol.stored_statements import stored
from tests.protocol.audit import harm, job_story
from tests.protocol.audit.harm import (
    Auditor,
    Entry,
    change,
    columns,
    remove,
    rewrite,
    swap,
)
from tests.protocol.audit.story import Records
from tests.protocol.audit.test_rewriting import codes, exported, with_body, without
from tests.unit.aggregator.world import CLINIC, OWNER

Change = Callable[[list[Entry]], list[Entry]]

PARTIES = {"owner": {"jobs"}, "north": {"jobs", "inputs", "queries"}}
COLUMNS = [
    (party, table, column)
    for party, tables in PARTIES.items()
    for table, column in columns(party)
    if table in tables
]
TABLES = [
    (party, table) for party, tables in PARTIES.items() for table in sorted(tables)
]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Closed stores of everybody."""
    folder = tmp_path_factory.mktemp("computed") / "all"
    folder.mkdir()
    return job_story.told(folder)


@pytest.fixture(scope="module")
def auditor(
    computed: Records, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Auditor]:
    with ExitStack() as stack:
        yield Auditor(computed, tmp_path_factory.mktemp("scratch"), stack)


def copied(records: Records, party: str, folder: Path) -> Path:
    return Path(shutil.copy(records.store(party), folder / "harmed.db"))


def rewritten(
    records: Records, auditor: Auditor, folder: Path, party: str, changed: Change
) -> Report:
    """Write a ledger anew, with its owner's own key."""
    author = records.author(OWNER if party == "owner" else party)
    path = rewrite(records.store(party), folder / "rewritten.db", author, changed)
    return auditor.audit(party, path)


def test_records_of_honest_parties_agree(computed: Records) -> None:
    report = computed.audit()
    assert report.findings == []
    assert report.notes == []
    for check in (22, 23, 24, 25):
        assert report.checked[check] > 0


@pytest.mark.parametrize(("party", "table", "column"), COLUMNS)
def test_one_byte_of_any_column_is_found(
    computed: Records,
    auditor: Auditor,
    tmp_path: Path,
    party: str,
    table: str,
    column: str,
) -> None:
    path = copied(computed, party, tmp_path)
    order = "DESC" if crc32(f"{table} {column}".encode()) % 2 else "ASC"
    assert change(path, table, column, order)
    assert auditor.finds(party, path)


@pytest.mark.parametrize(("party", "table"), TABLES)
def test_a_row_that_is_removed_or_swapped_is_found(
    computed: Records, auditor: Auditor, tmp_path: Path, party: str, table: str
) -> None:
    for done in (
        lambda path: remove(path, table, "ASC"),
        lambda path: swap(path, table),
    ):
        path = copied(computed, party, tmp_path)
        assert done(path)
        assert auditor.finds(party, path)


def all_of_it(entries: list[Entry]) -> list[Entry]:
    return entries


@pytest.mark.parametrize("party", PARTIES)
def test_written_anew_without_a_change_they_still_agree(
    computed: Records, auditor: Auditor, tmp_path: Path, party: str
) -> None:
    report = rewritten(computed, auditor, tmp_path, party, all_of_it)
    assert report.findings == []


def test_exports_tell_the_same(computed: Records, tmp_path: Path) -> None:
    records = computed.copy(tmp_path / "all")
    places = {party: exported(records, party) for party in ("owner", "north", "south")}
    report = records.audit(**places)
    assert report.findings == []
    assert report.checked[25] == 4


# what an aggregator with its own key may write instead


def of_kind(entries: list[Entry], kind: str) -> list[int]:
    return [n for n, (other, _, _) in enumerate(entries) if other == kind]


def several(*changes: Change) -> Change:
    def changed(entries: list[Entry]) -> list[Entry]:
        for one in changes:
            entries = one(entries)
        return entries

    return changed


def moved(which: int, **changes: Any) -> Change:
    """Change a query, and the totals of all after it with it."""

    def changed(entries: list[Entry]) -> list[Entry]:
        chosen = of_kind(entries, "job-query")
        kind, body, at = entries[chosen[which]]
        more = changes.get("rows", body["rows"]) - body["rows"]
        for place in chosen[which:]:
            kind, other, at = entries[place]
            if other["client"] == body["client"]:
                entries[place] = (
                    kind,
                    {**other, "answered": other["answered"] + more},
                    at,
                )
        kind, body, at = entries[chosen[which]]
        entries[chosen[which]] = (kind, {**body, **changes}, at)
        return entries

    return changed


def forgotten(which: int) -> Change:
    """Leave a query out, and mend the totals of all after it."""
    return several(moved(which, rows=0), without("job-query", which))


def another_query(which: int) -> Change:
    """Say that another query was answered under a number."""

    def changed(entries: list[Entry]) -> list[Entry]:
        *_, model = [
            entries[n][1]
            for n in of_kind(entries, "job-input")
            if entries[n][1]["name"] == "model"
        ]
        used = WentIn("model", model["owner"], model["input_id"], model["plain"])
        other = "ab" * 16
        digest = inputs_digest([used, WentIn(QUERY, CLINIC, other, None)])
        said = {"query_id": other, "inputs_digest": digest}
        return with_body("job-query", which, **said)(entries)

    return changed


def another_input(computed: Records) -> Change:
    """Let basel give north another input than south, and north compute on it."""

    def changed(entries: list[Entry]) -> list[Entry]:
        place = of_kind(entries, "job-input")[0]
        kind, body, at = entries[place]
        said = stored(body["token"], JobInput).statement
        other = said.model_copy(update={"input_id": "cd" * 16})
        signed = computed.author(said.owner).sign(other)
        told = {"input_id": other.input_id, "header": signed.digest}
        entries[place] = (kind, {**body, **told, "token": signed.token}, at)
        used = [
            WentIn(*(entries[n][1][x] for x in WentIn._fields))
            for n in of_kind(entries, "job-input")[:2]
        ]
        return with_body("job-done", 0, inputs=inputs_digest(used))(entries)

    return changed


def another_channel(computed: Records) -> Change:
    """Say that south sent another channel key."""

    def changed(entries: list[Entry]) -> list[Entry]:
        place = of_kind(entries, "job-channel")[0]
        said = stored(entries[place][1]["token"], JobChannel).statement
        key = base64url(sha256(b"another").digest() * 36 + bytes(16))
        token = (
            computed.author("south").sign(said.model_copy(update={"key": key})).token
        )
        return with_body("job-channel", 0, token=token)(entries)

    return changed


def swapped_queries(entries: list[Entry]) -> list[Entry]:
    """The clinic's first two queries, the other way round."""
    first, second = of_kind(entries, "job-query")[1:3]
    entries[first], entries[second] = entries[second], entries[first]
    return entries


def without_job(entries: list[Entry]) -> list[Entry]:
    """Leave the whole last job out."""
    spec = entries[of_kind(entries, "job-granted")[-1]][1]["spec"]
    return [one for one in entries if one[1].get("spec") != spec]


def same_kind(entries: list[Entry]) -> list[Entry]:
    """Both aggregators would have had the seed, or both the vector."""
    place = of_kind(entries, "job-query")[1]
    kind, body, at = entries[place]
    other = {"seed": "vector", "vector": "seed"}[body["kind"]]
    entries[place] = (kind, {**body, "kind": other}, at)
    return entries


WRITTEN = {
    "another expiry": (with_body("job-granted", 1, expires=9**10), "FS-637"),
    "a grant left out": (without_job, "FS-660"),
    "an output of other inputs": (with_body("job-done", 0, inputs="ab" * 32), "FS-637"),
    "an answer of other inputs": (
        with_body("job-query", 1, inputs_digest="ab" * 32),
        "FS-637",
    ),
    "an input of somebody else": (with_body("job-input", 0, owner="bern"), "FS-637"),
    "another start": (with_body("job-started", 0, start="ab" * 32), "FS-637"),
    "a query of a stranger": (with_body("job-query", 1, client="basel"), "FS-637"),
    "queries that go back": (swapped_queries, "FS-662"),
    "more rows than allowed": (moved(1, rows=9), "FS-663"),
    "a total that is too small": (with_body("job-query", 2, answered=1), "FS-663"),
    "other rows than at the other one": (moved(2, rows=3), "FS-664"),
    "another query than at the other one": (another_query(1), "FS-664"),
    "a share of a kind twice": (same_kind, "FS-664"),
    "a query left out": (without("job-query", 1), "FS-663"),
    "what the owner tried left out": (forgotten(0), "FS-660"),
}


@pytest.mark.parametrize("what", WRITTEN)
def test_an_aggregator_that_writes_its_ledger_anew_is_found(
    computed: Records, auditor: Auditor, tmp_path: Path, what: str
) -> None:
    changed, code = WRITTEN[what]
    report = rewritten(computed, auditor, tmp_path, "north", changed)
    assert code in codes(report)
    assert not report.holds


def test_inputs_that_differ_between_the_aggregators_are_found(
    computed: Records, auditor: Auditor, tmp_path: Path
) -> None:
    changed = another_input(computed)
    report = rewritten(computed, auditor, tmp_path, "north", changed)
    found = [one for one in report.findings if one.code == "FS-661"]
    assert len(found) == 2  # the input, and the output that is made of it
    assert any("cdcdcd" in one.what for one in found)


def test_a_channel_key_that_was_not_sent_is_found(
    computed: Records, auditor: Auditor, tmp_path: Path
) -> None:
    changed = another_channel(computed)
    report = rewritten(computed, auditor, tmp_path, "north", changed)
    assert "FS-660" in codes(report)


def test_a_number_twice_is_found(
    computed: Records,
    auditor: Auditor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program of somebody's own may write it; the tables here cannot hold it."""
    monkeypatch.setattr(harm, "project_aggregator", lambda _session, _event: None)
    twice = with_body("job-query", 2, query=1)
    report = rewritten(computed, auditor, tmp_path, "north", twice)
    (finding,) = report.findings
    assert finding.code == "FS-621"
    assert "queries.client, queries.query" in finding.what


def test_a_query_that_one_aggregator_alone_tells_of_is_said(
    computed: Records, auditor: Auditor, tmp_path: Path
) -> None:
    """It may be honest: a client that was cut off. Nobody holds proof of more."""
    report = rewritten(computed, auditor, tmp_path, "north", forgotten(2))
    assert [one for one in report.findings if one.code != "FS-629"] == []
    (note,) = [one for one in report.notes if "1 query of clinic" in one]
    assert "the first 3" in note
    assert "none at north" in note


def without_service(entries: list[Entry]) -> list[Entry]:
    last = of_kind(entries, "job-proposed")[-1]
    return [*entries[:last], *[one for one in entries[last:] if one[0][:3] != "job"]]


def swapped_grants(entries: list[Entry]) -> list[Entry]:
    """The grants of another service."""
    second = of_kind(entries, "job-result")[1]
    grants = entries[second][1]["grants"]
    return with_body("job-result", 0, grants=grants)(entries)


OWNERS = {
    "more rows than were tried": (with_body("job-result", 0, tried=20), "FS-660"),
    "another grant": (swapped_grants, "FS-637"),
    "a service left out": (without_service, "FS-660"),
    "another description": (with_body("job-proposed", 0, description={}), "FS-637"),
}


@pytest.mark.parametrize("what", OWNERS)
def test_a_model_owner_that_writes_its_ledger_anew_is_found(
    computed: Records, auditor: Auditor, tmp_path: Path, what: str
) -> None:
    changed, code = OWNERS[what]
    report = rewritten(computed, auditor, tmp_path, "owner", changed)
    assert code in codes(report)
