"""The running system, killed under load, and what its carriers saw in the end."""

import ctypes
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import requests

from backstop.domain.times import parse_time

LOCAL = Path(__file__).parents[2] / "functions" / "local.py"
LIBRARY = ctypes.CDLL(None)
PATIENCE = 60.0
GRACE = 10.0
"""Seconds that a platform gives a process which it told to end."""
FALLING = (
    "SELECT count(*) FROM messages"
    ' WHERE open AND CAST(state AS TEXT) LIKE \'%"overdue_at":"%\''
)
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
SPARE = 16
"""Files and threads that pools may open later than others."""
GROWTH = 0.05
POLICIES = ("STRICT", "PROMPT", "CONFIRMED", "HEDGE")
PHONES: tuple[dict[str, bool], ...] = ({}, {"online": False}, {"rcs": False})
TTLS = ("600s", "3s")
"""Longer than the load lasts, and short enough for whole fallbacks in it."""


class Running:
    """`make run`, on a port and a state of its own."""

    def __init__(
        self,
        state: Path,
        environ: Mapping[str, str] | None = None,
        *,
        program: Path = LOCAL,
    ) -> None:
        self.state = state
        self.environ = environ or {}
        self._program = program
        self.url = ""
        self.slowest_start = 0.0
        self.slowest_end = 0.0
        self._port = "0"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start it. Returns "" once it serves, else what it said instead."""
        began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, self._program],
            env={
                **os.environ,
                **self.environ,
                "PORT": self._port,
                "STATE": str(self.state),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_obey,  # noqa: PLW1509 - no thread of ours holds a lock
        )
        assert self._process.stdout
        hello = self._process.stdout.readline()
        if "Backstop is running" not in hello:
            said = self._process.communicate(timeout=PATIENCE)
            return hello + "".join(said) + f"[{self._process.returncode}]"
        self.url = hello.rpartition(": ")[2].strip()
        self._port = self.url.rpartition(":")[2]
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)
        return ""

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._process
        began = time.monotonic()
        self._process.send_signal(how)
        self._process.communicate(timeout=PATIENCE)
        self.slowest_end = max(self.slowest_end, time.monotonic() - began)

    @property
    def status(self) -> int | None:
        """How it ended, None while it runs."""
        return self._process.returncode if self._process else None

    def use(self) -> "Use":
        """Return what it holds of the machine."""
        assert self._process
        process = Path(f"/proc/{self._process.pid}")
        told = dict(
            line.split(":", 1) for line in (process / "status").read_text().splitlines()
        )
        return Use(
            memory=int(told["VmRSS"].split()[0]),
            threads=int(told["Threads"]),
            files=len(list((process / "fd").iterdir())),
        )

    def limit(self, largest_file: int = resource.RLIM_INFINITY) -> None:
        """Let no file of it grow further, as if the disk were full, or lift that."""
        assert self._process
        wanted = (largest_file, resource.RLIM_INFINITY)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, wanted)

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, self.url + path, json=body, timeout=PATIENCE)

    def left(self) -> "Left":
        """Look at a copy of what a kill left: whoever opens the file recovers it."""
        with TemporaryDirectory() as folder:
            for file in self.state.glob("backstop.db*"):
                shutil.copy(file, folder)
            database = sqlite3.connect(Path(folder) / "backstop.db")
            [(verdict,)] = database.execute("PRAGMA integrity_check")
            [(falling,)] = database.execute(FALLING)
            database.close()
        return Left(whole=verdict == "ok", falling=falling)


def _obey() -> None:
    """Take from root what lets it write where nobody may."""
    if sys.platform == "linux":
        LIBRARY.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@dataclass(frozen=True)
class Left:
    """What a kill left: whether SQLite finds no fault, and how many were falling back.

    Their deadline had passed, and they had no outcome.
    """

    whole: bool
    falling: int


@dataclass(frozen=True)
class Use:
    """Kilobytes, threads and open files of a process, after so many messages."""

    memory: int
    threads: int
    files: int
    messages: int = 0


@dataclass
class Sent:
    """A message, and whether its app was answered 200."""

    name: str
    phone: str
    policy: str
    ttl: str
    online: bool = True
    accepted: bool = False


@dataclass
class Load:
    """Apps that send, and send again until they are answered."""

    running: Running
    chance: Random
    sent: list[Sent] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def run(
        self,
        seconds: float,
        *,
        width: int = 4,
        how: signal.Signals | None = signal.SIGKILL,
    ) -> None:
        """Send for a while, from several apps at once, and then kill it, if at all."""
        stop = Event()
        with ThreadPoolExecutor(width) as apps:
            working = [apps.submit(self._app, stop) for _ in range(width)]
            stop.wait(seconds)
            if how:
                self.running.kill(how)
            stop.set()
            for work in working:
                work.result()

    def send(self) -> bool:
        """Send one message of a new phone. Returns whether it was accepted."""
        number = next(self._numbers)
        phone = f"+1555{2000000 + number}"
        ttl = TTLS[number // 12 % 2]
        profile = PHONES[number // 4 % 3]
        online = profile.get("online", True)
        sent = Sent(f"m{number}", phone, POLICIES[number % 4], ttl, online)
        self.sent.append(sent)
        try:
            if profile:
                self.running.call("PUT", f"/simulator/phones/{phone}", profile)
            self._try(sent)
        except requests.RequestException:
            return False
        return sent.accepted

    def again(self) -> None:
        """Send once more whatever was not answered."""
        for sent in self.sent:
            if not sent.accepted:
                self._try(sent)

    def _app(self, stop: Event) -> None:
        while not stop.is_set():
            if not self.send():
                stop.wait(0.02)

    def _try(self, sent: Sent) -> None:
        body = {
            "contentMessage": {"text": sent.name},
            "messageTrafficType": "TRANSACTION",
            "ttl": sent.ttl,
            "fallback": {"policy": sent.policy},
        }
        path = f"/v1/phones/{sent.phone}/agentMessages?messageId={sent.name}"
        answer = self.running.call("POST", path, body)
        if answer.status_code == 200:
            sent.accepted = True
        else:
            later = answer.headers.get("Retry-After", "never")
            self.refusals.append(f"{answer.status_code} {later}: {answer.text}")

    def broken(self) -> list[str]:
        """Let all time pass that matters, and return every promise that broke."""
        for _ in range(4):
            answer = self.running.call(
                "POST", "/simulator/clock", {"advance": "3600s"}
            ).json()
            if not answer["settled"]:
                return ["1: the queues do not become empty"]
        return [how for sent in self.sent for how in self._judge(sent)]

    def _judge(self, sent: Sent) -> Iterator[str]:
        path = f"/v1/phones/{sent.phone}/agentMessages/{sent.name}"
        answer = self.running.call("GET", path)
        if answer.status_code != 200:
            if sent.accepted:
                yield f"1: {sent.name} was accepted and is not there"
            return
        told = answer.json()["delivery"]
        outcome = told["outcome"]
        phone = self.running.call("GET", f"/simulator/phones/{sent.phone}").json()
        inbox = [item for item in phone["inbox"] if item["text"] == sent.name]
        got = [item["channel"] for item in inbox]
        rcs, sms = got.count("RCS"), got.count("SMS")
        if outcome == "PENDING":
            yield f"1: {sent.name} has no outcome"
        if rcs > 1:
            yield f"2: {sent.name} was shown twice"
        if sms > (1 if sent.policy == "STRICT" else 2):
            yield f"5: {sent.name} was texted {sms} times under {sent.policy}"
        if not sent.online and sent.policy != "HEDGE":
            deadline = parse_time(told["deadline"])
            texts = [item for item in inbox if item["channel"] == "SMS"]
            if any(parse_time(text["receivedAt"]) < deadline for text in texts):
                yield f"6: {sent.name} was texted before its deadline"
        meant = {"DELIVERED_RCS": (1, 0), "DELIVERED_SMS": (0, 1)}.get(outcome)
        if meant and meant != (rcs, min(sms, 1)):
            yield f"11: {sent.name} is {outcome}, but the phone got {got}"
        if outcome == "FAILED" and got:
            yield f"11: {sent.name} is FAILED, but the phone got {got}"


def killed_again_and_again(
    state: Path, *, kills: int, seed: int
) -> tuple[Load, list[Left]]:
    """Return the load after so many kills, and what each of them left."""
    running = Running(state)
    load = Load(running, Random(seed))
    lefts = []
    for _ in range(kills):
        said = running.start()
        assert not said, said
        # So slow that a kill meets some who wait for their SMS to be taken.
        running.call("PUT", "/simulator/carriers/bandwidth", {"delay": "0.2s"})
        load.run(0.05 + load.chance.random() * 0.6)
        lefts.append(running.left())
    assert not running.start()
    running.call("DELETE", "/simulator/carriers/bandwidth")
    load.again()
    return load, lefts


def told_to_end(state: Path, *, times: int, seed: int) -> tuple[Load, list[str]]:
    """Return the load after so many SIGTERMs, and what was wrong with the ends."""
    running = Running(state)
    load = Load(running, Random(seed))
    wrong = []
    for _ in range(times):
        said = running.start()
        assert not said, said
        load.run(0.2 + load.chance.random() * 0.5, how=signal.SIGTERM)
        if running.status != 0:
            wrong.append(f"1: it ended with {running.status}")
        if running.slowest_end > GRACE:
            wrong.append(f"C6: it took {running.slowest_end:.1f} s to end")
    assert not running.start()
    load.again()
    return load, wrong + load.broken()


def soaked(state: Path, *, seconds: float, seed: int) -> tuple[Load, list[Use]]:
    """Return the load of so many seconds, and what was held after each fifth of it."""
    running = Running(state)
    load = Load(running, Random(seed))
    said = running.start()
    assert not said, said
    uses = []
    for _ in range(5):
        load.run(seconds / 5, how=None)
        running.call("POST", "/simulator/clock", {"advance": "1200s"})
        uses.append(replace(running.use(), messages=len(load.sent)))
    return load, uses


def kept(uses: list[Use]) -> tuple[str, list[str]]:
    """Return what stayed of the messages since the third look, and what is too much.

    Until then pools and caches fill.
    """
    begin, end = uses[2], uses[-1]
    messages, memory = end.messages - begin.messages, end.memory - begin.memory
    wrong = []
    if end.files > begin.files + SPARE or end.threads > begin.threads + SPARE:
        wrong.append(f"it holds {end}, and held {begin}")
    if memory > GROWTH * begin.memory:
        wrong.append(f"it keeps {memory / messages:.1f} kB of each message")
    note = (
        f"{messages:,} messages after {begin.messages:,} of warming up:"
        f" {memory / messages:+.1f} kB each, {memory / begin.memory:+.1%};"
        f" {end.files - begin.files:+} files, {end.threads - begin.threads:+} threads"
    )
    return note, wrong
