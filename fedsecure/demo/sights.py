"""What each party of a demo saw, counted from its own records.

Aggregators are read through the views of their stores, agents through `fedsecure
agent status`; nothing here is computed from what should have happened.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.text import Text
from sqlalchemy import text

from fedsecure.demo.outcome import Outcome
from fedsecure.demo.provision import AGGREGATORS, CLIENT, OWNER, DemoFolder
from fedsecure.storage import database
from fedsecure.terminal.screen import Console
from fedsecure.terminal.text_tables import Column, table

PATIENTS: Final = "patients.csv"  # of a study whose model can be asked about rows
ASKED: Final = "heart-logistic"  # such a study
OF_ROUNDS: Final = "'SELECT * FROM v_round'"
OF_REPORTS: Final = "'SELECT * FROM v_report'"


@dataclass(frozen=True, slots=True)
class Seen:
    """One kind of message that a party received, and what it can learn from it."""

    party: str
    what: str
    messages: int
    bytes: int
    learns: str


COLUMNS: Final[tuple[Column[Seen], ...]] = (
    Column("party", lambda row: Text(row.party)),
    Column("message", lambda row: Text(row.what)),
    Column("number", lambda row: Text(f"{row.messages:,}"), "right"),
    Column("bytes", lambda row: Text(f"{row.bytes:,}"), "right"),
    Column("what it can learn", lambda row: Text(row.learns), folds=True),
)


def show_what_everybody_saw(console: Console, folder: DemoFolder) -> None:
    """Print the table."""
    console.print("\n[bold]What each party received[/]")
    console.print(table(COLUMNS, what_everybody_saw(folder), more="a wider terminal"))
    console.print()


def show_what_the_owner_knows(
    console: Console, outcome: Outcome, measured: Mapping[str, Any]
) -> None:
    """Print the figures that need no data owner's rows."""
    if outcome.auc is not None:
        histograms = "in which every site weighs the same"
        if outcome.epsilon is not None:
            spent = f"epsilon {outcome.epsilon:.2f} is spent"
            histograms = f"noise and all, so it may be far off ({spent})"
        console.print(
            f"The model owner, who has no rows, reads an AUC of {outcome.auc:.3f} from "
            f"the opened histograms, {histograms}."
        )
    if figures := measured.get("score"):
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        console.print(f"On rows that only the model owner has: {shown}.")


def show_where_it_lies(console: Console, folder: DemoFolder) -> None:
    """Print what to open and what to type next."""
    store = folder.config(OWNER).with_name("rounds.db")
    theirs = [folder.store(name) for name in AGGREGATORS]
    lines = [
        str(folder.root / "curves.png"),
        str(folder.root / "result.json"),
        f"fedsecure rounds list --db {store}",
        f"fedsecure console --config {folder.config(OWNER)}",
        f"fedsecure rounds sql --db {store} -c {OF_ROUNDS}",
        *(f"sqlite3 -box {path} {OF_REPORTS}" for path in theirs),
    ]
    console.print("\n[bold]Look for yourself[/]")
    for line in lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)  # to be copied whole


def show_what_is_left_running(
    console: Console, folder: DemoFolder, study: Path
) -> None:
    """Print what to type in another terminal while both aggregators run."""
    console.print("\n[bold]Both aggregators run on[/], until you press Ctrl-C here.")
    console.print("In another terminal, for example:")
    owner, clinic = folder.config(OWNER), folder.config(CLIENT)
    lines = [f"fedsecure doctor --config {clinic}"]
    if (rows := study / PATIENTS).is_file():
        file, found = folder.root / "demo.service.json", folder.root / "predictions.csv"
        lines += [
            f"fedsecure serve --config {owner} --output {file}",
            f"fedsecure predict --config {clinic} {file} {rows} --output {found}",
        ]
    for line in lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)  # to be copied whole
    if len(lines) == 1:
        console.print(
            "What the clinic can ask about rows of its own is a linear model: "
            f"`fedsecure demo --study {ASKED} --stay` trains one."
        )


def what_everybody_saw(folder: DemoFolder) -> list[Seen]:
    """Count what every party received in the demo."""
    rows = [row for name in AGGREGATORS for row in _at_aggregator(folder, name)]
    shares = [_shares(folder, name) for name in AGGREGATORS]
    with ThreadPoolExecutor() as threads:  # each asks a process, which takes a second
        sent = threads.map(partial(_sent, folder), folder.sites)
        replies = [one["model owner"] for one in sent]
    opened = shares[0][0]
    return [
        *rows,
        Seen(
            OWNER,
            "receipts (Flower)",
            sum(count for count, _ in replies),
            sum(size for _, size in replies),
            "who reported",
        ),
        Seen(
            OWNER,
            "aggregate shares",
            sum(count for count, _ in shares),
            sum(size for _, size in shares),
            f"{opened} sums over all sites",
        ),
    ]


def _at_aggregator(folder: DemoFolder, name: str) -> list[Seen]:
    query = "SELECT kind, COUNT(*), SUM(bytes) FROM v_report GROUP BY kind ORDER BY 1"
    learns = {"seed": "random bits", "vector": "random numbers"}
    return [
        Seen(name, f"sealed {kind}s", count, size, learns[kind])
        for kind, count, size in _select(folder, name, query)
    ]


def _shares(folder: DemoFolder, name: str) -> tuple[int, int]:
    query = "SELECT COUNT(*), COALESCE(SUM(share_bytes), 0) FROM v_opening"
    ((count, size),) = _select(folder, name, query)
    return count, size


def _select(folder: DemoFolder, name: str, query: str) -> list[tuple[Any, ...]]:
    path = folder.store(name)
    engine = database.open_for_reading(database.locate(path))
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def _sent(folder: DemoFolder, site: str) -> dict[str, tuple[int, int]]:
    """Ask a site's own agent what it has sent."""
    config: Path = folder.config(site)
    command = ["agent", "status", "--config", str(config), "--json"]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "fedsecure", *command],
        check=True,
        capture_output=True,
    )
    sent = json.loads(done.stdout)["sent"]
    return {name: (one["messages"], one["bytes"]) for name, one in sent.items()}
