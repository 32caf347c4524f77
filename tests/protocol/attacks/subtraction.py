"""What somebody learns from sums over different sets, computed by brute force."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations


def rank(rows: Iterable[Iterable[int]]) -> int:
    """Rank over the rationals, by elimination in exact arithmetic."""
    left, found = [[Fraction(value) for value in row] for row in rows], 0
    for column in range(len(left[0]) if left else 0):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        left.remove(pivot)
        found += 1
        left = [
            [
                a - row[column] / pivot[column] * b
                for a, b in zip(row, pivot, strict=True)
            ]
            for row in left
        ]
    return found


def fewest_told_apart(sets: Iterable[frozenset[str]], universe: Sequence[str]) -> int:
    """Size of the smallest group about which some combination of sums tells.

    A combination that tells about nobody outside a group exists if, and only if,
    leaving the group's columns out lowers the rank.
    """
    rows = [[int(name in one) for name in universe] for one in sets]
    whole = rank(rows)
    for size in range(1, len(universe) + 1):
        for group in combinations(range(len(universe)), size):
            rest = [[v for i, v in enumerate(row) if i not in group] for row in rows]
            if rank(rest) < whole:
                return size
    return len(universe)
