"""Turn a data owner's folder of images into features and labels, by the schema alone.

    DATA/normal/0001.png
    DATA/pneumonia/scan.jpeg

The schema says which subfolder is which class; one that it does not know is refused,
one that is missing or empty is a class without examples here. Files that start with a
dot, and those that Windows leaves behind, are no data.

Of every file only its header is unpacked before its size in pixels is checked.
"""

import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError, one_line
from fedsecure.study.schema.columns import listed
from fedsecure.study.schema.images import ImageShape, ImagesSchema
from fedsecure_clients.data.examples import (
    MAX_PLACES,
    Dataset,
    Inspection,
    Note,
    Problem,
    merged,
    require_memory,
    stop,
)

if TYPE_CHECKING:
    from PIL import Image, ImageFile

FORMATS: Final = ("PNG", "JPEG")
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
LEFT_BEHIND: Final = frozenset({"thumbs.db", "desktop.ini"})
MAX_PIXELS: Final = 50_000_000  # below the count at which Pillow warns
PLAIN: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})  # Pillow's, to 8 bits
MODES: Final = {"grayscale": "L", "rgb": "RGB"}
BRIGHTEST: Final = 255

Pixels = NDArray[np.uint8]  # shape (height, width, channels)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    where: str
    number: int


class _MisfitError(ValueError):
    """An image does not fit the study."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def inspect_images(path: Path, schema: ImagesSchema, note: Note = stop) -> Inspection:
    """Read all images and list what does not fit; run by a data owner.

    Classes come in the schema's order, their files in the order of the names.

    Args:
        path: The folder.
        schema: What the study makes of it.
        note: Hears of what lies there and is no data (FS-130, FS-135).

    Raises:
        OperatorError: FS-100 unreadable, FS-126 not a folder, FS-130 an unknown class,
            FS-135 other files, FS-140 too many images.
    """
    if path.is_file():
        raise OperatorError("FS-126", f"{path} is a file, not a folder of images")
    try:
        files = list(_files(path, schema, note))
    except OSError as error:
        raise OperatorError("FS-100", f"{path}: {error.strerror}") from error
    require_memory(path, len(files), schema.shape)
    features = np.zeros((len(files), *schema.shape), dtype=np.float32)
    problems: list[Problem] = []
    for place, file in enumerate(files):
        try:
            features[place] = _read(file.path, schema.image)
        except _MisfitError as error:
            problems.append(Problem(error.code, file.where, error.reason))
    features /= BRIGHTEST
    labels = np.array([file.number for file in files], dtype=np.int32)
    dataset = Dataset(features, labels, schema.class_names)
    return Inspection(
        path=path,
        rows=len(files),
        problems=tuple(merged(problems)),
        dataset=None if problems else dataset,
        every=tuple(problems[:MAX_PLACES]),
    )


def _files(path: Path, schema: ImagesSchema, note: Note) -> Iterator[_File]:
    numbers = {_composed(name): n for n, name in enumerate(schema.class_names)}
    folders = dict(_folders(path, schema, numbers, note))
    for name in sorted(folders, key=lambda name: numbers[_composed(name)]):
        for file in _visible(folders[name]):
            where = f"{name}/{file.name}"
            if not file.is_file() or file.suffix.lower() not in SUFFIXES:
                note(OperatorError("FS-135", f"{where} in {path} is no PNG or JPEG"))
            else:
                yield _File(file, where, numbers[_composed(name)])


def _folders(
    path: Path, schema: ImagesSchema, numbers: Mapping[str, int], note: Note
) -> Iterator[tuple[str, Path]]:
    for folder in _visible(path):
        name = folder.name
        if not folder.is_dir():
            where = f"{name} in {path}"
            note(OperatorError("FS-135", f"{where} lies in no class's folder"))
        elif _composed(name) not in numbers:
            known = listed(schema.class_names)
            detail = f"{one_line(name)} in {path} is none of: {known}"
            note(OperatorError("FS-130", detail))
        else:
            yield name, folder


def _visible(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name.lower() not in LEFT_BEHIND
    )


def _composed(name: str) -> str:
    """Return a name as schemas spell it; some disks take letters and accents apart."""
    return unicodedata.normalize("NFC", name)


def _read(path: Path, wanted: ImageShape) -> Pixels:
    """Return the pixels of one image.

    Raises:
        _MisfitError: FS-131 to FS-134.
    """
    from PIL import Image  # noqa: PLC0415, loaded when needed

    too_large = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as opened:
                return _pixels(opened, wanted)
    except _MisfitError:
        raise
    except too_large as error:
        raise _MisfitError("FS-134", f"more than {MAX_PIXELS} pixels") from error
    except Exception as error:  # whatever Pillow raises on a broken file
        raise _MisfitError("FS-131", type(error).__name__) from error


def _pixels(opened: "ImageFile.ImageFile", wanted: ImageShape) -> Pixels:
    from PIL import ImageOps  # noqa: PLC0415, loaded when needed

    _require_plain(opened)
    # A camera stores how it was held; what people see is the upright image.
    image: Image.Image = ImageOps.exif_transpose(opened)
    image = _opaque(image).convert(MODES[wanted.colour])
    return np.asarray(_resized(image, wanted)).reshape(wanted.shape)


def _require_plain(opened: "ImageFile.ImageFile") -> None:
    """Check what the header says, before any pixel is unpacked."""
    if not opened.width * opened.height <= MAX_PIXELS:
        raise _MisfitError("FS-134", f"more than {MAX_PIXELS} pixels")
    if opened.mode not in PLAIN:
        raise _MisfitError("FS-132", f"its pixels are of the kind {opened.mode}")
    if (frames := getattr(opened, "n_frames", 1)) != 1:
        raise _MisfitError("FS-132", f"it has {frames} frames")


def _opaque(image: "Image.Image") -> "Image.Image":
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema() != (BRIGHTEST, BRIGHTEST):
        raise _MisfitError("FS-132", "it is transparent in places")
    return image.convert("RGB")


def _resized(image: "Image.Image", wanted: ImageShape) -> "Image.Image":
    from PIL import Image, ImageOps  # noqa: PLC0415, loaded when needed

    height, width = wanted.size
    size, bilinear = (width, height), Image.Resampling.BILINEAR
    match wanted.resize:
        case _ if image.size == size:
            return image
        case "stretch":
            return image.resize(size, bilinear)
        case "crop":
            return ImageOps.fit(image, size, bilinear)
        case "pad":
            return ImageOps.pad(image, size, bilinear)
    found = f"{image.height} x {image.width} pixels"
    raise _MisfitError("FS-133", f"{found}, the study needs {height} x {width}")
