import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import String, create_engine, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fedsecure.errors import PeerError
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.ledger import (
    GENESIS,
    EventColumns,
    Ledger,
    chain,
    head,
    head_at,
    read_chain,
)
from fedsecure.protocol.signing import Author, verify
from fedsecure.protocol.statements import Event, LedgerHead

Authors = Callable[[str], Author]
NOW = 1_800_000_000.25


class Base(DeclarativeBase):
    pass


class Entry(EventColumns, Base):
    __tablename__ = "events"


class Note(Base):
    __tablename__ = "notes"
    entry: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(String)


def project(session: Session, event: Event) -> None:
    """Keep the body exactly as it is in memory: its repr."""
    session.add(Note(entry=event.entry, body=repr(event.body)))


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def ledger(author: Authors) -> Ledger:
    return Ledger(author("north"), Entry, project)


@pytest.fixture
def five(ledger: Ledger, session: Session) -> Session:
    """A ledger of five entries."""
    for number in range(5):
        ledger.append(session, "granted", {"round": number}, NOW + number)
    session.commit()
    return session


def refused(session: Session, federation: Federation) -> tuple[str, str, int]:
    """Code and text of the refusal, and how many entries were read before it."""
    read: list[Event] = []
    with pytest.raises(PeerError) as caught:
        read.extend(read_chain(session, Entry, federation))
    return caught.value.code, caught.value.detail, len(read)


def test_events_are_read_in_the_order_in_which_they_were_written(
    five: Session, federation: Federation
) -> None:
    events = list(read_chain(five, Entry, federation))
    assert [event.entry for event in events] == [1, 2, 3, 4, 5]
    assert [event.body for event in events] == [{"round": n} for n in range(5)]
    assert {event.author for event in events} == {"north"}
    assert [event.at for event in events] == [NOW + n for n in range(5)]


def test_more_entries_are_read_than_are_fetched_at_once(
    ledger: Ledger, session: Session, federation: Federation
) -> None:
    for number in range(40):
        ledger.append(session, "granted", {}, number)
    assert sum(1 for _ in read_chain(session, Entry, federation)) == 40


def test_an_empty_ledger_has_the_head_of_zeros(
    ledger: Ledger, session: Session, federation: Federation
) -> None:
    assert head(session, ledger.table) == LedgerHead(entries=0, hash="0" * 64)
    assert list(read_chain(session, Entry, federation)) == []


def test_the_head_is_the_chain_over_all_payloads(five: Session, ledger: Ledger) -> None:
    link = GENESIS
    for payload in five.scalars(select(Entry.payload).order_by(Entry.entry)):
        link = chain(link, payload)
    assert head(five, ledger.table) == LedgerHead(entries=5, hash=link)


def test_the_head_that_is_returned_is_the_one_that_is_found(
    ledger: Ledger, session: Session
) -> None:
    for number in range(3):
        appended = ledger.append(session, "granted", {}, number)
        assert appended == head(session, ledger.table)


def test_a_head_is_asked_for_anew_in_the_next_transaction(
    ledger: Ledger, session: Session
) -> None:
    first = ledger.append(session, "granted", {}, 0)
    session.commit()
    ledger.append(session, "granted", {}, 1)
    session.rollback()
    assert head(session, ledger.table) == first
    session.rollback()
    with Session(session.get_bind()) as another, another.begin():
        second = ledger.append(another, "granted", {}, 2)
    assert head(session, ledger.table) == second
    assert head_at(session, ledger.table, 1) == first


