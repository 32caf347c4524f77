"""Find the data of the sites that lie in a study folder, to try the study locally.

    STUDY/data/cleveland.csv      a table study: one .csv or .parquet file a site
    STUDY/data/north.npz          a study over arrays: one .npz file a site
    STUDY/data/north/CLASS/*.png  a study over images: one folder a site
    STUDY/data/north.*            a study that another app trains: a file or folder each

What lies there beside (a README, hidden files) is left alone.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure.study.app_study import load_any_study
from fedsecure.study.config import AnyStudy, Study
from fedsecure.study.schema.features import AnySchema

FOLDER: Final = "data"
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # as in the roster
MIN_SITES: Final = 2


def find_sites(study: Path) -> Mapping[str, Path]:
    """Return the sites' data by the name of the site, in the order of the names.

    Run by whoever tries a study on one machine.

    Raises:
        OperatorError: FS-844, a name that no site can have, or one site twice;
            FS-873, fewer than two sites; FS-8xx, the study's files are wrong.
    """
    schema = _schema_of(load_any_study(study))
    sites: dict[str, Path] = {}
    for path in sorted(_data_of(study / FOLDER, schema)):
        name = path.stem if path.is_file() else path.name
        if not NAME.fullmatch(name):
            raise OperatorError("FS-844", f"{path} is named {name!r}")
        if name in sites:
            raise OperatorError("FS-844", f"{path} and {sites[name].name} are one site")
        sites[name] = path
    if len(sites) < MIN_SITES:
        raise OperatorError(
            "FS-873",
            f"{study / FOLDER} holds {_expected(schema)} for {len(sites)} sites",
        )
    return sites


def _schema_of(study: AnyStudy) -> AnySchema | None:
    """Return what a site's data have to be; None: only the app knows."""
    return study.features if isinstance(study, Study) else None


def _data_of(folder: Path, schema: AnySchema | None) -> Iterator[Path]:
    entries = folder.iterdir() if folder.is_dir() else ()
    for path in entries:
        if path.name.startswith("."):
            continue
        kind = "" if path.is_dir() else path.suffix.lower() or None
        if kind in schema.SUFFIXES if schema else path.stem != "README":
            yield path


def _expected(schema: AnySchema | None) -> str:
    if schema is None:
        return "files or folders"
    if schema.kind == "images":
        return "folders"
    return f"{' or '.join(schema.SUFFIXES)} files"
