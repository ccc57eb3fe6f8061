import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backstop.adapters.embedded import database as database_module
from backstop.adapters.embedded.database import GROUP, Database, InUse
from backstop.errors import Unavailable
from contracts.waiting import at_once, until

FUNCTIONS = Path(__file__).parents[2] / "functions"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "backstop.db"


@pytest.fixture
def database(path):
    database = Database(path)
    database.write(lambda c: c.execute("CREATE TABLE notes (text)"))
    yield database
    database.close()


class Gate:
    """A change that keeps the writer busy until it is opened."""

    def __init__(self, database):
        self._open = threading.Event()
        self._entered = threading.Event()
        self._thread = threading.Thread(
            target=database.write, args=(lambda _connection: self._wait(),)
        )
        self._thread.start()
        self._entered.wait()

    def _wait(self):
        self._entered.set()
        self._open.wait()

    def open(self):
        self._open.set()
        self._thread.join()


def note(text):
    return lambda connection: (
        connection.execute("INSERT INTO notes VALUES (?)", (text,)).rowcount
    )


NOTES = "SELECT text FROM notes"


def notes(database):
    return sorted(row[0] for row in database.read(NOTES))


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def seen_from_outside(path):
    """Return the notes as another process would see them."""
    connection = sqlite3.connect(path)
    try:
        return sorted(row[0] for row in connection.execute(NOTES))
    finally:
        connection.close()


def behind_a_gate(database, works):
    """Run all in one group: the writer takes them up together. Returns results."""
    gate = Gate(database)
    results = []
    crowd = threading.Thread(target=lambda: results.extend(at_once(works)))
    crowd.start()
    until(lambda: len(database._waiting) == len(works))
    gate.open()
    crowd.join()
    return results


