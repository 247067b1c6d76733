"""Python imports this at its start, if it lies on the path: so the processes that tests start pretend, too."""

import os
import traceback

if os.environ.get("FAKEGPU"):
    try:
        import fakegpu  # noqa: F401
    except BaseException:
        traceback.print_exc()
        os._exit(3)  # Python would go on without it, on the CPU, and the test would pass for the wrong reason
