"""The client of the stock app: trains nothing."""

from fedsecure.bench.idle import app

__all__ = ["app"]
