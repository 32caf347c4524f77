import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime import node_public_bytes
from fedsecure.protocol.node_keys import generate_node_key, load_node_key, node_key_text


def private_pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def public_text(key) -> str:
    public = key.public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_a_key_is_the_same_in_the_file_in_the_roster_and_in_flower(tmp_path):
    pem, text = generate_node_key()
    path = tmp_path / "node.key"
    path.write_bytes(pem)
    path.chmod(0o600)
    key = load_node_key(path)
    assert node_key_text(key) == text
    assert text.startswith("ecdsa-sha2-nistp384 ")
    assert node_public_bytes(text) == public_key_to_bytes(key.public_key())


@pytest.mark.parametrize(
    "content",
    [
        b"not a key",
        private_pem(ed25519.Ed25519PrivateKey.generate()),
        private_pem(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["text", "ed25519", "p256"],
)
def test_a_private_key_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "node.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(OperatorError, match=r"node\.key") as caught:
        load_node_key(path)
    assert caught.value.code == "FS-504"


def test_a_private_key_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "node.key"
    path.write_bytes(generate_node_key()[0])
    path.chmod(0o644)
    with pytest.raises(OperatorError) as caught:
        load_node_key(path)
    assert caught.value.code == "FS-744"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ecdsa-sha2-nistp384 AAAA",
        "ecdsa-sha2-nistp384 \N{SNOWMAN}",
        public_text(ed25519.Ed25519PrivateKey.generate()),
        public_text(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["empty", "short", "unicode", "ed25519", "p256"],
)
def test_a_public_key_of_another_kind_is_refused(text):
    with pytest.raises(OperatorError) as caught:
        node_public_bytes(text)
    assert caught.value.code == "FS-504"
