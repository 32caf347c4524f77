"""The schema of a study over images: a folder with one subfolder for each class.

    version = 1
    kind = "images"

    [label]
    classes = ["normal", "pneumonia"]   # the subfolders, by class number

    [image]
    size = [64, 64]               # height, width
    colour = "grayscale"          # or "rgb"
    resize = "refuse"             # or "stretch", "crop", "pad"

A model sees pixels as numbers from 0 to 1, shape (height, width, channels).

Class names and their order come from here and never from the folders that one data
owner happens to have: where one lacks a class, a number that was counted from its
folders would mean something else than everywhere else.
"""

import unicodedata
from collections import Counter
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from fedsecure.study.schema.columns import Values, require_classes
from fedsecure.study.strict import Strict

MAX_SIDE: Final = 2048  # pixels

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class ImageLabel(Strict):
    """The section `[label]`: the classes in order, each the name of a subfolder."""

    classes: Values

    @model_validator(mode="after")
    def _folders(self) -> Self:
        require_classes(self.classes)
        for name in self.classes:
            if name.startswith(".") or name != name.strip() or set("/\\") & set(name):
                msg = f"{name!r} cannot be the name of a folder"
                raise ValueError(msg)
        alike = Counter(map(_on_any_disk, self.classes)).most_common(1)
        if alike[0][1] > 1:
            msg = f"{alike[0][0]!r} would be one folder on some disks"
            raise ValueError(msg)
        return self


def _on_any_disk(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


class ImageShape(Strict):
    """The section `[image]`: what every image is brought to, or refused for.

    `resize` says what becomes of an image of another size: `refuse` it; `stretch` it
    to the size, whatever its proportions; `crop` the middle that has the right
    proportions; `pad` it with black on two sides. The last three are bilinear.
    """

    size: tuple[Side, Side]
    colour: Literal["grayscale", "rgb"]
    resize: Literal["refuse", "stretch", "crop", "pad"] = "refuse"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (*self.size, 1 if self.colour == "grayscale" else 3)


class ImagesSchema(Strict):
    """One folder of images for each class."""

    SUFFIXES: ClassVar = ("",)  # a data owner's images are a folder

    kind: Literal["images"]
    version: Literal[1]
    label: ImageLabel
    image: ImageShape

    @property
    def reads(self) -> tuple[str, ...]:
        """What a data owner must offer: the folder of every class."""
        return self.label.classes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's features."""
        return self.image.shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, by class number."""
        return self.label.classes
