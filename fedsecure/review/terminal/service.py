"""What a model owner reads once a service is open: who learns what, and what next."""

import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fedsecure.owner.jobs.serve import Served
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.jobs.parts import Method
from fedsecure.terminal.values import plain

METHODS: Final = {
    Method.SHARES: "shares: rows are shared out, both aggregators know the weights",
    Method.PAILLIER: "paillier: rows are encrypted, the weights are shared out",
}


def service_page(
    served: Served, federation: Federation, file: Path, config: Path
) -> RenderableType:
    """Return what to know of a service that is ready."""
    return Group(*_parts(served, federation, file), _ending(served, config))


def service_json(served: Served, file: Path) -> str:
    """Return the same for programs; the keys are an interface."""
    offer = served.offer
    content: dict[str, Any] = {
        "service": offer.name,
        "file": str(file),
        "spec": served.handout.digest,
        "run": served.run,
        "method": offer.method.value,
        "clients": list(offer.clients),
        "rows": offer.rows,
        "deadline": served.handout.spec.statement.deadline,
        "features": served.model.features,
        "known_after": served.model.features + 1,
        "tried": served.tried,
        "difference": served.difference,
    }
    return json.dumps(content, indent=2)


def _parts(
    served: Served, federation: Federation, file: Path
) -> Iterator[RenderableType]:
    offer, program = served.offer, served.model
    source = f"run {served.run}" if served.run else "a file"
    yield Text.assemble((offer.name, "bold"), f" serves the model of {source}")
    yield _lines(
        [
            ("who may ask", f"{_names(offer.clients)}; {offer.rows:,} rows each"),
            ("until", _until(served)),
            ("method", METHODS[offer.method]),
            (
                "tried",
                f"{served.tried} rows through both aggregators: scores within "
                f"{max(served.difference, 1e-12):.0e} of the model's own, all labels "
                "equal",
            ),
        ]
    )
    yield Text("\nWhat each party learns", "bold")
    yield _lines(_learnt(served, federation))
    if offer.rows > program.features:
        yield Text(f"\n{_warning(served)}", "yellow")
    who = "who types" if len(offer.clients) == 1 else "each of whom types"
    yield Text(f"\nNext: hand {file} to {_names(offer.clients)}, {who}", "bold")
    yield Text(_command(file))


def _ending(served: Served, config: Path) -> RenderableType:
    words = ["fedsecure", "serve", "--config", str(config), "--close"]
    ends = Text(
        f"\nIt ends before its time by\n  {shlex.join([*words, served.offer.name])}"
    )
    ends.stylize("dim")
    return ends


def _learnt(served: Served, federation: Federation) -> list[tuple[str, str]]:
    servers = _names([party.name for party in federation.pair])
    scores = {"linear": "the model's outputs"}.get(
        served.model.activation, "the probabilities"
    )
    if served.offer.method is Method.SHARES:
        seen = "the model; who asks, when, how many rows. Both together: the rows, too"
    else:
        seen = "who asks, when, how many rows. Both together: the model, but no row"
    return [
        (_names(served.offer.clients), f"{scores} of its own rows"),
        (servers, seen),
        (federation.model_owner.name, "nothing of rows or answers"),
    ]


def _warning(served: Served) -> str:
    features = served.model.features
    return (
        f"After {features + 1} answers a client can compute the model, {features} "
        "weights and a bias. Fewer --rows keep it from that, as long as clients do not "
        "put their answers together."
    )


def _until(served: Served) -> str:
    moment = datetime.fromtimestamp(served.handout.spec.statement.deadline, UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _command(file: Path) -> str:
    """Return what a client types, in lines that can be copied at any width."""
    words = shlex.join(["fedsecure", "predict", "--config", "client.toml", file.name])
    return f"  {words} \\\n      patients.csv --output predictions.csv"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def _lines(rows: Sequence[tuple[str, str]]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(plain(name), plain(value))
    return Padding(grid, (0, 0, 0, 2), expand=False)  # a pipe's lines have no end
