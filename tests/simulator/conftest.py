"""A simulator under a real server on loopback, its clock paused, and a receiver."""

import asyncio
import base64
import json
import socket
import threading
import time
from datetime import timedelta

import pytest
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from simulator import Carriers, Clock, Simulator

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PATIENCE = 10


def part(value):
    text = json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def assertion(head=None, **claims):
    body = {"iss": "robot@example.com", "aud": "x", "scope": "y"} | claims
    return f"{part(head or {'alg': 'RS256'})}.{part(body)}.c2lnbmVk"


class Receiver:
    """What the customer of both carriers would run; its answers can be scripted."""

    def __init__(self):
        self.events = []
        self.requests = []
        self.webhook_answers = []
        self.callback_answers = []
        self.handshake = "{secret}"
        self.challenge = {"www-authenticate": 'Basic realm=""'}
        self.together = 0
        self.all_here = asyncio.Event()

    async def webhook(self, request):
        body = await request.body()
        self.requests.append((request.headers, body))
        if len(self.requests) >= self.together:
            self.all_here.set()
        await self.all_here.wait()
        envelope = json.loads(body)
        if "message" not in envelope:
            return Response(self.handshake.format(secret=envelope["secret"]))
        status = self.webhook_answers.pop(0) if self.webhook_answers else 200
        if status == 200:
            self.events.append(
                json.loads(base64.b64decode(envelope["message"]["data"]))
            )
        return Response(status_code=status)

    async def callback(self, request):
        body = await request.body()
        self.requests.append((request.headers, body))
        if "authorization" not in request.headers:
            return Response(status_code=401, headers=self.challenge)
        status = self.callback_answers.pop(0) if self.callback_answers else 204
        if status == 204:
            self.events.extend(json.loads(body))
        return Response(status_code=status)

    def kinds(self):
        """The types of all events, in the order they came."""
        return [event.get("eventType") or event.get("type") for event in self.events]


class Server:
    """One real server for all tests; what it serves is exchanged."""

    def __init__(self):
        # Named TCP, or asyncio leaves Nagle's algorithm on: 40 ms for each answer.
        self._listener = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.base = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.app = None
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            log_level="warning",
            ws="none",
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._server.serve(sockets=[self._listener]))

    async def _serve(self, scope, receive, send):
        await self.app(scope, receive, send)

    def close(self):
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


class World:
    """One simulator being served, and the few words a test needs."""

    def __init__(self, path, clock, server, **carriers):
        self.clock = clock
        self.receiver = Receiver()
        self.base = server.base
        self.carriers = Carriers(
            rbm_webhook_url=f"{self.base}/webhook",
            sms_callback_url=f"{self.base}/callback",
            **carriers,
        )
        self.simulator = Simulator(path, clock, self.carriers)
        routes = [
            *self.simulator.routes,
            Route("/webhook", self.receiver.webhook, methods=["POST"]),
            Route("/callback", self.receiver.callback, methods=["POST"]),
        ]
        server.app = Starlette(routes=routes)
        self.session = requests.Session()
        self.simulator.start(server.loop)

    def close(self):
        self.session.close()
        self.simulator.stop()

    def advance(self, seconds):
        """Let everything due within *seconds* happen, in its order."""
        until = self.clock.now() + timedelta(seconds=seconds)
        self.settle()
        while (due := self.simulator.next_due()) is not None and due <= until:
            self.clock.jump_to(due)
            self.settle()
        self.clock.jump_to(until)

    def settle(self):
        ends = time.monotonic() + PATIENCE
        while not self.simulator.idle():
            assert time.monotonic() < ends, "never idle"
            time.sleep(0.001)

    def call(self, method, path, **more):
        return self.session.request(method, f"{self.base}/simulator{path}", **more)

    def rbm_token(self):
        form = {"grant_type": GRANT, "assertion": assertion()}
        return self.call("POST", "/rbm/token", data=form).json()["access_token"]

    def rbm(self, method, path, **more):
        if not hasattr(self, "_rbm"):
            self._rbm = {"Authorization": f"Bearer {self.rbm_token()}"}
        return self.call(method, f"/rbm{path}", headers=self._rbm, **more)

    def send(self, phone, message="m1", body=None, **top):
        """Create an RCS message; *top* are fields beside the content."""
        body = body or {"contentMessage": {"text": "hello"}, **top}
        path = f"/v1/phones/{phone}/agentMessages?messageId={message}"
        return self.rbm("POST", f"{path}&agentId=demo_agent", json=body)

    def revoke(self, phone, message="m1"):
        path = f"/v1/phones/{phone}/agentMessages/{message}?agentId=demo_agent"
        return self.rbm("DELETE", path)

    def sms_token(self):
        pair = (self.carriers.oauth_client_id, self.carriers.oauth_client_secret)
        form = {"grant_type": "client_credentials"}
        path = "/bandwidth/api/v1/oauth2/token"
        return self.call("POST", path, data=form, auth=pair).json()["access_token"]

    def sms(self, method="POST", query="", **more):
        if not hasattr(self, "_sms"):
            self._sms = {"Authorization": f"Bearer {self.sms_token()}"}
        path = f"/bandwidth/api/v2/users/{self.carriers.account_id}/messages{query}"
        return self.call(method, path, headers=self._sms, **more)

    def text(self, phone, **fields):
        """Create an SMS."""
        body = {
            "applicationId": self.carriers.application_id,
            "to": [phone],
            "from": self.carriers.sms_sender,
            "text": "hello",
            "tag": "t1",
        }
        return self.sms(json=body | fields)

    def phone(self, number, **changes):
        """The phone, after *changes*."""
        method = "PUT" if changes else "GET"
        return self.call(method, f"/phones/{number}", json=changes or None).json()

    def inbox(self, number):
        return [entry["channel"] for entry in self.phone(number)["inbox"]]

    def say(self, number, **body):
        return self.call("POST", f"/phones/{number}/messages", json=body)

    def fault(self, carrier, **faults):
        return self.call("PUT", f"/carriers/{carrier}", json=faults)


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def clock():
    clock = Clock()
    clock.set_rate(0)
    return clock


@pytest.fixture
def worlds(tmp_path, clock, server):
    """Open a world; opening another is a restart with the same file."""
    opened = []

    def open_world(**carriers):
        if opened:
            opened[-1].close()
        opened.append(World(tmp_path / "simulator.db", clock, server, **carriers))
        return opened[-1]

    yield open_world
    if opened:
        opened[-1].close()


@pytest.fixture
def world(worlds):
    return worlds()


@pytest.fixture
def make_assertion():
    return assertion
