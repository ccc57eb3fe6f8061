"""The embedded platform: the six functions in this very process, on SQLite."""

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backstop import wiring
from backstop.adapters.embedded import stores
from backstop.adapters.embedded.database import Database
from backstop.adapters.embedded.dispatcher import Dispatcher, Post
from backstop.adapters.embedded.reaches import SqliteReaches
from backstop.adapters.system import JsonLog, SystemRandom
from backstop.domain.event import Kind
from backstop.domain.message import Message, MessageId
from backstop.edge.answers import Handler
from backstop.settings import Settings
from machine.ground import ENTRY_POINTS, DeadLetter, Published
from machine.inside import inside
from machine.pace import Pace
from simulator import Clock

SUBSCRIPTIONS = (
    stores.Subscription(
        name="fallback",
        endpoint="/fallback",
        kinds=frozenset({Kind.EXPIRY.value, Kind.DUE.value}),
    ),
    stores.Subscription(
        name="record",
        endpoint="/record",
        kinds=frozenset({Kind.RECEIPT.value, Kind.INBOUND.value}),
    ),
)


class EmbeddedGround:
    """Keeps everything in `backstop.db`; a second start on it raises InUse."""

    patience = 60.0
    routes: Sequence[Route] = ()

    def __init__(
        self, state: Path, clock: Clock, settings: Settings, log: JsonLog
    ) -> None:
        self._database = Database(state / "backstop.db")
        random = SystemRandom()
        self._pace = Pace()
        self._token = secrets.token_urlsafe(24)
        self.dispatcher = Dispatcher(self._database, clock, random, SUBSCRIPTIONS)
        wake = self.dispatcher.wake
        self.messages = stores.SqliteMessages(self._database)
        self.timers = stores.SqliteTimers(self._database, clock, wake)
        self.events = stores.SqliteEvents(self._database, clock, SUBSCRIPTIONS, wake)
        self._backstop = wiring.Backstop(
            settings,
            wiring.Embedded(
                messages=self.messages,
                recipients=stores.SqliteRecipients(self._database),
                reaches=SqliteReaches(self._database),
                timers=self.timers,
                events=self.events,
                clock=clock,
                random=random,
                log=log,
                token=self._token if settings.api_token else "",
            ),
        )
        self._backstop.build(*ENTRY_POINTS)
        wiring.use(self._backstop)
        self.entries: Mapping[str, Handler] = {
            name: getattr(import_module(name), name) for name in ENTRY_POINTS
        }

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take up whatever was left when this state was last used."""
        self._pace.watch(loop)
        self.dispatcher.start(ring="/revoke", post=self._post, loop=loop)

    def _post(self, path: str) -> Post:
        name = path.removeprefix("/")

        async def handler(request: Request) -> Response:
            # Looked up each time, as for a request that comes in by the port.
            return await self.entries[name](request)

        return inside(handler, self._token)

    def stop(self) -> None:
        self.dispatcher.stop()
        self._backstop.close()
        self._database.close()

    def idle(self) -> bool:
        return self.dispatcher.idle()

    def behind(self) -> bool:
        # Either alone is no reason: a carrier that hangs fills a lane, too.
        return self.dispatcher.crowded() and self._pace.behind()

    def next_due(self) -> datetime | None:
        return self.dispatcher.next_due()

    def oldest_due(self) -> datetime | None:
        return self.dispatcher.oldest_due()

    def load(self, message: MessageId) -> Message | None:
        stored = self.messages.load(message)
        return stored.value if stored else None

    def newest_messages(self, limit: int) -> Sequence[Message]:
        return self.messages.newest(limit=limit).messages

    def newest_events(self, limit: int) -> Sequence[Published]:
        return [_published(event) for event in self.events.newest(limit)]

    def pending_timers(self, limit: int) -> Sequence[tuple[MessageId, datetime]]:
        return self.timers.pending(limit)

    def dead_letters(self, limit: int) -> Sequence[DeadLetter]:
        return [
            DeadLetter(
                id=f"{letter.event.seq}-{letter.subscription}",
                subscription=letter.subscription,
                reason=letter.reason,
                tries=letter.tries,
                event=_published(letter.event),
            )
            for letter in self.events.dead_letters(limit)
        ]

    def replay(self, letter: str) -> bool:
        seq, _, subscription = letter.partition("-")
        known = re.fullmatch("[0-9]{1,18}", seq)
        return bool(known) and self.events.replay(int(seq), subscription)


def _published(event: stores.Published) -> Published:
    return Published(
        at=event.published_at, attributes=event.attributes, data=event.data
    )
