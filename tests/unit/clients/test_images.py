"""Folders of images: classes by the schema alone, every file that will not do named."""

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fedsecure.errors import OperatorError
from fedsecure.study.schema.images import ImagesSchema
from fedsecure_clients.data import examples, images
from fedsecure_clients.data.dataset import inspect, load, split

CLASSES = ("normal", "pneumonia", "other")


def schema(
    colour: str = "grayscale", resize: str = "refuse", classes: object = CLASSES
) -> ImagesSchema:
    content = {
        "version": 1,
        "kind": "images",
        "label": {"classes": classes},
        "image": {"size": (4, 6), "colour": colour, "resize": resize},
    }
    return ImagesSchema.model_validate(content)


def picture(seed: int, mode: str = "L", size: tuple[int, int] = (6, 4)) -> Image.Image:
    """Return an image of random pixels; size is width, height."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0], channels)[: 2 + (channels > 1)]
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def put(folder: Path, name: str, image: Image.Image, **options: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two of three classes; the names of the files say nothing about the class."""
    site = tmp_path / "site"
    for seed, name in enumerate(["pneumonia/b.png", "pneumonia/a.png", "normal/z.png"]):
        put(site, name, picture(seed))
    return site


def refusal(folder: Path, wanted: ImagesSchema | None = None) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        load(folder, wanted or schema())
    assert str(folder) in caught.value.detail
    return caught.value


def pixels(image: Image.Image) -> list[object]:
    return list((np.asarray(image, dtype=np.float32) / 255).tolist())


def test_images_become_numbers_from_0_to_1_and_classes_follow_the_study(
    folder: Path,
) -> None:
    found = load(folder, schema())
    assert found.labels.tolist() == [0, 1, 1]
    assert found.features.dtype == np.float32
    assert found.features.shape == (3, 4, 6, 1)
    for row, seed in enumerate([2, 1, 0]):
        assert found.features[row, :, :, 0].tolist() == pixels(picture(seed))
    assert found.absent_classes == ("other",)


def test_a_class_that_a_site_lacks_shifts_no_other_class(folder: Path) -> None:
    shutil.rmtree(folder / "normal")
    assert set(load(folder, schema()).labels.tolist()) == {1}
    (folder / "normal").mkdir()
    assert set(load(folder, schema()).labels.tolist()) == {1}
    other_order = schema(classes=("pneumonia", "other", "normal"))
    assert set(load(folder, other_order).labels.tolist()) == {0}


@pytest.mark.parametrize("name", ["Normal", "normal ", "0", "tuberculosis"])
def test_a_folder_that_is_no_class_of_the_study_is_named(
    folder: Path, name: str
) -> None:
    (folder / name).mkdir()
    error = refusal(folder)
    assert error.code == "FS-130"
    assert f"{name} in " in error.detail
    assert "normal, pneumonia, other" in error.detail


@pytest.mark.parametrize(
    "name", ["notes.txt", "normal/scan.tif", "normal/deeper/", "a.png"]
)
def test_a_file_that_would_be_passed_over_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.mkdir() if name.endswith("/") else path.touch()
    error = refusal(folder)
    assert error.code == "FS-135"
    assert name.strip("/") in error.detail


def test_what_systems_leave_behind_is_no_data(folder: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "normal/.nfs1", "normal/desktop.ini"):
        (folder / name).touch()
    (folder / ".cache").mkdir()
    assert len(load(folder, schema())) == 3


def test_names_of_folders_are_compared_as_people_read_them(tmp_path: Path) -> None:
    put(tmp_path, "gru\u0308n/1.png", picture(1))  # u and two dots, as macOS writes
    put(tmp_path, "gru\u0308n/2.png", picture(2))
    found = load(tmp_path, schema(classes=("rot", "gr\u00fcn")))
    assert found.labels.tolist() == [1, 1]


def test_the_order_of_the_folder_on_disk_is_nothing(folder: Path) -> None:
    before = load(folder, schema())
    again = folder.with_name("again")
    for path in sorted(folder.glob("*/*"), reverse=True):
        (again / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, again / path.parent.name)
    after = load(again, schema())
    assert np.array_equal(before.features, after.features)
    assert np.array_equal(before.labels, after.labels)


def test_what_is_held_out_follows_from_content_and_not_from_names(
    tmp_path: Path,
) -> None:
    for seed in range(40):
        put(tmp_path, f"a/{CLASSES[seed % 2]}/{seed}.png", picture(seed))
        put(tmp_path, f"b/{CLASSES[seed % 2]}/{97 * seed % 41}x.png", picture(seed))
    one, other = (
        {
            image.tobytes()
            for image in split(load(tmp_path / name, schema()), 0.25, 7)[1].features
        }
        for name in "ab"
    )
    assert one == other
    assert len(one) == 10


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "1", "P"])
def test_every_plain_kind_of_file_can_be_gray_or_coloured(
    tmp_path: Path, mode: str
) -> None:
    image = picture(3, "RGB").convert(mode)
    put(tmp_path, "normal/1.png", image)
    put(tmp_path, "normal/2.png", picture(4, "RGB"))
    gray = load(tmp_path, schema("grayscale")).features[0, :, :, 0]
    coloured = load(tmp_path, schema("rgb")).features[0]
    plain = image.convert("RGB")
    assert coloured.tolist() == pixels(plain)
    assert gray.tolist() == pixels(plain.convert("L"))


