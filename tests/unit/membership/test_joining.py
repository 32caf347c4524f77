"""Who is let in, and by which words: each refusal is an attack."""

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.membership import handout, identity_file, joining
from fedsecure.membership.changes import Kind
from fedsecure.membership.issuing import Issuer, authorities
from fedsecure.membership.own_party import load_own
from fedsecure.protocol.identity import Federation, load_federation
from fedsecure.protocol.signing import Author
from fedsecure.protocol.signing_keys import load_signing_key
from tests.unit.membership.parties import CHUR, NORTH, SOUTH, STUDY, World

Change = Callable[[Path, str, str], None]
HOSPITALS = ("basel", "bern")
EVERYBODY = ("study", "north", "south", *HOSPITALS)


def seen(world: World, name: str) -> joining.Candidate:
    party = world[name]
    role, own = load_own(party.config)
    return joining.examine(party.receive(world.issuer.handed_over), role, own)


def changed(federation: Federation, **changes: object) -> Federation:
    return Federation.model_validate({**federation.model_dump(), **changes})


def test_everybody_starts_with_the_version_that_it_accepted(federation: World) -> None:
    digests = {federation[name].start().federation.digest for name in EVERYBODY}
    assert len(digests) == 1
    for name in EVERYBODY:
        authorities = federation[name].start().authorities
        assert authorities == federation[name].home / "authorities.pem"


def test_data_owners_ask_both_aggregators_and_aggregators_whom_they_serve(
    world: World,
) -> None:
    world.issuer.start("heart", world.files("north", "south", "basel", "bern"))
    asked = {name: {p.name for p in seen(world, name).asked} for name in EVERYBODY}
    assert asked == {
        "study": {"north", "south"},
        "north": {"south", "study"},
        "south": {"north", "study"},
        "basel": {"north", "south"},
        "bern": {"north", "south"},
    }


@pytest.mark.parametrize("hospital", HOSPITALS)
@pytest.mark.parametrize("impostors", [("north", "south"), ("north",), ("south",)])
def test_aggregators_of_the_model_owner_itself_are_refused_at_every_hospital(
    world: World, hospital: str, impostors: tuple[str, ...]
) -> None:
    told = world.told  # what the real aggregators read out
    for name, wanted in (("north", NORTH), ("south", SOUTH)):
        if name in impostors:
            world.make(wanted, f"the owner's {name}")
    files = [
        world[f"the owner's {name}" if name in impostors else name].identity_file
        for name in ("north", "south")
    ]
    world.issuer.start("heart", [*files, *world.files(*HOSPITALS)])
    party = world[hospital]
    with pytest.raises(OperatorError, match="FS-754") as caught:
        party.join(party.receive(world.issuer.handed_over), told)
    assert any(name in caught.value.detail for name in impostors)
    assert not party.federation.exists()
    with pytest.raises(OperatorError, match=r"FS-753|FS-801"):
        party.start()


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_the_model_owners_own_key_as_an_aggregators_is_refused(
    federation: World, hospital: str
) -> None:
    """`init` makes no such file, so the model owner writes and signs it by hand."""
    owner = federation["study"].start().federation.model_owner
    content = federation["study"].start().federation.model_dump(mode="json")
    content["aggregators"][0]["key"] = owner.key
    path = federation[hospital].receive(federation.issuer.handed_over)
    path.write_text(tomli_w.dumps({k: v for k, v in content.items() if v is not None}))
    with pytest.raises(OperatorError, match=r"FS-803.*same key"):
        federation[hospital].join(path, federation.told)


def test_two_parties_with_one_key_make_no_federation(world: World) -> None:
    chur = world.make(CHUR)
    shutil.copy(world["basel"].home / "signing.pem", chur.home / "signing.pem")
    key = load_signing_key(chur.home / "signing.pem")
    twin = chur.identity.model_copy(update={"key": world["basel"].identity.key})
    identity_file.write(chur.identity_file, twin, key)
    with pytest.raises(OperatorError, match=r"FS-756.*same key"):
        world.issuer.start(
            "heart", world.files("north", "south", "basel", "bern", "chur")
        )


def test_a_roster_that_nobody_accepted_starts_nobody(federation: World) -> None:
    """The model owner adds a puppet and puts the new file where the old one was."""
    federation.make(CHUR)
    federation.issuer.add(federation.files("chur"))
    for name in EVERYBODY:
        party = federation[name]
        shutil.copy(federation.issuer.handed_over, party.federation)
        with pytest.raises(OperatorError, match=r"FS-752.*version 2.*accepted was 1"):
            party.start()


