"""``python -m miniframe`` is the ``miniframe`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