def test_jpeg_is_read_and_the_suffix_decides_nothing(folder: Path) -> None:
    flat = Image.new("L", (6, 4), 128)
    put(folder, "other/photo.JPG", flat, format="JPEG", quality=95)
    put(folder, "other/really-png.jpeg", flat, format="PNG")
    found = load(folder, schema())
    assert found.labels.tolist() == [0, 1, 1, 2, 2]
    assert np.abs(found.features[3:] * 255 - 128).max() <= 1


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    upright = picture(1)
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned clockwise to be seen
    put(tmp_path, "normal/1.png", turned, exif=exif)
    put(tmp_path, "normal/2.png", upright)
    found = load(tmp_path, schema())
    assert found.features[0].tolist() == found.features[1].tolist()


@pytest.mark.parametrize(
    ("resize", "expected"),
    [
        ("stretch", [[0, 0, 0, 1, 1, 1]] * 4),
        ("crop", [[0, 0, 0, 1, 1, 1]] * 4),
        ("pad", [[0] * 6, [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0] * 6]),
    ],
)
def test_an_image_of_another_size_is_resized_by_the_study_s_rule(
    tmp_path: Path, resize: str, expected: list[list[int]]
) -> None:
    # 48 x 16, left half black, right half white; to 6 x 4: the middle third is cut out,
    # or it becomes 6 x 2 between two black bars.
    wide = Image.new("L", (48, 16), 0)
    wide.paste(255, (24, 0, 48, 16))
    put(tmp_path, "normal/1.png", wide)
    put(tmp_path, "normal/2.png", picture(1))
    found = load(tmp_path, schema(resize=resize)).features[0, :, :, 0]
    assert np.rint(found).tolist() == expected
    error = refusal(tmp_path, schema(resize="refuse"))
    assert error.code == "FS-133"
    assert "normal/1.png: 16 x 48 pixels, the study needs 4 x 6" in error.detail


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(rows)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def animated(path: Path) -> None:
    frames = [picture(1), picture(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def sixteen_bits(path: Path) -> None:
    Image.fromarray(np.full((4, 6), 40_000, dtype=np.uint16)).save(path)


def see_through(path: Path) -> None:
    picture(1, "RGBA").save(path)


def with_a_transparent_colour(path: Path) -> None:
    picture(1).convert("RGB").quantize(8).save(path, transparency=3)


def cmyk(path: Path) -> None:
    Image.new("CMYK", (6, 4)).save(path, format="JPEG")


def other_format(path: Path) -> None:
    picture(1).save(path, format="BMP")


def cut(path: Path) -> None:
    picture(1, size=(60, 40)).save(path)
    path.write_bytes(path.read_bytes()[:-600])


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (sixteen_bits, "FS-132", "I;16"),
        (cmyk, "FS-132", "CMYK"),
        (see_through, "FS-132", "transparent"),
        (with_a_transparent_colour, "FS-132", "transparent"),
        (animated, "FS-132", "2 frames"),
        (other_format, "FS-131", "UnidentifiedImageError"),
        (cut, "FS-131", ""),
        (lambda path: path.touch(), "FS-131", ""),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), "FS-131", ""),
        (lambda path: path.write_bytes(png(0, 4, b"")), "FS-131", ""),
        (lambda path: path.write_bytes(png(8000, 8000, b"")), "FS-134", "pixels"),
        (lambda path: path.write_bytes(png(12000, 8000, b"")), "FS-134", "pixels"),
        (lambda path: path.write_bytes(png(60000, 60000, b"")), "FS-134", "pixels"),
    ],
)
def test_a_file_that_will_not_do_is_named(
    folder: Path, make: Callable[[Path], object], code: str, says: str
) -> None:
    make(folder / "pneumonia" / "bad.png")
    error = refusal(folder, schema(resize="stretch"))
    assert error.code == code
    assert "pneumonia/bad.png: " in error.detail
    assert says in error.detail


def test_a_bomb_is_refused_before_it_is_unpacked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = bytes((1 + 100) * 100)
    (folder / "normal" / "bomb.png").write_bytes(png(100, 100, rows))
    assert len(load(folder, schema(resize="stretch"))) == 4
    unpacked: list[object] = []
    monkeypatch.setattr(images, "MAX_PIXELS", 9_999)
    monkeypatch.setattr(images, "_opaque", unpacked.append)
    (folder / "pneumonia" / "a.png").unlink()
    (folder / "pneumonia" / "b.png").unlink()
    (folder / "normal" / "z.png").unlink()
    assert refusal(folder, schema(resize="stretch")).code == "FS-134"
    assert unpacked == []


def test_an_inspection_names_the_first_of_each_kind_and_counts_the_rest(
    folder: Path,
) -> None:
    for name in ("c.png", "d.png", "e.png"):
        put(folder, f"pneumonia/{name}", picture(1, size=(7, 4)))
    (folder / "normal" / "broken.png").touch()
    found = inspect(folder, schema())
    assert [str(problem) for problem in found.problems] == [
        "normal/broken.png: UnidentifiedImageError",
        "pneumonia/c.png: 4 x 7 pixels, the study needs 4 x 6 (and 2 more)",
    ]
    assert (found.rows, found.dataset) == (7, None)


def test_too_many_images_are_refused_before_one_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "normal" / "broken.png").touch()
    monkeypatch.setattr(examples, "MAX_BYTES", 4 * 4 * 4 * 6 - 1)
    error = refusal(folder)
    assert error.code == "FS-140"
    assert "4 examples of shape (4, 6, 1)" in error.detail


def test_a_folder_without_images_or_no_folder_is_refused(folder: Path) -> None:
    cases = {
        "FS-100": folder / "absent",
        "FS-126": folder / "normal" / "z.png",
        "FS-127": folder / "empty",
    }
    cases["FS-127"].mkdir()
    for code, path in cases.items():
        assert refusal(path).code == code
