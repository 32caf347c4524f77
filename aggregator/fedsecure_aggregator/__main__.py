"""`python -m fedsecure_aggregator`: the command alone, without the others."""

import sys

from fedsecure.errors import FedsecureError
from fedsecure.terminal.problem import report
from fedsecure_aggregator.operations.cli import app


def main() -> None:
    """Run the command; exits with 1 after an error of ours."""
    try:
        app()
    except FedsecureError as error:
        report(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
