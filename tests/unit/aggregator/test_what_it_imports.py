"""An aggregator's image has neither TensorFlow, Flower and GMP nor all of numpy."""

import subprocess
import sys

ABSENT = (
    *("tensorflow", "keras", "flwr", "pandas", "pyarrow", "matplotlib", "PIL", "gmpy2"),
    *("numpy.random", "numpy.fft", "numpy.ma", "numpy.polynomial", "fedsecure_clients"),
)
MOUNT = """
import sys
for name in {absent!r}:
    sys.modules[name] = None  # as if it were not installed
from fedsecure import cli
cli._mount()
print(*sorted(group.name for group in cli.app.registered_groups))
import fedsecure_aggregator.operations.server
"""


def test_its_commands_load_without_what_its_image_leaves_out() -> None:
    code = MOUNT.format(absent=ABSENT)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "aggregator" in done.stdout.split()
    assert "agent" not in done.stdout.split()
