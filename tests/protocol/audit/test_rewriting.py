"""A server writes its own ledger anew, with its real key: what others hold proves it.

Where nobody holds anything, it is not found, and docs/sharp-edges.md says so.
"""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedsecure.audit.checks import sets
from fedsecure.audit.checks.walk import count_entries, walk
from fedsecure.audit.findings import Report
from fedsecure.audit.stores import exports
from fedsecure.audit.stores.sources import open_source, snapshot
from fedsecure.audit.verify import conclude
from fedsecure.errors import OperatorError
from fedsecure.owner.store.records import ModelKind, RunStarted, StoredModel
from fedsecure.protocol.federation_versions import Federations
from tests.protocol.audit.harm import Auditor, Entry, kind_of, opened, rewrite
from tests.protocol.audit.story import QUIET, Records, hold, model_after, told

NAMES = {"owner": "consortium", "north": "north"}


def codes(report: Report) -> set[str]:
    return {one.code for one in report.findings}


def rewritten(
    honest: Records,
    auditor: Auditor,
    folder: Path,
    party: str,
    changed: Callable[[list[Entry]], list[Entry]],
) -> Report:
    author = honest.author(NAMES[party])
    path = rewrite(honest.store(party), folder / "rewritten.db", author, changed)
    return auditor.audit(party, path)


def with_body(kind: str, which: int, **changes: Any) -> Callable[..., list[Entry]]:
    """Change the body of one of the entries of a kind."""

    def change(entries: list[Entry]) -> list[Entry]:
        chosen = [n for n, (other, _, _) in enumerate(entries) if other == kind][which]
        _, body, at = entries[chosen]
        entries[chosen] = (kind, {**body, **changes}, at)
        return entries

    return change


def without(kind: str, which: int) -> Callable[..., list[Entry]]:
    """Leave one of the entries of a kind out."""

    def change(entries: list[Entry]) -> list[Entry]:
        chosen = [n for n, (other, _, _) in enumerate(entries) if other == kind][which]
        return entries[:chosen] + entries[chosen + 1 :]

    return change


def test_written_anew_without_a_change_it_still_agrees(
    honest: Records, auditor: Auditor, tmp_path: Path
) -> None:
    for party in NAMES:
        report = rewritten(
            honest, auditor, tmp_path, party, lambda all_of_it: all_of_it
        )
        assert report.findings == []


CHEAP = {"unit": "row", "study": "5" * 64, "rho_pico": 1}
AT_AN_AGGREGATOR = {
    "a share replaced": (with_body("share-stored", 1, digest="ab" * 32), "FS-628"),
    "another length of a share": (with_body("share-stored", 3, length=9), "FS-628"),
    "another limit of members": (with_body("round-granted", 1, min_cohort=4), "FS-629"),
    "another expiry": (with_body("round-granted", 0, expires=9**10), "FS-625"),
    "another reason of a void": (with_body("round-void", 0, reason="tired"), "FS-629"),
    "a charge for less": (with_body("round-opened", 3, privacy=CHEAP), "FS-626"),
    "a charge left out": (with_body("round-opened", 3, privacy=None), "FS-626"),
    "a charge without noise": (with_body("round-opened", 0, privacy=CHEAP), "FS-626"),
    "a refusal left out": (without("refused", 0), "FS-629"),
    "a share left out": (without("share-stored", 3), "FS-628"),
    "the end cut off": (lambda entries: entries[:-6], "FS-630"),
}


@pytest.mark.parametrize("what", AT_AN_AGGREGATOR)
def test_an_aggregator_that_rewrites_its_ledger_is_found(
    honest: Records, auditor: Auditor, tmp_path: Path, what: str
) -> None:
    changed, code = AT_AN_AGGREGATOR[what]
    report = rewritten(honest, auditor, tmp_path, "north", changed)
    assert code in codes(report)
    assert {one.party for one in report.findings} <= {"north", "consortium"}


def test_of_a_rewritten_ledger_is_said_from_where_on_it_differs(
    honest: Records, auditor: Auditor, tmp_path: Path
) -> None:
    changed = with_body("round-void", 0, reason="tired")
    report = rewritten(honest, auditor, tmp_path, "north", changed)
    kinds = [one[0] for one in _kinds(honest)]
    place = kinds.index("round-void") + 1
    (heads,) = [
        one
        for one in report.findings
        if one.code == "FS-629" and "consortium" in one.what
    ]
    assert heads.entry is not None
    assert heads.entry <= place
    assert f"entries 1 to {heads.entry - 1} are as others hold them" in heads.what


