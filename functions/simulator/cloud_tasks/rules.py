"""What Cloud Tasks accepts, in the words it was recorded with, and when it retries."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.cloud import tasks_v2

SECOND = 1_000_000
DAY = 86_400 * SECOND

# The bare protobuf classes: as fast as they get, and just as untyped.
Queue: Any = tasks_v2.Queue.pb()
Task: Any = tasks_v2.Task.pb()

NO_QUEUE = (
    "Queue does not exist. If you just created the queue,"
    " wait at least a minute for the queue to initialize."
)
NO_ENTITY = "Requested entity was not found."
GONE = (
    "The task no longer exists, though a task with this name existed recently."
    " The task either successfully completed or was deleted."
)
NAME_IN_USE = "Requested entity already exists"
QUEUE_IN_USE = "Queue already exists"
QUEUE_GONE = (
    "The queue cannot be created because a queue with this name existed too recently."
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUEUE_NAME = re.compile(
    r"projects/[A-Za-z0-9.:-]+/locations/[A-Za-z0-9-]+/queues/[A-Za-z0-9-]{1,100}"
)
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")
_HORIZON = 30 * DAY
_RETENTION = 31 * DAY
# Measured at the real service on the stored form of a task, defaults included:
# aertje/cloud-tasks-emulator, internal/engine/tasksize.go.
_LARGEST = 2**20 - 7
_SHORTEST_DEADLINE, _LONGEST_DEADLINE = 15 * SECOND, 1800 * SECOND
_DEFAULT_DEADLINE = 600
_LONGEST_URL = 2083
_LARGEST_HEADERS = 80 * 1024
_MAY_HAVE_A_BODY = ("POST", "PUT", "PATCH")


class RefusedError(Exception):
    """A call is answered with this status and text."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def invalid(text: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, text)


def not_found(text: str) -> RefusedError:
    return RefusedError(grpc.StatusCode.NOT_FOUND, text)


def micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def split(name: str) -> tuple[str, str]:
    """Return a task's queue and its own short name; refuse what is no task."""
    queue, found, short = name.rpartition("/tasks/")
    if not found or not _QUEUE_NAME.fullmatch(queue) or not _TASK_ID.fullmatch(short):
        raise invalid(f'Invalid resource field value in the request: "{name}".')
    return queue, short


def complete_queue(asked: Any) -> Any:
    """Return the queue with its defaults filled in; refuse impossible settings."""
    if not _QUEUE_NAME.fullmatch(asked.name):
        raise invalid(
            "Queue name must be formatted: "
            '"projects/<PROJECT_ID>/locations/<LOCATION_ID>/queues/<QUEUE_ID>".'
        )
    queue = Queue()
    queue.CopyFrom(asked)
    rates, retry = queue.rate_limits, queue.retry_config
    _check_rates(rates)
    rates.max_dispatches_per_second = rates.max_dispatches_per_second or 500
    rates.max_concurrent_dispatches = rates.max_concurrent_dispatches or 1000
    # Output only. Real queues show 100 at the full rate and 10 at a low one.
    fifth = round(rates.max_dispatches_per_second / 5)
    rates.max_burst_size = min(max(fifth, 10), 100)
    retry.max_attempts = retry.max_attempts or 100
    retry.max_doublings = retry.max_doublings or 16
    if not retry.HasField("min_backoff"):
        retry.min_backoff.FromMilliseconds(100)
    if not retry.HasField("max_backoff"):
        retry.max_backoff.FromSeconds(3600)
    _check_retry(retry)
    queue.state = Queue.State.RUNNING
    return queue


def _check_rates(rates: Any) -> None:
    for name, value, most in (
        ("maxDispatchesPerSecond", rates.max_dispatches_per_second, 500),
        ("maxConcurrentDispatches", rates.max_concurrent_dispatches, 5000),
    ):
        if value < 0:
            raise invalid(f"RateLimits.{name} cannot be negative.")
        if value > most:
            raise invalid(f"RateLimits.{name} must be less than or equal to {most}.")


def _check_retry(retry: Any) -> None:
    if retry.max_attempts < -1:
        raise invalid("RetryConfig.maxAttempts must be greater or equal to -1.")
    if retry.max_doublings < 0:
        raise invalid("RetryConfig.maxDoublings cannot be negative.")
    least = retry.min_backoff.ToMicroseconds()
    most = retry.max_backoff.ToMicroseconds()
    if least < 0:
        raise invalid("RetryConfig.minBackoff cannot be negative.")
    if least > most:
        raise invalid(
            "RetryConfig.minBackoff must be less than or equal to"
            " RetryConfig.maxBackoff."
        )


