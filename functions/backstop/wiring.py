"""Puts the parts together: the six functions over one platform.

Nothing is built, and little imported, before a function is first called, so
that an instance pays only for what it serves.
"""

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Protocol

from starlette.requests import Request
from starlette.responses import Response

from backstop.edge.answers import Handler, Problem, answering
from backstop.edge.workers import Pool, Workers
from backstop.fibres import Fibres
from backstop.ports import (
    Clock,
    Events,
    Log,
    Messages,
    Ports,
    Random,
    Rcs,
    Reaches,
    Recipients,
    Sms,
    Timers,
)
from backstop.settings import Incomplete, Settings, read_place

if TYPE_CHECKING:
    from backstop.edge.webhooks import Inlet
    from backstop.providers.rbm.client import Rbm
    from backstop.usecases.listen import House

NOT_SET_UP = "nothing is set up: set PLATFORM, or start functions/local.py"

POOL = 40
"""Requests at work in one function's instance, each in a thread."""

FIBRES = 256
"""The same where nothing blocks. A carrier that hangs holds one for ten seconds."""


class Platform(Protocol):
    """What keeps the promises of the ports.

    `blocks`: its calls hold up the thread that makes them. `token` is what it bears
    when it calls us.
    """

    @property
    def messages(self) -> Messages: ...
    @property
    def recipients(self) -> Recipients: ...
    @property
    def reaches(self) -> Reaches | None: ...
    @property
    def timers(self) -> Timers: ...
    @property
    def events(self) -> Events: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def random(self) -> Random: ...
    @property
    def log(self) -> Log: ...
    @property
    def blocks(self) -> bool: ...
    @property
    def token(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """The embedded platform, put together by whoever runs it."""

    messages: Messages
    recipients: Recipients
    timers: Timers
    events: Events
    clock: Clock
    random: Random
    log: Log
    reaches: Reaches | None = None
    token: str = ""
    blocks: ClassVar[bool] = False


class Backstop:
    """The functions of one deployment, each built when it is first called."""

    def __init__(self, settings: Settings, platform: Platform) -> None:
        self._settings = settings
        self._platform = platform

    def close(self) -> None:
        """Let go of the connections to carriers."""
        for client in ("_rbm", "_bandwidth"):
            if client in self.__dict__:
                getattr(self, client).close()

    def build(self, *functions: str) -> None:
        """Build these functions now. Raises Incomplete for what cannot be."""
        for function in functions:
            getattr(self, function)

    @cached_property
    def send(self) -> Handler:
        from backstop.edge.api import Api

        ports, rbm = self._ports(rcs=self._rbm), self._rbm
        api = Api(ports, self._settings, self._house, self._workers(), rbm)
        return self._answering(api)

    @cached_property
    def webhook(self) -> Handler:
        from backstop.edge.webhooks import webhook

        return self._answering(webhook(self._inlet(), self._settings.rbm_client_tokens))

    @cached_property
    def sms_webhook(self) -> Handler:
        from backstop.edge.webhooks import sms_webhook

        return self._answering(
            sms_webhook(self._inlet(), self._settings.bandwidth_callbacks)
        )

    @cached_property
    def revoke(self) -> Handler:
        from backstop.edge.triggers import revoke

        return self._trigger(revoke(self._ports(rcs=self._rbm)))

    @cached_property
    def fallback(self) -> Handler:
        from backstop.edge.triggers import fallback

        return self._trigger(fallback(self._ports(sms=self._bandwidth)))

    @cached_property
    def record(self) -> Handler:
        from backstop.edge.triggers import record

        return self._trigger(record(self._ports(), self._house))

    @cached_property
    def _house(self) -> "House":
        from backstop.providers.rbm.wire import suggestion_response
        from backstop.usecases.listen import House

        settings = self._settings
        return House(
            agents=settings.agents,
            terms=settings.terms,
            tap=suggestion_response,
            menu_life=settings.menu_life,
            resubscribes=settings.text_resubscribes,
            one_consent=settings.one_consent,
        )

    @cached_property
    def _rbm(self) -> "Rbm":
        from backstop.providers.rbm.client import Rbm

        settings = self._settings
        try:
            return Rbm.from_key(dict(settings.rbm_key), settings.rbm_url)
        except ValueError:
            raise Incomplete("RBM_KEY is not a service account's key") from None

    @cached_property
    def _bandwidth(self) -> Sms:
        from backstop.providers.bandwidth.client import Bandwidth

        settings = self._settings
        return Bandwidth(
            base_url=settings.bandwidth_url,
            token_url=settings.bandwidth_token_url,
            account_id=settings.bandwidth_account,
            application_id=settings.bandwidth_application,
            client_id=settings.bandwidth_client,
            client_secret=settings.bandwidth_secret,
        )

    def _trigger(self, work: Callable[[bytes], None]) -> Handler:
        from backstop.edge.triggers import Trigger

        token = self._platform.token
        return self._answering(Trigger(work, self._workers(), token=token))

    def _inlet(self) -> "Inlet":
        from backstop.edge.webhooks import Inlet

        platform = self._platform
        return Inlet(platform.events, self._workers(), platform.clock, platform.log)

    def _workers(self) -> Workers:
        return Pool(POOL) if self._platform.blocks else Fibres(FIBRES)

    def _ports(self, *, rcs: Rcs | None = None, sms: Sms | None = None) -> Ports:
        platform = self._platform
        return Ports(
            messages=platform.messages,
            recipients=platform.recipients,
            timers=platform.timers,
            events=platform.events,
            clock=platform.clock,
            random=platform.random,
            log=platform.log,
            # Without a use for it nothing is remembered, and nothing to be forgotten.
            reaches=platform.reaches if self._settings.reach_first else None,
            rcs=rcs,
            sms=sms,
        )

    def _answering(self, handler: Handler) -> Handler:
        return answering(handler, self._platform.log, self._platform.random)


_in_use: list[Backstop] = []


def use(backstop: Backstop) -> None:
    """Let this process's entry points serve *backstop*."""
    _in_use[:] = [backstop]


def start(function: str) -> None:
    """Make this process that one function of a deployment on Google Cloud.

    Settings are read and judged here, so that a wrong one stops the start; nothing
    connects. Does nothing where the environment names no PLATFORM: there
    `functions/local.py` says what is served. Raises Incomplete.
    """
    platform = os.environ.get("PLATFORM", "")
    if not platform:
        return
    if platform != "google":
        raise Incomplete(f"PLATFORM {platform} is not google")
    # What imports make stays: looking for garbage in it is a sixth of a cold start.
    gc.disable()
    from backstop.adapters.google.platform import GooglePlatform
    from backstop.adapters.system import take_over

    settings = Settings.read(os.environ, function=function)
    google = GooglePlatform(read_place(os.environ, function=function))
    use(Backstop(settings, google))
    take_over(google.log)


async def serve(function: str, request: Request) -> Response:
    """Answer *request* by the function of that name, of what is in use."""
    if not _in_use:
        return Problem(503, NOT_SET_UP).response()
    handler: Handler = getattr(_in_use[0], function)
    if not gc.isenabled():
        # Built by now: what is here stays, and is never looked through again.
        gc.freeze()
        gc.enable()
    return await handler(request)
