"""One world, driven from one seed: Backstop between callers, carriers and a phone.

Everything happens in one thread. A call that takes long lets the world go on
until its answer comes, so a worker may find everything changed; others begin
and end inside its wait. A death unwinds the worker to its trigger, which comes
again as its platform lets it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from backstop import ports as needs
from backstop.errors import AlreadyExists, Conflict, Unavailable
from backstop.ports import Ports
from simulation import subject
from simulation.carriers import Network, RbmPlatform, SmsProvider, seconds
from simulation.embedded import OnDisk
from simulation.facts import Create, Facts, Taken, Text
from simulation.memory import RINGS, Job, Memory, Platform, backoff
from simulation.options import DEATHS, Options, Plan

START = datetime(2026, 1, 1, tzinfo=UTC)
SEND_LIMIT = seconds(60)
LEASE = seconds(60)
LATEST = datetime.max.replace(tzinfo=UTC)
LONG_AGO = timedelta(minutes=10)
DEPTH = 4
MANY = 40_000
MANY_CALLS = 400
SHIELDED_AFTER = 8
"""Faults pass: an event is not refused often enough to become a dead letter."""

READS = frozenset({"load", "of_phone", "open_of_phone"})
METHODS = {
    name: tuple(method for method in vars(port) if not method.startswith("_"))
    for name, port in (
        ("messages", needs.Messages),
        ("recipients", needs.Recipients),
        ("reaches", needs.Reaches),
        ("timers", needs.Timers),
        ("events", needs.Events),
    )
}


class Death(BaseException):
    """A process dies here; `everyone` with it, if they are all one process."""

    def __init__(self, *, everyone: bool = False) -> None:
        self.everyone = everyone


class Spinning(Exception):  # noqa: N818 - named for what it does
    """Things keep happening while no time passes."""


@dataclass
class Worker:
    """A trigger under way. `informed` is since when it has known no news."""

    role: str
    began: datetime
    drift: timedelta
    informed: datetime | None = None
    calls: int = 0
    texts: list[Text] = field(default_factory=list)


class Crossing:
    """A port as the use cases hold it: each call may go wrong."""


class World:
    """All that happens to the messages of one seed."""

    def __init__(
        self,
        options: Options,
        *,
        disk: str = "",
        story: list[str] | None = None,
        fatal: frozenset[int] = frozenset(),
    ) -> None:
        """Let the process die at the *fatal* moments, if nothing else goes wrong.

        A moment is twice the number of a call, or one more for just after it.
        """
        self.options = options
        self.chance = Random(f"life of {options.seed}")
        self.time = START
        self.stormy = True
        self.words: dict[bytes, datetime] = {}
        self.consents: list[tuple[datetime, datetime, bool]] = []
        self.facts = {plan.name: Facts(plan) for plan in options.plans}
        self.lateness: list[float] = []
        self.dead_letters = 0
        self.left_over = 0
        self.steps = 0
        self._story = story
        self.calls: list[str] = []
        self._fatal = fatal
        # One machine has one clock.
        self._drift = 0.0 if disk else options.drift
        self._dates: dict[str, datetime] = {}
        self._limit: datetime | None = None
        self._shield = 0
        self._stack: list[Worker] = []
        self._ahead: list[tuple[datetime, int, Callable[[], Any]]] = []
        self._number = count()
        self._ids = {subject.key(plan): plan.name for plan in options.plans}
        self._open: set[str] = set()
        self.platform: Platform = (
            OnDisk(disk, self, subject.SUBSCRIPTIONS)
            if disk
            else Memory(self, subject.SUBSCRIPTIONS)
        )
        self._rbm = RbmPlatform(self)
        self._sms = SmsProvider(self)
        self._network = Network(self, self._rbm, self._sms)
        self._carriers = subject.clients(self._network, self.elapse, self._monotonic)
        self._make_ports()

    # What the use cases are given.

    def now(self) -> datetime:
        return self.time + self._stack[-1].drift if self._stack else self.time

    def random(self) -> float:
        return self.chance.random()

    def new_id(self) -> str:
        return f"made-{next(self._number)}"

    def _monotonic(self) -> float:
        return (self.time - START).total_seconds()

    def _make_ports(self) -> None:
        platform = self.platform
        given: dict[str, Any] = {
            "messages": self._crossing("messages", platform.messages),
            "recipients": self._crossing("recipients", platform.recipients),
            "reaches": self._crossing("reaches", platform.reaches),
            "timers": self._crossing("timers", platform.timers),
            "events": self._crossing("events", platform.events),
            "clock": self,
            "random": self,
            "log": self._log,
        }
        self._webhooks = given["events"]
        self._send = Ports(**given, rcs=_Rcs(self))
        plain = {"messages": platform.messages, "reaches": platform.reaches}
        self._look = Ports(**given | plain)
        contract = self.options.contract
        self._handlers = {
            RINGS: subject.ring(self._send),
            "fallback": subject.fallback(Ports(**given, sms=_Sms(self))),
            "record": subject.record(Ports(**given), contract),
        }

    def _log(self, message: str, fields: Any) -> None:
        if self._story is not None and message == "step":
            told = " ".join(f"{k}={v}" for k, v in fields.items() if k != "agentId")
            self.tell(f"  saved: {told}")

    def _crossing(self, name: str, port: Any) -> Any:
        crossing = Crossing()
        for method in METHODS[name]:
            do = getattr(port, method)
            watch = getattr(self, f"_{name}_{method}", None)
            if watch:
                do = _watched(do, watch)
            setattr(
                crossing,
                method,
                self._call(f"{name}.{method}", do, read=method in READS),
            )
        return crossing

    def _call(self, name: str, do: Any, *, read: bool) -> Any:
        stack, chance, rate = self._stack, self.chance.random, self.options.faults

        def call(*args: Any, **more: Any) -> Any:
            worker = stack[-1]
            worker.calls += 1
            if worker.calls > MANY_CALLS:
                raise Spinning(worker.role)
            if not read:
                worker.informed = None
            elif worker.informed is None:
                worker.informed = self.time
            if rate and self.stormy and not self._shield and chance() < rate:
                return self._go_wrong(name, lambda: do(*args, **more), read=read)
            if rate:
                return do(*args, **more)
            return self._scripted(name, lambda: do(*args, **more))

        return call

    def _scripted(self, name: str, do: Callable[[], Any]) -> Any:
        """A call of a world without accidents, but for those that are wanted."""
        moment = 2 * len(self.calls)
        self.calls.append(name)
        if moment in self._fatal:
            self.tell(f"{name} dies before")
            raise Death
        answer = do()
        if moment + 1 in self._fatal:
            self.tell(f"{name} dies after")
            raise Death
        return answer

    def _go_wrong(  # noqa: C901 - one line per way
        self, name: str, do: Any, *, read: bool
    ) -> Any:
        options, chance = self.options, self.chance
        if chance.random() < options.deaths:
            kind = chance.choice(DEATHS)
        else:
            kind = chance.choice(options.kinds)
        if read and kind in {"twice", "conflict"}:
            return do()
        self.tell(f"{name} {kind}")
        match kind:
            case "dies before":
                raise Death(everyone=options.everyone)
            case "dies after":
                do()
                raise Death(everyone=options.everyone)
            case "lost before":
                raise Unavailable("lost before")
            case "lost after":
                do()
                raise Unavailable("lost after")
            case "slow before":
                self._wait()
                return do()
            case "slow after":
                answer = do()
                self._wait()
                return answer
            case "twice":
                answer = do()
                # Real adapters recognise what they wrote themselves.
                with suppress(Conflict, AlreadyExists):
                    do()
                return answer
        if name.endswith(".save"):
            raise Conflict("somebody was faster")
        return do()

    def _wait(self) -> None:
        worker = self._stack[-1]
        wait = self.chance.random() * self.options.slowness
        if self.options.stalls and self.chance.random() < 0.2:
            wait = self.chance.random() * 300
        self.elapse(wait)
        if worker.role == "send" and self.time - worker.began > SEND_LIMIT:
            self.tell("send is stopped by its platform")
            raise Death

    # What is watched as it takes effect.

    def _messages_create(self, version: int, message: Any) -> None:
        if message.id not in self._ids:
            self._adopt(message)
        facts = self.facts[self._ids[message.id]]
        facts.stored_at = self.time
        facts.unarmed |= not self.platform.armed(message.id)
        self._open.add(message.id)

    def _adopt(self, message: Any) -> None:
        """A message of Backstop's own, such as an answer to STOP."""
        plan = Plan(
            name=message.message_id,
            policy=message.terms.policy.value,
            traffic=message.request.traffic.value,
            ttl=(message.terms.deadline - message.accepted_at).total_seconds(),
            at=0.0,
            rcs="online",
            sms="ok",
            thoughts=(),
        )
        self.facts[plan.name] = Facts(plan)
        self._ids[message.id] = plan.name

    def _events_publish(self, _done: None, *events: Any) -> None:
        for event in events:
            self.tell(f"published: {event.type.name} {event.message_id}")
            kind = event.type.kind.value
            if kind == "expiry":
                self.facts[event.message_id].expiry_at.append(self.time)
            elif kind == "outcome":
                facts = self.facts[event.message_id]
                told = subject.json.loads(event.data)
                facts.outcomes.setdefault(told["revision"], set()).add(told["outcome"])
                facts.told_at = facts.told_at or self.time
                self._open.discard(subject.key(facts.plan))

    # Time.

    def after(self, wait: float, do: Callable[[], Any]) -> None:
        heappush(self._ahead, (self.time + seconds(wait), next(self._number), do))

    def elapse(self, wait: float) -> None:
        """Let time pass for the worker that waits, and the world go on."""
        until = self.time + seconds(wait)
        if self._limit is not None and until > self._limit:
            until = self._limit
        if len(self._stack) >= DEPTH:
            self.time = max(self.time, until)
            return
        before, self._limit = self._limit, until
        try:
            self._run(until)
        finally:
            self._limit = before

    def _run(self, until: datetime) -> None:
        platform = self.platform
        while True:
            at = self._ahead[0][0] if self._ahead else None
            job_at = platform.next_at()
            if job_at is not None and (at is None or job_at < at):
                at = job_at
            if at is None or at > until:
                break
            self.time = max(self.time, at)
            self.steps += 1
            if self.steps > MANY:
                raise Spinning
            self._step()
        self.time = max(self.time, until)

    def _step(self) -> None:
        jobs = self.platform.due(self.time)
        first = self._ahead and self._ahead[0][0] <= self.time
        if first and (not jobs or self.chance.random() < 0.5):
            heappop(self._ahead)[2]()
        else:
            self._dispatch(self.chance.choice(jobs) if len(jobs) > 1 else jobs[0])
        # Whoever was told and did not say so yet will be told again.
        if not self._stack and not self.platform.pushing():
            for message in self._open:
                if not self.platform.armed(message):
                    facts = self.facts[self._ids[message]]
                    facts.unwatched = facts.unwatched or str(self.time - START)

    # Triggers.

    def work(self, role: str, do: Callable[[], Any]) -> tuple[bool, Any]:
        """Run one trigger. Returns whether it was answered with 2xx, and with what."""
        drift = seconds(self._drift * (2 * self.chance.random() - 1))
        worker = Worker(role, self.time, drift)
        self._stack.append(worker)
        try:
            return True, do()
        except Death as death:
            self._forget(worker)
            if death.everyone and len(self._stack) > 1:
                raise
            self.tell(f"{role} died")
        except subject.AGAIN as error:
            self._forget(worker)
            self.tell(f"{role} answers 503: {type(error).__name__}")
        finally:
            self._stack.pop()
        return False, None

    def _forget(self, worker: Worker) -> None:
        """What a worker that failed was told may be lost with it."""
        for text in worker.texts:
            text.forgotten = True
        for facts in self.facts.values():
            facts.forgotten = True

    def _dispatch(self, job: Job) -> None:
        chance, options, platform = self.chance, self.options, self.platform
        fate, shield = "", job.tries >= SHIELDED_AFTER
        if self.stormy and not shield and chance.random() < options.redelivered:
            fate = chance.choice(("late", "twice", "unheard"))
        if fate == "late":
            self.tell(f"{_name(job)} is late")
            platform.put_off(job, self.time + seconds(600 * chance.random() ** 2))
            return
        self.time += timedelta(milliseconds=1 + int(20 * chance.random()))
        platform.put_off(job, self.time + LEASE)
        self._shield += shield
        self.tell(f"{_name(job)} comes")
        job.begun = True
        try:
            ok = self._take(job)
            if ok and fate == "twice":
                ok = self._take(job)
        finally:
            self._shield -= shield
        if ok and fate != "unheard":
            platform.finish(job)
            return
        job.tries += 1
        platform.put_off(job, self.time + backoff(job, chance.random()))
        self.dead_letters += job.lane != RINGS and job.tries >= 12

    def _take(self, job: Job) -> bool:
        if job.lane == RINGS:
            body = subject.ring_body(job.subject, job.due_at)
        else:
            body = subject.push_body(job.subject, job.tries + 1)
        ok, _ = self.work(job.lane, lambda: self._handlers[job.lane](body))
        if ok and job.lane != RINGS:
            self._taken(job.subject)
        return ok

    def _taken(self, event: Any) -> None:
        opted_out_at = self.words.get(event.data)
        if opted_out_at:
            self.consents.append((self.time, opted_out_at, False))
        facts = self.facts.get(event.message_id)
        if facts and event.type.kind.value in {"receipt", "expiry"}:
            code = 0
            if event.type.name == "backstop.sms.failed":
                code = subject.json.loads(event.data)["errorCode"]
            facts.taken.append(Taken(self.time, event.type.name, event.attempt, code))

    def announce(self, who: str, parse: Any, raw: bytes, delay: float = 0.0) -> None:
        """A carrier calls a webhook: in time, late, twice, or never."""
        chance, options = self.chance, self.options
        if chance.random() < options.lost_events:
            return
        copies = 1 + (chance.random() < options.doubled)
        for _ in range(copies):
            wait = delay + chance.random() * 2
            if chance.random() < options.late:
                wait += (
                    chance.choice((30.0, 700.0, 9000.0, 600_000.0)) * chance.random()
                )
            self.after(wait, lambda: self._webhook(who, parse, raw, 10.0))

    def _webhook(self, who: str, parse: Any, raw: bytes, again: float) -> None:
        events = parse(raw, self.now())
        ok, _ = self.work(who, lambda: self._webhooks.publish(*events))
        if not ok:
            longer = min(again * 2, 600.0)
            self.after(again, lambda: self._webhook(who, parse, raw, longer))

    # Callers.

    def live(self) -> None:
        """Tell the whole life: the storm, the calm after it, and late news."""
        if self.options.out_of_reach:
            until = START + seconds(self.options.out_of_reach)
            subject.rule_out_rcs(self._look, until)
        for plan in self.options.plans:
            self.after(plan.at, lambda plan=plan: self._ask(plan))
            for wait, word in plan.thoughts:
                self.after(
                    plan.at + wait,
                    lambda plan=plan, word=word: self._think(plan, word),
                )
        self._run(START + seconds(self.options.calm_at))
        self.tell("the storm is over")
        self.stormy = False
        calm = self.time
        longest = max(600.0, *(facts.plan.ttl for facts in self.facts.values()))
        wait = subject.settings(self.options.contract).receipt_wait
        end = self.time + 2 * seconds(longest) + wait + LONG_AGO
        self._run(end)
        if any(t.at > calm for f in self.facts.values() for t in f.taken):
            # Late news, such as that nothing had left, may begin a receipt's wait anew.
            end += wait
            self._run(end)
        for facts in self.facts.values():
            if facts.stored_at and not facts.outcomes:
                facts.overdue = f"no outcome {end - START} after the start"
        self.left_over = self.platform.left(end - LONG_AGO)
        self._run(end + timedelta(days=30))
        for facts in self.facts.values():
            facts.shown = subject.look(self._look, subject.key(facts.plan)) or {}

    def _ask(self, plan: Plan, tries: int = 0) -> None:
        facts = self.facts[plan.name]
        self.tell(f"the app sends {plan.name}")
        if plan.dated and self._dates.get(plan.name, LATEST) <= self.time:
            self.tell(f"{plan.name} is refused: it has expired")
            return
        try:
            ok, answer = self.work(
                "send",
                lambda: self._post(plan),
            )
        except subject.REFUSALS as error:
            self.tell(f"{plan.name} is refused: {type(error).__name__}")
            if facts.answers and type(error).__name__ == "Differs":
                facts.wrongly_answered.append("a repeat was told it differs")
            return
        if ok:
            self.tell(f"the app is answered 200 for {plan.name}")
            facts.answers.append((self.time, *answer))
        elif tries < 5:
            self.after(1 + 9 * self.chance.random(), lambda: self._ask(plan, tries + 1))

    def _post(self, plan: Plan, *, clash: bool = False) -> tuple[str, str]:
        now = self.now()
        first = self._dates.setdefault(plan.name, now + seconds(plan.ttl))
        return subject.send(
            self._send,
            self.options.contract,
            plan,
            now,
            deadline=first if plan.dated else None,
            clash=clash,
        )

    def _think(self, plan: Plan, word: str) -> None:
        match word:
            case "repeat":
                self._ask(plan, tries=4)
            case "clash":
                self._clash(plan)
            case "stop":
                self._sms.choose(next(self._number))
            case "unsubscribe" | "subscribe":
                self._rbm.choose(next(self._number), opted_in=word == "subscribe")
            case _:
                self._close(plan, word)

    def _clash(self, plan: Plan) -> None:
        facts = self.facts[plan.name]
        if not facts.answers:
            return
        self.tell(f"the app sends another body as {plan.name}")
        with suppress(*subject.REFUSALS):
            ok, _ = self.work(
                "send",
                lambda: self._post(plan, clash=True),
            )
            if ok:
                facts.wrongly_answered.append("another body under the same id got 200")

    def _close(self, plan: Plan, word: str, tries: int = 0) -> None:
        do = subject.cancel if word == "cancel" else subject.acknowledge
        self.tell(f"the app says {word} of {plan.name}")
        ok, closed = self.work("send", lambda: do(self._send, plan))
        if ok:
            self.tell(f"the app is answered: closed is {closed}")
            if closed:
                self.facts[plan.name].closings.append((self.time, closed))
        elif tries < 3:
            self.after(2.0, lambda: self._close(plan, word, tries + 1))

    # Carriers, as the use cases hold them.

    def carrier(self, what: str, do: Callable[[], Any]) -> Any:
        """Call a carrier; the process may die before or after."""
        options, chance = self.options, self.chance
        worker = self._stack[-1]
        rate = options.faults * options.deaths if self.stormy else 0.0
        if not options.faults:
            answer = self._scripted(what, do)
            worker.informed = None
            return answer
        if self._shield or chance.random() >= rate:
            answer = do()
            worker.informed = None
            return answer
        kind = chance.choice(DEATHS)
        self.tell(f"{what} {kind}")
        if kind == "dies after":
            with suppress(Exception):
                do()
        raise Death(everyone=options.everyone)

    def remember(self, text: Text) -> None:
        """Let it be known that this worker asked for an SMS."""
        self._stack[-1].texts.append(text)

    @property
    def informed(self) -> datetime:
        return self._stack[-1].informed or self.time

    @property
    def network(self) -> Network:
        return self._network

    @property
    def carriers(self) -> subject.Clients:
        return self._carriers

    def tell(self, what: str) -> None:
        if self._story is not None:
            at = self.time - START
            self._story.append(f"{at!s:>22} {'  ' * len(self._stack)}{what}")


