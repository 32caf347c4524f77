"""Draw docs/images/rooms.svg from the contracts that hold imports to one direction.

    python tools/rooms.py           draw it anew
    python tools/rooms.py --check   fail where the picture differs

The rooms and their order are those of pyproject.toml; what stands in a box is said
here.
"""

import sys
import tomllib
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "images" / "rooms.svg"

SAYS: Final = {
    "fedsecure": {
        "cli": "what people type",
        "demo": "a federation on one machine",
        "console": "pages in the browser",
        "private": "jobs and services from Python",
        "frameworks": "Flower and Keras",
        "review": "rounds for people",
        "doctor": "what is missing or wrong",
        "audit": "do the records agree",
        "owner": "the model owner's end",
        "contributor": "the data owner's end",
        "terminal": "tables and values",
        "compute": "whoever takes part in a job",
        "study": "task, schema, model as data",
        "membership": "keys, joining, versions",
        "storage": "engines, transactions, locks",
        "transport": "client, TLS, limits",
        "protocol": "statements, signatures, identities, ledger",
        "core": "shares, masks, seal: pure",
        "system": "settings, files, services",
        "errors": "every code, and what follows from it",
    },
    "fedsecure_aggregator": {
        "operations": "start, backup, commands",
        "console": "pages",
        "http": "requests, limits",
        "jobs": "granted, computed, answered",
        "rounds": "granted, added up, opened",
        "storage": "rows, spool, journal",
        "config": "aggregator.toml",
        "rules": "what may happen: pure",
    },
    "fedsecure_clients": {
        "cli": "what people type",
        "agent": "the loop, its settings",
        "keras_app": "trains and evaluates",
        "statistics_app": "counts rows",
        "consent": "policy, approvals",
        "prediction": "a table's rows asked about",
        "state": "what it must not forget",
        "data": "rows by a schema",
    },
}
TITLES: Final = {
    "fedsecure": "fedsecure: the library",
    "fedsecure_aggregator": "fedsecure_aggregator",
    "fedsecure_clients": "fedsecure_clients",
}
STYLES: Final = {
    "fedsecure": ("#f8fafc", "#475569"),
    "fedsecure_aggregator": ("#eff6ff", "#2563eb"),
    "fedsecure_clients": ("#ecfdf5", "#059669"),
}
WIDTH, HEIGHT, GAP, TOP = 1080, 46, 8, 64
PLACES: Final = {
    "fedsecure": (20, 520),
    "fedsecure_aggregator": (570, 260),
    "fedsecure_clients": (860, 200),
}


def layers() -> dict[str, list[list[str]]]:
    """Return each package's rooms, the highest first; rooms of one height together."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found = {}
    for contract in contracts["tool"]["importlinter"]["contracts"]:
        for package in contract.get("containers", ()):
            if contract["type"] == "layers" and package in SAYS:
                heights = [_rooms(layer) for layer in contract["layers"]]
                found[package] = [rooms for rooms in heights if rooms]
    return found


def _rooms(layer: str) -> list[str]:
    return [name for name in layer.split(" | ") if not name.startswith("__")]


def picture() -> str:
    """Return the SVG."""
    heights = layers()
    rows = max(len(rooms) for rooms in heights.values())
    size = TOP + rows * (HEIGHT + GAP) + 40
    parts = [part for package in SAYS for part in _stack(package, heights[package])]
    title = "Rooms of the code; imports run down and to the left."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {size}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="13" role="img" '
            'aria-labelledby="title">',
            f'<title id="title">{title}</title>',
            f'<rect width="{WIDTH}" height="{size}" fill="#ffffff"/>',
            *parts,
            f'<text x="20" y="{size - 14}" fill="#475569">{title} '
            "fedsecure_bench, which measures all of it, stands above the three.</text>",
            "</svg>",
            "",
        ]
    )


def _stack(package: str, heights: Sequence[Sequence[str]]) -> Iterator[str]:
    left, width = PLACES[package]
    yield (
        f'<text x="{left}" y="40" font-size="16" font-weight="bold" '
        f'fill="{STYLES[package][1]}">{TITLES[package]}</text>'
    )
    for row, rooms in enumerate(heights):
        top = TOP + row * (HEIGHT + GAP)
        each = (width - GAP * (len(rooms) - 1)) / len(rooms)
        for number, room in enumerate(rooms):
            yield from _box(package, room, left + number * (each + GAP), top, each)


def _box(package: str, room: str, left: float, top: int, width: float) -> Iterator[str]:
    fill, stroke = STYLES[package]
    middle = left + width / 2
    yield (
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{HEIGHT}" rx="6" '
        f'fill="{fill}" stroke="{stroke}"/>'
    )
    yield (
        f'<text x="{middle:.1f}" y="{top + 19}" text-anchor="middle" '
        f'font-weight="bold" fill="#0f172a">{escape(room)}</text>'
    )
    yield (
        f'<text x="{middle:.1f}" y="{top + 36}" text-anchor="middle" font-size="12" '
        f'fill="#334155">{escape(SAYS[package][room])}</text>'
    )


def main() -> None:
    """Draw it, or compare it."""
    if sys.argv[1:] == ["--check"]:
        if PICTURE.read_text("utf-8") != picture():
            sys.exit("docs/images/rooms.svg differs; run tools/rooms.py")
        return
    PICTURE.write_text(picture(), "utf-8")


if __name__ == "__main__":
    main()
