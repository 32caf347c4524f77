"""An error of ours for a person: what happened, where, and what to type next."""

from fedsecure.errors import FedsecureError
from fedsecure.terminal.screen import Console


def report(error: FedsecureError) -> None:
    """Print an error for a person."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(
        f"[bold red]{error.code}[/] [bold]{error.problem.title}[/]", markup=True
    )
    console.print(f"  {error.detail}", markup=False)
    console.print(f"  -> {error.problem.remedy}", markup=False)
