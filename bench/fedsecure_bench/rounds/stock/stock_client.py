"""The client of the stock app: trains nothing."""

from fedsecure_bench.rounds.idle import app

__all__ = ["app"]
