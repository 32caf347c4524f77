import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings, strategies as st

from fedsecure.errors import OperatorError
from fedsecure.protocol.signing_keys import load_signing_key, save_signing_key
from fedsecure.system.private_files import read_private, write_private


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o277, 0o777])
def test_a_private_file_is_its_owners_alone(
    tmp_path: Path, umask: Callable[[int], int], mask: int
) -> None:
    (tmp_path / "keys").mkdir()
    umask(mask)
    write_private(tmp_path / "keys" / "key", b"secret")
    assert mode(tmp_path / "keys" / "key") == 0o600
    assert read_private(tmp_path / "keys" / "key") == b"secret"


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o644, 0o620, 0o601, 0o610, 0o777])
def test_a_private_file_that_others_can_reach_is_refused(
    tmp_path: Path, bits: int
) -> None:
    path = tmp_path / "key"
    write_private(path, b"secret")
    path.chmod(bits)
    with pytest.raises(OperatorError, match="FS-744") as caught:
        read_private(path)
    assert f"{bits:04o}" in caught.value.detail
    path.chmod(0o400)
    assert read_private(path) == b"secret"


def test_a_link_does_not_hide_the_mode_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "open").write_bytes(b"secret")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "key").symlink_to(tmp_path / "open")
    with pytest.raises(OperatorError, match="FS-744"):
        read_private(tmp_path / "key")


@pytest.mark.parametrize("there", ["file", "link", "dangling"])
def test_what_is_there_is_never_overwritten(tmp_path: Path, there: str) -> None:
    path, target = tmp_path / "key", tmp_path / "target"
    if there == "file":
        path.write_bytes(b"old")
    else:
        path.symlink_to(target)
    if there == "link":
        target.write_bytes(b"old")
    with pytest.raises(OperatorError, match="FS-743"):
        write_private(path, b"new")
    assert there == "dangling" or path.read_bytes() == b"old"
    assert target.exists() == (there == "link")


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "FS-523"), (errno.EDQUOT, "FS-523"), (errno.EIO, "FS-743")],
)
@pytest.mark.parametrize("call", [1, 2])
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, call: int
) -> None:
    calls = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call:
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OperatorError, match=code) as caught:
            write_private(tmp_path / "key", b"secret")
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    write_private(tmp_path / "key", b"secret")


def test_a_file_where_a_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="FS-743"):
        write_private(tmp_path / "file" / "key", b"secret")
    with pytest.raises(OperatorError, match="FS-801"):
        read_private(tmp_path / "file" / "key")
    with pytest.raises(OperatorError, match="FS-801"):
        read_private(tmp_path)


@settings(max_examples=10)
@given(seed=st.binary(min_size=32, max_size=32))
def test_a_signing_key_comes_back(
    tmp_path_factory: pytest.TempPathFactory, seed: bytes
) -> None:
    path = tmp_path_factory.mktemp("keys") / "new" / "folder" / "signing.pem"
    save_signing_key(path, Ed25519PrivateKey.from_private_bytes(seed))
    assert mode(path) == 0o600
    assert load_signing_key(path).private_bytes_raw() == seed


def pem(key: Any, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    content: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return content


NOT_SIGNING_KEYS = {
    "empty": b"",
    "text": b"not a key",
    "binary": bytes(range(256)),
    "cut": pem(Ed25519PrivateKey.from_private_bytes(bytes(32)))[:60],
    "public": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "encrypted": pem(Ed25519PrivateKey.from_private_bytes(bytes(32)), b"password"),
    "P-256": pem(ec.derive_private_key(2**200, ec.SECP256R1())),
    "Ed448": pem(ed448.Ed448PrivateKey.from_private_bytes(bytes(57))),
    "X25519": pem(x25519.X25519PrivateKey.from_private_bytes(bytes(32))),
}


@pytest.mark.parametrize("what", NOT_SIGNING_KEYS)
def test_another_key_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "signing.pem"
    write_private(path, NOT_SIGNING_KEYS[what])
    with pytest.raises(OperatorError, match="FS-745") as caught:
        load_signing_key(path)
    assert "BEGIN" not in str(caught.value)
