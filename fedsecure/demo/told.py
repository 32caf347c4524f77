"""What each party of a demo saw, counted from its own records.

Aggregators are read through the views of their stores, agents through `fedsecure
agent status`; nothing here is computed from what should have happened.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from fedsecure import database
from fedsecure.demo.provision import AGGREGATORS, OWNER, DemoFolder


@dataclass(frozen=True, slots=True)
class Seen:
    """One kind of message that a party received, and what it can learn from it."""

    party: str
    what: str
    messages: int
    bytes: int
    learns: str


def show_what_everybody_saw(console: Console, folder: DemoFolder) -> None:
    """Print the table, and where everything lies."""
    table = Table(
        title="What each party received",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for title in ("party", "message"):
        table.add_column(title)
    for title in ("number", "bytes"):
        table.add_column(title, justify="right")
    table.add_column("what it can learn from them")
    for row in what_everybody_saw(folder):
        table.add_row(
            row.party, row.what, f"{row.messages:,}", f"{row.bytes:,}", row.learns
        )
    console.print()
    console.print(table)
    console.print("[bold]Look for yourself[/] (read the views v_round, v_event ...)")
    for path in (
        folder.root / "owner" / "rounds.db",
        *(folder.config(name).with_name("aggregator.db") for name in AGGREGATORS),
    ):
        console.print(f"  sqlite3 -box {path}")
    console.print(f"  fedsecure rounds list --db {folder.root / 'owner' / 'rounds.db'}")


def what_everybody_saw(folder: DemoFolder) -> list[Seen]:
    """Count what every party received in the demo."""
    rows = [row for name in AGGREGATORS for row in _at_aggregator(folder, name)]
    shares = [_shares(folder, name) for name in AGGREGATORS]
    replies = [_sent(folder, site)["model owner"] for site in folder.sites]
    opened = shares[0][0]
    return [
        *rows,
        Seen(
            OWNER,
            "receipts, through Flower",
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
    path = folder.config(name).with_name("aggregator.db")
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
