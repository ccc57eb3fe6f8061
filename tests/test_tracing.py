"""One trace from the request that began it to all that it led to."""

import asyncio
import io
import json
from base64 import b64encode
from contextvars import copy_context

import pytest
from starlette.requests import Request

from backstop import tracing
from backstop.adapters.system import JsonLog
from backstop.domain.event import read_attributes
from backstop.edge.answers import answer, answering
from backstop.edge.triggers import Trigger, fallback
from backstop.edge.workers import Pool
from backstop.errors import Unavailable
from contracts.events_contract import event

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{'c' * 32}-{'d' * 16}-00"

INCOMING = {
    "W3C's": ({"traceparent": PARENT}, PARENT),
    "Google's": (
        {"x-cloud-trace-context": f"{TRACE}/{int(SPAN, 16)};o=1"},
        PARENT,
    ),
    "Google's, not sampled": (
        {"x-cloud-trace-context": f"{TRACE}/{int(SPAN, 16)}"},
        f"00-{TRACE}-{SPAN}-00",
    ),
    "both": (
        {"traceparent": PARENT, "x-cloud-trace-context": f"{'c' * 32}/1;o=1"},
        PARENT,
    ),
    "the second": (
        {"traceparent": "x", "x-cloud-trace-context": f"{TRACE}/{int(SPAN, 16)};o=1"},
        PARENT,
    ),
}

NONE = {
    "nothing": {},
    "no trace": {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
    "no span": {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
    "capitals": {"traceparent": PARENT.upper()},
    "more": {"traceparent": f"{PARENT}-+15551230001"},
    "a line": {"traceparent": f"{PARENT}\n"},
    "a phone": {"traceparent": "+15551230001"},
    "Google's without a span": {"x-cloud-trace-context": f"{TRACE}/0;o=1"},
    "Google's beyond 64 bits": {"x-cloud-trace-context": f"{TRACE}/{'9' * 20}"},
}


class Fixed:
    """Draws the same number again and again."""

    def random(self):
        return 0.5


def request(headers, body=b""):
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }

    async def receive():
        return {"type": "http.request", "body": body}

    return Request(scope, receive)


async def ask(work, headers, body=b"", log=print):
    """Let *work* be done in the pool, for a request with those headers."""
    pool = Pool(1)

    async def handler(asked):
        await pool.run(lambda: work(asked))
        return answer({})

    return await answering(handler, log, Fixed())(request(headers, body))


def seen(headers):
    """Return what work in the pool hands on."""
    found = []
    asyncio.run(ask(lambda _request: found.append(tracing.traceparent()), headers))
    return found[0]


@pytest.mark.parametrize(("headers", "parent"), INCOMING.values(), ids=INCOMING)
def test_the_callers_trace_reaches_the_work(headers, parent):
    """Also where blocking clients work, in a thread of the pool."""
    assert seen(headers) == parent


@pytest.mark.parametrize("headers", NONE.values(), ids=NONE)
def test_without_a_trace_one_is_begun(headers):
    """Nothing but hexadecimal digits is ever handed on."""
    begun = seen(headers)

    assert tracing._W3C.fullmatch(begun)
    assert TRACE not in begun
    assert begun == seen({})


def test_requests_at_the_same_time_have_their_own():
    found = {}

    async def both():
        both_are_in = asyncio.Barrier(2)

        async def one(parent):
            async def handler(_request):
                await both_are_in.wait()
                found[parent] = tracing.traceparent()
                return answer({})

            wrapped = answering(handler, print, Fixed())
            await wrapped(request({"traceparent": parent}))

        await asyncio.gather(one(PARENT), one(OTHER))

    asyncio.run(both())

    assert found == {PARENT: PARENT, OTHER: OTHER}


def test_outside_of_a_request_there_is_none():
    """A line of a platform's own threads names no trace, an event takes none along."""
    stream = io.StringIO()
    JsonLog(stream, "my-project")("dispatcher_failed", {"cause": "full"})

    assert tracing.traceparent() == ""
    assert tracing.attributes() == {}
    assert "trace" not in stream.getvalue()


def test_a_line_names_trace_and_span():
    """Under the names by which Cloud Logging finds all lines of a trace."""
    stream = io.StringIO()
    log = JsonLog(stream, "my-project")
    asyncio.run(ask(lambda _request: log("ring", {}), {"traceparent": PARENT}))

    line = json.loads(stream.getvalue())
    assert line["logging.googleapis.com/trace"] == f"projects/my-project/traces/{TRACE}"
    assert line["logging.googleapis.com/spanId"] == SPAN


def test_an_event_is_the_same_with_and_without():
    """The trace belongs to the delivery."""
    published = copy_context().run(traced, event)

    assert published[tracing.ATTRIBUTE] == PARENT
    assert read_attributes(published, b"{}") == event()


def traced(make):
    tracing.begin({"traceparent": PARENT}, Fixed().random)
    return make().attributes() | tracing.attributes()


class Elsewhere:
    """Ports of a platform that cannot be reached."""

    def __getattr__(self, _port):
        raise Unavailable("not here")


@pytest.mark.parametrize(
    ("carried", "trace"),
    [(PARENT, TRACE), ("+15551230001", "c" * 32), (None, "c" * 32)],
)
def test_a_push_belongs_to_the_trace_of_its_event(carried, trace):
    """Even the line at the edge, written when the work in the pool has failed."""
    stream = io.StringIO()
    attributes = event().attributes() | {"ce-type": "backstop.sms.due", "kind": "due"}
    if carried:
        attributes[tracing.ATTRIBUTE] = carried
    body = json.dumps(
        {"message": {"attributes": attributes, "data": b64encode(b"{}").decode()}}
    ).encode()
    trigger = answering(
        Trigger(fallback(Elsewhere()), Pool(1)), JsonLog(stream), Fixed()
    )

    done = asyncio.run(trigger(request({"traceparent": OTHER}, body)))

    line = json.loads(stream.getvalue())
    assert (done.status_code, line["message"]) == (503, "unavailable")
    assert line["logging.googleapis.com/trace"] == trace
