"""HTTP calls, to servers that answer oddly."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime

import pytest

from backstop import calls, fibres
from backstop.calls import Body, Caller, NoAnswer, NotSent
from backstop.http1 import LARGEST_HEAD, Answer

SILENCE = None
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LARGEST = 100_000


class Server:
    """Answers each request with the next of *answers*; an empty one is the end."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.requests = []
        self.connections = 0
        self.cut = asyncio.Event()
        self.writers = []

    async def begin(self, reader, writer):
        self.writers.append(writer)
        await self.serve(reader, writer)

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                self.requests[-1] += await self._body(head.lower(), reader)
                answer = self._answers.pop(0)
                if answer is SILENCE:
                    continue
                if not answer:
                    break
                for part in answer if isinstance(answer, list) else [answer]:
                    writer.write(part)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.cut.set()
        writer.close()

    async def _body(self, head, reader):
        if b"transfer-encoding: chunked" in head:
            return await reader.readuntil(b"0\r\n\r\n")
        _, found, length = head.partition(b"content-length: ")
        return await reader.readexactly(int(length.split()[0]) if found else 0)


def answer(status, *headers, body=b""):
    lines = [f"HTTP/1.1 {status}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*parts, trailers=b"", headers=()):
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    body = framed + b"0\r\n" + trailers + b"\r\n"
    return answer("200 OK", *headers, "Transfer-Encoding: chunked", body=body)


async def end(caller, server, listening):
    """Leave nothing open."""
    caller.close()
    listening.close()
    for writer in server.writers:
        writer.transport.abort()
    for _ in range(5):
        await asyncio.sleep(0)


def talk(server, use):
    """Return what *use* returns of a caller, and where the server is."""

    async def run():
        listening = await asyncio.start_server(server.begin, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        caller = Caller(f"http://127.0.0.1:{port}", largest=LARGEST)
        try:
            return await use(caller)
        finally:
            await end(caller, server, listening)

    return asyncio.run(run())


def asked(server, *bodies, within=10.0, method="POST"):
    """Ask one after the other. Returns answers, or the failures' types."""

    async def use(caller):
        results = []
        for body in bodies:
            try:
                result = await caller.ask(
                    method,
                    "/ring?a=b",
                    headers={"Authorization": "Bearer t"},
                    body=body,
                    connect=5.0,
                    within=within,
                )
            except (NotSent, NoAnswer) as error:
                result = type(error)
            results.append(result)
        return results

    return talk(server, use)


def statuses(results):
    return [result.status for result in results]


def test_a_request_is_whole():
    """Path, query, host, headers and body arrive as they were given."""
    server = Server(OK)

    assert asked(server, b"body") == [Answer(200, b"{}", {"content-length": "2"})]

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /ring?a=b HTTP/1.1"
    assert {"Authorization: Bearer t", "Content-Length: 4"} < set(headers)
    assert headers[0].startswith("Host: 127.0.0.1:")
    assert body == b"body"


@pytest.mark.parametrize(
    ("method", "length"), [("GET", []), ("DELETE", []), ("POST", [b"Content-Length"])]
)
def test_a_request_without_a_body_says_so_where_one_is_expected(method, length):
    server = Server(OK)
    asked(server, None, method=method)
    lines = server.requests[0].split(b"\r\n")
    assert [line[:14] for line in lines if line.startswith(b"Content-L")] == length


@pytest.mark.parametrize("name", ["a\r\nb", "a\nb", "a\rb"])
def test_a_header_cannot_become_two(name):
    """Nor a request."""

    async def use(caller):
        await caller.ask(
            "GET", "", headers={"Authorization": name}, connect=1, within=1
        )

    server = Server(OK)
    with pytest.raises(ValueError, match="line"):
        talk(server, use)
    assert server.requests == []


def test_a_connection_lasts():
    """One after the other they share it."""
    server = Server(OK, answer("503 No", "content-length: 0"), answer("204 None"), OK)

    assert statuses(asked(server, b"1", b"2", b"3", b"4")) == [200, 503, 204, 200]
    assert server.connections == 1


def test_chunks_are_put_together():
    """Trailers are left aside, and the next answer begins where this one ends."""
    odd = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\n\r\n"
    )
    server = Server(
        chunked(b"ab", b"c" * 4000), chunked(b"d", trailers=b"X: y\r\n"), odd, OK
    )

    results = asked(server, b"1", b"2", b"3", b"4")

    assert [r.body for r in results] == [b"ab" + b"c" * 4000, b"d", b"ab", b"{}"]
    assert "x" not in results[1].headers
    assert server.connections == 1


@pytest.mark.parametrize(
    ("last", "body"),
    [
        (answer("200 OK", "Connection: close", "Content-Length: 0"), b""),
        (chunked(b"a", headers=["Connection: Close"]), b"a"),
        ([answer("200 OK", body=b"until the "), b"end", b""], b"until the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1", b"1"),
        (OK + b"HTTP/1.1 500 Unasked\r\n\r\n", b"{}"),
    ],
    ids=["closing", "closing chunks", "without length", "HTTP/1.0", "more than one"],
)
def test_what_ends_a_connection(last, body):
    """Its answer counts; the next request has a connection of its own."""

    class Ending(Server):
        async def serve(self, reader, writer):
            await reader.readuntil(b"\r\n\r\n1")
            self.connections += 1
            writer.write(b"".join(last) if isinstance(last, list) else last)
            writer.close()

    server = Ending()
    results = asked(server, b"1", b"1")

    assert [result.body for result in results] == [body, body]
    assert server.connections == 2


def test_an_answer_may_come_in_pieces():
    """A byte at a time, and after an interim one."""
    for whole in (answer("100 Continue") + OK, chunked(b"a", trailers=b"X: y\r\n")):
        server = Server([whole[n : n + 1] for n in range(len(whole))], OK)

        assert statuses(asked(server, b"1", b"2")) == [200, 200]
        assert server.connections == 1


def test_a_header_that_is_none_is_passed_over():
    """One that is repeated is a list."""
    server = Server(answer("200 OK", "nothing", "A: 1", "a:2 ", "Content-Length: 0"))
    [result] = asked(server, b"")
    assert result.headers == {"a": "1, 2", "content-length": "0"}


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"SSH-2.0-nothing\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n",
        answer("200 OK", "X: " + "x" * LARGEST_HEAD),
        answer("200 OK", "Content-Length: 2", "Content-Length: 3", body=b"{}"),
        answer("200 OK", "Content-Length: -1"),
        answer("200 OK", f"Content-Length: {LARGEST + 1}", body=b"x" * (LARGEST + 1)),
        answer("200 OK", body=b"x" * (LARGEST + 1)),
        answer("200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"-1\r\na\r\n"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"fffffff\r\n"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"1\r\nabc0\r\n\r\n"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"1" * LARGEST_HEAD * 2),
        chunked(*[b"x" * 1000] * (LARGEST // 1000 + 1)),
        chunked(trailers=b"X: " + b"x" * LARGEST_HEAD * 2),
    ],
    ids=[
        *("silence", "not HTTP", "another HTTP", "no status", "an endless head"),
        *("two lengths", "no length", "too long", "too long without length"),
        *("a strange coding", "no chunk", "a chunk too large", "a chunk too long"),
        *("an endless chunk", "chunks without end", "endless trailers"),
    ],
)
def test_what_is_no_answer(odd):
    """It may have been read all the same, and the next request is not harmed."""
    server = Server(odd, OK)

    first, second = asked(server, b"1", b"2")

    assert first is NoAnswer
    assert second.status == 200


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200",
        answer("200 OK", "Content-Length: 2", body=b"{"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"1\r\na\r\n"),
    ],
    ids=["in its head", "in its body", "between chunks"],
)
def test_an_answer_that_is_cut_is_none(cut):
    class Cutting(Server):
        async def serve(self, reader, writer):
            await reader.readuntil(b"\r\n\r\n1")
            writer.write(cut)
            writer.close()

    assert asked(Cutting(), b"1") == [NoAnswer]