def test_another_ca_file_than_was_accepted_starts_nobody(federation: World) -> None:
    bundle = federation["basel"].home / "authorities.pem"
    bundle.write_text(federation["basel"].start().authorities.read_text() + "\n")  # type: ignore[union-attr]
    with pytest.raises(OperatorError, match="FS-750"):
        federation["basel"].start()


def test_a_private_key_that_others_can_read_starts_nobody(federation: World) -> None:
    for name in EVERYBODY:
        key = federation[name].home / "signing.pem"
        key.chmod(0o640)
        with pytest.raises(OperatorError, match=r"FS-744.*0640"):
            federation[name].start()


def test_a_party_that_was_retired_hears_so_and_in_which_version(
    federation: World,
) -> None:
    federation.make(CHUR)
    federation.issuer.add(federation.files("chur"))
    federation.hand_over("study", "chur")
    federation.issuer.retire(["chur"])
    path = federation["chur"].receive(federation.issuer.handed_over)
    with pytest.raises(OperatorError, match=r"FS-827.*chur.*version 2 .*version 3"):
        federation["chur"].join(path, federation.told)
    federation["chur"].start()  # nothing was changed here
    federation.make(replace(CHUR, name="genf"))
    path = federation["genf"].receive(federation.issuer.handed_over)
    with pytest.raises(OperatorError, match="FS-741"):
        federation["genf"].join(path, federation.told)


def test_a_federation_signed_by_somebody_else_is_refused(federation: World) -> None:
    """North, who is in it, signs; so does a stranger in the model owner's name."""
    real = federation["study"].start().federation
    stranger = federation.make(STUDY, "stranger")
    for signer, home in (("north", "north"), ("study", "stranger")):
        key = load_signing_key(federation[home].home / "signing.pem")
        forged = handout.issue(Author(signer, key, real), None)
        path = stranger.home / "forged" / "federation.toml"
        handout.write(forged, path)
        with pytest.raises(PeerError, match="FS-749"):
            federation["basel"].join(path, federation.told)


@pytest.mark.parametrize("name", ["federation.jws", "authorities.pem"])
def test_a_version_is_refused_without_its_other_files(
    federation: World, name: str
) -> None:
    path = federation["basel"].receive(federation.issuer.handed_over)
    path.with_name(name).unlink()
    with pytest.raises(FedsecureError, match=r"FS-749|FS-801"):
        federation["basel"].join(path, federation.told)


def test_a_changed_version_or_ca_file_is_refused(
    federation: World, change_line: Change
) -> None:
    path = federation["basel"].receive(federation.issuer.handed_over)
    change_line(path, "https://north.test:8443", "https://thief.test:8443")
    with pytest.raises(PeerError, match="FS-749"):
        federation["basel"].join(path, federation.told)
    path = federation["basel"].receive(federation.issuer.handed_over)
    path.with_name("authorities.pem").write_bytes(b"another")
    with pytest.raises(PeerError, match="FS-750"):
        federation["basel"].join(path, federation.told)


def test_a_party_that_is_not_in_it_does_not_join(federation: World) -> None:
    chur = federation.make(CHUR)
    with pytest.raises(OperatorError, match="FS-741"):
        chur.join(federation.issuer.handed_over, federation.told)


def test_a_party_with_another_key_there_does_not_join(federation: World) -> None:
    shutil.copy(
        federation["bern"].home / "signing.pem",
        federation["basel"].home / "signing.pem",
    )
    with pytest.raises(OperatorError, match="FS-746"):
        seen(federation, "basel")
    shutil.copy(
        federation["basel"].home / "flower.key", federation["bern"].home / "flower.key"
    )
    with pytest.raises(OperatorError, match=r"FS-759.*Flower"):
        seen(federation, "bern")


