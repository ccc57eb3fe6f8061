"""The machine: one port, one clock, a platform under it and carriers beside it."""

import asyncio
import logging
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import uvicorn
import uvloop

from backstop.adapters.system import JsonHandler, JsonLog
from backstop.settings import Incomplete, Settings
from machine.control import application
from machine.credentials import DEFAULTS, carrier_settings, carriers
from machine.embedded import EmbeddedGround
from machine.ground import Ground
from machine.traffic import LOOPBACK, Traffic
from simulator import Clock, Simulator

ACCEPTORS = 32
"""Handles on the listening socket: uvloop takes in one connection per handle and turn
of the loop, and on a busy machine a turn is long."""


class Machine:
    """One machine's Backstop with its simulated world."""

    def __init__(
        self,
        state: Path,
        environ: Mapping[str, str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Bind the port and open the state.

        Raises InUse, Incomplete, MissingError, and OSError or sqlite3.Error for the
        state.
        """
        platform = environ.get("PLATFORM", "")
        if platform not in {"", "google"}:
            raise Incomplete(f"PLATFORM {platform} is not google")
        state.mkdir(parents=True, exist_ok=True)
        # Named, so that asyncio turns Nagle's delays off.
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except (OSError, OverflowError) as error:
            raise Incomplete(f"Port {port} cannot be used: {error}") from error
        reached = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared
        self.url = f"http://{reached}:{self._socket.getsockname()[1]}"
        environ = DEFAULTS | carrier_settings(state, self.url) | dict(environ)
        settings = Settings.read(environ)
        real = (settings.rbm_url, settings.bandwidth_url)
        self.simulated = all(carrier.startswith(self.url) for carrier in real)
        if host not in LOOPBACK and not settings.api_token:
            raise Incomplete(f"API_TOKEN is missing: {host} is not this machine alone")
        if platform:
            # Google's emulators forget everything, and so must the rest.
            state = state / platform
            shutil.rmtree(state, ignore_errors=True)
            state.mkdir()
        self.clock = Clock(state / "clock.json")
        self._advancing = threading.Lock()
        self._log_file = (state / "log.jsonl").open("a")
        log = JsonLog(self._log_file)
        self._log_handler = JsonHandler(log)
        logging.getLogger("backstop").addHandler(self._log_handler)
        self.ground: Ground
        if platform:
            from machine.google import GoogleGround

            self.ground = GoogleGround(state, self.url, self.clock, environ)
        else:
            self.ground = EmbeddedGround(state, self.clock, settings, log)
        self.simulator = Simulator(
            state / "simulator.db", self.clock, carriers(settings, self.url)
        )
        self.traffic = Traffic(
            self.ground.entries,
            application(self, log),
            host,
            guarded=bool(settings.api_token),
            behind=self.ground.behind,
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
        self.simulator.start(self._loop)
        self.ground.start(self._loop)

    def stop(self) -> None:
        """Finish what is under way, and let go of everything."""
        self.ground.stop()
        self.simulator.stop()
        self._server.should_exit = True
        self._thread.join()
        logging.getLogger("backstop").removeHandler(self._log_handler)
        self._log_file.close()

    def settled(self) -> bool:
        """Whether nothing is due and nothing under way, anywhere."""
        # Twice: work may pass from one to the next between two looks.
        return all(
            look()
            for _ in range(2)
            for look in (self.ground.idle, self.simulator.idle, self.traffic.idle)
        )

    def settle(self) -> bool:
        """Wait until nothing is due. Returns whether that came about in time."""
        end = time.monotonic() + self.ground.patience
        while not self.settled():
            if time.monotonic() > end:
                return False
            time.sleep(0.001)
        return True

    def advance(self, by: timedelta) -> bool:
        """Let *by* pass, from one due instant to the next, each settled."""
        with self._advancing, self.clock.held():
            target = self.clock.now() + by
            while settled := self.settle():
                sources = (self.ground.next_due(), self.simulator.next_due())
                due = min((at for at in sources if at), default=target)
                if due >= target:
                    break
                self.clock.jump_to(due)
            self.clock.jump_to(target)
            return settled and self.settle()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self._loop = runner.get_loop()
            more = [self._socket.dup() for _ in range(ACCEPTORS - 1)]
            runner.run(self._server.serve(sockets=[self._socket, *more]))
