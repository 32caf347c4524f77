"""A ledger goes on when the federation changes, and never back to an older key."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import create_engine, text
from sqlalchemy.orm import DeclarativeBase, Session

from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.ledger import (
    CHANGED,
    EventColumns,
    Ledger,
    chain,
    head,
    read_chain,
)
from fedsecure.protocol.signing import Author
from fedsecure.protocol.signing_keys import public_key_text
from fedsecure.protocol.statements import Event, Void

Authors = Callable[[str], Author]
NEW_KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
NOW = 1_800_000_000.0


class Base(DeclarativeBase):
    pass


class Entry(EventColumns, Base):
    __tablename__ = "events"


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def first(author: Authors) -> Author:
    """North, with the key that it has in version 2."""
    return author("north")


@pytest.fixture
def second(first: Author) -> Author:
    """North, with its new key in version 3."""
    return Author("north", NEW_KEY, next_version(first.federation, NEW_KEY))


def next_version(before: Federation, key: Ed25519PrivateKey) -> Federation:
    content = before.model_dump(mode="json", exclude_none=True)
    for party in content["aggregators"]:
        if party["name"] == "north":
            party["key"] = public_key_text(key)
    history = {"number": before.number + 1, "previous": before.digest}
    return Federation.model_validate({**content, **history})


def write(author: Author, session: Session, *kinds: str) -> None:
    ledger = Ledger(author, Entry, lambda _session, _event: None)
    for kind in kinds:
        ledger.append(session, kind, {}, NOW)
    session.commit()


def forge(session: Session, author: Author, kind: str, **body: Any) -> None:
    """Append what somebody with a key would append, whatever the rules are."""
    before = head(session, Entry)
    event = Event(
        federation=author.federation.digest,
        author="north",
        entry=before.entries + 1,
        previous=before.hash,
        kind=kind,
        at=NOW,
        body=body,
    )
    payload = author.sign(event).token
    link = chain(before.hash, payload)
    session.add(Entry(entry=event.entry, hash=link, kind=kind, at=NOW, payload=payload))
    session.commit()


def kinds(session: Session, *versions: Federation) -> list[str]:
    return [one.kind for one in read_chain(session, Entry, Federations(versions))]


def refused(session: Session, *versions: Federation) -> tuple[str, str]:
    with pytest.raises(PeerError) as caught:
        kinds(session, *versions)
    return caught.value.code, caught.value.detail


def test_a_ledger_goes_on_over_a_new_key_and_says_where(
    session: Session, first: Author, second: Author
) -> None:
    write(first, session, "granted", "opened")
    write(second, session, "granted")
    write(second, session, "opened")
    assert kinds(session, first.federation, second.federation) == [
        "granted",
        "opened",
        CHANGED,
        "granted",
        "opened",
    ]


def test_a_change_is_said_once_whatever_is_rolled_back(
    session: Session, first: Author, second: Author
) -> None:
    write(first, session, "granted")
    ledger = Ledger(second, Entry, lambda _session, _event: None)
    ledger.append(session, "opened", {}, NOW)
    session.rollback()
    ledger.enter(session, NOW)
    ledger.append(session, "opened", {}, NOW)
    session.commit()
    assert kinds(session, first.federation, second.federation) == [
        "granted",
        CHANGED,
        "opened",
    ]


def test_of_a_version_that_is_missing_the_digest_is_said_and_no_forgery_suspected(
    session: Session, first: Author, second: Author
) -> None:
    write(first, session, "granted")
    write(second, session, "granted")
    for held, missing, entry in ((second, first, 1), (first, second, 2)):
        code, detail = refused(session, held.federation)
        assert code == "FS-654"
        assert missing.federation.digest in detail
        assert f"entry {entry}" in detail


def test_an_old_key_signs_nothing_after_the_change(
    session: Session, first: Author, second: Author
) -> None:
    write(first, session, "granted")
    write(second, session, "granted")
    forge(session, first, "granted")
    code, detail = refused(session, first.federation, second.federation)
    assert code == "FS-655"
    assert "entry 4" in detail


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"number": 4},
        {"before": "0" * 64},
        {"more": 1},
    ],
)
def test_an_old_key_cannot_take_the_ledger_back(
    session: Session, first: Author, second: Author, said: dict[str, Any]
) -> None:
    write(first, session, "granted")
    write(second, session, "granted")
    body = {"before": second.federation.digest, "number": 2, **said}
    forge(session, first, CHANGED, **body)
    assert refused(session, first.federation, second.federation)[0] == "FS-655"


def test_the_old_key_cannot_speak_for_the_new_version(
    session: Session, first: Author, second: Author
) -> None:
    write(first, session, "granted")
    forger = Author("north", first.key, second.federation)
    body = {"before": first.federation.digest, "number": 3}
    forge(session, forger, CHANGED, **body)
    assert refused(session, first.federation, second.federation)[0] == "FS-704"


def test_a_change_that_is_not_said_is_found(
    session: Session, first: Author, second: Author
) -> None:
    write(first, session, "granted")
    forge(session, second, "granted")
    code, detail = refused(session, first.federation, second.federation)
    assert code == "FS-655"
    assert "version 3" in detail
    assert "version 2" in detail


def test_a_program_of_the_old_version_stops_writing(
    session: Session, first: Author, second: Author
) -> None:
    running = Ledger(first, Entry, lambda _session, _event: None)
    running.append(session, "granted", {}, NOW)
    session.commit()
    write(second, session, "granted")
    with pytest.raises(OperatorError, match="FS-656"):
        running.append(session, "opened", {}, NOW)
    with pytest.raises(OperatorError, match="FS-656"):
        write(first, session, "opened")


def test_a_ledger_whose_last_entry_was_damaged_is_not_gone_on_with(
    session: Session, first: Author, second: Author
) -> None:
    write(first, session, "granted")
    session.execute(text("UPDATE events SET payload = 'x'"))
    session.commit()
    with pytest.raises(OperatorError, match="FS-601"):
        write(second, session, "granted")


def test_a_statement_inside_an_entry_is_of_the_entrys_version(
    first: Author, second: Author
) -> None:
    keys = Federations([second.federation, first.federation])
    old, new = (
        author.sign(
            Void(
                federation=author.federation.digest,
                spec="0" * 64,
                author="north",
                reason="late",
            )
        ).token
        for author in (first, second)
    )
    assert keys.verify(old, Void).signer == keys.verify(new, Void).signer == "north"
    at = keys.at(second.federation.digest)
    assert at.verify(new, Void).signer == "north"
    with pytest.raises(PeerError, match=r"FS-637.*version 2.*version 3"):
        at.verify(old, Void)
    assert [one.number for one in keys.versions] == [2, 3]
    assert keys.newest.number == 3


def test_versions_of_two_federations_are_no_history(first: Author) -> None:
    content = first.federation.model_dump(mode="json", exclude_none=True)
    content["model_owner"]["name"] = "somebody-else"
    with pytest.raises(OperatorError, match="FS-636"):
        Federations([first.federation, Federation.model_validate(content)])
