"""What Bandwidth tells its customer's callback URL, challenged first."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from .callbacks import Calls, Courier, Http, Sent
from .config import Carriers
from .faults import Carrier
from .instants import DAY, HOUR, SECOND, rfc3339
from .state import Store

FORGED = "nobody-agreed-on-this"


class SmsEvents:
    """Publishes callbacks, with Bandwidth's credentials and retries."""

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
        self.calls = Calls("bandwidth")
        self.courier = Courier(self._bring, 10 * SECOND, HOUR, DAY)

    @property
    def url(self) -> str:
        default = self._config().sms_callback_url
        return str(self._carrier.setting("callbackUrl", default))

    @property
    def user(self) -> str:
        default = self._config().sms_callback_user
        return str(self._carrier.setting("callbackUser", default))

    def publish(
        self, event: Mapping[str, Any], at: int, *, early: bool = False
    ) -> None:
        """Send *event* at *at*, as the faults of the moment allow.

        An *early* one is what `reorder` holds back behind those that follow it.
        """
        faults = self._carrier.faults
        if faults.drop == "events":
            return
        due = at + faults.delay + (2 * SECOND if early and faults.reorder else 0)
        job = {"body": json.dumps([event]), "since": due, "tries": 0}
        for _ in range(1 + faults.duplicate):
            self._store.schedule("callback", due, job)

    def resend(self, sent: Sent, now: int, *, forged: bool = False) -> None:
        """Bring the same bytes once more, if *forged* under an invented password."""
        job = {"body": sent.body, "since": now, "tries": 0, "forged": forged}
        self._store.schedule("callback", now, job)

    def _bring(self, job: Mapping[str, Any]) -> bool:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "BandwidthAPI/v2",
        }
        body = job["body"].encode()
        forged = bool(job.get("forged"))
        credentials = _basic(self.user, FORGED if forged else self._password)
        url = self.url
        answer = self._http.post(url, body, headers)
        challenged = answer is not None and answer.status == 401  # noqa: PLR2004
        # Without a challenge there is no second request: the event is lost.
        lost = challenged and answer and "www-authenticate" not in answer.headers
        if challenged and not lost:
            headers["Authorization"] = credentials
            answer = self._http.post(url, body, headers)
        config = self._config()
        expected = _basic(config.sms_callback_user, config.sms_callback_password)
        self.calls.add(
            at=self._carrier.now(),
            url=url,
            tries=job["tries"],
            status=answer.status if answer else 0,
            body=job["body"],
            base=self.user.encode(),
            scheme="Basic",
            told=_digest(credentials) if challenged else "",
            expected=_digest(expected),
            note="SHA-256 of the credentials, sent once the URL had asked for them",
        )
        taken = answer is not None and 200 <= answer.status <= 299  # noqa: PLR2004
        return bool(lost) or forged or taken

    @property
    def _password(self) -> str:
        default = self._config().sms_callback_password
        return str(self._carrier.setting("callbackPassword", default))


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _digest(credentials: str) -> str:
    return hashlib.sha256(credentials.encode()).hexdigest()


def status_event(
    kind: str, description: str, number: str, message: dict[str, Any], at: int
) -> dict[str, Any]:
    """Make an event about one recipient of an outbound message."""
    told: dict[str, Any] = {
        name: message[name]
        for name in (
            "id",
            "time",
            "owner",
            "applicationId",
            "direction",
            "to",
            "from",
            "segmentCount",
            "tag",
            "priority",
            "media",
        )
        if name in message
    }
    # What was said is never told again after the request.
    told["text"] = ""
    return {
        "type": kind,
        "time": rfc3339(at),
        "description": description,
        "to": number,
        "message": told,
    }
