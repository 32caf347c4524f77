"""`python -m fedsecure`: the command line."""

from fedsecure.cli import main

main()