def _kinds(honest: Records) -> list[tuple[str]]:
    with opened(honest.store("north")) as store:
        return list(store.execute("SELECT kind FROM events ORDER BY entry"))


AT_THE_OWNER = {
    "an attempt left out": (
        lambda entries: [
            one for n, one in enumerate(entries) if not _of_third_round(entries, n)
        ],
        "FS-625",
    ),
    "another model": (
        lambda entries: _with_model(entries, "cd" * 32),
        "FS-633",
    ),
}


def _of_third_round(entries: list[Entry], number: int) -> bool:
    """Tell the entries of round 3's void attempt: from its proposal to its end."""
    (end,) = [n for n, one in enumerate(entries) if one[0] == "round-void"]
    return end - 2 <= number <= end


def _with_model(entries: list[Entry], digest: str) -> list[Entry]:
    first = [one[0] for one in entries].index("round-opened")
    kind, body, at = entries[first]
    entries[first] = (kind, {**body, "model": {**body["model"], "digest": digest}}, at)
    return entries


@pytest.mark.parametrize("what", AT_THE_OWNER)
def test_a_model_owner_that_rewrites_its_ledger_is_found(
    honest: Records, auditor: Auditor, tmp_path: Path, what: str
) -> None:
    changed, code = AT_THE_OWNER[what]
    report = rewritten(honest, auditor, tmp_path, "owner", changed)
    assert code in codes(report)


NOBODY_HOLDS = {
    "metrics": ("owner", with_body("round-opened", 1, metrics={"loss": 0.01})),
    "a verdict": ("owner", with_body("round-verdict", 0, verdict="rejected")),
    "a verdict left out": ("owner", without("round-verdict", 0)),
    "why somebody was missing": ("owner", with_body("round-void", 0, reason="bored")),
    "how the run ended": ("owner", with_body("run-finished", 0, outcome="failed")),
}


@pytest.mark.parametrize("what", NOBODY_HOLDS)
def test_what_only_its_author_can_prove_is_not_found(
    honest: Records, auditor: Auditor, tmp_path: Path, what: str
) -> None:
    party, changed = NOBODY_HOLDS[what]
    assert rewritten(honest, auditor, tmp_path, party, changed).holds


