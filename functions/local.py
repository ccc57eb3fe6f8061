"""Everything on one machine with one command: `make run`."""

import os
import re
import signal
import sqlite3
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from machine import Incomplete, InUse, Machine, MissingError

SIMULATED = "It is a SIMULATOR: no message leaves this machine."
REAL = "It talks to REAL carriers: what you send is sent."

HELLO = """\
Backstop is running: {url}
{what} State is kept in {state}.
An offline phone, and a message that falls back to SMS ten seconds from now:

curl -X PUT {url}/simulator/phones/+15551230001 -d '{{"online": false}}'
curl -X POST '{url}/v1/phones/+15551230001/agentMessages?messageId=hello-{now}' \\
  -d '{{"contentMessage": {{"text": "Hello"}}, "ttl": "10s"}}'
curl {url}/simulator/phones/+15551230001
curl {url}/v1/phones/+15551230001/agentMessages/hello-{now}

Stop with Ctrl-C.
"""


def main() -> int:
    """Run until told to stop. Returns the exit status."""
    root = Path(__file__).resolve().parent.parent
    state = Path(os.environ.get("STATE", root / ".backstop"))
    port = os.environ.get("PORT", "8080")
    if not re.fullmatch("[0-9]{1,5}", port):
        sys.stderr.write("PORT must be a number from 0 to 65535\n")
        return 1
    try:
        host = os.environ.get("HOST", "127.0.0.1")
        machine = Machine(state, os.environ, host=host, port=int(port))
    except (InUse, Incomplete, MissingError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (OSError, sqlite3.OperationalError) as error:
        sys.stderr.write(f"STATE {state} cannot be used: {error}\n")
        return 1
    except sqlite3.DatabaseError as error:
        sys.stderr.write(f"STATE {state} is damaged: {error}\n")
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    machine.start()
    now = int(datetime.now(UTC).timestamp())
    shown = os.path.relpath(state) if state.is_relative_to(root) else state
    what = SIMULATED if machine.simulated else REAL
    sys.stdout.write(HELLO.format(url=machine.url, what=what, state=shown, now=now))
    sys.stdout.flush()
    stop.wait()
    machine.stop()
    sys.stdout.write("Stopped.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
