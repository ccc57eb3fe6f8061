"""Files with as many messages as wanted: copies of one that has truly lived."""

import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from backstop.domain.message import message_key
from bench.lifecycles import lean
from bench.load import http
from bench.servers import answer

AGENT = "demo_agent"
PHONE, NAME = "+15550000001", "unreachable-0000000001"
"""Of the sample: as long as those of its copies."""

PATIENCE = 20.0
FILE = "backstop.db"

BODY = json.dumps(
    {
        "contentMessage": {"text": "Your table is ready"},
        "messageTrafficType": "TRANSACTION",
        "ttl": "600s",
        "metadata": {"order": "108"},
    }
).encode()

STATEMENTS = (
    # Whoever reads the table that it writes is written down in between.
    "CREATE TEMP TABLE lived AS SELECT * FROM messages WHERE id = :id",
    """
    CREATE TEMP TABLE heard AS
    SELECT * FROM events WHERE instr(attributes, CAST('"receipt"' AS BLOB))
    """,
    """
    CREATE TEMP TABLE copies AS
    WITH RECURSIVE numbers (n) AS
        (SELECT 2 UNION ALL SELECT n + 1 FROM numbers LIMIT :most)
    SELECT n, printf('unreachable-%010d', n) AS name, printf('+1555%07d', n) AS phone,
        key(printf('unreachable-%010d', n)) AS id
    FROM numbers ORDER BY id
    """,
    """
    INSERT INTO messages
        (id, phone, agent, accepted_at, open, settled_at, version, state)
    SELECT copies.id, copies.phone, agent, accepted_at - n, open, settled_at - n,
        version, own(state, copies.id, copies.name, copies.phone)
    FROM copies, lived
    """,
    """
    INSERT INTO events (published_at, attributes, data)
    SELECT published_at, own(attributes, id, name, phone), own(data, id, name, phone)
    FROM copies, heard
    """,
    """
    INSERT INTO timers (message, due_at, next_at)
    SELECT id, published_at, published_at FROM copies, heard LIMIT :timers
    """,
    """
    INSERT INTO deliveries (seq, subscription, next_at)
    SELECT seq, 'record', published_at FROM events ORDER BY seq DESC LIMIT :undelivered
    """,
)


def sending(number: int) -> bytes:
    """Return the request of a message that RBM refuses, not knowing the phone.

    Its SMS leaves at once and is confirmed: its whole life is short.
    """
    return _sending(f"+1556{number:07}", f"unreachable-bench-{number}")


def _sending(phone: str, name: str) -> bytes:
    path = f"/v1/phones/{phone}/agentMessages?messageId={name}"
    return http("POST", path, {"Content-Type": "application/json"}, BODY)


@contextmanager
def sample() -> Iterator[Path]:
    """Let one message live to its outcome; yield the file with what it left."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        with lean(Path(folder)) as server:
            answer(server.port, _sending(PHONE, NAME))
            end = time.monotonic() + PATIENCE
            with closing(sqlite3.connect(file)) as told:
                while not told.execute(
                    "SELECT 1 FROM messages WHERE settled_at"
                ).fetchall():
                    if time.monotonic() > end:
                        raise TimeoutError("the sample has no outcome")
                    time.sleep(0.05)
        with closing(sqlite3.connect(file)) as left:
            left.execute("PRAGMA wal_checkpoint (TRUNCATE)")
        yield file


def fill(
    sample: Path, state: Path, messages: int, *, timers: int = 0, undelivered: int = 0
) -> None:
    """Make a state with so many messages that ended, and a receipt of each.

    `timers` of them have one that is overdue; `undelivered` receipts are still owed to
    `record`.
    """
    state.mkdir()
    shutil.copy(sample, state / FILE)
    database = sqlite3.connect(state / FILE)
    ours = message_key(AGENT, NAME)

    def own(blob: bytes, key: str, name: str, phone: str) -> bytes:
        pairs = ((ours, key), (NAME, name), (PHONE, phone))
        for old, new in pairs:
            blob = blob.replace(old.encode(), new.encode())
        return blob

    database.create_function("key", 1, lambda name: message_key(AGENT, name))
    database.create_function("own", 4, own)
    words = {
        "id": ours,
        "most": messages - 1,
        "timers": timers,
        "undelivered": undelivered,
    }
    with closing(database), database:
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            "cache_size = -500000",
            "temp_store = MEMORY",
        ):
            database.execute(f"PRAGMA {pragma}")
        for statement in STATEMENTS:
            database.execute(statement, words)
