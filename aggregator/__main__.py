"""`python -m aggregator`: the command without the rest of `fedsecure`'s commands."""

import sys

from aggregator.cli import app
from fedsecure.cli import report
from fedsecure.errors import FedsecureError


def main() -> None:
    """Run the command; exits with 1 after an error of ours."""
    try:
        app()
    except FedsecureError as error:
        report(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
