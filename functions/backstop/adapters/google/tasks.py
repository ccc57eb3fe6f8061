"""Timers as named tasks of one Cloud Tasks queue.

A name is a hash of message and instant, hash first: sequential names would
share a hot spot. A name that rang stays taken for hours (rule 6), and a task
reaches no further than 30 days ahead: it then rings early, and the watch arms
the rest of the way.
"""

from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
from google.api_core.exceptions import (
    AlreadyExists,
    DeadlineExceeded,
    NotFound,
    PermissionDenied,
    ServiceUnavailable,
    TooManyRequests,
)
from google.api_core.retry import Retry, if_exception_type
from google.cloud.tasks_v2 import CloudTasksClient, HttpMethod, HttpRequest, Task
from google.cloud.tasks_v2.types import OidcToken

from backstop import tracing
from backstop.adapters.google.reaching import reaching
from backstop.domain.message import MessageId
from backstop.domain.times import format_time
from backstop.errors import Conflict
from backstop.ports import Clock

TRY = 3.0

BUDGET = Retry(
    predicate=if_exception_type(ServiceUnavailable, TooManyRequests, DeadlineExceeded),
    initial=0.1,
    maximum=1.0,
    timeout=9.0,
)
"""Safe, since the name makes a repeat meet its own task."""

HORIZON = timedelta(days=29)
ANSWER_WAIT = timedelta(seconds=60)
NAMES = 100
"""Instants tried, one after the other, before giving up on a taken name."""


class CloudTasksTimers:
    """Arms tasks in *queue*, its full name, that POST to *url* as *caller*."""

    def __init__(
        self,
        client: CloudTasksClient,
        clock: Clock,
        *,
        queue: str,
        url: str,
        caller: str,
    ) -> None:
        self._client = client
        self._clock = clock
        self._queue = queue
        self._url = url
        self._caller = caller

    @reaching
    def arm(self, message: MessageId, *, at: datetime) -> None:
        now = self._clock.now()
        at = min(at, now + HORIZON)
        for _ in range(NAMES):
            try:
                self._client.create_task(
                    parent=self._queue,
                    task=self._task(message, at),
                    retry=BUDGET,
                    timeout=TRY,
                )
            except AlreadyExists:
                if at > now and self._waits(message, at):
                    return
                # It may ring at this moment, or have rung or been spared: its name
                # stays taken, and the next instant has another (rule 6).
                at += timedelta(microseconds=1)
            else:
                return
        raise Conflict("every name for this timer is taken")

    @reaching
    def disarm(self, message: MessageId, *, at: datetime) -> None:
        try:
            self._client.delete_task(
                name=self._name(message, at), retry=BUDGET, timeout=TRY
            )
        except (NotFound, PermissionDenied):
            # It rang, was spared before, or is not ours to spare: it then rings
            # for nothing, which must not undo what the message has come to.
            return

    def _waits(self, message: MessageId, at: datetime) -> bool:
        try:
            task = self._client.get_task(
                name=self._name(message, at), retry=BUDGET, timeout=TRY
            )
        except NotFound:
            return False
        # One that was dispatched may be ringing now, early by our clock, and end.
        return not task.dispatch_count

    def _task(self, message: MessageId, at: datetime) -> Task:
        body = {"message": message, "dueAt": format_time(at)}
        headers = {"Content-Type": "application/json"}
        parent = tracing.traceparent()
        if parent:
            headers[tracing.HEADER] = parent
        request = HttpRequest(
            url=self._url,
            http_method=HttpMethod.POST,
            headers=headers,
            body=msgspec.json.encode(body),
        )
        if self._caller:
            request.oidc_token = OidcToken(service_account_email=self._caller)
        return Task(
            name=self._name(message, at),
            schedule_time=at,
            dispatch_deadline=ANSWER_WAIT,
            http_request=request,
        )

    def _name(self, message: MessageId, at: datetime) -> str:
        digest = sha256(f"{message}\n{format_time(at)}".encode()).hexdigest()
        return f"{self._queue}/tasks/{digest[:40]}"