def complete_task(parent: str, asked: Any, now: int) -> Any:
    """Return the task as it is stored, named and with defaults; or refuse it."""
    if not _QUEUE_NAME.fullmatch(parent):
        raise invalid(f'Invalid resource field value in the request: "{parent}".')
    task = Task()
    task.name = _task_name(parent, asked.name)
    if asked.WhichOneof("message_type") == "app_engine_http_request":
        raise RefusedError(
            grpc.StatusCode.UNIMPLEMENTED, "Only HTTP targets are simulated."
        )
    task.http_request.CopyFrom(asked.http_request)
    _complete_target(task.http_request)
    task.dispatch_deadline.FromSeconds(_DEFAULT_DEADLINE)
    if asked.HasField("dispatch_deadline"):
        task.dispatch_deadline.CopyFrom(asked.dispatch_deadline)
    deadline = task.dispatch_deadline.ToMicroseconds()
    if not _SHORTEST_DEADLINE <= deadline <= _LONGEST_DEADLINE:
        raise invalid("Task.dispatchDeadline must be between [15s, 30m].")
    due = now
    if asked.HasField("schedule_time"):
        due = max(asked.schedule_time.ToMicroseconds(), now)
    if due > now + _HORIZON:
        raise invalid(
            f"The Task.scheduleTime, {moment(due).isoformat()}, is too far in the"
            " future. Schedule time must be no more than 720h in the future."
        )
    task.schedule_time.FromMicroseconds(due)
    task.create_time.FromSeconds(now // SECOND)
    if asked.HasField("retry_config"):
        task.retry_config.CopyFrom(asked.retry_config)
    if task.ByteSize() > _LARGEST:
        raise invalid("Task size too large.")
    return task


def _task_name(parent: str, asked: str) -> str:
    if not asked:
        return f"{parent}/tasks/{10**19 + secrets.randbelow(9 * 10**19)}"
    queue, _, short = asked.rpartition("/tasks/")
    if not _TASK_ID.fullmatch(short):
        raise invalid(
            f'Task ID "{short}" can contain only letters ([A-Za-z]), numbers ([0-9]),'
            " hyphens (-), or underscores (_). Task ID must between 1 and 500"
            " characters."
        )
    if queue != parent:
        raise invalid(
            f"The queue name from request ('{parent}') must be the same as the queue"
            f" name in the named task ('{queue}')."
        )
    return asked


def _complete_target(target: Any) -> None:
    if not target.url:
        raise invalid("HttpRequest.url is required.")
    if not target.url.startswith(("http://", "https://")):
        raise invalid("HttpTarget.url must start with 'http://' or 'https://'.")
    if len(target.url) > _LONGEST_URL:
        raise invalid(f"HttpRequest.url is longer than {_LONGEST_URL} characters.")
    token = target.WhichOneof("authorization_header")
    if token == "oauth_token":  # noqa: S105 - the name of a field
        raise RefusedError(
            grpc.StatusCode.UNIMPLEMENTED, "Only OIDC tokens are simulated."
        )
    if token and not target.oidc_token.service_account_email:
        raise invalid("OidcToken.serviceAccountEmail is required.")
    target.http_method = target.http_method or tasks_v2.HttpMethod.POST
    if target.body and method(target) not in _MAY_HAVE_A_BODY:
        raise invalid("HttpRequest.body is allowed for POST, PUT and PATCH only.")
    for name in [name for name in target.headers if name.lower() == "user-agent"]:
        del target.headers[name]
    target.headers["User-Agent"] = "Google-Cloud-Tasks"
    if sum(len(name) + len(target.headers[name]) for name in target.headers) > (
        _LARGEST_HEADERS
    ):
        raise invalid("HttpRequest.headers are larger than 80 KB.")


def method(target: Any) -> str:
    return str(tasks_v2.HttpMethod(target.http_method).name)


def retry_config(queue: Any, task: Any) -> Any:
    """Return the queue's settings, with those of the task's own on top."""
    config = type(queue.retry_config)()
    config.CopyFrom(queue.retry_config)
    config.MergeFrom(task.retry_config)
    return config


def backoff(config: Any, failures: int) -> int:
    """Microseconds until the attempt after that many failed ones."""
    least = config.min_backoff.ToMicroseconds()
    step = failures - 1
    doublings = min(step, config.max_doublings)
    # Beyond 2^60 microseconds any cap has long been reached.
    pause = (least << min(doublings, 60)) * (step - doublings + 1)
    return int(min(pause, config.max_backoff.ToMicroseconds()))


def spent(config: Any, task: Any, now: int) -> bool:
    """Whether a task that failed just now is given up.

    Both limits must be reached, of those that are set; a task older than 31 days
    goes in any case.
    """
    age = now - task.create_time.ToMicroseconds()
    longest = config.max_retry_duration.ToMicroseconds()
    limits = []
    if config.max_attempts > 0:
        limits.append(task.dispatch_count >= config.max_attempts)
    if longest > 0:
        tried = now - task.first_attempt.dispatch_time.ToMicroseconds()
        limits.append(tried >= longest)
    return age >= _RETENTION or (bool(limits) and all(limits))
