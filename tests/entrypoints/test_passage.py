"""The rest of the RBM API goes on to RBM, unchanged, and nothing else goes anywhere."""

import http.client
import json
import time
from hashlib import sha256

import pytest

from backstop.edge import passage
from contracts.waiting import until
from entrypoints.caller import PHONE, check_refusal
from entrypoints.recorder import Recorder

MIB = 1024 * 1024
UPLOAD = "/upload/v1/files"
FILE = {"fileUrl": "https://example.com/a.png"}
USERS = {"users": [PHONE]}

PATHS = {
    "/v1/files": FILE,
    "/v1/users:batchGet": USERS,
    f"/v1/phones/{PHONE}/testers": None,
    f"/v1/phones/{PHONE}/dialogflowMessages": {"eventName": "WELCOME"},
    f"/v1/phones/{PHONE}/capability:requestCapabilityCallback": {"requestId": "r"},
    UPLOAD: b"\x89PNG",
}


@pytest.fixture(scope="module")
def rbm():
    rbm = Recorder()
    yield rbm
    rbm.close()


@pytest.fixture(autouse=True)
def _anew(rbm):
    rbm.begin_anew()


@pytest.fixture(scope="module")
def environ(rbm):
    return {"RBM_URL": rbm.url}


@pytest.fixture
def sender(local):
    """A connection on which a request is sent piece by piece."""
    port = int(local.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    yield connection
    connection.close()


def begin(sender, **headers):
    sender.putrequest("POST", UPLOAD)
    for name, value in headers.items():
        sender.putheader(name.replace("_", "-"), value)
    sender.endheaders()


def sent_until_it_stops(connection, most):
    """Return how much of *most* a connection takes before it takes no more."""
    sent = 0
    while sent < most:
        try:
            sent += connection.send(b"x" * 64 * 1024)
        except TimeoutError:
            break
    return sent


def finish(sender):
    response = sender.getresponse()
    return response.status, response.read()


class TestUnchanged:
    """What goes on is what came, and what comes back too."""

    @pytest.mark.parametrize("path", PATHS)
    def test_the_body_goes_on_as_it_came(self, call, rbm, path):
        """Byte for byte, with its type and its length."""
        raw = PATHS[path]
        raw = raw if isinstance(raw, bytes | None) else json.dumps(raw, indent=3)
        sent = raw.encode() if isinstance(raw, str) else raw
        headers = {"Content-Type": "application/json; charset=utf-8"} if raw else {}

        answer = call("POST", path, sent, headers)

        assert answer.status == 200
        assert rbm.last.method == "POST"
        assert rbm.last.path.partition("?")[0] == path
        assert bytes(rbm.last.raw) == (sent or b"")
        assert rbm.last.headers["content-length"] == str(len(sent or b""))
        assert rbm.last.headers.get("content-type") == headers.get("Content-Type")

    @pytest.mark.parametrize("path", [UPLOAD, "/v1/files"])
    @pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 500, 503])
    def test_the_answer_comes_back_as_it_was(self, call, rbm, path, status):
        """RBM's status and its own words, down to the spaces."""
        said = b'{ "error":  {"code": 1, "message": "RBM\'s own"} }'
        rbm.answers = [(status, said, {"Retry-After": "7", "X-Secret": "s"})]

        answer = call("POST", path, b"{}")

        assert (answer.status, answer.raw) == (status, said)
        assert answer.headers["retry-after"] == "7"
        assert answer.headers["x-secret"] is None
        assert len(rbm.taken) == 1

    def test_nothing_else_of_the_caller_goes_along(self, call, rbm):
        """Neither its token nor its keys, cookies or addresses."""
        query = "key=k&access_token=t&oauth_token=o&quotaUser=q&alt=proto&callback=f"
        headers = {
            "Authorization": "Bearer caller",
            "Cookie": "c=1",
            "Forwarded": "for=192.0.2.1",
            "X-Goog-User-Project": "p",
            "X-Http-Method-Override": "DELETE",
        }

        call("POST", f"{UPLOAD}?{query}&uploadType=media", b"x", headers)

        assert rbm.last.path == f"{UPLOAD}?uploadType=media&agentId=demo_agent"
        assert "caller" not in rbm.last.headers.pop("authorization")
        assert not {name.lower() for name in headers} & rbm.last.headers.keys()

    def test_the_agent_is_filled_in(self, call, rbm):
        """Where there is only one, and where RBM knows the parameter."""
        for path, body in PATHS.items():
            call("POST", path, body)
        asked = [taken.path.partition("?")[2] for taken in rbm.taken]

        assert asked == [*["agentId=demo_agent"] * 4, "", "agentId=demo_agent"]

    def test_the_agent_loses_its_suffix(self, call, rbm):
        """Requests carry the part before `@rbm.goog`."""
        call("POST", f"{UPLOAD}?agentId=demo_agent@rbm.goog", b"x")
        assert rbm.last.path.endswith("?agentId=demo_agent")

    def test_a_type_may_hold_any_letter(self, call, rbm):
        """It goes on as it came."""
        odd = {"Content-Type": "application/json; x=\xe9".encode("latin-1")}
        assert call("POST", "/v1/files", FILE, odd).status == 200
        assert rbm.last.headers["content-type"].endswith("x=\xe9")

    def test_known_parameters_go_along(self, call, rbm):
        """Each method's own."""
        path = f"/v1/phones/{PHONE}/dialogflowMessages"
        call("POST", f"{path}?messageIdPrefix=a%26b%2Fc", {})
        assert rbm.last.path == f"{path}?messageIdPrefix=a%26b%2Fc&agentId=demo_agent"