def test_a_backup_restored_over_newer_rows_is_found_at_each_party(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    with told(folder) as memory:
        before = {}
        for party in ("owner", "north", "south"):
            records = Records(folder, memory.federation, memory.keys)
            before[party] = tmp_path / f"{party}.backup"
            with opened(records.store(party)) as store:
                store.execute("VACUUM INTO ?", (str(before[party]),))
        memory.store.start_run(_second_run(memory))
        hold(memory, 5, run="run-2")
        assert records.audit().holds  # while all of them are open
    assert records.audit().holds
    for party, backup in before.items():
        report = records.audit(**{party: backup})
        expected = "FS-625" if party == "owner" else "FS-630"
        assert expected in codes(report), party
        assert NAMES.get(party, party) in {one.party for one in report.findings}


def _second_run(memory: Any) -> Any:
    first = memory.store.run("run-1")
    known = first.initial_model
    model = StoredModel(
        "models/run-2/model-00004.npy",
        known.sha256,
        known.bytes,
        ModelKind.MODEL,
        model_after(4),
    )
    source = memory.folder / known.path
    target = memory.folder / model.path
    target.parent.mkdir(parents=True)
    shutil.copy(source, target)
    started = {
        name: getattr(first, name)
        for name in RunStarted.__dataclass_fields__
        if name != "origin"
    }
    return replace(RunStarted(**started), run="run-2", initial_model=model)


def exported(records: Records, party: str) -> Path:
    path = records.folder / f"{party}.jsonl"
    kind = kind_of(party)
    with snapshot(str(records.store(party)), kind) as connection:
        rows = exports.write(connection, kind, path, lambda _: None)
        assert rows == exports.count(connection, kind)
    return path


def test_exports_are_enough_to_audit_offline(records: Records) -> None:
    places = {party: exported(records, party) for party in ("owner", "north", "south")}
    for party in places:
        records.store(party).unlink()
    report = records.audit(**places)
    assert report.findings == []
    assert [store.whole for store in report.stores] == [False] * 3
    assert any("files were not looked at" in note for note in report.notes)
    assert {*range(1, 4), *range(7, 16), 21} <= set(report.checked)


@pytest.mark.parametrize("party", ["owner", "north"])
def test_a_line_of_an_export_that_is_changed_or_missing_is_found(
    honest: Records, auditor: Auditor, tmp_path: Path, party: str
) -> None:
    lines = exported(honest.copy(tmp_path / "all"), party).read_text().splitlines(True)
    rows = len(lines) - 2
    entries = [n for n, line in enumerate(lines) if line.startswith('["events"')]
    for number in entries[::5]:
        fewer = lines[:number] + lines[number + 1 : -1]
        without_it = [*fewer, lines[-1].replace(str(rows), str(rows - 1))]
        half = len(lines[number]) // 2
        line = lines[number]
        letter = "B" if line[half] == "A" else "A"
        other = [
            *lines[:number],
            f"{line[:half]}{letter}{line[half + 1 :]}",
            *lines[number + 1 :],
        ]
        for harmed in (without_it, other):
            path = tmp_path / "harmed.jsonl"
            path.write_text("".join(harmed))
            assert auditor.finds(party, path), number


@pytest.mark.parametrize(
    "harm",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[:-2],
        lambda lines: [*lines, lines[1]],
        lambda lines: [
            lines[0].replace("owner", "x").replace("round", "y"),
            *lines[1:],
        ],
        lambda lines: [lines[0], "nonsense\n", *lines[1:]],
        lambda lines: [lines[0], "[" * 10**4 + "]" * 10**4 + "\n", *lines[1:]],
        lambda lines: [lines[0], '["events",{"entry":1}]\n', *lines[1:]],
    ],
)
def test_what_is_no_whole_export_is_refused(
    honest: Records, auditor: Auditor, tmp_path: Path, harm: Callable[..., list[str]]
) -> None:
    lines = (
        exported(honest.copy(tmp_path / "all"), "owner").read_text().splitlines(True)
    )
    path = tmp_path / "harmed.jsonl"
    path.write_text("".join(harm(lines)))
    with pytest.raises(OperatorError, match="FS-635"):
        auditor.audit("owner", path)


def test_stores_that_are_given_in_the_wrong_place_are_refused(honest: Records) -> None:
    with pytest.raises(OperatorError, match="FS-636"):
        honest.audit(south=honest.store("north"))
    with pytest.raises(OperatorError, match="FS-828"):
        honest.audit(owner=honest.store("north"))


@pytest.mark.parametrize("party", ["owner", "north"])
def test_sets_that_tell_a_few_apart_are_listed_as_pairs(
    auditor: Auditor, party: str
) -> None:
    """As if an aggregator had let all sums of one model be opened."""
    report = Report()
    walked = auditor._honest(party)
    with walked.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_specs SET model = 'one'")
    try:
        sets.look(walked, report)
    finally:
        del auditor.walked[party]
    assert codes(report) == {"FS-634"}
    assert {pair.apart for pair in report.pairs} == {("genf",)}
    assert len(report.pairs) == 3


def test_a_round_that_goes_on_while_stores_are_read_is_no_contradiction(
    tmp_path: Path,
) -> None:
    """The model owner's store is read, then a round is held, then the others are."""
    folder, scratch = tmp_path / "all", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    with told(folder) as memory, ExitStack() as stack:
        records = Records(folder, memory.federation, memory.keys)
        keys, report = Federations([memory.federation]), Report()
        walked = []
        for number, party in enumerate(("owner", "north", "south")):
            kind, place = kind_of(party), str(records.store(party))
            opened_now = open_source(place, kind, scratch / f"{number}.jsonl")
            source = stack.enter_context(opened_now)
            if party == "owner":
                count_entries(source.connection, kind)  # from here on it sees no more
                memory.store.start_run(_second_run(memory))
                hold(memory, 5, run="run-2")
            file = scratch / f"{number}.db"
            walking = walk(source, kind, keys, file, report, lambda _: None)
            walked.append(stack.enter_context(walking))
        conclude(walked, keys, report, QUIET, folder)
    assert report.findings == []
    assert report.stores[0].entries < report.stores[1].entries
