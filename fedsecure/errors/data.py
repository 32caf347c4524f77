"""1xx, data: what is read of tables, arrays, images and weights."""

from typing import Final

from fedsecure.errors.problem import ALONE, Family, Problem

FAMILIES: Final = (
    Family(199, "Data", f"A data owner's table does not fit the study. {ALONE}"),
)

PROBLEMS: Final = (
    Problem(
        "FS-100",
        "The data file cannot be read",
        "Check the path and the permissions of the file that `data` in agent.toml "
        "names.",
    ),
    Problem(
        "FS-101",
        "The data file is not a table",
        "Export it again as CSV (UTF-8, separated by commas, one header row) or as "
        "Parquet.",
    ),
    Problem(
        "FS-102",
        "A column of the study is missing",
        "Add the columns that are named to the file; spelling and case count.",
    ),
    Problem(
        "FS-103",
        "A cell does not hold a number",
        "Mend the row that is named; numbers have a decimal point and no unit.",
    ),
    Problem(
        "FS-104",
        "A number is out of range",
        "Mend the row that is named, or ask the model owner to widen the range in "
        "schema.toml.",
    ),
    Problem(
        "FS-105",
        "A value is not one the study knows",
        "Mend the row that is named; the values and spellings stand in schema.toml.",
    ),
    Problem(
        "FS-106",
        "A value is missing where the study needs one",
        "Fill the row that is named, or ask the model owner to allow a missing "
        "code for this column.",
    ),
    Problem(
        "FS-107",
        "A row has no label of the study",
        "Mend the label of the row that is named, or leave the row out.",
    ),
    Problem(
        "FS-108",
        "The data file is empty",
        "Export it again with a header row and at least two rows.",
    ),
    Problem(
        "FS-109",
        "The data file's format is not supported",
        "Export the table as .csv or .parquet.",
    ),
    Problem(
        "FS-110",
        "Too few rows to train on",
        "A study needs at least two rows that differ: one to train on, one held out.",
    ),
    Problem(
        "FS-111",
        "A model's weights cannot be read",
        "Name a file that `fedsecure train` wrote: models/RUN/model-NNNNN.npy in "
        "the model owner's folder.",
    ),
    Problem(
        "FS-112",
        "The weights are of another model",
        "Name the study whose model these weights are of, with the model.py that "
        "it was trained with.",
    ),
    Problem(
        "FS-113",
        "Too few sites to compare",
        "Name the data files of at least two sites.",
    ),
    Problem(
        "FS-114",
        "Two sites have the same name",
        "Rename one of the files: a site is called as its file is.",
    ),
    Problem(
        "FS-115",
        "The comparison cannot be written",
        "Check that the folder exists, its permissions and the disk's free space.",
    ),
    Problem(
        "FS-116",
        "The demo's model was not compared",
        "Read the error above; the training itself is complete. `fedsecure agent "
        "compare --help` shows the command.",
    ),
    Problem(
        "FS-120",
        "An array of the study is missing",
        "Save the arrays that are named into the .npz file; spelling and case count.",
    ),
    Problem(
        "FS-121",
        "An array has another shape or type",
        "Convert the array that is named to the dtype and shape that the study "
        "needs, and save the file again.",
    ),
    Problem(
        "FS-122",
        "A value in an array is out of range",
        "Mend the entry that is named (indices count from 0), or ask the model "
        "owner to widen the range in schema.toml.",
    ),
    Problem(
        "FS-123",
        "A label in an array is none of the study's",
        "Mend the entry that is named (indices count from 0); numbers and names "
        "of the classes stand in schema.toml.",
    ),
    Problem(
        "FS-124",
        "The arrays differ in their numbers of rows",
        "Save features and labels of the same rows, in the same order.",
    ),
    Problem(
        "FS-125",
        "The data file is not NPZ",
        "Save it again with numpy.savez_compressed; arrays of Python objects are "
        "not read.",
    ),
    Problem(
        "FS-126",
        "The data are not of the study's kind",
        "Let `data` in agent.toml name what the study reads: docs/your-own- "
        "study.md shows the kinds.",
    ),
    Problem(
        "FS-127",
        "There is no example in the data",
        "Save at least two rows, or put at least two images into the folders of "
        "their classes.",
    ),
    Problem(
        "FS-130",
        "A folder is not a class of the study",
        "Rename or move the folder that is named; the classes stand in "
        "schema.toml, spelling and case count.",
    ),
    Problem(
        "FS-131",
        "An image cannot be read",
        "Save the file that is named again as PNG or JPEG, or leave it out.",
    ),
    Problem(
        "FS-132",
        "An image is of a kind that no study takes",
        "Save the file that is named with 8 bits a channel, as grayscale or RGB, "
        "opaque and with one frame.",
    ),
    Problem(
        "FS-133",
        "An image has another size",
        "Bring the file that is named to the study's size, or ask the model owner "
        "to allow resizing in schema.toml.",
    ),
    Problem(
        "FS-134",
        "An image is far too large",
        "Shrink the file that is named, or leave it out; nothing of it was unpacked.",
    ),
    Problem(
        "FS-135",
        "A file does not belong into a folder of images",
        "Move the file that is named away; a study reads DATA/CLASS/*.png, *.jpg "
        "and *.jpeg.",
    ),
    Problem(
        "FS-140",
        "The data do not fit into an agent's memory",
        "Choose fewer examples, or ask the model owner for smaller ones.",
    ),
)
