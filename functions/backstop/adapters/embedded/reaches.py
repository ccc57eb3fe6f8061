"""What is known of phones' RCS, in SQLite."""

import sqlite3
from collections.abc import Mapping

from backstop.adapters.embedded.database import Database
from backstop.adapters.records import decode_reach, encode, micros
from backstop.domain.reach import Reach


class SqliteReaches:
    """A row per phone and agent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, phone: str, agent: str) -> Reach | None:
        rows = self._database.read(
            "SELECT state FROM reach WHERE phone = ? AND agent = ?", phone, agent
        )
        return decode_reach(rows[0][0]) if rows else None

    def save(self, agent: str, reaches: Mapping[str, Reach]) -> None:
        rows = [
            (phone, agent, micros(reach.until), encode(reach))
            for phone, reach in reaches.items()
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT OR REPLACE INTO reach VALUES (?, ?, ?, ?)", rows
            )

        self._database.write(write)

    def forget(self, phone: str, agent: str) -> None:
        self._database.write(
            lambda connection: connection.execute(
                "DELETE FROM reach WHERE phone = ? AND agent = ?", (phone, agent)
            )
        )
