"""Everything in one process: the functions, the carriers, the phones, the clock.

The only file that knows both sides. It serves the app API at `/v1`, the other
entry points at their names, the carriers and the controls under `/simulator`.
"""

import asyncio
import json
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from backstop import wiring
from backstop.adapters.embedded.database import Database, InUse
from backstop.adapters.embedded.dispatcher import Dispatcher
from backstop.adapters.embedded.stores import (
    Published,
    SqliteEvents,
    SqliteMessages,
    SqliteRecipients,
    SqliteTimers,
    Subscription,
)
from backstop.adapters.system import JsonHandler, JsonLog, SystemRandom
from backstop.domain.event import Kind
from backstop.domain.invalid import Invalid
from backstop.domain.times import format_time, parse_duration
from backstop.edge.answers import (
    Handler,
    Problem,
    answer,
    answering,
    parse_json,
    read_body,
)
from backstop.settings import Incomplete, Settings
from backstop.usecases.view import agent_message
from simulator import Carriers, Clock, Simulator

ENTRY_POINTS = ("send", "webhook", "sms_webhook", "revoke", "fallback", "record")

SUBSCRIPTIONS = (
    Subscription(
        name="fallback",
        endpoint="/fallback",
        kinds=frozenset({Kind.EXPIRY.value, Kind.DUE.value}),
    ),
    Subscription(
        name="record",
        endpoint="/record",
        kinds=frozenset({Kind.RECEIPT.value, Kind.INBOUND.value}),
    ),
)

DEFAULTS = {
    "AGENTS": '{"demo_agent": {"senders": ["+15550100001"]}}',
    "RBM_CLIENT_TOKENS": "local-client-token",
    "BANDWIDTH_ACCOUNT": "9900001",
    "BANDWIDTH_APPLICATION": "11111111-2222-4333-8444-555555555555",
    "BANDWIDTH_CLIENT": "local-client",
    "BANDWIDTH_SECRET": "local-client-secret",
    "BANDWIDTH_CALLBACKS": "local-callback:local-callback-password",
}

