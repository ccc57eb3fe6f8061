"""The simulator as a whole: the carriers and phones behind one object."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from starlette.routing import Route

from .bandwidth import BandwidthApi
from .callbacks import Http, Scheduler
from .clock import Clock
from .config import Carriers
from .control import Control
from .faults import Carrier, address, flag, positive, words
from .instants import micros, moment
from .owner import Owner
from .phones import Phones
from .rbm import Rbm
from .rbm_api import RbmApi
from .rbm_events import Events
from .sms import Bandwidth
from .sms_events import SmsEvents
from .state import Store

_RBM_SETTINGS = {"webhookUrl": address, "clientToken": words}
_SMS_SETTINGS = {
    "callbackUrl": address,
    "callbackUser": words,
    "callbackPassword": words,
    "segmentsPerSecond": positive,
    "queueSeconds": positive,
    "messageSent": flag,
    "basicAuth": flag,
}


class Simulator:
    """A simulated RBM platform, a simulated Bandwidth, and phones, in one file.

    Mount `routes` at an application's root, `start()` when it serves, `stop()` once
    at the end. What was stored goes on when the same *path* is opened again.
    `carriers` may be replaced at any time; what was set over HTTP comes before it.
    """

    def __init__(self, path: Path, clock: Clock, carriers: Carriers) -> None:
        self.carriers = carriers
        self._clock = clock
        self._store = store = Store(path)
        self._http = Http()
        self._helpers = ThreadPoolExecutor(4, "simulator-helper")

        def config() -> Carriers:
            return self.carriers

        now = self._now
        phones = Phones(store)
        google = Carrier("rbm", store, now, _RBM_SETTINGS)
        texts = Carrier("bandwidth", store, now, _SMS_SETTINGS)
        self._carriers = (google, texts)
        events = Events(store, self._http, google, config)
        rbm = Rbm(store, phones, events, google, config)
        callbacks = SmsEvents(store, self._http, texts, config)
        self._calls = (events.calls, callbacks.calls)
        sms = Bandwidth(store, phones, callbacks, texts, config)
        owner = Owner(phones, rbm, sms, config)
        control = Control(store, now, phones, owner, rbm=rbm, sms=sms)
        self._scheduler = Scheduler(
            store,
            clock,
            {**rbm.steps, **sms.steps, "reply": owner.reply},
            {"webhook": events.courier, "callback": callbacks.courier},
        )
        self.routes: list[Route] = [
            *RbmApi(store, rbm, now, google.admit).routes(),
            *BandwidthApi(store, sms, texts, config, now).routes(),
            *control.routes(self._helpers),
        ]

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do what is due on *loop*, first what was due while we were away."""
        self._scheduler.start(loop)

    def stop(self) -> None:
        """Do nothing any more, and close the file; this is final."""
        self._scheduler.stop()
        self._helpers.shutdown(wait=False, cancel_futures=True)
        self._store.close()
        self._http.close()

    def forget(self) -> None:
        """Begin anew: phones, messages, faults and what was due are gone."""
        for carrier in self._carriers:
            carrier.forget()
        for calls in self._calls:
            calls.forget()
        self._store.forget()

    def idle(self) -> bool:
        """Whether nothing is due by the clock and nothing is being delivered."""
        due = self._store.next_due()
        return due is None or due > self._now()

    def next_due(self) -> datetime | None:
        """When the next thing is due; in the past if it is being done right now."""
        due = self._store.next_due()
        return None if due is None else moment(due)

    def _now(self) -> int:
        return micros(self._clock.now())
