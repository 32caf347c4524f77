"""Make the pictures of README.md and docs/ from a real run: `make pictures`.

    python tools/pictures.py [runs/demo]

Reads the stores that `fedsecure demo` left, with the users' own commands. Pages are
drawn by Chromium, if there is one; without it their pictures are left as they are, and
that is said.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

from fedsecure.audit.findings import Report
from fedsecure.audit.page import audit_page
from fedsecure.audit.verify import Progress, audit
from fedsecure.demo.provision import AGGREGATORS
from fedsecure.membership.versions import load_federations
from fedsecure.review import records
from fedsecure.review.details import read_detail
from fedsecure.review.reading import open_round_store
from fedsecure.review.terminal import round_page, run_tables
from tools.console_pictures import photograph_consoles

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
WIDTH: Final = 108  # characters
SHOWN: Final = "3"  # the round that is shown in full
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
THEME: Final = TerminalTheme(
    (255, 255, 255),
    (29, 39, 51),
    [
        *[(29, 39, 51), (163, 40, 44), (0, 105, 75), (138, 90, 0)],
        *[(0, 84, 147), (128, 60, 110), (0, 110, 125), (91, 104, 118)],
    ],
)
QUIET: Final = Progress(lambda _what, _total: None, lambda _number: None)


def main() -> None:
    """Draw every picture."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")
    store = root / "owner" / "rounds.db"
    IMAGES.mkdir(exist_ok=True)
    command("rounds", "plot", "--db", store, "--output", IMAGES / "curves.svg")
    with open_round_store(store) as session:
        run = records.find_run(session)
        found = records.rounds(session, run.run)
        detail = read_detail(session, run, SHOWN)
    listed = run_tables.round_list(run, found, [])
    terminal("rounds-list.svg", "fedsecure rounds list", listed)
    shown = round_page.round_page(detail)
    terminal("rounds-show.svg", f"fedsecure rounds show {SHOWN}", shown)
    terminal("audit.svg", AUDIT, audit_page(audited(root)))
    page = root / "report.html"
    command("rounds", "export", "--db", store, "--output", page)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.stderr.write("no Chromium here: pictures of pages are left as they were\n")
        return
    photograph(browser, page, IMAGES / "report.png")
    photograph_consoles(root, browser, IMAGES)


AUDIT: Final = (
    "fedsecure audit verify --owner rounds.db --aggregator a.db --aggregator b.db"
)


def audited(root: Path) -> Report:
    """Audit the demo's three stores."""
    keys = load_federations([root / "owner" / "federation.toml"])
    places = [str(root / name / "data" / "aggregator.db") for name in AGGREGATORS]
    return audit(str(root / "owner" / "rounds.db"), places, keys, QUIET)


def terminal(name: str, title: str, content: RenderableType) -> None:
    """Draw what a terminal shows."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(
            record=True, width=WIDTH, file=nowhere, force_terminal=True, highlight=False
        )
        console.print(content)
    svg = console.export_svg(title=title, theme=THEME, unique_id=Path(name).stem)
    # No picture may load a font from somewhere: the reader's own will do.
    start, end = svg.index("@font-face"), svg.rindex("@font-face")
    after = svg.index("}", end) + 1
    svg = svg[:start] + svg[after:]
    svg = svg.replace("font-family: Fira Code", "font-family: ui-monospace")
    (IMAGES / name).write_text(svg + "\n", "utf-8")


def photograph(browser: str, page: Path, output: Path) -> None:
    """Draw a page as a browser shows it."""
    subprocess.run(  # noqa: S603 - a browser of this machine, on our own page
        [
            *(browser, "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--hide-scrollbars", "--window-size=1240,2100"),
            *(f"--screenshot={output}", page.absolute().as_uri()),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
    )


def command(*words: str | Path) -> None:
    """Run one of the users' own commands."""
    whole = [sys.executable, "-m", "fedsecure", *map(str, words)]
    subprocess.run(whole, check=True)  # noqa: S603 - our own command


if __name__ == "__main__":
    main()
