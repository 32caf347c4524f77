"""Typer imports two names that click has deprecated; here once, without the warning."""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings(
        "ignore", r"'click\.utils\.get_(binary|text)_stream'", DeprecationWarning
    )
    import typer  # noqa: F401
