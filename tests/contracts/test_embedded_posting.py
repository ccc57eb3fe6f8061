"""The little of HTTP that rings need, against servers that answer oddly."""

import asyncio

import pytest

from backstop.adapters.embedded.posting import FAILURES, LARGEST_BODY, Post

SILENCE = None
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers each request with the next of *answers*; an empty one is the end."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.requests = []
        self.connections = 0

    async def serve(self, reader, writer):
        self.connections += 1
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            self.requests.append(head + await reader.readexactly(length))
            answer = self._answers.pop(0)
            if answer is SILENCE:
                continue
            if not answer:
                break
            for part in answer if isinstance(answer, list) else [answer]:
                writer.write(part)
                await writer.drain()
        writer.close()


def posted(server, *bodies, patience=10.0):
    """Post them one after the other. Returns statuses, or the failures' names."""

    async def run():
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/ring?a=b"
        post = Post(url, {"Authorization": "Bearer t"}, patience=patience)
        results = []
        for body in bodies:
            try:
                results.append(await post(body))
            except FAILURES as error:
                results.append(type(error).__name__)
        await post.close()
        listening.close()
        await listening.wait_closed()
        return results

    return asyncio.run(run())


def answer(status, *headers, body=b""):
    lines = [f"HTTP/1.1 {status}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_a_request_is_whole():
    """Path, query, host, headers and body arrive as they were given."""
    server = Server(OK)

    assert posted(server, b"body") == [200]

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /ring?a=b HTTP/1.1"
    assert {"Authorization: Bearer t", "Content-Length: 4"} < set(headers)
    assert headers[0].startswith("Host: 127.0.0.1:")
    assert body == b"body"


def test_a_connection_lasts():
    """One after the other they share it."""
    server = Server(OK, answer("503 No", "content-length: 0"), answer("204 None"), OK)

    assert posted(server, b"1", b"2", b"3", b"4") == [200, 503, 204, 200]
    assert server.connections == 1


@pytest.mark.parametrize(
    "last",
    [
        answer("200 OK", "Connection: close", "Content-Length: 0"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        answer("200 OK", body=b"until the end"),
        answer("200 OK", f"Content-Length: {LARGEST_BODY + 1}", body=b"much"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["closing", "chunked", "without length", "too long", "HTTP/1.0"],
)
def test_what_ends_a_connection(last):
    """Its status counts all the same; the next request has a connection of its own."""
    server = Server(last, OK)

    assert posted(server, b"1", b"2") == [200, 200]
    assert server.connections == 2


def test_an_answer_may_come_in_pieces():
    """A byte at a time, and after an interim one."""
    whole = answer("100 Continue") + OK
    server = Server([whole[n : n + 1] for n in range(len(whole))], OK)

    assert posted(server, b"1", b"2") == [200, 200]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("odd", "name"),
    [
        (b"", "IncompleteReadError"),
        (b"SSH-2.0-nothing\r\n\r\n", "ValueError"),
        (answer("200 OK", "X: " + "x" * 70_000), "LimitOverrunError"),
    ],
    ids=["silence", "not HTTP", "an endless head"],
)
def test_what_is_no_answer(odd, name):
    """It is a failure with a name, and the next request is not harmed."""
    server = Server(odd, OK)

    assert posted(server, b"1", b"2") == [name, 200]


def test_nobody_listens():
    """That is a failure too."""

    async def run():
        with pytest.raises(FAILURES):
            await Post("http://127.0.0.1:1/", {}, patience=10)(b"")

    asyncio.run(run())


def test_patience_ends():
    """An answer that does not come is not waited for longer than was said."""
    server = Server(SILENCE, OK)

    assert posted(server, b"1", b"2", patience=0.05) == ["TimeoutError", 200]
