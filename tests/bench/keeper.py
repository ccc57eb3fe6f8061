"""The embedded platform's timers alone, as a process of their own.

    python -m bench.keeper STATE RING_URL

rings what is due in that state until its standard input ends.
"""

import sys
from pathlib import Path

from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.dispatcher import Dispatcher
from backstop.adapters.system import SystemRandom
from contracts.over_http import over_http
from simulator import Clock


def main(state: str, ring: str) -> None:
    database = Database(Path(state))
    dispatcher = Dispatcher(database, Clock(), SystemRandom(), ())
    dispatcher.start(ring=ring, post=over_http)
    sys.stdin.read()
    dispatcher.stop()
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
