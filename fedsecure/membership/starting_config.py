"""The configuration that a party starts with: everything but what it must decide."""

from collections.abc import Iterable
from typing import Final

import tomli_w

Line = tuple[str, object, str]  # key, value, comment

_JOINED: Final = "by `fedsecure join`"
_COLUMN: Final = 34  # where comments begin
_PRIVACY: Final = """
# Without these lines a person decides, study by study, whether sums are to have noise.
# With them rounds without noise are refused; docs/consent.md says what epsilon means.
# [policy.privacy]
# unit = "row"                    # what is protected; or "data-owner"
# max_epsilon = 8.0               # what all studies together may tell about one
"""
_JOBS: Final = """
# What may be made of numbers that you share: by default you alone receive it.
[policy.jobs]
receivers = []                    # who else may, by name in federation.toml
min_owners = 2                    # parties that it mixes, the receiver not counted
"""
_NO_JOBS: Final = """
# Without these lines no numbers of this site are shared, whatever a job computes.
# With them a person here says yes or no to each job.
# [policy.jobs]
# receivers = ["clinic"]          # who may receive what is made of them, beside you
# min_owners = 2                  # parties that it mixes, the receiver not counted
"""
_SERVE: Final = """
# Who may ask a model that you serve, and how much: answers give it away bit by bit.
[serve]
# clients = ["clinic"]            # by default every client of the federation
max_rows = 1000                   # that each of them is answered by a service, in all
days = 30                         # until a service closes
"""
_COMPUTE: Final = """
# Whether this aggregator computes on shares for others, and how much.
[compute]
enabled = false                   # true: it grants jobs that keep to these limits
kinds = ["shares", "linear"]      # sums of shared numbers; a linear model's predictions
max_rows = 10000                  # of one input, and of one query
max_memory = 536870912            # bytes that a job's program holds at once
max_queries = 100000              # that one service answers
max_open_jobs = 64                # at the same time
max_job_seconds = 7776000         # 90 days: how far ahead a job may expire
"""


def aggregator(name: str, listen: str) -> str:
    """Return aggregator.toml."""
    return (
        _head("An aggregator", "`fedsecure aggregator` reads", name)
        + _lines(
            ("listen", listen, "on which address of this machine"),
            ("data", "data", "database, sealed reports and keys of rounds"),
        )
        + "\n[tls]\n"
        + _lines(
            ("certificate", "tls.pem", "the server's certificate chain"),
            ("key", "tls.key", "its private key"),
        )
        + "\n[policy]\n"
        + _lines(
            ("min_cohort", 3, "the fewest data owners whose sum is opened"),
            ("privacy", "any", 'or "required": only rounds with noise'),
        )
        + "# max_epsilon = 8.0  # what all openings together may tell about a row\n"
        + _COMPUTE
    )


def agent(name: str, data: str) -> str:
    """Return agent.toml."""
    return (
        _head("A data owner's agent", "`fedsecure agent` reads", name)
        + _lines(
            ("flower_key", "flower.key", "with which it joins the SuperLink"),
            ("data", data, "a table, an .npz file, or a folder of images"),
            ("state", "state", "what was sent; never delete it in a run"),
        )
        + "\n[policy]\n"
        + _lines(
            ("min_cohort", 3, "refuse rounds that may open a sum of fewer"),
            ("max_rounds", 1000, "refuse rounds with a higher number"),
        )
        + _NO_JOBS
        + _PRIVACY
    )


def client(name: str) -> str:
    """Return client.toml."""
    return (
        _head("A client", "`fedsecure predict` reads", name)
        + _lines(("queries", "queries", "numbers of what was asked; never delete it"))
        + _JOBS
    )


def dealer(name: str) -> str:
    """Return dealer.toml."""
    return _head("A dealer", "a later version's process will read", name) + _lines(
        ("dealer", True, "whose file this is; it only joins until then")
    )


def owner(name: str, study: str, listen: str) -> str:
    """Return owner.toml."""
    return (
        _head("The model owner", "`fedsecure train` reads", name)
        + _lines(
            ("study", study, "the folder with study.toml"),
            ("folder", ".", "round store, models and logs"),
            ("round_seconds", 300.0, "how long a cohort may take to report"),
            ("join_seconds", 60.0, "how long to wait for all agents"),
            ("attempts", 10, "how often a round with too few reports is tried"),
            ("pause_seconds", 5.0, "first pause between attempts; then doubled"),
            ("longest_pause_seconds", 300.0, "and no pause is longer"),
        )
        + "\n[superlink]\n"
        + _lines(
            ("listen", listen, "where agents join"),
            ("authority", "ca.pem", "the CA of its certificate"),
            ("certificate", "tls.pem", "its certificate chain"),
            ("key", "tls.key", "and the private key"),
        )
        + _SERVE
        + _JOBS
    )


def _head(who: str, reader: str, name: str) -> str:
    return (
        f"# {who}: {reader} this file.\n# Paths are taken from its own folder.\n"
    ) + _lines(
        ("name", name, "as in federation.toml"),
        ("federation", "federation.toml", _JOINED),
        ("accepted", "accepted.toml", _JOINED),
        ("key", "signing.pem", "the private signing key"),
    )


def _lines(*lines: Line) -> str:
    return "".join(_written(lines))


def _written(lines: Iterable[Line]) -> Iterable[str]:
    for key, value, comment in lines:
        text = tomli_w.dumps({key: value}).strip()
        yield f"{text:<{_COLUMN}}# {comment}\n"
