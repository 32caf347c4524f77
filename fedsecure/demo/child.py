"""One process of the demo: the user's own command, tied to the demo's life.

python -m fedsecure.demo.child PARENT_PID COMMAND ARGUMENT...
"""

import sys

from fedsecure.cli import main
from fedsecure.system.lifeline import tie_to

if __name__ == "__main__":
    tie_to(int(sys.argv.pop(1)))
    main()
