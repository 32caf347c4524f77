"""Single values for a terminal: text, numbers, bytes, instants, digests, states.

What is not printable is replaced: a reason may quote what another party sent.
"""

import math
from typing import Final

from rich.text import Text

SHORT: Final = 12  # digits of a digest
STYLES: Final = {
    "opened": "green",
    "completed": "green",
    "in set": "green",
    "void": "red",
    "failed": "red",
    "diverged": "red",
    "budget-spent": "yellow",
    "stopped": "yellow",
    "running": "cyan",
    "proposed": "cyan",
    "granted": "cyan",
    "collecting": "cyan",
    "opening": "cyan",
    "serving": "cyan",
    "done": "green",
    "ready": "green",
    "accepted": "green",
    "rejected": "red",
    "offline": "yellow",
    "not reported": "yellow",
    "no receipt": "yellow",
    "lost": "red",
    "held": "green",
    "missing": "yellow",
    "away": "yellow",
}


def plain(value: object, style: str = "") -> Text:
    """Return one line of text for a terminal; None becomes `-`."""
    shown = "-" if value is None else str(value)
    return Text(
        "".join(char if char.isprintable() else "?" for char in shown), style=style
    )


def stated(value: str) -> Text:
    """Return a state or status in its colour."""
    return plain(value, STYLES.get(value, ""))


def number(value: float | None, digits: int) -> Text:
    """Return a number with a fixed number of digits after the point."""
    return plain(None if value is None else f"{value:,.{digits}f}")


def measured(value: float, digits: int, deviation: float | None) -> Text:
    """Return a number that noise may have moved, such as 0.79 ± 0.05.

    Args:
        value: The number.
        digits: After the point, where it is exact.
        deviation: The standard deviation of the noise; None: there is none.
    """
    if not deviation:
        return number(value, digits)
    digits = min(digits, max(2, -math.floor(math.log10(deviation))))
    return plain(f"{value:,.{digits}f} \N{PLUS-MINUS SIGN} {deviation:,.{digits}f}")


def percent(value: float | None) -> Text:
    """Return a fraction as a percentage."""
    return plain(None if value is None else f"{value:.0%}")


def size(value: int | None) -> Text:
    """Return bytes as B, kB, MB or GB (powers of ten)."""
    if value is None or value < 1000:
        return plain(value if value is None else f"{value} B")
    scaled = float(value)
    for unit in ("kB", "MB"):
        scaled /= 1000
        if scaled < 1000:
            return plain(f"{scaled:,.1f} {unit}")
    return plain(f"{scaled / 1000:,.1f} GB")


def moment(value: str | None) -> Text:
    """Return an instant of a view as people write it, in UTC."""
    return plain(value and value.replace("T", " ").removesuffix("Z"))


def digest(value: str | None) -> Text:
    """Return what people compare of a digest."""
    return plain(value and value[:SHORT])
