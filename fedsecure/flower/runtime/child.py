"""The SuperLink's process: Flower's own server, guarded, and bound to its owner.

    python -m fedsecure.flower.runtime.child PARENT_PID SECRET_FILE FLAG...

It runs what the command `flower-superlink` runs, with `OwnerOnly` in front, and
ends itself when its owner has died, however it died.
"""

import sys
from pathlib import Path
from typing import Any

from flwr.superlink import main as superlink_main
from flwr.superlink.cli import flower_superlink

from fedsecure.flower.runtime.guard import OwnerOnly, owner_token
from fedsecure.lifeline import tie_to


def guard(token: str) -> None:
    """Have Flower build its application with `OwnerOnly` around it."""
    create_app = superlink_main.create_app

    def create_guarded_app(*args: object, **kwargs: object) -> Any:
        app = create_app(*args, **kwargs)
        app.add_middleware(OwnerOnly, token=token)
        return app

    superlink_main.create_app = create_guarded_app


def main(parent: str, secret_file: str, *flags: str) -> None:
    """Run the SuperLink until it is told to stop or its owner is gone."""
    tie_to(int(parent))
    guard(owner_token(Path(secret_file).read_bytes()))
    secret_flags = ["--superexec-auth-secret-file", secret_file]
    sys.argv = ["flower-superlink", *flags, *secret_flags]
    flower_superlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
