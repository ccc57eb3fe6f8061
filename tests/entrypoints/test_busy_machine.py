"""A machine that has more to do than it can."""

import asyncio
import socket
import threading
from contextlib import ExitStack

CROWD = 64


def test_a_crowd_is_let_in_together(local):
    """A turn of a busy loop is long: one connection each would be a long wait."""
    here, go_on = threading.Event(), threading.Event()
    address = local.url.removeprefix("http://").split(":")
    let_in = local._server.server_state.connections

    async def turns():
        before, turn = len(let_in), 0
        here.set()
        go_on.wait()
        while len(let_in) < before + CROWD:
            await asyncio.sleep(0)
            turn += 1
        return turn

    taken = asyncio.run_coroutine_threadsafe(turns(), local._loop)
    here.wait()
    with ExitStack() as open_ones:
        for _ in range(CROWD):
            open_ones.enter_context(socket.create_connection(address))
        go_on.set()
        assert taken.result() < CROWD / 4
