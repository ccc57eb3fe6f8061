"""`webhook` and `sms_webhook`: verify, publish, answer. No state, no database."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from backstop.domain.event import Event
from backstop.edge.answers import Handler, Problem, answer, read_body
from backstop.edge.workers import Workers
from backstop.ports import Clock, Events, Log
from backstop.providers.bandwidth import wire as bandwidth
from backstop.providers.rbm import wire as rbm

BODY_LIMIT = 256 * 1024

REFUSED = "not verified"


@dataclass(frozen=True)
class Inlet:
    """Where verified events go in."""

    events: Events
    workers: Workers
    clock: Clock
    log: Log

    async def take(self, events: Sequence[Event]) -> Response:
        """Answer 200 when *events* are durable; RBM takes nothing else for it."""
        await self.workers.run(lambda: self.events.publish(*events))
        return answer({})


def webhook(inlet: Inlet, tokens: tuple[bytes, ...]) -> Handler:
    """RBM's events and its handshake."""

    async def handle(request: Request) -> Response:
        _only_post(request)
        raw = await read_body(request, BODY_LIMIT)
        try:
            envelope = rbm.parse(raw)
            secret = rbm.handshake(envelope, tokens)
            if secret is not None:
                return PlainTextResponse(secret)
            signature = request.headers.get("x-goog-signature", "")
            data = rbm.verify(envelope, signature.encode("latin-1"), tokens)
        except rbm.Forged as forged:
            inlet.log("webhook_refused", {"severity": "WARNING", "cause": str(forged)})
            raise Problem(401, REFUSED) from None
        except rbm.Malformed:
            raise Problem(400, "body: not a webhook call") from None
        return await inlet.take([rbm.announce(data, received_at=inlet.clock.now())])

    return handle


def sms_webhook(inlet: Inlet, credentials: tuple[tuple[str, str], ...]) -> Handler:
    """Bandwidth's callbacks."""
    # It sends its credentials only when it is asked for them like this.
    challenge = {"WWW-Authenticate": 'Basic realm="backstop"'}

    async def handle(request: Request) -> Response:
        _only_post(request)
        given = request.headers.get("authorization")
        raw = await read_body(request, BODY_LIMIT)
        if not given:
            raise Problem(401, REFUSED, headers=challenge)
        if not bandwidth.authorised(given, credentials):
            inlet.log(
                "sms_webhook_refused", {"severity": "WARNING", "cause": "credentials"}
            )
            raise Problem(401, REFUSED, headers=challenge)
        return await inlet.take(bandwidth.announce(raw, received_at=inlet.clock.now()))

    return handle


def _only_post(request: Request) -> None:
    if request.method != "POST":
        raise Problem(405, "method: only POST", headers={"Allow": "POST"})
