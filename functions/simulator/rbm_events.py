"""What the RBM platform tells an agent's webhook: envelope, signature, handshake."""

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from .callbacks import Calls, Courier, Http, Sent
from .config import Carriers
from .faults import Carrier
from .instants import DAY, SECOND, proto_time, rfc3339
from .state import Store

FORGER = "nobody-agreed-on-this"
_FIRST_PUBSUB_ID = 6_267_770_000_000_000


def sign(token: str, data: bytes) -> str:
    """Return `X-Goog-Signature` for the decoded bytes of `message.data`."""
    digest = hmac.new(token.encode(), data, hashlib.sha512).digest()
    return base64.b64encode(digest).decode()


def full(agent: str) -> str:
    return f"{agent}@rbm.goog"


class Events:
    """Publishes events to the webhook, with the platform's retries."""

    def __init__(
        self,
        store: Store,
        http: Http,
        carrier: Carrier,
        config: Callable[[], Carriers],
    ) -> None:
        self._store = store
        self._http = http
        self._carrier = carrier
        self._config = config
        self.calls = Calls("rbm")
        self.courier = Courier(self._bring, 10 * SECOND, 600 * SECOND, 7 * DAY)

    @property
    def url(self) -> str:
        default = self._config().rbm_webhook_url
        return str(self._carrier.setting("webhookUrl", default))

    @property
    def token(self) -> str:
        default = self._config().rbm_client_token
        return str(self._carrier.setting("clientToken", default))

    def user_event(self, agent: str, phone: str, event: str, at: int) -> dict[str, Any]:
        """Make the payload of an event on the phone; `messageId` is for the caller."""
        return {
            "senderPhoneNumber": phone,
            "eventType": event,
            "eventId": str(uuid.uuid4()),
            "sendTime": proto_time(at),
            "agentId": full(agent),
        }

    def message_event(
        self, agent: str, phone: str, event: str, *, message: str, at: int
    ) -> dict[str, Any]:
        """Make the payload of DELIVERED or READ, or of an event of the platform's."""
        payload = self.user_event(agent, phone, event, at) | {"messageId": message}
        if event.startswith("TTL_"):
            payload["phoneNumber"] = payload.pop("senderPhoneNumber")
        return payload

    def publish(
        self,
        payload: Mapping[str, Any],
        at: int,
        *,
        attributes: Mapping[str, str] | None = None,
        twice: bool = False,
        lag: int = 0,
    ) -> None:
        """Send *payload* at *at*, as the faults of the moment allow."""
        faults = self._carrier.faults
        if faults.drop == "events":
            return
        due = at + lag + faults.delay
        body = self._envelope(payload, attributes or _attributes(payload), due)
        for _ in range(1 + (twice or faults.duplicate)):
            job = {"body": body, "since": due, "tries": 0}
            self._store.schedule("webhook", due, job)

    def resend(self, sent: Sent, now: int, *, forged: bool = False) -> None:
        """Bring the same bytes once more, if *forged* under a token nobody agreed on.

        A forgery is brought once: whoever forges does not wait for a 200.
        """
        job = {"body": sent.body, "since": now, "tries": 0, "forged": forged}
        self._store.schedule("webhook", now, job)

    def handshake(self) -> tuple[bool, int]:
        """Ask the webhook to prove that it knows the client token."""
        secret = secrets.token_hex(16)
        body = json.dumps({"clientToken": self.token, "secret": secret}).encode()
        answer = self._http.post(
            self.url, body, {"Content-Type": "application/json; charset=utf-8"}
        )
        if answer is None:
            return False, 0
        # Google's own samples answer `secret: ...` and JSON as well as the bare secret.
        ok = answer.status == 200 and secret.encode() in answer.data  # noqa: PLR2004
        return ok, answer.status

    def _envelope(
        self, payload: Mapping[str, Any], attributes: Mapping[str, str], at: int
    ) -> str:
        data = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        number = self._store.setting("pubsubId", _FIRST_PUBSUB_ID) + 1
        self._store.keep("pubsubId", number)
        published = rfc3339(at, digits=3)
        message = {
            "data": base64.b64encode(data).decode(),
            "attributes": {
                "project_number": "100000000001",
                "product": "RBM",
                "business_id": payload["agentId"],
                **attributes,
            },
            "messageId": str(number),
            "message_id": str(number),
            "publishTime": published,
            "publish_time": published,
        }
        subscription = "projects/rbm-demo/subscriptions/rbm-agent-subscription"
        return json.dumps({"message": message, "subscription": subscription})

    def _bring(self, job: Mapping[str, Any]) -> bool:
        body = job["body"].encode()
        data = base64.b64decode(json.loads(body)["message"]["data"])
        forged = bool(job.get("forged"))
        signature = sign(FORGER if forged else self.token, data)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Goog-Signature": signature,
        }
        url = self.url
        answer = self._http.post(url, body, headers)
        self.calls.add(
            at=self._carrier.now(),
            url=url,
            tries=job["tries"],
            status=answer.status if answer else 0,
            body=job["body"],
            base=data,
            scheme="X-Goog-Signature",
            told=signature,
            expected=sign(self._config().rbm_client_token, data),
            note="HMAC-SHA512 of the base under the client token, in base64",
        )
        # The platform takes nothing but 200 for an acknowledgement, not even 204.
        return forged or (answer is not None and answer.status == 200)  # noqa: PLR2004


def _attributes(payload: Mapping[str, Any]) -> dict[str, str]:
    if "eventType" in payload:
        return {"type": "event", "event_type": payload["eventType"]}
    kinds = {
        "text": "TEXT",
        "userFile": "FILE",
        "location": "LOCATION",
        "suggestionResponse": "SUGGESTION_RESPONSE",
    }
    kind = next((kinds[name] for name in kinds if name in payload), "UNKNOWN")
    return {"type": "message", "message_type": kind}
