"""What is in the images, and what is not."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement

from tests.compose.conftest import say
from tests.compose.engine import Engine
from tests.compose.parties import COMPOSE_FILE, Images
from tests.organisations import ROOT

pytestmark = pytest.mark.timeout(840)

# Of an image's own layers, above those of its base.
MOST_BYTES: Final = {"aggregator": 150_000_000, "owner": 2_400_000_000}
FIRST_LAYER: Final = "useradd"  # the lowest of our own
PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{16}"
)
PIP_CACHE: Final = re.compile(r"(^|/)\.cache/|pip/(http|wheels|selfcheck)")
SET_ID: Final = 0o6000
ELF: Final = b"\x7fELF"


def test_compose_file_is_valid_without_any_setting(compose: Engine) -> None:
    for profiles in ((), ("--profile", "*")):
        command = ("compose", "--file", str(COMPOSE_FILE), *profiles)
        done = compose.run(*command, "config", "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("kind", "lock", "ours", "absent"),
    [
        (
            "aggregator",
            "aggregator.lock",
            {"fedsecure", "fedsecure-aggregator"},
            {"flwr", "tensorflow", "keras", "pandas", "grpcio", "pip"},
        ),
        (
            "owner",
            "training.lock",
            {"fedsecure", "fedsecure-aggregator", "fedsecure-clients"},
            {"pytest", "scikit-learn", "pip"},
        ),
    ],
)
def test_an_image_holds_what_its_lock_names_and_nothing_else(
    engine: Engine,
    images: Images,
    kind: str,
    lock: str,
    ours: set[str],
    absent: set[str],
) -> None:
    script = (
        "from importlib.metadata import distributions as d; "
        "print(*(one.metadata['Name'] for one in d()))"
    )
    run = ("run", "--rm", "--network", "none", "--entrypoint", "python")
    printed = engine.docker(*run, getattr(images, kind), "-c", script)
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in printed.split()}
    text = (ROOT / lock).read_text()
    wanted = map(Requirement, re.findall(r"^[a-z0-9-]+==[^\\\n]+", text, re.MULTILINE))
    linux = {
        "sys_platform": "linux",
        "python_version": "3.11",
        "python_full_version": "3.11.9",
        "platform_machine": "x86_64",
        "platform_system": "Linux",
    }
    locked = {
        one.name
        for one in wanted
        if one.marker is None or one.marker.evaluate({**linux})
    }
    assert installed == locked | ours
    assert not installed & absent


def test_the_images_add_no_more_than_they_say_to_their_base(
    engine: Engine, images: Images, request: pytest.FixtureRequest
) -> None:
    for kind, most in MOST_BYTES.items():
        sizes = own_layers(engine, getattr(images, kind))
        shown = " + ".join(f"{size / 1e6:.1f}" for size in sizes)
        say(request.config, f"MB of {kind}'s own layers: {shown}")
        assert 0 < sum(sizes) <= most
    one, other = (
        json.loads(engine.docker("inspect", image))[0]["RootFS"]["Layers"]
        for image in (images.owner, images.agent)
    )
    assert one == other


def own_layers(engine: Engine, image: str) -> list[int]:
    """Return the sizes of an image's own layers that are not empty, in bytes."""
    form = "{{.Size}} {{.CreatedBy}}"
    history = ("history", "--no-trunc", "--human=false", "--format", form, image)
    sizes = []
    for line in engine.docker(*history).splitlines():
        size, _, made_by = line.partition(" ")
        sizes.append(int(size))
        if FIRST_LAYER in made_by:
            return [size for size in sizes if size]
    pytest.fail(f"{image} has no layer of {FIRST_LAYER}")


def test_no_layer_of_the_aggregator_holds_a_secret_a_cache_or_a_way_to_more_rights(
    engine: Engine, images: Images, tmp_path: Path
) -> None:
    archive = tmp_path / "image.tar"
    engine.docker("save", "--output", str(archive), images.aggregator)
    own = len(own_layers(engine, images.aggregator))
    names = set()
    for left, layer in read_layers(archive):
        for member in layer:
            names.add(member.name)
            assert not PIP_CACHE.search(member.name), member.name
            if member.isfile():
                content = layer.extractfile(member).read()  # type: ignore[union-attr]
                if left < own:
                    assert not member.mode & SET_ID, member.name
                elif content.startswith(ELF):
                    continue  # a library of the base has keys to test itself with
                assert not PRIVATE_KEY.search(content), member.name
    assert any(
        name.endswith("site-packages/fedsecure_aggregator/http/app.py")
        for name in names
    )
    assert not [
        name for name in names if re.search(r"-packages/(tensorflow|flwr|keras)/", name)
    ]


def read_layers(archive: Path) -> Iterator[tuple[int, tarfile.TarFile]]:
    """Yield an image's layers, the lowest first, with the number of those above."""
    with tarfile.open(archive) as image:

        def read(name: str) -> bytes:
            file = image.extractfile(name)
            assert file is not None
            return file.read()

        (manifest,) = json.loads(read("manifest.json"))
        left = len(manifest["Layers"])
        for name in manifest["Layers"]:
            left -= 1
            with tarfile.open(fileobj=io.BytesIO(read(name))) as layer:
                yield left, layer


@pytest.mark.parametrize("kind", ["aggregator", "owner", "agent"])
def test_no_program_in_an_image_gives_anybody_rights(
    engine: Engine, images: Images, kind: str
) -> None:
    inside = inside_of(engine, getattr(images, kind))
    assert inside("find", "/", "-xdev", "-perm", "/6000", "-type", "f") == ""
    left = ("find", "/root", "/tmp", "-name", ".cache", "-o", "-name", "pip*")  # noqa: S108
    assert inside(*left) == ""
    assert inside("ls", "-A", "/federation") == "data\nstate\n"


def inside_of(engine: Engine, image: str) -> Any:
    def inside(*command: str) -> str:
        run = ("run", "--rm", "--network", "none", "--user", "0", "--entrypoint")
        return engine.docker(*run, command[0], image, *command[1:])

    return inside
