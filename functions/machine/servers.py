"""The six functions as processes: functions-framework's own production server each."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
from starlette.requests import Request
from starlette.responses import Response

from backstop.edge.answers import Problem
from machine.emulators import MissingError

FUNCTIONS = Path(__file__).parents[1]
STARTING = 60.0
CALLS = 64
"""Requests under way to one server."""

HELD_BACK = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class Leash:
    """A process that outlives this one long enough to end what it started."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "machine.leash"],
            stdin=subprocess.PIPE,
            cwd=FUNCTIONS,
            start_new_session=True,
        )

    def hold(self, group: int) -> None:
        if self._process.stdin:
            self._process.stdin.write(f"{group}\n".encode())
            self._process.stdin.flush()

    def drop(self) -> None:
        self._process.kill()
        self._process.communicate()


class Server:
    """One function in functions-framework's own production server."""

    def __init__(
        self, name: str, port: int, state: Path, environ: Mapping[str, str]
    ) -> None:
        self.name = name
        self._port = port
        self._state = state
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=CALLS)

    def spawn(self) -> int:
        """Start it; return its process group."""
        command = [sys.executable, "-m", "functions_framework"]
        command += [f"--source={FUNCTIONS / self.name}.py", f"--target={self.name}"]
        command += ["--host=127.0.0.1", f"--port={self._port}"]
        with (
            (self._state / "log.jsonl").open("ab") as log,
            (self._state / f"{self.name}.err").open("ab") as errors,
        ):
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                env=self._environ,
                stdout=log,
                stderr=errors,
                start_new_session=True,
            )
        return self._process.pid

    def wait(self) -> None:
        """Return once it answers. Raises MissingError if it does not start."""
        end = time.monotonic() + STARTING
        while True:
            try:
                self._pool.urlopen("GET", "/", retries=False)
            except urllib3.exceptions.HTTPError:
                gone = self._process is None or self._process.poll() is not None
                if gone or time.monotonic() > end:
                    raise MissingError(f"{self.name} did not start") from None
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def call(self, request: Request, body: bytes) -> Response:
        """Hand a request on as it came."""
        path = request.scope["raw_path"].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        try:
            answer = self._pool.urlopen(
                request.method,
                f"{path}?{query}" if query else path,
                body=body,
                headers=_end_to_end(request.headers.items()),
                redirect=False,
                retries=False,
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError:
            return Problem(503, f"{self.name} does not answer").response()
        return Response(answer.data, answer.status, _end_to_end(answer.headers.items()))


def _end_to_end(headers: Any) -> dict[str, str]:
    return {n: value for n, value in headers if n.lower() not in HELD_BACK}