class TestNowhereElse:
    """Where it goes is put together here."""

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/files/../agents",
            "/v1/files%2Fa",
            "/v1/./files",
            "/v1/files/a",
            "/upload/v1/users:batchGet",
            "/upload/v1/phones/+15551230001/testers",
            "/v1/users:batchDelete",
            "/v1/phones/+15551230001/testers/a",
            "/v1/phones/+15551230001/capability",
            "/v1/phones/+15551230001/capability:other",
            "/v1/phones/+15551230001/agentMessagesSigned",
            "/v2/files",
            "/v1//files",
        ],
    )
    def test_what_is_not_in_the_table_is_no_method(self, call, rbm, path):
        """However it is spelt."""
        check_refusal(call("POST", path, {}), 404)
        assert rbm.taken == []

    @pytest.mark.parametrize(
        "phone",
        ["15551230001", "+1555", "+1555123000a", "+15551230001%2F..", "..", "+"],
    )
    def test_a_phone_is_a_number(self, call, rbm, phone):
        """Nothing else becomes a part of RBM's path."""
        check_refusal(call("POST", f"/v1/phones/{phone}/testers"), 400, "phone")
        assert rbm.taken == []

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("path", PATHS)
    def test_it_is_a_post(self, call, rbm, path, method):
        """Every one of these methods is."""
        answer = call(method, path)
        check_refusal(answer, 405)
        assert answer.headers["allow"] == "POST"
        assert rbm.taken == []

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("agent=demo_agent", "agent"),
            ("agentId=a&agentId=b", "agentId"),
            ("agentId=foreign", "agentId"),
            ("messageIdPrefix=a", "messageIdPrefix"),
            ("uploadType=resumable", "uploadType"),
            ("upload_protocol=resumable", "upload_protocol"),
        ],
    )
    def test_a_query_is_understood(self, call, rbm, query, field):
        """Or refused, by its name."""
        check_refusal(call("POST", f"{UPLOAD}?{query}", b"x"), 400, field)
        assert rbm.taken == []

    @pytest.mark.parametrize("name", ["agentId", "agent_id"])
    @pytest.mark.parametrize("path", ["/v1/files", "/v1/users:batchGet"])
    def test_the_bodys_agent_is_ours(self, call, rbm, path, name):
        """The key may serve others, this deployment does not."""
        check_refusal(call("POST", path, {name: "foreign"}), 400, "agentId")
        named = f"{path}?agentId=demo_agent"
        check_refusal(call("POST", named, {name: "foreign"}), 400, "agentId")
        assert rbm.taken == []
        assert call("POST", path, {name: "demo_agent"}).status == 200

    @pytest.mark.parametrize("path", ["/v1/files", UPLOAD])
    def test_no_redirect_is_followed(self, call, rbm, path):
        """Nor handed out: RBM has none."""
        elsewhere = {"Location": f"{rbm.url}/elsewhere"}
        rbm.answers = [(307, {}, elsewhere), (200, {}, {})]
        check_refusal(call("POST", path, b"{}"), 503)
        assert len(rbm.taken) == 1


