"""Jasmin and Kannel, ready to accept messages, where they are installed.

Both keep what they accept, as they are usually told to, and neither flushes it.
"""

import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from bench.load import http
from bench.others import AbsentError, environment, program, redis
from bench.servers import running
from machine.emulators import free_port

Requests = Callable[[int], bytes]

KANNEL = """
group = core
admin-port = {admin}
admin-password = bench
smsbox-port = {smsbox}
box-allow-ip = 127.0.0.1
store-type = file
store-location = {folder}/store
log-level = 4

group = smsc
smsc = fake
port = {smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {port}
log-level = 4

group = sendsms-user
username = bench
password = bench
"""

JASMIN = """
[amqp-broker]
host = 127.0.0.1
port = {amqp}
spec = {spec}
log_file = {folder}/amqp.log

[redis-client]
host = 127.0.0.1
port = {redis}
log_file = {folder}/redis.log

[http-api]
bind = 127.0.0.1
port = {port}
log_file = {folder}/http.log
access_log = {folder}/access.log

[smpp-server]
bind = 127.0.0.1
port = {smpp}
log_file = {folder}/smpp.log

[smpp-server-pb]
bind = 127.0.0.1
port = {smpp_pb}
log_file = {folder}/smpp_pb.log

[jcli]
bind = 127.0.0.1
port = {jcli}
authentication = False
log_file = {folder}/jcli.log

[router]
bind = 127.0.0.1
port = {router}
store_path = {folder}
log_file = {folder}/router.log

[client-management]
bind = 127.0.0.1
port = {clients}
store_path = {folder}
log_file = {folder}/clients.log

[interceptor-client]
log_file = {folder}/interceptor.log

[sm-listener]
log_file = {folder}/messages.log
"""

ROUTE = """group -a
gid bench
ok
user -a
username bench
password bench
gid bench
uid bench
ok
smppccm -a
cid nowhere
ok
mtrouter -a
type DefaultRoute
connector smppc(nowhere)
rate 0.0
ok
"""
"""What is sent stays in the queue: the connector is not started."""

LOCK = Path(tempfile.gettempdir()) / "jasmind.lock"
RABBIT = "/usr/lib/rabbitmq/bin/rabbitmq-server"
SPEC = "standard/amqp0-9-1.stripped.xml"
SLOW = b"GET / HTTP/1.0\r\n\r\n"


@contextmanager
def kannel(text: str) -> Iterator[tuple[int, Requests]]:
    """Run Kannel with its fake SMSC; yield its port, and what asks it to send."""
    boxes = program("bearerbox", "kannel"), program("smsbox", "kannel")
    fake = Path("/usr/lib/kannel/test/fakesmsc")
    if not fake.exists():
        raise AbsentError("did not run; apt-get install kannel-extras")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        names = ("admin", "smsbox", "smsc", "port")
        ports = {name: free_port() for name in names}
        config = Path(folder) / "kannel.conf"
        config.write_text(KANNEL.format(folder=folder, **ports))
        bearer = [boxes[0], "-v", "4", str(config)]
        stack.enter_context(running(bearer, ports["admin"], ask=SLOW))
        sms = [boxes[1], "-v", "4", str(config)]
        stack.enter_context(running(sms, ports["port"], ask=SLOW))
        smsc = subprocess.Popen(
            [str(fake), "-H", "127.0.0.1", "-r", str(ports["smsc"]), "-m", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(smsc.wait)
        stack.callback(smsc.kill)
        yield ports["port"], _asking("/cgi-bin/sendsms", {"from": "100", "text": text})


@contextmanager
def jasmin(text: str) -> Iterator[tuple[int, Requests]]:
    """Run Jasmin on RabbitMQ and Redis; yield as `kannel` does."""
    programs = environment("jasmin")
    if not Path(RABBIT).exists():
        raise AbsentError("did not run; apt-get install rabbitmq-server")
    if LOCK.exists():
        raise AbsentError(f"did not run; another does, or has left {LOCK}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        names = ("amqp", "port", "smpp", "smpp_pb", "jcli", "router", "clients")
        ports = {name: free_port() for name in names}
        ports["redis"] = stack.enter_context(redis())
        stack.enter_context(_rabbit(Path(folder), ports["amqp"]))
        config = Path(folder) / "jasmin.cfg"
        (spec,) = programs.parent.glob("lib/*/site-packages/txamqp/specs/" + SPEC)
        config.write_text(JASMIN.format(folder=folder, spec=spec, **ports))
        words = [str(programs / "jasmind.py"), "-c", str(config)]
        # Killed, it leaves behind a lock whose name nobody can choose.
        stack.callback(lambda: LOCK.unlink(missing_ok=True))
        places = {"ROOT_PATH": folder, "LOG_PATH": folder}
        stack.enter_context(running(words, ports["port"], places, ask=SLOW))
        _configure(ports["jcli"])
        yield ports["port"], _asking("/send", {"content": text})


@contextmanager
def _rabbit(folder: Path, port: int) -> Iterator[None]:
    epmd = str(free_port())
    environ = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": epmd,
        "ERL_CRASH_DUMP_SECONDS": "0",
    }
    try:
        with running([RABBIT], port, environ, ask=b"AMQP\0\0\0\0"):
            yield
    finally:
        # Erlang's own daemon, of a port of its own, outlives whoever started it.
        with suppress(OSError):
            subprocess.run(
                ["epmd", "-port", epmd, "-kill"],
                env={"PATH": os.environ["PATH"], "ERL_EPMD_RELAXED_COMMAND_CHECK": "1"},
                check=False,
                stdout=subprocess.DEVNULL,
            )


def _configure(port: int) -> None:
    """Say the route over Jasmin's console, line by line as it prompts."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        for words in ROUTE.splitlines():
            line.sendall(f"{words}\r\n".encode())
            _prompt(line)


def _prompt(line: socket.socket) -> None:
    told = b""
    while not told.rstrip().endswith((b"jcli :", b">")):
        told += line.recv(4096)


def _asking(path: str, words: dict[str, str]) -> Requests:
    known = {"username": "bench", "password": "bench"} | words

    def request(number: int) -> bytes:
        query = urlencode(known | {"to": f"1555{number % 10_000_000:07}"})
        return http("GET", f"{path}?{query}")

    return request
