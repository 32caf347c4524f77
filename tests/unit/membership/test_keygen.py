import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.membership import identity_file, keygen, own_tls
from fedsecure.membership.keygen import Wanted
from fedsecure.membership.own_party import load_own
from fedsecure.protocol.identity import Role
from fedsecure.protocol.signing_keys import load_signing_key
from tests.unit.membership.parties import BASEL, EVERYBODY, NORTH, NOW, Party, World

Change = Callable[[Path, str, str], None]


@pytest.mark.parametrize("wanted", EVERYBODY, ids=lambda one: one.name)
def test_a_party_gets_private_files_that_nobody_else_can_read(
    wanted: Wanted, tmp_path: Path
) -> None:
    keygen.make(wanted, tmp_path, NOW)
    private = {"signing.pem", "flower.key", "ca.key", "tls.key"}
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()
    }
    assert {name for name, mode in modes.items() if mode == 0o600} == (
        private & modes.keys()
    )
    assert {modes[name] for name in modes.keys() - private} == {0o644}


@pytest.mark.parametrize("wanted", EVERYBODY, ids=lambda one: one.name)
def test_the_configuration_says_what_the_identity_says(
    wanted: Wanted, tmp_path: Path
) -> None:
    party = Party(wanted, tmp_path)
    role, own = load_own(party.config)
    assert (role, own.name) == (wanted.role, wanted.name)
    read = identity_file.read(party.identity_file)
    assert read == party.identity
    key = load_signing_key(own.key)
    assert keygen.public_key_text(key) == read.key


@pytest.mark.parametrize("name", ["signing.pem", "flower.key", "agent.toml"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(OperatorError, match=f"FS-748.*{name}"):
        keygen.make(BASEL, tmp_path, NOW)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(Role.DATA_OWNER, "Basel"),
        Wanted(Role.AGGREGATOR, "north"),
        Wanted(Role.AGGREGATOR, "north", url="http://north.test"),
        Wanted(Role.MODEL_OWNER, "study"),
        Wanted(Role.MODEL_OWNER, "study", superlink="study.test"),
        Wanted(Role.DATA_OWNER, "basel", url="https://basel.test"),
    ],
)
def test_a_party_that_cannot_be_gets_no_files(wanted: Wanted, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="FS-814"):
        keygen.make(wanted, tmp_path, NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "north"', 'name = "south"'),
        ("north.test:8443", "thief.test:8443"),
        ('role = "aggregator"', 'role = "data-owner"'),
        ('signature = "', 'signature = "e'),
        ("\nname =", "\nextra = 1\nname ="),
    ],
)
def test_an_identity_file_that_was_changed_is_refused(
    world: World, change_line: Change, old: str, new: str
) -> None:
    path = world["north"].identity_file
    change_line(path, old, new)
    with pytest.raises(FedsecureError, match="FS-747"):
        identity_file.read(path)


def test_an_identity_needs_the_key_that_it_shows(
    world: World, change_line: Change
) -> None:
    """Nobody can hand in another party's key, or authority, as its own."""
    thief, north = world["south"].identity, world["north"]
    for mine, other in (
        (north.identity.key, thief.key),
        (north.identity.authority, thief.authority),
    ):
        path = north.home / "copy.toml"
        path.write_bytes(north.identity_file.read_bytes())
        change_line(path, str(mine), str(other))
        with pytest.raises(FedsecureError, match="FS-747"):
            identity_file.read(path)


def test_renewed_tls_is_of_the_same_authority_and_host(tmp_path: Path) -> None:
    party = Party(NORTH, tmp_path)
    certificate, key = tmp_path / "tls.pem", tmp_path / "tls.key"
    old, authority = certificate.read_bytes(), party.identity.authority
    assert authority is not None
    own_tls.renew(certificate, key, [], NOW)
    fresh = x509.load_pem_x509_certificate(certificate.read_bytes())
    fresh.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    names = fresh.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [name.value for name in names.value] == ["north.t"]
    assert certificate.read_bytes() != old
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_without_an_authority_of_its_own_nothing_is_renewed(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="FS-812"):
        own_tls.renew(tmp_path / "tls.pem", tmp_path / "tls.key", ["north.t"], NOW)
    assert list(tmp_path.iterdir()) == []
