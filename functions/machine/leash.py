"""Ends process groups when whoever named them is gone, however it died.

Reads group ids from standard input, a line each, and waits for its end.
"""

import contextlib
import os
import signal
import sys

for group in [int(line) for line in sys.stdin]:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