class TestLimits:
    """How much is taken, and for how long."""

    @pytest.mark.parametrize("path", sorted(set(PATHS) - {UPLOAD}))
    def test_a_body_has_its_limit(self, call, rbm, path):
        """At it the body goes on, above it nothing does."""
        limit = MIB if path.startswith(("/v1/files", "/v1/users")) else 64 * 1024

        assert call("POST", path, b" " * limit).status == 200
        assert rbm.last.size == limit
        check_refusal(call("POST", path, b" " * (limit + 1)), 413)
        assert len(rbm.taken) == 1

    def test_an_upload_that_is_announced_too_large_goes_nowhere(self, sender, rbm):
        """Not a byte of it."""
        begin(sender, Content_Length=str(100 * MIB + 1))
        sender.send(b"x" * 1024)
        status, raw = finish(sender)

        assert status == 413
        assert json.loads(raw)["error"]["status"] == "INVALID_ARGUMENT"
        assert rbm.taken == []

    def test_an_upload_that_grows_too_large_is_broken_off(self, local, rbm, sender):
        """RBM never sees its end, and so keeps nothing."""
        part = b"x" * MIB
        begin(sender, Transfer_Encoding="chunked")
        # Who is still sending reads no answer: the rest is taken, up to a point.
        for _ in range(120):
            sender.send(b"%x\r\n%s\r\n" % (MIB, part))
        sender.send(b"0\r\n\r\n")
        status, raw = finish(sender)

        assert status == 413
        assert json.loads(raw)["error"]["message"].startswith("body: ")
        assert rbm.last.digest == ""

    def test_an_answer_without_end_is_not_held(self, call, rbm):
        """RBM's answers are small."""
        rbm.answers = [(200, b'{"a": "' + b"x" * 5 * MIB + b'"}', {})]
        check_refusal(call("POST", "/v1/files", FILE), 503)

    @pytest.mark.parametrize("said", [b"", b"<html>", b"[]", b'"x"', b'{"a":'])
    def test_what_is_no_json_is_not_rbms(self, call, rbm, said):
        """A proxy's page is not shown to an app as RBM's word."""
        rbm.answers = [(502, said, {"Content-Type": "text/html"})]
        check_refusal(call("POST", "/v1/files", FILE), 503)

    def test_a_sender_that_falls_silent_is_let_go(self, sender, rbm, monkeypatch):
        """It holds a thread, and others wait for one."""
        monkeypatch.setattr(passage, "SILENCE", 0.2)
        begin(sender, Content_Length="1000")
        sender.send(b"x")
        status, raw = finish(sender)

        assert status == 408
        assert json.loads(raw)["error"]["status"] == "DEADLINE_EXCEEDED"
        assert rbm.last.digest == ""

    def test_slow_uploads_keep_no_message_waiting(self, local, call, rbm):
        """They have threads of their own."""
        port = int(local.url.rpartition(":")[2])
        slow = [
            http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            for _ in range(passage.UPLOADS + 2)
        ]
        for connection in slow:
            begin(connection, Content_Length="2")
            connection.send(b"x")
        until(lambda: len(rbm.taken) >= passage.UPLOADS)
        time.sleep(0.2)
        assert len(rbm.taken) == passage.UPLOADS

        assert call("POST", "/v1/files", FILE).status == 200

        for connection in slow:
            connection.send(b"x")
        assert [finish(connection)[0] for connection in slow] == [200] * len(slow)
        for connection in slow:
            connection.close()


