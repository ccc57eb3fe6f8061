"""Timers as an app would have them of Celery: a task with an eta, on Redis.

    celery -A celery_rings worker       rings; REDIS says where, RINGS notes when
    python celery_rings.py              arms what its standard input lists, in order

Runs in Celery's own environment, without anything of ours.
"""

import os
import sys
import time
from datetime import UTC, datetime

from celery import Celery

app = Celery("rings", broker=os.environ["REDIS"])
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True

_notes = open(os.environ["RINGS"], "a", buffering=1)  # noqa: PTH123, SIM115 - lasts


@app.task(name="ring")
def ring(due: float) -> None:
    _notes.write(f"{due!r} {time.time()!r}\n")


def arm() -> None:
    dues = [float(line) for line in sys.stdin]
    begun = time.perf_counter()
    for due in dues:
        ring.apply_async((due,), eta=datetime.fromtimestamp(due, UTC))
    sys.stdout.write(f"{len(dues) / (time.perf_counter() - begun)}\n")


if __name__ == "__main__":
    arm()