CHANGES = {
    "payload = replace(payload, 'A', 'B') WHERE entry = 3": ("FS-70", 2),
    "payload = 'no token' WHERE entry = 3": ("FS-701", 2),
    "payload = 'schon ä' WHERE entry = 3": ("FS-701", 2),
    "payload = (SELECT payload FROM events WHERE entry = 2) WHERE entry = 3": (
        "FS-601",
        2,
    ),
    "hash = '' WHERE entry = 1": ("FS-601", 0),
    f"hash = '{'0' * 64}' WHERE entry = 5": ("FS-601", 4),
    "kind = 'void' WHERE entry = 2": ("FS-601", 1),
    "at = at - 86400 WHERE entry = 3": ("FS-601", 2),
    "entry = 9 WHERE entry = 5": ("FS-601", 4),
    "entry = 0 WHERE entry = 5": ("FS-601", 0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found_at_its_entry(
    five: Session, federation: Federation, change: str
) -> None:
    five.execute(text(f"UPDATE events SET {change}"))  # noqa: S608
    code, detail, read = refused(five, federation)
    assert code.startswith(CHANGES[change][0])
    assert read == CHANGES[change][1]
    assert f"entry {read + 1}" in detail


@pytest.mark.parametrize("entry", [1, 3])
def test_a_missing_entry_is_found(
    five: Session, federation: Federation, entry: int
) -> None:
    five.execute(text(f"DELETE FROM events WHERE entry = {entry}"))  # noqa: S608
    code, _, read = refused(five, federation)
    assert (code, read) == ("FS-601", entry - 1)


def chain_again(session: Session, payloads: list[str], federation: Federation) -> None:
    """Replace the table by these payloads, numbered and linked as they should be."""
    session.execute(text("DELETE FROM events"))
    link = GENESIS
    for number, payload in enumerate(payloads, start=1):
        event = verify(payload, Event, federation).statement
        link = chain(link, payload)
        session.add(
            Entry(
                entry=number,
                hash=link,
                kind=event.kind,
                at=event.at,
                payload=payload,
            )
        )
    session.flush()


@pytest.mark.parametrize(
    ("order", "good"),
    [
        ([1, 2, 3, 4], 0),
        ([0, 1, 3, 4], 2),
        ([0, 2, 1, 3, 4], 1),
        ([0, 1, 1, 2, 3, 4], 2),
        ([4], 0),
    ],
)
def test_hashes_made_anew_do_not_hide_a_change(
    five: Session, federation: Federation, order: list[int], good: int
) -> None:
    payloads = five.scalars(select(Entry.payload).order_by(Entry.entry)).all()
    chain_again(five, [payloads[number] for number in order], federation)
    code, detail, read = refused(five, federation)
    assert (code, read) == ("FS-601", good)
    assert f"entry {good + 1}" in detail


@pytest.mark.parametrize("change", [{"entry": 7}, {"previous": "0" * 64}])
def test_an_entry_says_its_number_and_the_one_before_it(
    five: Session, ledger: Ledger, federation: Federation, change: dict[str, Any]
) -> None:
    payloads = list(five.scalars(select(Entry.payload).order_by(Entry.entry)))
    content = {
        "federation": federation.digest,
        "author": "north",
        "entry": 6,
        "previous": head(five, ledger.table).hash,
        "kind": "granted",
        "at": NOW,
        "body": {},
    }
    for more, expected in ({}, None), (change, "FS-601"):
        token = ledger.author.sign(Event.model_validate(content | more)).token
        chain_again(five, [*payloads, token], federation)
        if expected:
            assert refused(five, federation)[::2] == (expected, 5)
        else:
            assert len(list(read_chain(five, Entry, federation))) == 6


def test_an_entry_of_another_party_is_found(
    five: Session, federation: Federation, author: Authors
) -> None:
    # The other aggregator may sign events too, but not in this ledger.
    Ledger(author("south"), Entry, project).append(five, "granted", {}, NOW)
    code, detail, read = refused(five, federation)
    assert (code, read) == ("FS-601", 5)
    assert "entry 6" in detail


def test_a_chain_that_was_signed_anew_has_another_head(
    five: Session, ledger: Ledger, federation: Federation
) -> None:
    before = head(five, ledger.table)
    five.execute(text("DELETE FROM events"))
    five.execute(text("DELETE FROM notes"))
    five.commit()
    for number in range(5):
        ledger.append(five, "granted", {"round": number + 1}, NOW + number)
    assert len(list(read_chain(five, Entry, federation))) == 5
    assert head(five, ledger.table) != before


def test_another_federation_is_said(five: Session, content: dict[str, Any]) -> None:
    content["data_owners"].pop()
    code, detail, read = refused(five, Federation.model_validate(content))
    assert (code, read) == ("FS-654", 0)
    assert detail.startswith("entry 1: ")


def test_nothing_is_written_unless_the_caller_commits(
    five: Session, ledger: Ledger
) -> None:
    before = head(five, ledger.table)
    ledger.append(five, "granted", {}, NOW)
    five.rollback()
    assert head(five, ledger.table) == before
    assert five.scalar(select(func.count()).select_from(Note)) == 5


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (1.0, 1),
        ((1, 2), [1, 2]),
        (math.nan, None),
        (1e20, 1e20),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
    ],
)
def test_an_audit_projects_what_was_projected_before(
    ledger: Ledger, session: Session, federation: Federation, said: Any, read: Any
) -> None:
    ledger.append(session, "granted", {"value": said}, NOW)
    for event in read_chain(session, Entry, federation):
        assert event.body == {"value": read}
        assert session.get_one(Note, event.entry).body == repr(event.body)