class TestStreams:
    """An upload is never held as a whole."""

    def test_it_goes_on_while_it_comes(self, sender, rbm):
        """RBM has the first part while the sender still has the second."""
        half = b"a" * 8 * MIB
        begin(sender, Content_Length=str(2 * len(half)), Content_Type="image/png")
        sender.send(half)
        until(lambda: rbm.taken and rbm.last.size >= len(half) - MIB)
        assert rbm.last.headers["content-length"] == str(2 * len(half))
        assert rbm.last.headers["content-type"] == "image/png"
        sender.send(half)

        assert finish(sender) == (200, b'{"name": "files/one"}')
        assert rbm.last.digest == sha256(half * 2).hexdigest()

    def test_it_waits_when_rbm_does(self, sender, rbm):
        """Of 64 MB little leaves the sender while RBM reads none."""
        rbm.reading.clear()
        begin(sender, Content_Length=str(64 * MIB))
        sender.sock.settimeout(1)

        assert sent_until_it_stops(sender.sock, 64 * MIB) < 32 * MIB
        rbm.reading.set()

    def test_the_largest_one_passes(self, sender, rbm):
        """Of a length that nobody knew before."""
        part = bytes(range(256)) * 4096
        begin(sender, Transfer_Encoding="chunked")
        for _ in range(100):
            sender.send(b"%x\r\n%s\r\n" % (len(part), part))
        sender.send(b"0\r\n\r\n")

        assert finish(sender)[0] == 200
        assert rbm.last.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in rbm.last.headers
        assert rbm.last.digest == sha256(part * 100).hexdigest()

    def test_a_slow_sender_is_served(self, sender, rbm):
        """As long as something comes."""
        begin(sender, Content_Length="20")
        for _ in range(20):
            sender.send(b"x")
            time.sleep(0.02)

        assert finish(sender)[0] == 200
        assert rbm.last.size == 20

    def test_a_sender_that_hangs_up_leaves_no_file(self, sender, rbm):
        """RBM sees that the end is missing."""
        begin(sender, Content_Length="1000")
        sender.send(b"x")
        until(lambda: rbm.taken)
        sender.close()
        time.sleep(0.2)

        assert rbm.last.digest == ""

    def test_a_false_length_is_not_believed(self, sender, rbm):
        """Beside a chunked body it means nothing; RBM would read a second request."""
        begin(sender, Transfer_Encoding="chunked", Content_Length="5")
        sender.send(b"9\r\nfirst GET\r\n0\r\n\r\n")
        status, _raw = finish(sender)

        assert status == 200
        assert [bytes(taken.raw) for taken in rbm.taken] == [b"first GET"]
        assert "content-length" not in rbm.last.headers

    def test_rbm_may_answer_early(self, call, rbm):
        """An upload of nothing is judged by RBM, not here."""
        rbm.answers = [(400, {"error": {"code": 400}}, {})]
        assert call("POST", UPLOAD, b"").status == 400


class TestOurToken:
    """What RBM thinks of our token is no business of the caller's."""

    REFUSED = (401, {"error": {"code": 401}}, {})

    def test_a_small_body_is_sent_again(self, call, rbm):
        """With a new token."""
        rbm.answers = [self.REFUSED, (200, {"name": "files/two"}, {})]

        assert call("POST", "/v1/files", FILE).json == {"name": "files/two"}
        first, second = rbm.taken
        assert first.raw == second.raw
        assert first.headers["authorization"] != second.headers["authorization"]

    def test_a_stream_is_not(self, call, rbm):
        """It came but once; the caller sends it again, under the new token."""
        rbm.answers = [self.REFUSED, (200, {}, {})]

        answer = call("POST", UPLOAD, b"x" * MIB)

        check_refusal(answer, 503)
        assert answer.headers["retry-after"]
        assert sum(taken.digest != "" for taken in rbm.taken) == 1
        assert call("POST", UPLOAD, b"x" * MIB).status == 200

    def test_a_401_is_never_the_callers(self, call, rbm):
        """It would look for a mistake of its own."""
        rbm.answers = [self.REFUSED]
        check_refusal(call("POST", "/v1/files", FILE), 503)

    def test_silence_is_an_unknown_outcome(self, call, rbm):
        """A reset may come after the deed."""
        rbm.answers = [(0, {}, {})]
        answer = call("POST", "/v1/files", FILE)
        check_refusal(answer, 503)
        assert "unknown" in answer.json["error"]["message"]