PROVED = ("/webhook", "/sms_webhook")
"""Entry points that ask each caller for proof, whoever and wherever it is."""

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
CONTROL_LIMIT = 64 * 1024
SETTLE_WAIT = 60.0
SHOWN = 500

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Local:
    """One machine's Backstop with its simulated world."""

    def __init__(
        self,
        state: Path,
        environ: Mapping[str, str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Bind the port and open the state. Raises InUse, Incomplete, OSError."""
        try:
            state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Incomplete(f"STATE {state} cannot be used: {error}") from error
        # Named, so that asyncio turns Nagle's delays off.
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        reached = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared
        self.url = f"http://{reached}:{self._socket.getsockname()[1]}"
        self._database = Database(state / "backstop.db")
        self.clock = Clock(state / "clock.json")
        self._advancing = threading.Lock()
        environ = DEFAULTS | self._carrier_urls(state) | dict(environ)
        settings = Settings.read(environ)
        carriers = (settings.rbm_url, settings.bandwidth_url)
        self.simulated = all(carrier.startswith(self.url) for carrier in carriers)
        if host not in LOOPBACK and not settings.api_token:
            raise Incomplete(f"API_TOKEN is missing: {host} is not this machine alone")
        self._log_file = (state / "log.jsonl").open("a")
        log = JsonLog(self._log_file)
        self._log_handler = JsonHandler(log)
        logging.getLogger("backstop").addHandler(self._log_handler)
        random = SystemRandom()
        self._token = secrets.token_urlsafe(24)
        self.dispatcher = Dispatcher(self._database, self.clock, random, SUBSCRIPTIONS)
        wake = self.dispatcher.wake
        self.messages = SqliteMessages(self._database)
        self.timers = SqliteTimers(self._database, self.clock, wake)
        self.events = SqliteEvents(self._database, self.clock, SUBSCRIPTIONS, wake)
        backstop = wiring.Backstop(
            settings,
            wiring.Embedded(
                messages=self.messages,
                recipients=SqliteRecipients(self._database),
                timers=self.timers,
                events=self.events,
                clock=self.clock,
                random=random,
                log=log,
                token=self._token if settings.api_token else "",
            ),
        )
        backstop.build(*ENTRY_POINTS)
        wiring.use(backstop)
        self.simulator = Simulator(
            state / "simulator.db", self.clock, self._carriers(settings)
        )
        self.traffic = Traffic(
            _routes(self, log), host, guarded=bool(settings.api_token)
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.traffic,
                access_log=False,
                log_level="critical",
                lifespan="off",
                timeout_graceful_shutdown=5,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def start(self) -> None:
        """Serve, and take up whatever was left when this state was last used."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.002)
        self.simulator.start()
        self.dispatcher.start(
            ring=f"{self.url}/revoke",
            push=lambda endpoint: (
                self.url + endpoint if endpoint.startswith("/") else endpoint
            ),
            token=self._token,
        )

    def stop(self) -> None:
        """Finish what is under way, and let go of everything."""
        self.dispatcher.stop()
        self.simulator.stop()
        self._server.should_exit = True
        self._thread.join()
        self._database.close()
        logging.getLogger("backstop").removeHandler(self._log_handler)
        self._log_file.close()

    def settled(self) -> bool:
        """Whether nothing is due and nothing under way, anywhere."""
        # Twice: work may pass from one to the next between two looks.
        return all(
            look()
            for _ in range(2)
            for look in (self.dispatcher.idle, self.simulator.idle, self.traffic.idle)
        )

    def settle(self) -> bool:
        """Wait until nothing is due. Returns whether that came about in time."""
        end = time.monotonic() + SETTLE_WAIT
        while not self.settled():
            if time.monotonic() > end:
                return False
            time.sleep(0.001)
        return True

    def advance(self, by: timedelta) -> bool:
        """Let *by* pass, from one due instant to the next, each settled."""
        with self._advancing, self.clock.held():
            target = self.clock.now() + by
            while self.settle():
                sources = (self.dispatcher.next_due(), self.simulator.next_due())
                due = min((at for at in sources if at), default=target)
                if due >= target:
                    break
                self.clock.jump_to(due)
            self.clock.jump_to(target)
            return self.settle()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _carrier_urls(self, state: Path) -> dict[str, str]:
        rbm = f"{self.url}/simulator/rbm"
        bandwidth = f"{self.url}/simulator/bandwidth"
        return {
            "RBM_URL": rbm,
            "RBM_KEY": json.dumps(_service_account(state, f"{rbm}/token")),
            "BANDWIDTH_URL": f"{bandwidth}/api/v2",
            "BANDWIDTH_TOKEN_URL": f"{bandwidth}/api/v1/oauth2/token",
        }

    def _carriers(self, settings: Settings) -> Carriers:
        user, password = settings.bandwidth_callbacks[0]
        agents = tuple(settings.agents)
        return Carriers(
            agents=agents,
            rbm_webhook_url=f"{self.url}/webhook",
            rbm_client_token=settings.rbm_client_tokens[0].decode(),
            delete_contract=settings.delete_contract.value,
            account_id=settings.bandwidth_account,
            application_id=settings.bandwidth_application,
            sms_sender=settings.agents[agents[0]].senders[0],
            sms_callback_url=f"{self.url}/sms_webhook",
            sms_callback_user=user,
            sms_callback_password=password,
            oauth_client_id=settings.bandwidth_client,
            oauth_client_secret=settings.bandwidth_secret,
        )


class Traffic:
    """Sends a request where it belongs, and counts those under way."""

    def __init__(self, simulator: Starlette, host: str, *, guarded: bool) -> None:
        """Say that callers are told apart by a token if it is *guarded*."""
        self._simulator = simulator
        self._own = {*LOOPBACK, host}
        self._guarded = guarded
        self._entries: dict[str, Handler] = {
            name: getattr(import_module(name), name) for name in ENTRY_POINTS
        }
        self._open = 0

    def idle(self) -> bool:
        return self._open == 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        entry = self._entry(scope)
        refusal = self._refusal(scope, ours=entry is not None)
        if refusal:
            await refusal.response()(scope, receive, send)
        elif entry is None:
            await self._simulator(scope, receive, send)
        else:
            await self._enter(entry, scope, receive, send)

    async def _enter(
        self, entry: Handler, scope: Scope, receive: Receive, send: Send
    ) -> None:
        entered = 0

        async def receive_all() -> MutableMapping[str, Any]:
            # Under way is what has arrived: a slow sender must not hold up time.
            nonlocal entered
            event = await receive()
            if not event.get("more_body") and not entered:
                entered = 1
                self._open += 1
            return event

        try:
            response = await entry(Request(scope, receive_all))
            await response(scope, receive_all, send)
        finally:
            self._open -= entered

    def _entry(self, scope: Scope) -> Handler | None:
        """Return the entry point of a path, None for the simulator's."""
        first, slash, _rest = scope["path"].lstrip("/").partition("/")
        if first in {"v1", "upload"}:
            return self._entries["send"]
        return None if slash or first == "send" else self._entries.get(first)

    def _refusal(self, scope: Scope, *, ours: bool) -> Problem | None:
        """Return why this caller is not served, if it is not.

        Without a token only this machine is, and no web page of another site,
        by whatever name it calls this host. The simulator never is to others.
        """
        if ours and (self._guarded or scope["path"] in PROVED):
            return None
        if scope["client"][0] not in self._own:
            return Problem(404, "no such path; see the README")
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name, colon, _port = host.rpartition(":")
        if (name if colon else host) not in self._own:
            return Problem(403, "served to this machine alone, by its own name")
        origin = headers.get("origin")
        if origin and origin != f"http://{host}":
            return Problem(403, "no other site's page is served")
        return None


def _routes(local: Local, log: JsonLog) -> Starlette:
    control = Control(local)

    def route(path: str, method: str, handler: Handler) -> Route:
        return Route(path, answering(handler, log), methods=[method])

    app = Starlette(
        routes=[
            route("/", "GET", control.page),
            route("/simulator/clock", "GET", control.clock),
            route("/simulator/clock", "POST", control.move_clock),
            route("/simulator/events", "GET", control.events),
            route("/simulator/messages", "GET", control.messages),
            route("/simulator/timers", "GET", control.timers),
            route("/simulator/dead-letters", "GET", control.dead_letters),
            route("/simulator/dead-letters/{id}:replay", "POST", control.replay),
            *local.simulator.routes,
        ],
        exception_handlers={HTTPException: _framework_error},
    )
    # A path that ends in a slash is another path, not one to be sent from.
    app.router.redirect_slashes = False
    return app


async def _framework_error(_request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    if code == 405:  # noqa: PLR2004 - HTTP's own word
        return Problem(405, "method: not for this path").response()
    return Problem(404, "no such path; see the README").response()


class Control:
    """The controls of the simulated world that need to see Backstop as well."""

    def __init__(self, local: Local) -> None:
        self._local = local

    async def page(self, _request: Request) -> Response:
        return FileResponse(Path(__file__).parent / "simulator" / "page.html")

    async def clock(self, _request: Request) -> Response:
        return answer(self._clock())

    async def move_clock(self, request: Request) -> Response:
        body = parse_json(await read_body(request, CONTROL_LIMIT))
        if not isinstance(body, dict) or set(body) - {"advance", "rate"} or not body:
            raise Invalid("", 'give {"advance": "600s"} or {"rate": 60}')
        settled = True
        if "rate" in body:
            rate = body["rate"]
            if isinstance(rate, bool) or not isinstance(rate, int | float):
                raise Invalid("rate", "must be a number")
            if not 0 <= rate <= 86400:  # noqa: PLR2004 - a day a second
                raise Invalid("rate", "must be from 0 to 86400")
            self._local.clock.set_rate(rate)
        if "advance" in body:
            by = _duration("advance", body["advance"])
            settled = await asyncio.to_thread(self._local.advance, by)
        return answer(self._clock() | {"settled": settled})

    async def events(self, _request: Request) -> Response:
        published = await asyncio.to_thread(self._local.events.newest, SHOWN)
        return answer({"events": [_event(event) for event in published]})

    async def messages(self, request: Request) -> Response:
        outcome = request.query_params.get("outcome", "")
        words = request.query_params.get("q", "").lower()
        page = await asyncio.to_thread(self._local.messages.newest, limit=SHOWN)
        shown = [
            agent_message(message)
            for message in page.messages
            if outcome in {"", message.outcome.value}
        ]
        return answer(
            {"messages": [m for m in shown if words in json.dumps(m).lower()]}
        )

    async def timers(self, _request: Request) -> Response:
        pending = await asyncio.to_thread(self._local.timers.pending, SHOWN)
        timers = []
        for message, at in pending:
            stored = await asyncio.to_thread(self._local.messages.load, message)
            name = agent_message(stored.value)["name"] if stored else None
            timers.append({"message": name, "at": format_time(at)})
        return answer({"timers": timers})

    async def dead_letters(self, _request: Request) -> Response:
        letters = await asyncio.to_thread(self._local.events.dead_letters, SHOWN)
        return answer(
            {
                "deadLetters": [
                    {
                        "id": f"{letter.event.seq}-{letter.subscription}",
                        "subscription": letter.subscription,
                        "reason": letter.reason,
                        "tries": letter.tries,
                        "event": _event(letter.event),
                    }
                    for letter in letters
                ]
            }
        )

    async def replay(self, request: Request) -> Response:
        seq, _, subscription = request.path_params["id"].partition("-")
        known = bool(re.fullmatch("[0-9]{1,18}", seq)) and await asyncio.to_thread(
            self._local.events.replay, int(seq), subscription
        )
        if not known:
            raise Problem(404, "no such dead letter")
        return answer({})

    def _clock(self) -> dict[str, Any]:
        clock = self._local.clock
        return {"now": format_time(clock.now()), "rate": clock.rate}


def _duration(field: str, given: Any) -> timedelta:
    try:
        duration = parse_duration(given)
    except (TypeError, ValueError):
        raise Invalid(field, 'must be a duration such as "600s"') from None
    if not timedelta(0) <= duration <= timedelta(days=400):
        raise Invalid(field, "must be from 0s to 400 days")
    return duration


def _event(event: Published) -> dict[str, Any]:
    attributes = event.attributes
    try:
        data = parse_json(event.data)
    except Invalid:
        data = None
    return {
        "id": attributes.get("ce-id"),
        "type": attributes.get("ce-type"),
        "source": attributes.get("ce-source"),
        "subject": attributes.get("ce-subject"),
        "time": attributes.get("ce-time"),
        "attributes": dict(attributes),
        "data": data,
        "dataBase64": b64encode(event.data).decode(),
    }


def _service_account(state: Path, token_url: str) -> dict[str, str]:
    """Return the local service account, its key made at the first start."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    path = state / "rbm-key.pem"
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(pem)
        fresh.rename(path)
    return {
        "type": "service_account",
        "private_key_id": "local",
        "private_key": path.read_text(),
        "client_email": "backstop@local.invalid",
        "token_uri": token_url,
    }


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
        local = Local(state, os.environ, host=host, port=int(port))
    except (InUse, Incomplete) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"Port {port} cannot be used: {error}\n")
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    local.start()
    now = int(datetime.now(UTC).timestamp())
    shown = os.path.relpath(state) if state.is_relative_to(root) else state
    what = SIMULATED if local.simulated else REAL
    sys.stdout.write(HELLO.format(url=local.url, what=what, state=shown, now=now))
    sys.stdout.flush()
    stop.wait()
    local.stop()
    sys.stdout.write("Stopped.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
