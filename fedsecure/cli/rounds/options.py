"""What the commands on rounds have in common: which run, which rounds, which form."""

from typing import Annotated

import typer

from fedsecure.review.choosing import Judged

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        envvar="FEDSECURE_ROUND_STORE",
        help="The round store: an SQLite file or a postgresql:// URL. Default: that "
        "of owner.toml here; or rounds.db, or else runs/demo/owner/rounds.db.",
    ),
]
RunName = Annotated[
    str | None, typer.Option("--run", help="The run. Default: the latest.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Which = Annotated[
    str,
    typer.Argument(
        metavar="ROUND",
        help="3 (last attempt), 3.1 (first attempt), final, or at least eight "
        "digits of the digest of its spec.",
    ),
]
Verdicts = Annotated[
    Judged | None, typer.Option("--verdict", help="Only those judged so.")
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="DATE", help="Only those proposed then or later, UTC."
    ),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="DATE", help="Only those proposed before, UTC."),
]
PageNumber = Annotated[
    int, typer.Option("--page", min=1, help="Page 1 has the newest rounds.")
]
PerPage = Annotated[
    int, typer.Option("--per-page", min=1, max=10_000, help="Rounds on a page.")
]