def test_nobody_listens():
    """Then nothing was sent."""

    async def run():
        nobody = Caller("http://127.0.0.1:1")
        await nobody.ask("GET", "/", headers={}, connect=5, within=5)

    with pytest.raises(NotSent):
        asyncio.run(run())


def test_whoever_is_not_believed_is_sent_nothing(tmp_path, monkeypatch):
    """Its certificate is nobody's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    alias = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begun)
        .not_valid_after(begun.replace(year=2126))
        .add_extension(alias, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)

    async def ask(server):
        listening = await asyncio.start_server(
            server.begin, "localhost", 0, ssl=serving
        )
        port = listening.sockets[0].getsockname()[1]
        caller = Caller(f"https://localhost:{port}")
        try:
            return await caller.ask(
                "POST",
                "/",
                headers={},
                body=b"1",
                connect=5,
                within=5,
            )
        finally:
            await end(caller, server, listening)

    server = Server(OK)
    with pytest.raises(NotSent):
        asyncio.run(ask(server))
    assert server.requests == []

    trusting = ssl.create_default_context(cafile=pem)
    monkeypatch.setattr(calls, "_trusted", lambda: trusting)
    assert asyncio.run(ask(Server(OK))).status == 200


def test_a_dead_address_leaves_time_for_the_next(monkeypatch):
    """A name may have several, of which one answers nobody."""
    server = Server(OK)

    async def use(caller):
        loop = asyncio.get_running_loop()
        connect = loop.create_connection

        async def found(host, port, **how):
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, ("192.0.2.1", port)), (*kind, ("127.0.0.1", port))]

        async def try_(protocol, host, port, **how):
            if host == "192.0.2.1":
                await asyncio.sleep(60)
            return await connect(protocol, host, port, **how)

        monkeypatch.setattr(loop, "getaddrinfo", found)
        monkeypatch.setattr(loop, "create_connection", try_)
        return await caller.ask(
            "POST", "", headers={}, body=b"1", connect=0.4, within=5
        )

    assert talk(server, use).status == 200


def test_a_connection_that_rested_long_is_not_used(monkeypatch):
    """Whatever lies between may have forgotten it, and told nobody."""
    monkeypatch.setattr(calls, "LONGEST_REST", -1.0)
    server = Server(OK, OK)
    assert statuses(asked(server, b"1", b"2")) == [200, 200]
    assert server.connections == 2


def test_patience_ends():
    """An answer that does not come is not waited for longer than was said."""
    server = Server(SILENCE, OK)

    first, second = asked(server, b"1", b"2", within=0.2)

    assert first is NoAnswer
    assert second.status == 200


def test_a_connection_that_was_left_meanwhile_is_not_used():
    """Also where this loop stood still, and has not heard of it yet."""

    class Leaving(Server):
        async def serve(self, reader, writer):
            self.connections += 1
            await reader.readuntil(b"\r\n\r\n1")
            writer.write(OK)
            writer.close()
            await writer.wait_closed()

    async def use(caller):
        async def once():
            return await caller.ask(
                "POST", "", headers={}, body=b"1", connect=5, within=5
            )

        return [(await once()).status for _ in range(20)]

    server = Leaving()
    assert talk(server, use) == [200] * 20
    assert server.connections == 20


def test_plain_code_may_call():
    """In a fibre, or in a thread."""

    async def use(caller):
        def work():
            how = {"headers": {}, "body": b"1", "connect": 5, "within": 5}
            return caller.call("POST", "", **how).status

        return await fibres.run(work), await asyncio.to_thread(work)

    assert talk(Server(OK, OK), use) == (200, 200)


class TestStreams:
    """A body that is sent as it comes."""

    @staticmethod
    def sent(server, parts, length=None, *, connect=5.0):
        async def use(caller):
            return await caller.ask(
                "POST",
                "",
                headers={},
                body=Body(parts, length),
                connect=connect,
                within=5,
            )

        return talk(server, use)

    def test_of_a_length(self):
        """It is told, and the parts are as they are."""

        async def parts():
            for part in (b"ab", b"", b"c"):
                yield part

        server = Server(OK)
        assert self.sent(server, parts(), 3).status == 200
        assert server.requests[0].lower().endswith(b"content-length: 3\r\n\r\nabc")

    def test_of_no_length(self):
        """It is chunked."""

        async def parts():
            for part in (b"ab", b"", b"c"):
                yield part

        server = Server(OK)
        assert self.sent(server, parts()).status == 200
        body = server.requests[0].partition(b"\r\n\r\n")[2]
        assert body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"

    def test_an_early_answer_is_the_answer(self):
        """The rest is not sent, and the connection not used again."""

        class Judging(Server):
            async def serve(self, reader, writer):
                await reader.readuntil(b"first")
                writer.write(answer("413 Much", "Content-Length: 0"))

        async def parts():
            yield b"first"
            while True:
                yield b"more"
                await asyncio.sleep(0)

        assert self.sent(Judging(), parts(), 10**9).status == 413

    def test_what_it_raises_is_raised(self):
        """The server sees that the end is missing."""

        async def parts():
            yield b"ab"
            raise KeyError("gone")

        server = Server(OK)

        async def use(caller):
            with pytest.raises(KeyError):
                await caller.ask(
                    "POST",
                    "",
                    headers={},
                    body=Body(parts(), 9),
                    connect=5,
                    within=5,
                )
            await asyncio.wait_for(server.cut.wait(), 5)

        talk(server, use)

    @pytest.mark.parametrize("length", [2, 4], ids=["more", "less"])
    def test_more_or_less_than_was_announced_is_not_sent(self, length):
        """What is too much would be a request; the next would be what is missing."""

        async def parts():
            yield b"ab"
            yield b"c"

        async def use(caller):
            how = {"headers": {}, "connect": 5, "within": 5}
            with pytest.raises(NoAnswer):
                await caller.ask("POST", "", body=Body(parts(), length), **how)
            return await caller.ask("POST", "", body=b"next", **how)

        server = Server(OK, OK)
        assert talk(server, use).status == 200
        assert server.connections == 2

    def test_a_server_that_ends_it_early_is_heard(self):
        """Also while the last part is waited for, of a length that nobody knows."""

        class Judging(Server):
            async def serve(self, reader, writer):
                await reader.readuntil(b"first")
                writer.write(answer("413 Much", "Content-Length: 0"))
                writer.close()
                await writer.wait_closed()
                self.cut.set()

        server = Judging()

        async def parts():
            yield b"first"
            await server.cut.wait()
            for _ in range(5):
                await asyncio.sleep(0)

        assert self.sent(server, parts()).status == 413

    def test_whoever_takes_nothing_is_not_waited_for(self):
        """Longer than was said."""

        class Full(Server):
            async def serve(self, reader, writer):
                await self.cut.wait()

        async def parts():
            while True:
                yield b"x" * 1_000_000

        with pytest.raises(NoAnswer):
            self.sent(Full(), parts(), connect=0.2)
