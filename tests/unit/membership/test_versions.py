"""Every version that was accepted stays at the party, found by its digest."""

import dataclasses
import os
import shutil
import stat
from pathlib import Path

import pytest

from fedsecure.errors import OperatorError, PeerError
from fedsecure.membership import handout, joining, versions
from fedsecure.membership.changes import Kind
from fedsecure.membership.own_party import load_own
from fedsecure.protocol.identity import Federation, load_federation
from fedsecure.protocol.signing import Author, verify
from fedsecure.protocol.signing_keys import load_signing_key
from fedsecure.protocol.statements import FederationIssue
from tests.unit.membership.parties import BERN, CHUR, NORTH, World

EVERYBODY = ("study", "north", "south", "basel", "bern")


def kept(world: World, name: str) -> list[int]:
    return [one.number for one in versions.load(world[name].federation).versions]


def test_a_join_keeps_the_version_before_it(federation: World) -> None:
    first = federation["basel"].start().federation
    federation.issuer.retire(["bern"])
    federation.hand_over("basel")
    second = federation["basel"].start()
    assert second.versions.newest == second.federation
    assert second.versions.versions == [first, second.federation]
    assert second.versions.find(first.digest) == first
    assert kept(federation, "north") == [1]


def test_a_kept_version_has_the_model_owners_signature(federation: World) -> None:
    federation.issuer.retire(["bern"])
    federation.hand_over("basel")
    folder = federation["basel"].home / "federation-versions"
    assert len(list(folder.glob("*.toml"))) == 2
    for version in versions.read(federation["basel"].federation):
        token = (folder / f"{version.digest}.jws").read_text().strip()
        statement = verify(token, FederationIssue, version).statement
        assert statement.number == version.number


def test_another_user_may_read_what_was_kept_whatever_the_umask(
    federation: World,
) -> None:
    """In a container that is user 10001, who sees folder and files through a mount."""
    folder = federation["basel"].home / "federation-versions"
    shutil.rmtree(folder)
    federation.issuer.retire(["bern"])
    before = os.umask(0o077)
    try:
        federation.hand_over("basel")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}
    folder.chmod(0o700)  # as an earlier version made it: the next join mends it
    federation.make(CHUR)
    federation.issuer.add(federation.files("chur"))
    federation.hand_over("basel")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_folder_that_cannot_be_listed_is_named_and_not_taken_for_empty(
    federation: World,
) -> None:
    folder = federation["basel"].home / "federation-versions"
    shutil.rmtree(folder)
    folder.touch()
    with pytest.raises(OperatorError, match=r"FS-801.*federation-versions"):
        versions.load(federation["basel"].federation)


def test_versions_that_nobody_accepted_may_be_missing(federation: World) -> None:
    federation.make(CHUR)
    federation.issuer.add(federation.files("chur"))
    federation.issuer.retire(["bern"])
    federation.hand_over("basel")
    assert kept(federation, "basel") == [1, 3]


def test_a_version_of_before_versions_were_kept_is_kept_at_the_next_join(
    federation: World,
) -> None:
    shutil.rmtree(federation["basel"].home / "federation-versions")
    federation.issuer.retire(["bern"])
    federation.hand_over("basel")
    assert kept(federation, "basel") == [1, 2]


def test_a_kept_version_that_was_changed_is_named(federation: World) -> None:
    federation.issuer.retire(["bern"])
    federation.hand_over("basel")
    first = min(
        versions.read(federation["basel"].federation), key=lambda one: one.number
    )
    path = federation["basel"].home / "federation-versions" / f"{first.digest}.toml"
    text = path.read_text().replace("north.test", "nowhere.test")
    path.write_text(text)
    with pytest.raises(OperatorError, match=rf"FS-760.*{first.digest}"):
        federation["basel"].start()


def test_a_join_that_broke_off_changes_nothing(
    federation: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.issuer.retire(["bern"])

    def dies(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(handout, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            federation.hand_over("basel")
    started = federation["basel"].start()
    assert (started.federation.number, started.versions.newest.number) == (1, 1)
    assert kept(federation, "basel") == [1]
    federation.hand_over("basel")
    assert kept(federation, "basel") == [1, 2]


# a name is not given to somebody else


def test_the_name_of_a_hospital_that_left_is_given_to_nobody_else(
    federation: World,
) -> None:
    """Openings compare sets by name: another bern would pass for the one before."""
    federation.issuer.retire(["bern"])
    federation.hand_over("north")
    other = federation.make(dataclasses.replace(BERN), "other bern")
    with pytest.raises(PeerError, match=r"FS-761.*bern"):
        federation.issuer.add([other.identity_file])
    after = federation.issuer.add(federation.files("bern")).federation
    assert "bern" in {party.name for party in after.data_owners}
    federation.hand_over("north")  # the same bern may come back


def test_an_aggregator_refuses_such_a_version_whoever_made_it(
    federation: World,
) -> None:
    federation.issuer.retire(["bern"])
    federation.hand_over("north")
    other = federation.make(dataclasses.replace(BERN), "other bern").identity
    before = load_federation(federation.issuer.handed_over)
    content = before.model_dump(mode="json", exclude_none=True)
    party = {"name": "bern", "key": other.key, "flower_key": other.flower_key}
    content["data_owners"].append(party)
    history = {"number": 3, "previous": before.digest}
    after = Federation.model_validate({**content, **history})
    path = issued(federation, after)
    with pytest.raises(PeerError, match=r"FS-761.*bern.*version 3"):
        federation["north"].join(path, federation.told)
    # Who knows no version without bern sees a new key, and nobody who left.
    (change,) = seen(federation, "basel", path).changes
    assert (change.kind, change.party.name) == (Kind.ROTATED, "bern")


def test_a_version_with_another_pair_is_refused(federation: World) -> None:
    before = federation["basel"].start().federation
    content = before.model_dump(mode="json", exclude_none=True)
    content["aggregators"][0]["name"] = "west"
    history = {"number": 2, "previous": before.digest}
    path = issued(federation, Federation.model_validate({**content, **history}))
    with pytest.raises(OperatorError, match="FS-636"):
        federation["basel"].join(path, federation.told)


def seen(world: World, name: str, path: Path) -> joining.Candidate:
    role, own = load_own(world[name].config)
    return joining.examine(path, role, own)


def issued(world: World, version: Federation) -> Path:
    key = load_signing_key(world["study"].home / "signing.pem")
    path = world.root / "made by hand" / "federation.toml"
    handout.write(handout.issue(Author("study", key, version), None), path)
    return path


# a party's own new keys


def test_a_new_key_comes_into_use_with_the_version_that_has_it(
    federation: World,
) -> None:
    new = federation.make(dataclasses.replace(NORTH, url=NORTH.url), "north/next")
    federation.issuer.rotate([new.identity_file])
    north, old = federation["north"], (federation["north"].home / "signing.pem")
    before = old.read_bytes()
    told = {**federation.told, "north": new.identity.fingerprint}
    path = north.receive(federation.issuer.handed_over)
    role, own = load_own(north.config)
    with pytest.raises(OperatorError, match="FS-746"):
        joining.examine(path, role, own)
    candidate = joining.examine(path, role, own, new.home)
    assert old.read_bytes() == before  # until it is accepted
    joining.accept(candidate, told)
    assert old.read_bytes() != before
    assert north.start().versions.newest.number == 2
    # Typed once more, because nobody saw that it was done.
    joining.accept(joining.examine(path, role, own, new.home), told)
    assert north.start().federation.number == 2