class TestWriting:
    def test_a_result_is_returned_after_the_commit(self, database, path):
        """Whoever has the result of a change can have it seen by anybody else."""
        database.write(note("one"))

        assert seen_from_outside(path) == ["one"]

    def test_nobody_in_a_group_is_answered_before_the_commit(self, database, path):
        """As long as the commit is not done, no change of its group has returned."""
        inside, go_on = threading.Event(), threading.Event()

        def slow(connection):
            note("slow")(connection)
            inside.set()
            go_on.wait()

        quick = threading.Thread(target=database.write, args=(note("quick"),))
        gate = Gate(database)
        quick.start()
        until(lambda: len(database._waiting) == 1)
        late = threading.Thread(target=database.write, args=(slow,))
        late.start()
        until(lambda: len(database._waiting) == 2)
        gate.open()
        inside.wait()

        assert quick.is_alive()
        assert seen_from_outside(path) == []

        go_on.set()
        quick.join()
        late.join()
        assert seen_from_outside(path) == ["quick", "slow"]

    def test_a_group_shares_one_commit(self, database):
        """Changes that wait together are flushed together."""
        commits = []
        database._writer.set_trace_callback(
            lambda statement: commits.append(statement) if statement == "COMMIT" else 0
        )

        behind_a_gate(database, [lambda n=n: database.write(note(n)) for n in range(9)])

        database._writer.set_trace_callback(None)
        # The gate's own commit, and one for the nine.
        assert len(commits) == 2

    def test_more_than_a_group_is_written_all_the_same(self, database):
        """A queue longer than one group loses none of its tail."""
        count = GROUP + 44

        behind_a_gate(
            database, [lambda n=n: database.write(note(n)) for n in range(count)]
        )

        assert list(range(count)) == notes(database)

    def test_a_change_that_raises_fails_its_caller_alone(self, database):
        """What one change raises is its caller's; the others of its group stand."""

        def bad(connection):
            note("half done")(connection)
            raise LookupError("the caller's own")

        results = behind_a_gate(
            database,
            [
                lambda: database.write(note("before")),
                lambda: database.write(bad),
                lambda: database.write(note("after")),
            ],
        )

        assert [1, LookupError, 1] == [
            type(r) if isinstance(r, Exception) else r for r in results
        ]
        assert notes(database) == ["after", "before"]

    def test_a_full_disk_fails_its_callers_and_loses_nothing(self, database, path):
        """Who was told of success keeps it; who was not is told; the writer lives."""
        database.write(note("kept"))
        pages = database.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
        database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").close())
        texts = [f"{n} " + "x" * 20_000 for n in range(6)]

        results = behind_a_gate(
            database, [lambda t=t: database.write(note(t)) for t in texts]
        )

        assert all(isinstance(result, Unavailable) for result in results)
        assert seen_from_outside(path) == ["kept"]

        database.write(lambda c: c.execute("PRAGMA max_page_count = 100000").close())
        database.write(note("room again"))
        assert seen_from_outside(path) == ["kept", "room again"]

    def test_a_lock_from_outside_fails_its_callers_alone(
        self, database, path, monkeypatch
    ):
        """A stranger who holds the file costs those who waited, and nobody after."""
        monkeypatch.setattr(database_module, "PATIENCE", 1)
        stranger = sqlite3.connect(path, isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")

        with pytest.raises(Unavailable):
            database.write(note("refused"))

        stranger.execute("ROLLBACK")
        stranger.close()
        database.write(note("accepted"))
        assert seen_from_outside(path) == ["accepted"]

    def test_a_change_may_not_break_out_of_its_group(self, database, path):
        """A change that ends the transaction itself makes nobody's success a lie."""
        results = behind_a_gate(
            database,
            [
                lambda: database.write(note("one")),
                lambda: database.write(lambda c: c.execute("ROLLBACK").close()),
                lambda: database.write(note("two")),
            ],
        )

        told = [
            text
            for text, result in zip(["one", "", "two"], results, strict=True)
            if result == 1
        ]
        assert told == [text for text in told if text in seen_from_outside(path)]


@pytest.fixture
def commits(database):
    """Every commit there is from here on."""
    ends = []
    database._writer.set_trace_callback(
        lambda statement: ends.append(statement) if statement == "COMMIT" else None
    )
    return ends


class TestOnALoop:
    def test_what_one_turn_asks_for_shares_one_commit(self, database, commits):
        """By whichever tasks of the loop it is asked."""

        async def crowd():
            return await asyncio.gather(*(ask(database, note(n)) for n in range(9)))

        assert asyncio.run(crowd()) == [1] * 9
        assert len(commits) == 1

    def test_what_comes_during_a_commit_is_in_the_next(self, database, commits):
        """None is lost, and none has a commit of its own."""

        async def crowd():
            first = asyncio.create_task(ask(database, note("first")))
            # One turn to ask in, and one to do it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.gather(first, *(ask(database, note("later")) for _ in "123"))

        asyncio.run(crowd())

        assert notes(database) == ["first", "later", "later", "later"]
        assert len(commits) == 2

    def test_a_change_that_raises_fails_its_caller_alone(self, database):
        """As in a thread."""

        def bad(connection):
            note("half done")(connection)
            raise LookupError

        async def crowd():
            asked = (
                ask(database, change) for change in (note("one"), bad, note("two"))
            )
            return await asyncio.gather(*asked, return_exceptions=True)

        assert [type(result) for result in asyncio.run(crowd())] == [
            int,
            LookupError,
            int,
        ]
        assert notes(database) == ["one", "two"]

    def test_it_goes_on_while_a_stranger_holds_the_file(self, database, path):
        """He is waited for in the thread."""
        stranger = sqlite3.connect(path, isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")

        async def write():
            written = asyncio.create_task(ask(database, note("waited for")))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not written.done()
            stranger.execute("ROLLBACK")
            stranger.close()
            return await written

        assert asyncio.run(write()) == 1
        assert notes(database) == ["waited for"]

    def test_a_stranger_who_stays_fails_its_callers_alone(
        self, database, path, monkeypatch
    ):
        """Those who ask when he has gone are served."""
        monkeypatch.setattr(database_module, "PATIENCE", 1)
        stranger = sqlite3.connect(path, isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")

        async def write():
            with pytest.raises(Unavailable):
                await ask(database, note("refused"))
            stranger.execute("ROLLBACK")
            stranger.close()
            await ask(database, note("accepted"))

        asyncio.run(write())

        assert notes(database) == ["accepted"]

    def test_threads_and_loops_wait_for_each_other(self, database):
        """Each is answered where it asks."""

        async def many(name):
            for n in range(20):
                await ask(database, note(f"{name} {n:02}"))

        at_once(
            [lambda name=name: asyncio.run(many(name)) for name in ("a", "b")]
            + [lambda n=n: database.write(note(f"c {n:02}")) for n in range(20)]
        )

        assert notes(database) == [
            f"{name} {n:02}" for name in "abc" for n in range(20)
        ]

    def test_a_loop_that_ends_keeps_nobody_waiting(self, database):
        """It asked while another was under way, and nobody awaits the answer."""
        gate = Gate(database)

        async def ask_and_go():
            database.begin(note("perhaps"))
            await asyncio.sleep(0)

        asyncio.run(ask_and_go())
        results = []
        other = threading.Thread(
            target=lambda: results.append(database.write(note("other")))
        )
        other.start()
        until(lambda: len(database._waiting) == 2)
        gate.open()
        other.join()

        assert results == [1]

    def test_closing_answers_all_who_asked(self, path):
        """With what they asked for, or that it is closed; nobody waits for ever."""
        database = Database(path)
        database.write(lambda c: c.execute("CREATE TABLE notes (text)"))

        async def crowd():
            asked = [asyncio.create_task(ask(database, note(n))) for n in range(9)]
            await asyncio.sleep(0)
            closing = asyncio.create_task(asyncio.to_thread(database.close))
            while not closing.done():
                asked.append(asyncio.create_task(ask(database, note("late"))))
                await asyncio.sleep(0)
            return await asyncio.gather(*asked, return_exceptions=True)

        results = asyncio.run(crowd())

        refused = [result for result in results if isinstance(result, Unavailable)]
        assert results[:9] == [1] * 9
        assert len(seen_from_outside(path)) == len(results) - len(refused)
        with pytest.raises(Unavailable):
            database.write(note("too late"))


async def ask(database, change):
    return await database.begin(change)


class TestReading:
    def test_a_reader_cannot_write(self, database):
        """All changes go through the one writer."""
        with pytest.raises(Unavailable):
            database.read("INSERT INTO notes VALUES ('past the writer')")

    def test_a_reader_sees_what_was_answered(self, database):
        """A result that one thread holds is seen by every other at once."""
        database.write(note("one"))

        results = at_once([lambda: notes(database)] * 8)

        assert results == [["one"]] * 8

    def test_a_thread_that_ended_leaves_no_connection(self, database):
        """Pools end idle threads and start new ones, for months."""
        before = open_files()

        for _ in range(30):
            at_once([lambda: notes(database)])

        assert open_files() < before + 10


class TestOpening:
    def test_the_state_is_flushed_for_good(self, database):
        """WAL, and a flush with every commit: an answer survives the power cut."""
        mode = database.write(
            lambda c: (
                c.execute("PRAGMA journal_mode").fetchone()[0],
                c.execute("PRAGMA synchronous").fetchone()[0],
            )
        )

        assert mode == ("wal", 2)

    def test_a_second_start_finds_what_was_written(self, path):
        """Closing and opening again changes nothing."""
        first = Database(path)
        first.write(lambda c: c.execute("CREATE TABLE notes (text)"))
        first.write(note("one"))
        first.close()

        again = Database(path)

        assert notes(again) == ["one"]
        again.close()

    def test_a_second_start_in_this_process_is_refused(self, database, path):
        """Two on one file would both ring every timer."""
        with pytest.raises(InUse):
            Database(path)

    def test_a_second_process_is_refused_with_a_sentence(self, database, path):
        """The refusal says what is in use and what to do."""
        program = (
            "import sys; from pathlib import Path\n"
            "from backstop.adapters.embedded.database import Database, InUse\n"
            "try: Database(Path(sys.argv[1]))\n"
            "except InUse as error: print(error)\n"
        )

        done = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={"PYTHONPATH": str(FUNCTIONS)},
            capture_output=True,
            text=True,
            check=True,
        )

        assert f"{path} is in use by another Backstop; stop it first\n" == done.stdout

    def test_a_refused_start_does_no_harm(self, database, path):
        """Whoever was first goes on as if nothing had been."""
        with pytest.raises(InUse):
            Database(path)

        database.write(note("one"))
        assert seen_from_outside(path) == ["one"]

    def test_a_killed_process_leaves_the_state_free(self, path):
        """The lock dies with its process, and what was answered is there."""
        program = (
            "import os, sys; from pathlib import Path\n"
            "from backstop.adapters.embedded.database import Database\n"
            "database = Database(Path(sys.argv[1]))\n"
            "database.write(lambda c: c.execute('CREATE TABLE notes (text)'))\n"
            "insert = \"INSERT INTO notes VALUES ('one')\"\n"
            "database.write(lambda c: c.execute(insert))\n"
            "os.kill(os.getpid(), 9)\n"
        )
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={"PYTHONPATH": str(FUNCTIONS)},
            check=False,
        )

        database = Database(path)

        assert notes(database) == ["one"]
        database.close()