def test_the_next_version_shows_who_came_who_left_and_whose_key_is_new(
    federation: World,
) -> None:
    federation.make(CHUR)
    federation.issuer.add(federation.files("chur"))
    federation.hand_over("bern")
    old = federation["north"]
    federation.issuer.retire(["bern"])
    new = federation.make(dataclasses.replace(NORTH, url=NORTH.url), "north anew")
    federation.issuer.rotate([new.identity_file])
    found = {(c.kind, c.party.name) for c in seen(federation, "basel").changes}
    assert found == {
        (Kind.ADDED, "chur"),
        (Kind.RETIRED, "bern"),
        (Kind.ROTATED, "north"),
    }
    assert seen(federation, "basel").federation.number == 4
    # Only the key that is new must be told again.
    assert [party.name for party in seen(federation, "basel").asked] == ["north"]
    with pytest.raises(OperatorError, match=r"FS-754.*north"):
        federation["basel"].join(federation.issuer.handed_over, federation.told)
    told = {"north": new.identity.fingerprint}
    assert federation["basel"].join(federation.issuer.handed_over, told).number == 4
    with pytest.raises(OperatorError, match="FS-827"):
        seen(federation, "bern")
    with pytest.raises(OperatorError, match="FS-746"):
        old.join(federation.issuer.handed_over, federation.told)


def test_a_retired_party_is_not_in_the_next_version(federation: World) -> None:
    federation.issuer.retire(["bern"])
    after = load_federation(federation.issuer.handed_over)
    assert [party.name for party in after.data_owners] == ["basel"]
    assert after.previous == federation["study"].start().federation.digest
    folder = federation["study"].home / "identities"
    assert not (folder / "bern.identity.toml").exists()
    assert len(list((folder / "retired").iterdir())) == 1


def test_an_older_version_is_refused(federation: World) -> None:
    older = federation["basel"].receive(federation.issuer.handed_over)
    kept = older.parent.rename(federation.root / "old") / older.name
    federation.issuer.retire(["bern"])
    federation.hand_over("basel")
    with pytest.raises(PeerError, match=r"FS-751.*version 1.*version 2"):
        federation["basel"].join(kept, federation.told)


def test_another_version_2_than_the_one_that_follows_is_refused(
    federation: World,
) -> None:
    real = federation["study"].start().federation
    other = changed(real, number=2, previous="0" * 64)
    key = load_signing_key(federation["study"].home / "signing.pem")
    path = federation.root / "fork" / "federation.toml"
    handout.write(handout.issue(Author("study", key, other), None), path)
    with pytest.raises(PeerError, match="FS-751"):
        federation["basel"].join(path, federation.told)


def test_a_new_key_of_the_model_owner_must_be_told(federation: World) -> None:
    """Else whoever changes both files on the way would be the model owner."""
    thief = federation.make(STUDY, "thief")
    files = [thief.identity_file, *federation.files("north", "south", "basel", "bern")]
    issuer = Issuer(load_own(thief.config)[1], thief.home)
    issuer.start("heart", files[1:])
    first = load_federation(issuer.handed_over)
    before = federation["study"].start().federation.digest
    second = changed(first, number=2, previous=before)
    key = load_signing_key(thief.home / "signing.pem")
    handout.write(handout.issue(Author("study", key, second), None), issuer.handed_over)
    with pytest.raises(OperatorError, match=r"FS-754.*study"):
        federation["basel"].join(issuer.handed_over, federation.told)


def test_only_the_model_owner_makes_versions(federation: World) -> None:
    north = federation["north"]
    shutil.copytree(federation.issuer.handed_over.parent, north.home / "to-everybody")
    shutil.copytree(federation["study"].home / "identities", north.home / "identities")
    issuer = Issuer(load_own(north.config)[1], north.home)
    with pytest.raises(OperatorError, match=r"FS-756.*north"):
        issuer.retire(["bern"])


def test_changes_of_who_is_not_there_are_refused(federation: World) -> None:
    with pytest.raises(OperatorError, match=r"FS-757.*chur"):
        federation.issuer.retire(["chur"])
    with pytest.raises(OperatorError, match=r"FS-757.*chur"):
        federation.issuer.rotate([federation.make(CHUR).identity_file])
    with pytest.raises(OperatorError, match=r"FS-756.*basel"):
        federation.issuer.add(federation.files("basel"))
    with pytest.raises(OperatorError, match="FS-748"):
        federation.issuer.start("heart", [])


def test_ca_files_follow_each_other_in_ascending_order_each_once(world: World) -> None:
    given = [identity_file.read(path) for path in world.files("north", "south")]
    texts = sorted({str(one.authority) for one in given})
    assert len(texts) == 2
    assert authorities([*given, *given[::-1]]) == "".join(texts).encode()


def test_servers_bring_a_ca_all_or_none(world: World) -> None:
    plain = dataclasses.replace(SOUTH, tls_hosts=())
    world.make(plain, "south without")
    files = [*world.files("north", "south without", "basel", "bern")]
    with pytest.raises(OperatorError, match=r"FS-756.*south"):
        world.issuer.start("heart", files)
