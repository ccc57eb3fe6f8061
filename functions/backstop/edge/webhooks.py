"""`webhook` and `sms_webhook`: verify, publish, answer. No state, no database."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from backstop.domain.event import Event
from backstop.edge.answers import Pool, Problem, answer, read_body
from backstop.ports import Clock, Events, Log
from backstop.providers.bandwidth import wire as bandwidth
from backstop.providers.rbm import wire as rbm

BODY_LIMIT = 256 * 1024

REFUSED = "not verified"


class Webhook:
    """RBM's events and its handshake."""

    def __init__(
        self,
        events: Events,
        clock: Clock,
        log: Log,
        pool: Pool,
        *,
        tokens: tuple[bytes, ...],
    ) -> None:
        self._events = events
        self._clock = clock
        self._log = log
        self._pool = pool
        self._tokens = tokens

    async def __call__(self, request: Request) -> Response:
        _only_post(request)
        raw = await read_body(request, BODY_LIMIT)
        try:
            envelope = rbm.parse(raw)
            secret = rbm.handshake(envelope, self._tokens)
            if secret is not None:
                return PlainTextResponse(secret)
            signature = request.headers.get("x-goog-signature", "")
            data = rbm.verify(envelope, signature.encode("latin-1"), self._tokens)
        except rbm.Forged:
            self._log("webhook_refused", {"severity": "WARNING"})
            raise Problem(401, REFUSED) from None
        except rbm.Malformed:
            raise Problem(400, "body: not a webhook call") from None
        event = rbm.announce(data, received_at=self._clock.now())
        await _publish(self._events, self._pool, [event])
        # RBM takes nothing but 200 for an answer.
        return answer({})


class SmsWebhook:
    """Bandwidth's callbacks."""

    def __init__(
        self,
        events: Events,
        clock: Clock,
        log: Log,
        pool: Pool,
        *,
        credentials: tuple[tuple[str, str], ...],
    ) -> None:
        self._events = events
        self._clock = clock
        self._log = log
        self._pool = pool
        self._credentials = credentials

    async def __call__(self, request: Request) -> Response:
        _only_post(request)
        given = request.headers.get("authorization")
        raw = await read_body(request, BODY_LIMIT)
        if not bandwidth.authorised(given, self._credentials):
            if given:
                self._log("sms_webhook_refused", {"severity": "WARNING"})
            # Bandwidth sends its credentials only when it is asked for them so.
            raise Problem(
                401, REFUSED, headers={"WWW-Authenticate": 'Basic realm="backstop"'}
            )
        events = bandwidth.announce(raw, received_at=self._clock.now())
        await _publish(self._events, self._pool, events)
        return answer({})


async def _publish(events: Events, pool: Pool, published: Sequence[Event]) -> None:
    await pool.run(lambda: events.publish(*published))


def _only_post(request: Request) -> None:
    if request.method != "POST":
        raise Problem(405, "method: only POST", headers={"Allow": "POST"})
