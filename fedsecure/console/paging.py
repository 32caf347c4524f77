"""Parts of long lists; part 1 has the newest."""

from dataclasses import dataclass

from fedsecure.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list of `number` lines is shown."""

    page: int
    pages: int
    number: int
    size: int

    @property
    def offset(self) -> int:
        """How many newer lines are left out."""
        return (self.page - 1) * self.size


def part_of(page: int, number: int, size: int) -> Part:
    """Return which part of a list a page is.

    Raises:
        OperatorError: FS-862 when the list is not that long.
    """
    pages = max(1, -(-number // size))
    if not 1 <= page <= pages:
        raise OperatorError("FS-862", f"there is no page {page:,} of {pages:,}")
    return Part(page, pages, number, size)