class _Rcs:
    def __init__(self, world: World) -> None:
        self._world = world

    def create(self, *, message_id: str, **what: Any) -> None:
        world = self._world
        record = Create(world.time, world.informed)
        world.facts[message_id].creates.append(record)
        network = world.network
        before, network.create = network.create, record
        world.tell(f"RBM is asked to create {message_id}")
        try:
            world.carrier(
                "create",
                lambda: world.carriers.rcs.create(message_id=message_id, **what),
            )
        finally:
            network.create = before

    def revoke(self, *, message_id: str, **what: Any) -> None:
        world = self._world
        world.facts[message_id].deletes.append(world.time)
        world.tell(f"RBM is asked to withdraw {message_id}")
        world.carrier(
            "DELETE", lambda: world.carriers.rcs.revoke(message_id=message_id, **what)
        )


class _Sms:
    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, *, tag: str, **what: Any) -> Any:
        world = self._world
        _agent, name, attempt = tag.split("/")
        record = Text(int(attempt), world.time, world.informed)
        world.facts[name].texts.append(record)
        world.remember(record)
        network = world.network
        world.tell(f"Bandwidth is asked to send {tag}")

        def ask() -> Any:
            before, network.text = network.text, record
            try:
                return world.carriers.sms.send(tag=tag, **what)
            finally:
                network.text = before

        return world.carrier("the SMS request", ask)


def _watched(do: Any, watch: Any) -> Any:
    def done(*args: Any, **more: Any) -> Any:
        answer = do(*args, **more)
        watch(answer, *args, **more)
        return answer

    return done


def _name(job: Job) -> str:
    return (
        f"ring of {job.due_at - START}"
        if job.lane == RINGS
        else (f"push of {job.subject.type.name} to {job.lane}")
    )
