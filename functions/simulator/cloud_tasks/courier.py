"""One attempt: the HTTP request a target sees, and what came back."""

import time
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from .book import Attempt, Outcome
from .rules import SECOND, method
from .signer import Signer

_PARALLEL = 512
_ASK_LATER = (429, 503)
_NO_CONNECTION = Outcome(503, answered=False)
_NO_ANSWER = Outcome(504, answered=False)
_OURS = ("x-cloudtasks-", "x-google-", "x-appengine-")
_REPLACED = ("host", "content-length", "authorization")


class Courier:
    """Calls targets over kept connections; follows no redirect, repeats nothing."""

    def __init__(self, signer: Signer, patience: timedelta | None) -> None:
        self._signer = signer
        self._patience = None if patience is None else patience.total_seconds()
        self._pool = urllib3.PoolManager(num_pools=32, maxsize=_PARALLEL)

    def bring(self, attempt: Attempt) -> Outcome:
        target = attempt.task.http_request
        limit = attempt.task.dispatch_deadline.ToMicroseconds() / SECOND
        if self._patience is not None:
            limit = min(limit, self._patience)
        try:
            answer = self._pool.request(
                method(target),
                target.url,
                body=target.body or None,
                headers=self._headers(attempt),
                timeout=urllib3.Timeout(total=limit),
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.TimeoutError:
            return _NO_ANSWER
        except Exception:  # noqa: BLE001 - whatever it was, nobody answered
            return _NO_CONNECTION
        pause = 0
        if answer.status in _ASK_LATER:
            pause = _pause(answer.headers.get("Retry-After", ""))
        return Outcome(answer.status, answered=True, retry_after=pause)

    def close(self) -> None:
        self._pool.clear()

    def _headers(self, attempt: Attempt) -> dict[str, str]:
        task: Any = attempt.task
        target = task.http_request
        queue, _, name = task.name.rpartition("/tasks/")
        signed = target.HasField("oidc_token")
        replaced = _REPLACED if signed else _REPLACED[:2]
        headers = {
            key: value
            for key, value in target.headers.items()
            if not key.lower().startswith(_OURS) and key.lower() not in replaced
        }
        headers |= {
            "X-CloudTasks-QueueName": queue.rpartition("/")[2],
            "X-CloudTasks-TaskName": name,
            "X-CloudTasks-TaskRetryCount": str(task.dispatch_count - 1),
            "X-CloudTasks-TaskExecutionCount": str(attempt.executions),
            "X-CloudTasks-TaskETA": _seconds(task.schedule_time.ToMicroseconds()),
        }
        if attempt.status is not None:
            headers["X-CloudTasks-TaskPreviousResponse"] = str(attempt.status)
            headers["X-CloudTasks-TaskRetryReason"] = ""
        if signed:
            token = self._signer.token(
                email=target.oidc_token.service_account_email,
                audience=target.oidc_token.audience or target.url,
            )
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _seconds(at: int) -> str:
    whole, rest = divmod(at, SECOND)
    return f"{whole}.{rest:06d}"


def _pause(retry_after: str) -> int:
    """Microseconds a target asks for, in seconds or as a date; 0 if it does not."""
    if retry_after.isdecimal():
        return int(retry_after) * SECOND
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0
    # The date is by the target's clock, and that is the machine's.
    left = until.replace(tzinfo=until.tzinfo or UTC).timestamp() - time.time()
    return max(int(left * SECOND), 0)
