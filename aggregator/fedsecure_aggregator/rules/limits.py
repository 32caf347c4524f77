"""How long is waited for what; in seconds."""

from typing import Final

STILL_SECONDS: Final = 60  # for a request's next byte
TIDY_SECONDS: Final = 30  # from one deletion of what expired to the next
